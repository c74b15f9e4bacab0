//! IAM policy documents: a model in which meaning, not spelling, decides equality.
//!
//! The server reorders arrays, turns scalars into arrays, condition numbers into numbers, addresses into networks, `*` into
//! `**` and `Id` into `ID`; it drops repeated statements. [`Document::meaning`] is the same before and after such a journey.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::evaluate::{instant::Instant, network::Network};
use super::vocabulary::{self, Values};

/// The greatest size of a document that MinIO accepts, in bytes.
pub const MAX_BYTES: usize = 20_480;

/// The greatest size of a session policy in a key that MinIO accepts, in bytes.
pub const MAX_SESSION_POLICY_BYTES: usize = 4_096;

/// The version that every document carries.
pub const VERSION: &str = "2012-10-17";

/// Why a document of the server cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy document is not understood at {place}: expected {expected}")]
pub struct DocumentError {
    /// Where, such as `Statement[2].Action`.
    pub place: String,
    /// What should be there.
    pub expected: &'static str,
}

/// Whether a statement gives or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Effect {
    /// Gives.
    Allow,
    /// Takes, whatever else gives.
    Deny,
}

/// Conditions of a statement: operator, then key, then values.
pub type Conditions = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// One statement; sets where the server has sets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// A label without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Gives or takes.
    pub effect: Effect,
    /// The actions it speaks of.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub action: BTreeSet<String>,
    /// All actions but these (only ever read, never written).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub not_action: BTreeSet<String>,
    /// The resources it speaks of, as ARNs; none for admin statements.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub resource: BTreeSet<String>,
    /// All resources but these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub not_resource: BTreeSet<String>,
    /// When it applies.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: Conditions,
}

impl Statement {
    /// A statement without label and conditions.
    pub fn new<A, R>(effect: Effect, action: A, resource: R) -> Self
    where
        A: IntoIterator,
        A::Item: Into<String>,
        R: IntoIterator,
        R::Item: Into<String>,
    {
        Self {
            sid: None,
            effect,
            action: action.into_iter().map(Into::into).collect(),
            not_action: BTreeSet::new(),
            resource: resource.into_iter().map(Into::into).collect(),
            not_resource: BTreeSet::new(),
            condition: Conditions::new(),
        }
    }

    /// Adds a condition on one key.
    #[must_use]
    pub fn when<V>(mut self, operator: &str, key: &str, values: V) -> Self
    where
        V: IntoIterator,
        V::Item: Into<String>,
    {
        let held = self.condition.entry(operator.to_owned()).or_default().entry(key.to_owned()).or_default();
        held.extend(values.into_iter().map(Into::into));
        self
    }
}

/// A policy document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    version: &'static str,
    /// The statements, in the order in which they are written.
    pub statement: Vec<Statement>,
}

impl Document {
    /// A document of these statements.
    pub fn new(statement: Vec<Statement>) -> Self {
        Self { version: VERSION, statement }
    }

    /// Reads what the server or a manifest holds, leniently: unknown fields are skipped (the strict check of manifests is
    /// elsewhere), scalars count as arrays of one, numbers and booleans as text.
    ///
    /// # Errors
    /// Names the place that has the wrong shape.
    pub fn from_value(value: &Value) -> Result<Self, DocumentError> {
        let fields = object(value, "document")?;
        let statements = match fields.get("Statement") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(one) => vec![one],
        };
        let statement = statements
            .into_iter()
            .enumerate()
            .map(|(number, value)| read_statement(value, &format!("Statement[{number}]")))
            .collect::<Result<_, _>>()?;
        Ok(Self::new(statement))
    }

    /// Compact JSON, the same text for the same document.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("maps with text keys always serialize")
    }

    /// The size of [`Document::to_json`] in bytes.
    pub fn size(&self) -> usize {
        self.to_json().len()
    }

    /// A short fingerprint of the document for audit lines.
    pub fn fingerprint(&self) -> String {
        hex::encode(&Sha256::digest(self.to_json())[..8])
    }

    /// What the document means: its distinct statements without labels.
    pub fn meaning(&self) -> BTreeSet<Statement> {
        self.statement
            .iter()
            .map(|statement| {
                let mut plain = statement.clone();
                plain.sid = None;
                plain.resource = plain.resource.iter().map(|resource| collapse_stars(resource)).collect();
                plain.not_resource = plain.not_resource.iter().map(|resource| collapse_stars(resource)).collect();
                plain.condition.iter_mut().for_each(|(operator, keys)| plain_values(operator, keys));
                plain
            })
            .collect()
    }

    /// Whether both documents mean the same.
    pub fn same_meaning(&self, other: &Document) -> bool {
        self == other || self.meaning() == other.meaning()
    }

    /// Whether some statement carries this label.
    pub fn carries_sid(&self, sid: &str) -> bool {
        self.statement.iter().any(|statement| statement.sid.as_deref() == Some(sid))
    }
}

fn collapse_stars(resource: &str) -> String {
    let mut text = String::with_capacity(resource.len());
    for c in resource.chars() {
        if c != '*' || !text.ends_with('*') {
            text.push(c);
        }
    }
    text
}

/// Writes values that have several spellings in one of them: the server stores `10.1.2.3` as `10.1.2.3/32`, `007` as `7`, and
/// a time without its fraction.
fn plain_values(operator: &str, keys: &mut BTreeMap<String, BTreeSet<String>>) {
    let bare = operator.rsplit_once(':').map_or(operator, |(_, bare)| bare);
    let plain: fn(&str) -> Option<String> = match vocabulary::operator(bare).map(|operator| operator.values) {
        Some(Values::Network) => |text| Network::parse(text).map(|network| format!("{network:?}")),
        Some(Values::Number) => |text| text.parse::<i64>().ok().map(|number| number.to_string()),
        Some(Values::Date) => |text| Instant::parse(text).map(|instant| format!("{instant:?}")),
        Some(Values::Text | Values::Base64 | Values::Bool) | None => return,
    };
    for values in keys.values_mut() {
        *values = values.iter().map(|value| plain(value).unwrap_or_else(|| value.clone())).collect();
    }
}

fn read_statement(value: &Value, place: &str) -> Result<Statement, DocumentError> {
    let fields = object(value, place)?;
    let list = |name: &str| match fields.get(name) {
        Some(value) => texts(value, &format!("{place}.{name}")),
        None => Ok(BTreeSet::new()),
    };
    let effect = match fields.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(DocumentError { place: format!("{place}.Effect"), expected: "Allow or Deny" }),
    };
    Ok(Statement {
        sid: fields.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty()).map(str::to_owned),
        effect,
        action: list("Action")?,
        not_action: list("NotAction")?,
        resource: list("Resource")?,
        not_resource: list("NotResource")?,
        condition: match fields.get("Condition") {
            None | Some(Value::Null) => Conditions::new(),
            Some(value) => read_conditions(value, &format!("{place}.Condition"))?,
        },
    })
}

fn read_conditions(value: &Value, place: &str) -> Result<Conditions, DocumentError> {
    let mut conditions = Conditions::new();
    for (operator, keys) in object(value, place)? {
        let place = below(place, operator);
        let held = conditions.entry(operator.clone()).or_default();
        for (key, values) in object(keys, &place)? {
            held.insert(key.clone(), texts(values, &below(&place, key))?);
        }
    }
    Ok(conditions)
}

/// The place of a field that somebody else has named, for people: shortened, without what a terminal would obey.
pub(super) fn below(place: &str, name: &str) -> String {
    let name: String = name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if place.is_empty() { name } else { format!("{place}.{name}") }
}

fn object<'a>(value: &'a Value, place: &str) -> Result<&'a serde_json::Map<String, Value>, DocumentError> {
    value.as_object().ok_or_else(|| DocumentError { place: place.to_owned(), expected: "an object" })
}

fn texts(value: &Value, place: &str) -> Result<BTreeSet<String>, DocumentError> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(DocumentError { place: place.to_owned(), expected: "a text or a list of texts" }),
    };
    match value {
        Value::Null => Ok(BTreeSet::new()),
        Value::Array(values) => values.iter().map(text).collect(),
        one => Ok(BTreeSet::from([text(one)?])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_servers_spelling_means_the_same() {
        let ours = Document::from_value(&json!({
            "Version": VERSION,
            "Statement": [
                {"Sid": "x", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::*"},
                {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": ["arn:aws:s3:::b"],
                 "Condition": {"NumericLessThan": {"s3:max-keys": "010"},
                               "IpAddress": {"aws:SourceIp": ["10.1.2.3", "10.1.2.3/8", "::ffff:172.16.0.1/112"]},
                               "DateLessThan": {"aws:CurrentTime": "2027-01-31T00:00:00+00:00"}}},
            ]
        }))
        .unwrap();
        let servers = Document::from_value(&json!({
            "ID": "", "Version": VERSION,
            "Statement": [
                {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::b"],
                 "Condition": {"NumericLessThan": {"s3:max-keys": [10]},
                               "IpAddress": {"aws:SourceIp": ["172.16.0.0/16", "10.0.0.0/8", "10.1.2.3/32"]},
                               "DateLessThan": {"aws:CurrentTime": ["2027-01-31T00:00:00Z"]}}},
                {"Sid": "x", "Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": ["arn:aws:s3:::**"]},
            ]
        }))
        .unwrap();
        assert!(ours.same_meaning(&servers));
        assert!(servers.carries_sid("x"));
    }

    #[test]
    fn a_wrong_shape_names_its_place() {
        let error = Document::from_value(&json!({"Statement": [{"Effect": "Allow", "Action": [{}]}]})).unwrap_err();
        assert_eq!(error.place, "Statement[0].Action");
    }
}
