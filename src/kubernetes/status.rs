//! The status of an object as it is kept: as text, with what is asked for often read once.
//!
//! A status is looked at as a whole only when another one is made of it, and there is one for each object: as a tree it would
//! take ten times the memory.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::meta::condition;
use crate::iam::packed::{Packed, STATUSES};
use crate::telemetry::metrics::Ready;

/// A status, as last seen or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Compact JSON, the fields in the order of names.
    text: Packed,
    generation: Option<i64>,
    ready: Ready,
    is_stalled: bool,
    has_key: bool,
    overdue_at: Option<Timestamp>,
}

impl Default for Status {
    fn default() -> Self {
        Self::from(&Map::new())
    }
}

impl From<&Map<String, Value>> for Status {
    fn from(fields: &Map<String, Value>) -> Self {
        Self {
            // Maps with text keys always serialize.
            text: STATUSES.pack(serde_json::to_string(fields).unwrap_or_default()),
            generation: fields.get("observedGeneration").and_then(Value::as_i64),
            ready: ready_and_reason(fields).0,
            is_stalled: condition_of_type(fields, condition::STALLED).is_some_and(is_true),
            has_key: fields.get("credentials").is_some_and(|held| held.get("accessKey").is_some()),
            overdue_at: overdue_at(fields),
        }
    }
}

impl Status {
    /// The status as JSON; empty where there is none.
    pub fn fields(&self) -> Map<String, Value> {
        serde_json::from_str(&STATUSES.unpack(&self.text)).unwrap_or_default()
    }

    /// The generation that it speaks of.
    pub fn generation(&self) -> Option<i64> {
        self.generation
    }

    /// The status of the condition Ready.
    pub fn ready(&self) -> Ready {
        self.ready
    }

    /// Whether the condition Ready is True for this generation.
    pub fn is_ready_at(&self, generation: i64) -> bool {
        self.ready == Ready::True && self.generation == Some(generation)
    }

    /// Whether the condition Stalled is True.
    pub fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Whether it names an access key.
    pub fn has_key(&self) -> bool {
        self.has_key
    }

    /// When half of the time between the moment at which its key should have been replaced and the end of the key has passed.
    pub fn overdue_at(&self) -> Option<Timestamp> {
        self.overdue_at
    }

    /// The reason of the condition Ready.
    pub fn reason(&self) -> String {
        ready_and_reason(&self.fields()).1
    }

    /// A condition, by its type.
    pub fn condition(&self, type_: &str) -> Option<Said> {
        condition_of_type(&self.fields(), type_).map(Said::from)
    }

    /// What it says of the key as a whole. Nothing where there is none, or none that can be read.
    pub fn key(&self) -> KeyStatus {
        let status: WithKey = serde_json::from_str(&STATUSES.unpack(&self.text)).unwrap_or_default();
        status.credentials.unwrap_or_default()
    }
}

/// What a status says of a key, as far as it is acted upon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyStatus {
    /// The Secret that holds it.
    pub secret_name: Option<String>,
    /// Its id.
    pub access_key: Option<String>,
    /// The value of the last request to replace it that was done.
    pub last_handled_rotate: Option<String>,
    /// The value of the last request to end all others that was done.
    pub last_handled_revoke: Option<String>,
}

/// The part of a status that is read for every look at a key.
#[derive(Default, Deserialize)]
struct WithKey {
    credentials: Option<KeyStatus>,
}

/// A condition, as far as people ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether its status is True.
    pub is_true: bool,
    /// The reason, in CamelCase.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

impl From<&Map<String, Value>> for Said {
    fn from(held: &Map<String, Value>) -> Self {
        let text = |name: &str| held.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { is_true: is_true(held), reason: text("reason"), message: text("message") }
    }
}

fn is_true(condition: &Map<String, Value>) -> bool {
    condition.get("status").and_then(Value::as_str) == Some("True")
}

fn overdue_at(fields: &Map<String, Value>) -> Option<Timestamp> {
    let credentials = fields.get("credentials")?;
    let time = |field: &str| credentials.get(field)?.as_str()?.parse::<Timestamp>().ok();
    let (due, end) = (time("nextRotationAt")?, time("expiresAt")?);
    (due < end).then(|| due + end.duration_since(due) / 2)
}

/// A condition of a status.
pub fn condition_of_type<'a>(status: &'a Map<String, Value>, type_: &str) -> Option<&'a Map<String, Value>> {
    let conditions = status.get("conditions")?.as_array()?;
    conditions.iter().filter_map(Value::as_object).find(|held| held.get("type").and_then(Value::as_str) == Some(type_))
}

/// The status and reason of the condition Ready.
pub fn ready_and_reason(status: &Map<String, Value>) -> (Ready, String) {
    let held = condition_of_type(status, condition::READY);
    let text = |name: &str| held.and_then(|held| held.get(name)).and_then(Value::as_str);
    let ready = match text("status") {
        Some("True") => Ready::True,
        Some("False") => Ready::False,
        _ => Ready::Unknown,
    };
    (ready, text("reason").unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(value: &Value) -> Status {
        Status::from(value.as_object().unwrap())
    }

    #[test]
    fn what_was_kept_says_the_same() {
        let ready = json!({"type": "Ready", "status": "True", "reason": "Converged", "message": "in \"force\"\n"});
        let stalled = json!({"type": "Stalled", "status": "True", "reason": "Conflict", "message": "taken"});
        let value = json!({
            "observedGeneration": 3, "conditions": [ready, stalled], "credentials": {"accessKey": "AK"}, "username": "ä",
        });
        let kept = status(&value);
        assert_eq!(Value::Object(kept.fields()), value);
        assert_eq!(kept, status(&Value::Object(kept.fields())));
        assert!(kept.is_ready_at(3) && !kept.is_ready_at(4) && kept.is_stalled() && kept.has_key());
        assert_eq!((kept.generation(), kept.reason().as_str()), (Some(3), "Converged"));
        assert_eq!(kept.key(), KeyStatus { access_key: Some("AK".to_owned()), ..KeyStatus::default() });
        let said = kept.condition("Ready").unwrap();
        assert_eq!((said.is_true, said.reason.as_str(), said.message.as_str()), (true, "Converged", "in \"force\"\n"));
        assert_eq!(kept.condition("Other"), None);
    }

    #[test]
    fn no_status_says_nothing() {
        let none = Status::default();
        assert_eq!((none.fields(), none.ready(), none.generation()), (Map::new(), Ready::Unknown, None));
        assert!(!none.is_stalled() && !none.has_key() && none.overdue_at().is_none());
    }

    #[test]
    fn a_key_is_overdue_at_half_of_what_is_left() {
        let overdue = |due: &str, end: &str| {
            status(&json!({"credentials": {"nextRotationAt": due, "expiresAt": end}})).overdue_at()
        };
        let (due, end) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        assert_eq!(overdue(due, end), "2026-01-01T12:00:00Z".parse().ok());
        assert_eq!(overdue(end, due), None, "the last key of all");
    }
}
