//! Conditions.

use std::net::IpAddr;

use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Map, Value};

use super::spelling::{nearest, quoted};
use super::{Checker, List, Stricter, Warning, elements, is_empty, kind, service_of};
use crate::iam::document::below;
use crate::iam::evaluate::instant::Instant;
use crate::iam::evaluate::truth;
use crate::iam::vocabulary::{
    KEYS, OPERATORS, Operator, QUALIFIERS, S3_ACTIONS, Service, TAG_KEYS, Values, operator, pattern, takes_key,
};

impl Checker {
    /// Checks the conditions of a statement with these (existing) actions.
    pub(super) fn conditions(&mut self, value: &Value, place: &str, actions: &[&str]) {
        let Some(operators) = self.object(value, place) else { return };
        if operators.is_empty() {
            self.finding(place, "empty; leave Condition out", None);
            return;
        }
        self.warning(Warning::ConditionsSpoofable { place: place.to_owned() });
        for (name, keys) in operators {
            let place = below(place, name);
            let operator = self.operator(name, &place);
            if keys.is_null() || keys.as_object().is_some_and(Map::is_empty) {
                let problem = "empty; the statement would apply without condition";
                self.found(operator.map(|_| Stricter::DroppedCondition), &place, problem, None);
                continue;
            }
            let Some(keys) = self.object(keys, &place) else { continue };
            for (key, values) in keys {
                let place = below(&place, key);
                let known = self.key(key, &place, actions);
                if let Some(operator) = operator {
                    self.operator_takes_key(operator, known, &place);
                    self.condition_values(operator, known, values, &place);
                }
            }
        }
    }

    fn operator(&mut self, name: &str, place: &str) -> Option<&'static Operator> {
        let (qualifier, bare) = match name.split_once(':') {
            Some((qualifier, bare)) => (Some(qualifier), bare),
            None => (None, name),
        };
        let Some(found) = operator(bare) else {
            let (problem, bare) = match bare.strip_suffix("IfExists") {
                Some(plain) => ("the server has no such operator with IfExists", plain),
                None => ("unknown condition operator", bare),
            };
            let prefix = qualifier.map(|qualifier| format!("{qualifier}:")).unwrap_or_default();
            let suggestion = nearest(bare, OPERATORS.iter().map(|operator| operator.name));
            self.finding(place, problem, suggestion.map(|operator| format!("{prefix}{operator}")));
            return None;
        };
        if let Some(qualifier) = qualifier {
            if !QUALIFIERS.contains(&qualifier) {
                let suggestion = nearest(qualifier, QUALIFIERS).map(|qualifier| format!("{qualifier}:{bare}"));
                // With nothing before the colon there is none for the server.
                let case = qualifier.is_empty().then_some(Stricter::DroppedQualifier);
                self.found(case, place, format!("unknown qualifier {}", quoted(qualifier)), suggestion);
            } else if !matches!(found.values, Values::Text | Values::Base64) {
                let problem = format!("the server drops {qualifier} before {bare}; leave it out");
                self.stricter(Stricter::DroppedQualifier, place, problem, Some(bare.to_owned()));
            }
        }
        Some(found)
    }

    /// Checks a key and returns it without its tag, where it exists.
    fn key(&mut self, key: &str, place: &str, actions: &[&str]) -> Option<&'static str> {
        let (name, tag) = match key.split_once('/') {
            Some((name, tag)) => (name, Some(tag)),
            None => (key, None),
        };
        let Some(&known) = KEYS.iter().find(|known| **known == name) else {
            let suggestion = nearest(name, KEYS).map(|known| match tag {
                Some(tag) => format!("{known}/{tag}"),
                None => known.to_owned(),
            });
            self.finding(place, "unknown condition key", suggestion);
            return None;
        };
        let names_tag = TAG_KEYS.contains(&known);
        match tag {
            Some(_) if !names_tag => {
                let problem = "the key takes nothing after a slash";
                self.stricter(Stricter::IgnoredKey, place, problem, Some(known.to_owned()));
            }
            None | Some("") if names_tag => {
                self.stricter(Stricter::IgnoredKey, place, format!("name the tag: {known}/<tag>"), None);
            }
            _ => {}
        }
        let strangers: Vec<&str> = actions.iter().copied().filter(|action| !takes_key(action, known)).collect();
        if let Some(first) = strangers.first() {
            let more = if strangers.len() > 1 { format!(" and {} more", strangers.len() - 1) } else { String::new() };
            // The server takes any key for encryption keys, and for what stands for all of S3.
            let takes_any = |action: &&str| match service_of(action) {
                Some(Service::Kms) => true,
                Some(Service::S3) => pattern::matches(action, "s3:*"),
                _ => false,
            };
            let case = strangers.iter().all(takes_any);
            let problem = format!("does not apply to {first}{more}{}", remedy(known));
            self.found(case.then_some(Stricter::IgnoredKey), place, problem, None);
        }
        Some(known)
    }

    fn operator_takes_key(&mut self, operator: &Operator, key: Option<&str>, place: &str) {
        let only = match operator.name {
            "Bool" => "aws:SecureTransport",
            "IpAddress" | "NotIpAddress" => "aws:SourceIp",
            _ => return,
        };
        if key.is_some_and(|key| key != only) {
            self.finding(place, format!("{} compares {only} only", operator.name), None);
        }
    }

    fn condition_values(&mut self, operator: &Operator, key: Option<&str>, value: &Value, place: &str) {
        if is_empty(value) {
            self.finding(place, "empty list", None);
        }
        match operator.values {
            Values::Text => {
                for (place, text) in self.texts(value, place, List::Values) {
                    self.variables(text, &place);
                    self.text_of_key(operator, key, text, &place);
                }
            }
            Values::Base64 => {
                for (place, text) in self.texts(value, place, List::Values) {
                    match STANDARD.decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
                        Ok(text) => {
                            self.variables(&text, &place);
                            self.text_of_key(operator, key, &text, &place);
                        }
                        Err(_) => {
                            let case = is_loose_base64(text).then_some(Stricter::LooseValue);
                            self.found(case, place, format!("{} is not base64", quoted(text)), None);
                        }
                    }
                }
            }
            Values::Network => {
                for (place, text) in self.texts(value, place, List::Values) {
                    self.network(text, &place);
                }
            }
            Values::Bool => self.one(value, place, "true or false", |value| match value {
                Value::Bool(_) => Fit::Well,
                Value::String(text) if text == "true" || text == "false" => Fit::Well,
                Value::Null => Fit::Loosely,
                Value::String(text) if truth(text).is_some() => Fit::Loosely,
                _ => Fit::Not,
            }),
            Values::Number => self.one(value, place, "a whole number", |value| match value {
                Value::Number(number) if number.is_i64() => Fit::Well,
                Value::String(text) if text.parse::<i64>().is_ok() => Fit::Well,
                _ => Fit::Not,
            }),
            Values::Date => self.one(value, place, "a time of whole seconds such as 2027-01-31T00:00:00Z", |value| {
                match value.as_str().and_then(Instant::parse) {
                    Some(instant) if instant.is_whole() => Fit::Well,
                    Some(_) => Fit::Loosely,
                    None => Fit::Not,
                }
            }),
        }
    }

    fn one(&mut self, value: &Value, place: &str, expected: &str, fit: impl Fn(&Value) -> Fit) {
        let values = elements(value, place);
        if values.len() > 1 {
            self.finding(place, format!("takes one value, {expected}"), None);
        }
        for (place, value) in values {
            let case = match fit(value) {
                Fit::Well => continue,
                Fit::Loosely => Some(Stricter::LooseValue),
                Fit::Not => None,
            };
            let found = value.as_str().map_or_else(|| kind(value).to_owned(), quoted);
            self.found(case, place, format!("must be {expected}, not {found}"), None);
        }
    }

    fn network(&mut self, text: &str, place: &str) {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let digits = |length: &str| !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let fits = |max: u8, length: &str| digits(length) && length.parse::<u8>().is_ok_and(|length| length <= max);
        match (address.parse(), length) {
            (Ok(IpAddr::V4(_)), None) => {}
            // The server appends /32 whatever the family.
            (Ok(IpAddr::V6(_)), None) => {
                let problem = "an IPv6 address without length would be taken for a /32 network";
                self.stricter(Stricter::LooseValue, place, problem, Some(format!("{address}/128")));
            }
            (Ok(IpAddr::V4(_)), Some(length)) if fits(32, length) => {}
            (Ok(IpAddr::V6(_)), Some(length)) if fits(128, length) => {}
            _ => self.finding(place, format!("{} is not a network such as 10.0.0.0/8", quoted(text)), None),
        }
    }

    /// Checks the texts that the server refuses for certain keys.
    fn text_of_key(&mut self, operator: &Operator, key: Option<&str>, text: &str, place: &str) {
        let pattern = matches!(operator.name, "StringLike" | "StringNotLike");
        let expected = match key {
            Some("s3:x-amz-copy-source") if !is_object_path(text) => "bucket/key",
            _ if pattern => return,
            Some("s3:x-amz-server-side-encryption-customer-algorithm") if text != "AES256" => "AES256",
            Some("s3:x-amz-server-side-encryption") if text != "AES256" && text != "aws:kms" => "AES256 or aws:kms",
            Some("s3:x-amz-metadata-directive") if text != "COPY" && text != "REPLACE" => "COPY or REPLACE",
            Some("s3:x-amz-content-sha256") if text.is_empty() => "a hash, not empty",
            _ => return,
        };
        self.finding(place, format!("must be {expected}, not {}", quoted(text)), None);
    }
}

/// How a value fits its operator.
enum Fit {
    Well,
    /// The server takes it and stores another one.
    Loosely,
    Not,
}

/// Whether the server reads a text as base64 that says the same in other letters.
fn is_loose_base64(text: &str) -> bool {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let without_lines: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    GeneralPurpose::new(&STANDARD_ALPHABET, config).decode(without_lines).is_ok()
}

/// Whether the text is a bucket and some key, as the server spells buckets here: capitals, `_` and `:` included.
fn is_object_path(text: &str) -> bool {
    let Some((bucket, key)) = text.strip_prefix('/').unwrap_or(text).split_once('/') else { return false };
    let address = bucket.split('.').count() == 4 && bucket.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    let letters = bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    let ends = [bucket.bytes().next(), bucket.bytes().next_back()];
    let alphanumeric = ends.iter().all(|end| end.is_some_and(|end| end.is_ascii_alphanumeric()));
    let joined = ["..", ".-", "-."].iter().any(|pair| bucket.contains(pair));
    !key.is_empty() && (3..=63).contains(&bucket.len()) && letters && alphanumeric && !joined && !address
}

/// What to do about a key that some actions do not take.
fn remedy(key: &str) -> String {
    let takers: Vec<&str> =
        S3_ACTIONS.iter().filter(|action| action.keys.contains(&key)).map(|action| action.name).collect();
    match takers.as_slice() {
        [] if takes_key("admin:*", key) => "; only admin actions take it".to_owned(),
        [] if Service::of(key) == Some(Service::Sts) => "; only sts actions take it".to_owned(),
        [] => String::new(),
        takers if takers.len() <= 3 => format!("; give {} a statement of its own", takers.join(" and ")),
        _ => "; give the actions that take it a statement of their own".to_owned(),
    }
}
