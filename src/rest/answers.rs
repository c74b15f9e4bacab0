//! Bodies of answers, kept while the objects that they were made of stay as they are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;

use super::error::ApiError;
use super::view::{Known, View};

/// How many bytes are kept; then everything is made anew.
const LIMIT: usize = 64 * 1024 * 1024;

/// The bodies that were made of one state of the objects.
#[derive(Default)]
pub struct Answers(Mutex<Held>);

#[derive(Default)]
struct Held {
    /// The state: changes whenever an object does.
    version: u64,
    /// When something ends by itself.
    until: Option<Timestamp>,
    bodies: HashMap<String, Bytes>,
    bytes: usize,
}

impl Held {
    fn is_of(&self, version: u64, now: Timestamp) -> bool {
        self.version == version && self.until.is_none_or(|until| now < until)
    }
}

impl Answers {
    /// The answer to a question, named by `key`, that follows from the objects alone.
    ///
    /// # Errors
    /// Those of `make`, which are not kept.
    pub fn of<T: Serialize>(
        &self,
        view: &View,
        key: String,
        make: impl FnOnce(&Known) -> Result<T, ApiError>,
    ) -> Result<Response, ApiError> {
        let now = Timestamp::now();
        if let Some(body) = view.read(|known| self.held(known.index.seq(), now, &key)) {
            return Ok(json(body));
        }
        let (model, version, until) =
            view.read(|known| make(known).map(|model| (model, known.index.seq(), known.index.next_expiry(now))))?;
        let body = serde_json::to_vec(&model).map(Bytes::from).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written as JSON");
            ApiError::plain(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred")
        })?;
        self.keep(version, until, now, key, body.clone());
        Ok(json(body))
    }

    fn held(&self, version: u64, now: Timestamp, key: &str) -> Option<Bytes> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.bodies.get(key).filter(|_| held.is_of(version, now)).cloned()
    }

    fn keep(&self, version: u64, until: Option<Timestamp>, now: Timestamp, key: String, body: Bytes) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.is_of(version, now) || held.bytes + body.len() > LIMIT {
            *held = Held { version, until, ..Held::default() };
        }
        if body.len() <= LIMIT {
            held.bytes += body.len();
            if let Some(replaced) = held.bodies.insert(key, body) {
                held.bytes -= replaced.len();
            }
        }
    }
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_answer_is_kept_until_an_object_changes_or_something_ends() {
        let answers = Answers::default();
        answers.keep(7, Some(at(100)), at(10), "alice".to_owned(), Bytes::from_static(b"1"));
        assert_eq!(answers.held(7, at(99), "alice"), Some(Bytes::from_static(b"1")));
        assert_eq!(answers.held(7, at(99), "bob"), None);
        assert_eq!(answers.held(7, at(100), "alice"), None, "something has ended");
        assert_eq!(answers.held(8, at(11), "alice"), None, "an object has changed");
        answers.keep(8, None, at(11), "bob".to_owned(), Bytes::from_static(b"2"));
        assert_eq!(answers.held(8, at(11), "alice"), None);
        assert_eq!(answers.held(8, at(11), "bob"), Some(Bytes::from_static(b"2")));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let answers = Answers::default();
        let large = Bytes::from(vec![0; LIMIT / 2 + 1]);
        answers.keep(1, None, at(1), "one".to_owned(), large.clone());
        answers.keep(1, None, at(1), "two".to_owned(), large);
        assert_eq!(answers.held(1, at(1), "one"), None);
        assert!(answers.held(1, at(1), "two").is_some());
        assert!(answers.0.lock().unwrap().bytes <= LIMIT);
    }
}
