//! Conditions.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::spelling::{nearest, quoted};
use super::{Checker, Empty, Warning, kind};
use crate::iam::document::below;
use crate::iam::evaluate::instant::Instant;
use crate::iam::path::Bucket;
use crate::iam::vocabulary::{
    KEYS, OPERATORS, Operator, QUALIFIERS, S3_ACTIONS, Service, TAG_KEYS, Values, operator, takes_key,
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
            let Some(keys) = self.object(keys, &place) else { continue };
            if keys.is_empty() {
                self.finding(&place, "empty; the statement would apply without condition", None);
            }
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
                self.finding(place, format!("unknown qualifier {}", quoted(qualifier)), suggestion);
            } else if !matches!(found.values, Values::Text | Values::Base64) {
                let problem = format!("the server drops {qualifier} before {bare}; leave it out");
                self.finding(place, problem, Some(bare.to_owned()));
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
            Some(_) if !names_tag => self.finding(place, "the key takes nothing after a slash", Some(known.to_owned())),
            None | Some("") if names_tag => self.finding(place, format!("name the tag: {known}/<tag>"), None),
            _ => {}
        }
        let strangers: Vec<&str> = actions.iter().copied().filter(|action| !takes_key(action, known)).collect();
        if let Some(first) = strangers.first() {
            let more = if strangers.len() > 1 { format!(" and {} more", strangers.len() - 1) } else { String::new() };
            self.finding(place, format!("does not apply to {first}{more}{}", remedy(known)), None);
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
        match operator.values {
            Values::Text => {
                for (place, text) in self.texts(value, place, Empty::Allowed) {
                    self.variables(text, &place);
                    self.text_of_key(operator, key, text, &place);
                }
            }
            Values::Base64 => {
                for (place, text) in self.texts(value, place, Empty::Allowed) {
                    match STANDARD.decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
                        Ok(text) => {
                            self.variables(&text, &place);
                            self.text_of_key(operator, key, &text, &place);
                        }
                        Err(_) => self.finding(place, format!("{} is not base64", quoted(text)), None),
                    }
                }
            }
            Values::Network => {
                for (place, text) in self.texts(value, place, Empty::Refused) {
                    self.network(text, &place);
                }
            }
            Values::Bool => self.one(value, place, "true or false", |value| match value {
                Value::Bool(_) => true,
                Value::String(text) => text == "true" || text == "false",
                _ => false,
            }),
            Values::Number => self.one(value, place, "a whole number", |value| match value {
                Value::Number(number) => number.is_i64(),
                Value::String(text) => text.parse::<i64>().is_ok(),
                _ => false,
            }),
            Values::Date => self.one(value, place, "a time such as 2027-01-31T00:00:00Z", |value| {
                value.as_str().is_some_and(|text| Instant::parse(text).is_some())
            }),
        }
    }

    fn one(&mut self, value: &Value, place: &str, expected: &str, fits: impl Fn(&Value) -> bool) {
        let values = self.values(value, place);
        if values.len() > 1 {
            self.finding(place, format!("takes one value, {expected}"), None);
        }
        for (place, value) in values {
            if !fits(value) {
                let found = value.as_str().map_or_else(|| kind(value).to_owned(), quoted);
                self.finding(place, format!("must be {expected}, not {found}"), None);
            }
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
                self.finding(place, problem, Some(format!("{address}/128")));
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

/// Whether the text is a bucket that exists anywhere (so without patterns) and some key.
fn is_object_path(text: &str) -> bool {
    let Some((bucket, key)) = text.strip_prefix('/').unwrap_or(text).split_once('/') else { return false };
    let address = bucket.split('.').count() == 4 && bucket.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    !key.is_empty() && Bucket::parse(bucket).is_ok() && !address && !bucket.contains(".-") && !bucket.contains("-.")
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
