//! The strict check of policy documents that people write.
//!
//! The server accepts more than it honours: it drops fields that it does not know (a misspelt `Conditon` gives the
//! unconditional grant), takes `*` for every bucket and all of administration, and stores documents that it cannot read again.
//! What passes here means on the server what it says.

mod condition;
mod resource;
mod spelling;
mod stricter;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::document::{Document, Effect, MAX_BYTES, VERSION, below};
use super::vocabulary::pattern::{self, Variable};
use super::vocabulary::{
    ADMIN_ACTIONS, COMMON_KEYS, KEYS, KMS_ACTIONS, OPERATIONS, S3_ACTIONS, SAFE_VARIABLES, STS_ACTIONS, Service,
    known_action, reaches_admin, s3_actions,
};
use spelling::{nearest, quoted};
pub use stricter::Stricter;

/// The most findings, and the most warnings, that one check reports.
pub const MAX_FINDINGS: usize = 20;

const DOCUMENT_FIELDS: [&str; 3] = ["Id", "Statement", "Version"];

const STATEMENT_FIELDS: [&str; 6] = ["Action", "Condition", "Effect", "NotResource", "Resource", "Sid"];

/// What a check may let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Accept policy variables whose value a caller can choose.
    pub allow_unsafe_variables: bool,
    /// The greatest size of the document as it is sent, in bytes.
    pub max_bytes: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { allow_unsafe_variables: false, max_bytes: MAX_BYTES }
    }
}

/// A document that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The document.
    pub document: Document,
    /// What its author should know, at most [`MAX_FINDINGS`].
    pub warnings: Vec<Warning>,
    /// Whether it gives `admin:`, `kms:` or `sts:` actions ([`carries_admin_actions`]).
    pub carries_admin_actions: bool,
}

/// One reason to refuse a document. The text is a sentence that names the place and, where there is one, the right spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where, such as `Statement[0].Condition.StringLike.s3:prefx`; `document` for the whole.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
    /// The nearest valid spelling.
    pub suggestion: Option<String>,
    /// Why this is refused although the server takes it; none where the server refuses it, too.
    pub stricter: Option<Stricter>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {}?", quoted(suggestion)),
            None => Ok(()),
        }
    }
}

/// Something that the server does differently from what an author may expect, in a document that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A statement has conditions.
    ConditionsSpoofable {
        /// Where.
        place: String,
    },
    /// A pattern of actions meets all objects of a bucket, and thereby the bucket itself.
    BucketActionsIncluded {
        /// Which statement.
        place: String,
        /// Whether the statement gives or takes them.
        effect: Effect,
        /// The first resource that does so.
        resource: String,
        /// The actions on the bucket.
        actions: BTreeSet<&'static str>,
    },
    /// A policy variable whose value a caller can choose.
    UnsafeVariable {
        /// Where.
        place: String,
        /// The variable, with its braces.
        variable: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConditionsSpoofable { place } => write!(
                f,
                "{place}: a community server fills condition keys from headers and query of the request, so a caller can \
                 choose their values; confine access by Resource"
            ),
            Self::BucketActionsIncluded { place, effect, resource, actions } => {
                let verb = if *effect == Effect::Allow { "gives" } else { "takes" };
                let actions: Vec<&str> = actions.iter().copied().collect();
                let resource = quoted(resource);
                write!(f, "{place}: {resource} stands for the bucket too, so this also {verb} {}", actions.join(", "))
            }
            Self::UnsafeVariable { place, variable } => {
                write!(f, "{place}: callers can choose the value of {variable} by header or query")
            }
        }
    }
}

/// Checks a document strictly.
///
/// # Errors
/// Everything that is wrong, in the order of the document, at most [`MAX_FINDINGS`].
pub fn check(document: &Value, options: &CheckOptions) -> Result<Checked, Vec<Finding>> {
    let mut checker = Checker { options: *options, findings: Vec::new(), warnings: Vec::new() };
    checker.document(document);
    let read = Document::from_value(document);
    match read {
        Ok(document) => {
            checker.size(&document);
            if checker.findings.is_empty() {
                let carries_admin_actions = carries_admin_actions(&document);
                return Ok(Checked { document, warnings: checker.warnings, carries_admin_actions });
            }
        }
        Err(error) if checker.findings.is_empty() => {
            checker.finding(error.place, format!("must be {}", error.expected), None);
        }
        Err(_) => {}
    }
    Err(checker.findings)
}

/// Whether a document gives some `admin:`, `kms:` or `sts:` action, by name or by pattern. A document that only takes such
/// actions does not carry them.
pub fn carries_admin_actions(document: &Document) -> bool {
    document.statement.iter().any(|statement| {
        statement.effect == Effect::Allow
            && (statement.action.is_empty() || statement.action.iter().any(|action| reaches_admin(action)))
    })
}

/// Walks a document and collects what it finds; one method for each part of the document.
struct Checker {
    options: CheckOptions,
    findings: Vec<Finding>,
    warnings: Vec<Warning>,
}

impl Checker {
    /// What the server refuses, too.
    fn finding(&mut self, place: impl Into<String>, problem: impl Into<String>, suggestion: Option<String>) {
        self.found(None, place, problem, suggestion);
    }

    /// What the server takes and would misread.
    fn stricter(
        &mut self,
        case: Stricter,
        place: impl Into<String>,
        problem: impl Into<String>,
        suggestion: Option<String>,
    ) {
        self.found(Some(case), place, problem, suggestion);
    }

    fn found(
        &mut self,
        stricter: Option<Stricter>,
        place: impl Into<String>,
        problem: impl Into<String>,
        suggestion: Option<String>,
    ) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { place: place.into(), problem: problem.into(), suggestion, stricter });
        }
    }

    fn warning(&mut self, warning: Warning) {
        if self.warnings.len() < MAX_FINDINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn document(&mut self, value: &Value) {
        let Some(fields) = self.object(value, "document") else { return };
        self.fields(fields, "", &DOCUMENT_FIELDS);
        self.label(fields, "", "Id");
        match named(fields, "Version") {
            Some(Value::String(version)) if version == VERSION => {}
            Some(_) => self.finding("Version", "not the version of the policy language", Some(VERSION.to_owned())),
            None => self.finding("Version", format!("missing; write {VERSION:?}"), None),
        }
        match named(fields, "Statement") {
            Some(Value::Array(statements)) if !statements.is_empty() => {
                for (number, statement) in statements.iter().enumerate() {
                    self.statement(statement, &format!("Statement[{number}]"));
                }
            }
            Some(Value::Array(_)) => self.finding("Statement", "empty; write at least one statement", None),
            Some(other) => {
                self.finding("Statement", format!("must be a list of statements, not {}", kind(other)), None)
            }
            None => self.finding("Statement", "missing; write at least one statement", None),
        }
    }

    fn size(&mut self, document: &Document) {
        let (size, max) = (document.size(), self.options.max_bytes);
        if size > max {
            self.finding("document", format!("has {size} bytes; the server takes at most {max}"), None);
        }
    }

    fn statement(&mut self, value: &Value, place: &str) {
        let Some(fields) = self.object(value, place) else { return };
        self.fields(fields, place, &STATEMENT_FIELDS);
        self.label(fields, place, "Sid");
        let effect = self.effect(fields, place);
        let actions = self.actions(fields, place);
        let service = actions.iter().find_map(|action| service_of(action));
        self.resources(fields, place, service);
        if let Some(condition) = named(fields, "Condition") {
            self.conditions(condition, &format!("{place}.Condition"), &actions);
        }
        if service == Some(Service::S3) {
            self.warn_of_bucket_actions(fields, place, effect, &actions);
        }
    }

    fn effect(&mut self, fields: &Map<String, Value>, place: &str) -> Effect {
        let place = format!("{place}.Effect");
        match named(fields, "Effect") {
            Some(Value::String(effect)) if effect == "Allow" => return Effect::Allow,
            Some(Value::String(effect)) if effect == "Deny" => return Effect::Deny,
            Some(Value::String(effect)) => {
                let suggestion = nearest(effect, ["Allow", "Deny"]).map(str::to_owned);
                self.finding(place, format!("must be Allow or Deny, not {}", quoted(effect)), suggestion);
            }
            Some(other) => self.finding(place, format!("must be Allow or Deny, not {}", kind(other)), None),
            None => self.finding(place, "missing; write Allow or Deny", None),
        }
        Effect::Deny
    }

    /// Checks the actions and returns those that the server knows.
    fn actions<'a>(&mut self, fields: &'a Map<String, Value>, place: &str) -> Vec<&'a str> {
        let Some(value) = named(fields, "Action") else {
            // Without its actions a statement with NotAction has nothing to add to what is said of that.
            if named(fields, "NotAction").is_none() {
                self.finding(format!("{place}.Action"), "missing; name the actions, such as s3:GetObject", None);
            }
            return Vec::new();
        };
        let place = format!("{place}.Action");
        if is_empty(value) {
            self.finding(&place, "empty; name the actions, such as s3:GetObject", None);
        }
        let named = self.texts(value, &place, List::Names);
        let all: Vec<&str> = named.iter().map(|(_, action)| *action).collect();
        let mut known = Vec::new();
        for (place, action) in named {
            let case = is_star(action, &all).then_some(Stricter::StarAction);
            if known_action(action).is_some() || case.is_some() {
                known.push(action);
            }
            if known_action(action).is_none() {
                self.unknown_action(place, action, case);
            }
        }
        let services: BTreeSet<Service> = all.iter().filter_map(|action| Service::of(action)).collect();
        if services.len() > 1 {
            let names: Vec<&str> = services.into_iter().map(Service::prefix).collect();
            let problem =
                format!("mixes {} actions; write a statement for each of these services", names.join(" and "));
            self.finding(place, problem, None);
        }
        known
    }

    fn unknown_action(&mut self, place: String, action: &str, case: Option<Stricter>) {
        let pattern = action.contains(['*', '?']);
        match Service::of(action) {
            None if pattern => {
                let problem = format!(
                    "{} would stand for every bucket and all of administration; name the service",
                    quoted(action)
                );
                self.found(case, place, problem, Some("s3:*".to_owned()));
            }
            Some(service @ (Service::Admin | Service::Kms)) if pattern => {
                let prefix = service.prefix();
                let problem =
                    format!("unknown action {}; of patterns the server knows only {prefix}:* here", quoted(action));
                self.finding(place, problem, None);
            }
            _ => self.finding(place, format!("unknown action {}", quoted(action)), nearest_action(action)),
        }
    }

    fn warn_of_bucket_actions(&mut self, fields: &Map<String, Value>, place: &str, effect: Effect, actions: &[&str]) {
        let included = resource::bucket_actions(actions);
        let resource = named(fields, "Resource").and_then(resource::first_that_takes_in_its_bucket);
        if let (false, Some(resource)) = (included.is_empty(), resource) {
            let (place, resource) = (place.to_owned(), resource.to_owned());
            self.warning(Warning::BucketActionsIncluded { place, effect, resource, actions: included });
        }
    }

    /// Refuses policy variables that do not exist, and those that a caller can fill.
    fn variables(&mut self, text: &str, place: &str) {
        for variable in pattern::variables(text) {
            match variable {
                Variable::Open => {
                    self.stricter(Stricter::UnknownVariable, place, "has \"${\" without a closing \"}\"", None);
                }
                Variable::Named(name) if SAFE_VARIABLES.contains(&name) => {}
                Variable::Named(name) if COMMON_KEYS.contains(&name) => {
                    let variable = format!("${{{name}}}");
                    if self.options.allow_unsafe_variables {
                        self.warning(Warning::UnsafeVariable { place: place.to_owned(), variable });
                    } else {
                        let problem = format!(
                            "callers can choose the value of {variable}; use ${{aws:username}}, or set allowUnsafeVariables"
                        );
                        self.stricter(Stricter::UnsafeVariable, place, problem, None);
                    }
                }
                Variable::Named(name) => {
                    let suggestion = nearest(name, COMMON_KEYS).map(|name| format!("${{{name}}}"));
                    let problem = format!("unknown variable {}", quoted(&format!("${{{name}}}")));
                    self.stricter(Stricter::UnknownVariable, place, problem, suggestion);
                }
            }
        }
    }

    /// Refuses the fields that do not exist, and those in another case: servers differ on whether they are read.
    fn fields(&mut self, fields: &Map<String, Value>, place: &str, known: &[&'static str]) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let place = below(place, name);
            let is = |word: &str| name.eq_ignore_ascii_case(word);
            if is("NotAction") && known == STATEMENT_FIELDS {
                let problem = "refused: a server that has stored it cannot read its policies again; list the actions";
                // Beside actions, and without any of its own or without resources, the server refuses it.
                let has = |name: &str| named(fields, name).is_some_and(is_filled);
                let names_resources = has("Resource") || has("NotResource");
                let stored = named(fields, "Action").is_none() && has("NotAction") && names_resources;
                self.found(stored.then_some(Stricter::NotAction), place, problem, None);
            } else if is("Principal") || is("NotPrincipal") {
                let problem = "belongs to bucket policies and would be ignored; attach the policy to users and groups";
                self.stricter(Stricter::DroppedField, place, problem, None);
            } else {
                let suggestion = nearest(name, known.iter().copied()).map(str::to_owned);
                let (case, problem) = match known.iter().any(|known| is(known)) {
                    true => (Stricter::WrongCase, "wrong case"),
                    false => (Stricter::DroppedField, "unknown field, which the server would drop"),
                };
                self.stricter(case, place, problem, suggestion);
            }
        }
    }

    fn label(&mut self, fields: &Map<String, Value>, place: &str, name: &str) {
        if let Some(value) = named(fields, name).filter(|value| !value.is_string()) {
            let case = value.is_null().then_some(Stricter::LooseValue);
            self.found(case, below(place, name), format!("must be a text, not {}", kind(value)), None);
        }
    }

    fn object<'a>(&mut self, value: &'a Value, place: &str) -> Option<&'a Map<String, Value>> {
        let fields = value.as_object();
        if fields.is_none() {
            self.finding(place, format!("must be an object, not {}", kind(value)), None);
        }
        fields
    }

    /// The texts of a scalar or a list, each with its place; refuses what is no text, and repetitions.
    fn texts<'a>(&mut self, value: &'a Value, place: &str, list: List) -> Vec<(String, &'a str)> {
        let mut texts: Vec<(String, &str)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (place, value) in elements(value, place) {
            match value {
                Value::String(text) if text.is_empty() && list == List::Names => self.finding(place, "empty", None),
                Value::String(text) if !seen.insert(text.as_str()) => {
                    let case = (list == List::Names).then_some(Stricter::Repeated);
                    self.found(case, place, format!("repeats {}", quoted(text)), None);
                }
                Value::String(text) => texts.push((place, text)),
                other => self.finding(place, format!("must be a text, not {}", kind(other)), None),
            }
        }
        texts
    }
}

/// What a list of texts holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// Actions or resources: none is empty, and the server forgives repetitions.
    Names,
    /// Values of a condition key: the server does not.
    Values,
}

/// The elements of a list, or a scalar as the only element, each with its place.
fn elements<'a>(value: &'a Value, place: &str) -> Vec<(String, &'a Value)> {
    match value {
        Value::Array(values) => {
            values.iter().enumerate().map(|(number, value)| (format!("{place}[{number}]"), value)).collect()
        }
        scalar => vec![(place.to_owned(), scalar)],
    }
}

/// A field as the server finds it: in any case, and of several the last.
fn named<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.iter().rev().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

fn is_filled(value: &Value) -> bool {
    !value.is_null() && !is_empty(value)
}

/// The service that the server takes an action for, patterns that begin with a star included.
fn service_of(action: &str) -> Option<Service> {
    Service::of(action).or_else(|| match action {
        "*" => Some(Service::Sts),
        pattern => s3_actions(pattern).next().map(|_| Service::S3),
    })
}

/// Whether an action is a pattern for more than one service that the server takes beside all these actions.
fn is_star(action: &str, all: &[&str]) -> bool {
    let service = service_of(action);
    let fits = |other: &&str| service_of(other).is_none_or(|of_other| Some(of_other) == service);
    Service::of(action).is_none() && service.is_some() && all.iter().all(fits)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The action that was probably meant; names of S3 operations lead to the action that allows them.
pub(in crate::iam) fn nearest_action(action: &str) -> Option<String> {
    let bare = action.strip_prefix("s3:").unwrap_or(action);
    let operation = OPERATIONS.iter().find(|(name, _)| name.strip_prefix("s3:").is_some_and(|name| name == bare));
    match operation {
        Some((_, allowing)) => Some((*allowing).to_owned()),
        None => {
            let names = S3_ACTIONS.iter().map(|action| action.name);
            nearest(action, names.chain(ADMIN_ACTIONS).chain(KMS_ACTIONS).chain(STS_ACTIONS)).map(str::to_owned)
        }
    }
}

/// The condition key that was probably meant.
pub(in crate::iam) fn nearest_key(key: &str) -> Option<&'static str> {
    nearest(key, KEYS)
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
