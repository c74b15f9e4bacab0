//! Bodies and queries, read once and refused with all that is wrong in them.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::{ApiError, Violation};
use super::routes;

/// The variable segments of a path, decoded. A segment with an encoded slash is no segment, so that nothing is found.
pub struct Segments<const N: usize>(pub [String; N]);

/// The path of the operation that serves a request, with names in braces.
#[derive(Clone, Copy, Debug)]
pub struct Template(pub &'static str);

impl<S: Send + Sync, const N: usize> FromRequestParts<S> for Segments<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let template = parts.extensions.get::<Template>();
        let segments = template.and_then(|template| routes::segments(template.0, parts.uri.path()));
        let decoded =
            segments.into_iter().flatten().map(|part| percent_encoding::percent_decode_str(part).decode_utf8());
        let texts: Option<Vec<String>> = decoded.map(|text| text.ok().map(Cow::into_owned)).collect();
        let whole = |texts: &Vec<String>| texts.iter().all(|text| !text.is_empty() && !text.contains('/'));
        let texts = texts.filter(whole).and_then(|texts| texts.try_into().ok());
        texts.map(Self).ok_or_else(ApiError::not_found)
    }
}

/// The JSON body of a request, syntactically sound.
#[derive(Clone, Debug)]
pub struct Body(pub Value);

impl Body {
    /// Reads the bytes of a body.
    ///
    /// # Errors
    /// 422 where they are no JSON.
    pub fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(bytes).map(Self).map_err(|error| {
            let loc = vec![json!("body"), json!(error.column())];
            ApiError::invalid(vec![Violation { kind: "json_invalid", loc, msg: format!("JSON decode error: {error}") }])
        })
    }

    /// The fields of the body.
    ///
    /// # Errors
    /// 422 where it is no object.
    pub fn fields(&self) -> Result<Fields<'_>, ApiError> {
        match &self.0 {
            Value::Object(map) => Ok(Fields { map, violations: Vec::new(), read: Vec::new() }),
            _ => Err(ApiError::invalid(vec![Violation {
                kind: "model_attributes_type",
                loc: vec![json!("body")],
                msg: "Input should be an object".to_owned(),
            }])),
        }
    }
}

/// How many things that are wrong are said: more help nobody, and a small body could ask for a large answer.
const VIOLATIONS_SHOWN: usize = 100;

/// The fields of a body; what is wrong with them is collected.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    violations: Vec<Violation>,
    read: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// A required text that is not blank, stripped; blank and a violation noted otherwise.
    pub fn text(&mut self, name: &'static str) -> &'a str {
        self.read.push(name);
        match self.map.get(name) {
            None => self.note("missing", name, "Field required"),
            Some(Value::String(text)) if !text.trim().is_empty() => return text.trim(),
            Some(Value::String(_)) => self.note("string_too_short", name, "String should have at least 1 character"),
            Some(_) => self.note("string_type", name, "Input should be a valid string"),
        }
        ""
    }

    /// An optional value of any type that serde can read; null counts as absent where `nullable`.
    pub fn value<T: DeserializeOwned>(&mut self, name: &'static str, nullable: bool, expected: &str) -> Option<T> {
        self.read.push(name);
        let value = self.map.get(name).filter(|value| !(nullable && value.is_null()))?;
        match T::deserialize(value) {
            Ok(read) => Some(read),
            Err(_) => {
                self.note("value_error", name, expected);
                None
            }
        }
    }

    /// An optional list of texts, each stripped, without repetitions, of at most `limit`.
    pub fn texts(&mut self, name: &'static str, limit: usize) -> Vec<&'a str> {
        self.read.push(name);
        let list = match self.map.get(name) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.note("list_type", name, "Input should be a valid list");
                return Vec::new();
            }
        };
        let mut texts: Vec<&str> = Vec::new();
        for (position, value) in list.iter().enumerate() {
            match value.as_str().map(str::trim) {
                Some(text) if !texts.contains(&text) => texts.push(text),
                Some(_) => {}
                None => {
                    self.note_at("string_type", vec![json!(name), json!(position)], "Input should be a valid string")
                }
            }
            if texts.len() > limit {
                self.note("too_long", name, &format!("List should have at most {limit} items"));
                return Vec::new();
            }
        }
        texts
    }

    /// Notes that a field is not as it should be.
    pub fn note(&mut self, kind: &'static str, name: &str, msg: &str) {
        self.note_at(kind, vec![json!(name)], msg);
    }

    fn note_at(&mut self, kind: &'static str, place: Vec<Value>, msg: &str) {
        if self.violations.len() < VIOLATIONS_SHOWN {
            let loc = [vec![json!("body")], place].concat();
            self.violations.push(Violation { kind, loc, msg: msg.to_owned() });
        }
    }

    /// Ends the reading: fields that nobody asked for are refused.
    ///
    /// # Errors
    /// 422 with everything that was noted.
    pub fn end(mut self) -> Result<(), ApiError> {
        let unknown: Vec<&String> = self.map.keys().filter(|name| !self.read.contains(&name.as_str())).collect();
        for name in unknown.into_iter().take(VIOLATIONS_SHOWN) {
            self.note("extra_forbidden", name, "Extra inputs are not permitted");
        }
        if self.violations.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.violations)) }
    }
}

/// The value of a query parameter, decoded; the last one wins.
pub fn query(uri: &axum::http::Uri, name: &str) -> Option<String> {
    queries(uri, name).next_back()
}

/// All values of a query parameter that may be there several times, decoded.
pub fn queries<'a>(uri: &'a axum::http::Uri, name: &'a str) -> impl DoubleEndedIterator<Item = String> + 'a {
    uri.query().unwrap_or_default().split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// The values of query parameters that must be there, decoded.
///
/// # Errors
/// 422 with each that is missing or blank.
pub fn required<const N: usize>(uri: &axum::http::Uri, names: [&'static str; N]) -> Result<[String; N], ApiError> {
    let given = names.map(|name| query(uri, name).filter(|text| !text.trim().is_empty()));
    let missing = names.iter().zip(&given).filter(|(_, given)| given.is_none()).map(|(name, _)| Violation {
        kind: "missing",
        loc: vec![json!("query"), json!(name)],
        msg: "Field required".to_owned(),
    });
    let missing: Vec<Violation> = missing.collect();
    if missing.is_empty() { Ok(given.map(Option::unwrap_or_default)) } else { Err(ApiError::invalid(missing)) }
}

fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// A whole number in the query.
///
/// # Errors
/// 422 where it is none, or out of range.
pub fn whole(
    uri: &axum::http::Uri,
    name: &'static str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, ApiError> {
    let Some(text) = query(uri, name) else { return Ok(default) };
    text.trim().parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        ApiError::invalid(vec![Violation {
            kind: "int_parsing",
            loc: vec![json!("query"), json!(name)],
            msg: format!("Input should be a whole number from {} to {}", range.start(), range.end()),
        }])
    })
}
