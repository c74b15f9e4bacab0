//! How long something is given, and why: read in the same way wherever a body may say so.

use jiff::{Timestamp, ToSpan};

use super::input::Fields;
use crate::api::rules::REASON_MAX;

/// Objects know the years from 2000 to 2999.
const LATEST: i64 = 32_503_680_000;

/// How long something is given, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    /// Its end, to the second as objects have it; without one it does not end.
    pub expires_at: Option<Timestamp>,
    /// Why, for people.
    pub reason: Option<String>,
}

impl Lasting {
    /// Reads `expires_at` and `reason`; what is wrong with them is noted.
    pub fn read(fields: &mut Fields<'_>, now: Timestamp) -> Self {
        Self { expires_at: expires_at(fields, now), reason: reason(fields) }
    }
}

fn expires_at(fields: &mut Fields<'_>, now: Timestamp) -> Option<Timestamp> {
    let end: Timestamp =
        fields.value("expires_at", true, "Input should be an instant such as 2027-01-31T00:00:00Z, with an offset")?;
    let end = Timestamp::from_second(end.as_second()).unwrap_or(end);
    let latest = Timestamp::from_second(LATEST).unwrap_or(Timestamp::MAX);
    let soonest = now.checked_add(1.second()).unwrap_or(now);
    if end < soonest || end >= latest {
        fields.note("value_error", "expires_at", "Input should be an instant in the future, before the year 3000");
        return None;
    }
    Some(end)
}

fn reason(fields: &mut Fields<'_>) -> Option<String> {
    let reason: String = fields.value("reason", true, "Input should be a valid string")?;
    if reason.chars().count() > REASON_MAX {
        fields.note("string_too_long", "reason", &format!("String should have at most {REASON_MAX} characters"));
    }
    Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rest::error::ApiError;
    use crate::rest::input::Body;

    fn read(body: Value) -> Result<Lasting, ApiError> {
        let body = Body(body);
        let mut fields = body.fields().unwrap();
        let lasting = Lasting::read(&mut fields, "2026-06-01T00:00:00Z".parse().unwrap());
        fields.end().map(|()| lasting)
    }

    #[test]
    fn both_are_read_as_objects_have_them() {
        let lasting =
            read(json!({"expires_at": "2999-01-31T00:00:00.9+01:00", "reason": " summer project\n"})).unwrap();
        assert_eq!(lasting.expires_at, Some("2999-01-30T23:00:00Z".parse().unwrap()));
        assert_eq!(lasting.reason.as_deref(), Some("summer project"));
        for nothing in [json!({}), json!({"expires_at": null, "reason": null}), json!({"reason": " "})] {
            assert_eq!(read(nothing).unwrap(), Lasting::default());
        }
        assert!(read(json!({"expires_at": "2999-12-31T23:59:59.9Z", "reason": "x".repeat(512)})).is_ok());
    }

    #[test]
    fn what_no_object_can_hold_is_refused() {
        for body in [
            json!({"expires_at": "2999-13-31T00:00:00Z"}),
            json!({"expires_at": "2999-01-31"}),
            json!({"expires_at": "2026-06-01T00:00:00Z"}),
            json!({"expires_at": "2026-06-01T00:00:00.9Z"}),
            json!({"expires_at": "3000-01-01T00:00:00Z"}),
            json!({"expires_at": "2999-12-31T23:59:59-01:00"}),
            json!({"expires_at": 5}),
            json!({"reason": "x".repeat(513)}),
            json!({"reason": 5}),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().status(), 422, "{body}");
        }
    }
}
