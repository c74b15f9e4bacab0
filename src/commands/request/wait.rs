//! Waiting until the controller has carried out what an annotation asks for: the status says so, and a bound says until when.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::DynamicObject;
use tokio::time::Instant;

use super::target::Found;
use crate::api::meta::reason;
use crate::commands::Failure;
use crate::commands::output::Progress;
use crate::commands::told::{Told, in_words};
use crate::kubernetes::call;
use crate::telemetry::chain;

/// How often the object is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The access is to go, for this reason.
    Lock(String),
    /// The access is to be what the spec says.
    Unlock,
    /// A new key, under this value of the annotation.
    Rotate(String),
    /// A new key and the end of all others, under this value of the annotation.
    Revoke(String),
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is carried out.
    Done,
    /// It is not yet.
    Waits,
    /// It will not be before somebody changes something else.
    HeldBack,
}

/// What the status of the object says of it.
pub fn judge(asked: &Asked, told: &Told) -> Step {
    let Some(ready) = told.ready() else { return Step::Waits };
    if is_done(asked, told, ready) {
        return Step::Done;
    }
    match [reason::PAUSED, reason::FOREIGN_CLAIM].contains(&ready.reason.as_str()) {
        true => Step::HeldBack,
        false => Step::Waits,
    }
}

fn is_done(asked: &Asked, told: &Told, ready: &Condition) -> bool {
    let in_force = ready.status == "True";
    match asked {
        Asked::Lock(why) => {
            let is_locked = in_force && ready.reason == reason::LOCKED && ready.message.ends_with(why.trim());
            // Whose owner is gone gives nothing, locked or not, and says that.
            let gives_nothing = [reason::OWNER_NOT_FOUND, reason::SUSPENDED].contains(&ready.reason.as_str());
            is_locked || gives_nothing
        }
        Asked::Unlock => ready.status != "Unknown" && ready.reason != reason::LOCKED,
        Asked::Rotate(value) => in_force && told.credentials.last_handled_rotate.as_ref() == Some(value),
        Asked::Revoke(value) => in_force && told.credentials.last_handled_revoke.as_ref() == Some(value),
    }
}

/// Waits until it is carried out, and answers the object as it is then, and after how long.
///
/// # Errors
/// It was not carried out in time or will not be, with what the object says; the object is gone; the cluster refuses.
pub async fn until_done(
    found: &Found,
    asked: &Asked,
    timeout: Duration,
    progress: &Progress,
) -> Result<(DynamicObject, Duration), Failure> {
    let started = Instant::now();
    loop {
        let last = match call("read", &found.key, found.api.get_opt(&found.key.name)).await {
            Ok(Some(object)) if object.metadata.uid == found.object.metadata.uid => {
                let told = Told::by(&object);
                let said = in_words(told.ready());
                match judge(asked, &told) {
                    Step::Done => return Ok((object, started.elapsed())),
                    Step::HeldBack => return Err(held_back(found, &said).into()),
                    Step::Waits => said,
                }
            }
            Ok(_) => return Err(format!("{} was deleted meanwhile", found.key).into()),
            Err(error) if error.is_without_effect() && error.code().is_some() => return Err(error.into()),
            // It may come back.
            Err(error) => chain(&error),
        };
        progress.say(&format!("waiting for the controller ({last})"));
        if started.elapsed() >= timeout {
            return Err(not_in_time(found, &last, timeout).into());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn held_back(found: &Found, last: &str) -> String {
    format!(
        "asked for, and not carried out while nothing is written for {}: {last}. The annotation stays, and counts as soon as \
         that ends",
        found.key
    )
}

fn not_in_time(found: &Found, last: &str, timeout: Duration) -> String {
    format!(
        "asked for, and not carried out within {}: {} says {last}. The annotation stays, and counts as soon as the controller \
         comes to it; minio-manager status -n {} says how that is",
        crate::config::show_duration(timeout),
        found.key,
        found.key.namespace
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(status: &str, reason: &str, message: &str, credentials: Value) -> Told {
        let ready = json!({
            "type": "Ready", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(json!({"conditions": [ready], "credentials": credentials})).unwrap()
    }

    #[test]
    fn a_lock_is_carried_out_once_the_status_gives_its_reason() {
        let asked = Asked::Lock("incident 2 ".to_owned());
        let judged = |status, reason, message| judge(&asked, &told(status, reason, message, json!({})));
        assert_eq!(judge(&asked, &Told::default()), Step::Waits);
        assert_eq!(judged("True", "Converged", "in force on MinIO"), Step::Waits);
        assert_eq!(judged("True", "Locked", "locked: incident 1"), Step::Waits, "that is the lock before");
        assert_eq!(judged("Unknown", "MinioUnavailable", "MinIO is away"), Step::Waits);
        assert_eq!(judged("Unknown", "Paused", "paused"), Step::HeldBack);
        assert_eq!(judged("True", "Locked", "locked: incident 2"), Step::Done);
        assert_eq!(judged("False", "OwnerNotFound", "user alice is not declared"), Step::Done);
    }

    #[test]
    fn what_is_unlocked_is_as_its_spec_says() {
        let judged = |status, reason| judge(&Asked::Unlock, &told(status, reason, "", json!({})));
        assert_eq!(judged("True", "Locked"), Step::Waits);
        assert_eq!(judged("Unknown", "Progressing"), Step::Waits);
        assert_eq!(judged("True", "Converged"), Step::Done);
        assert_eq!(judged("True", "Disabled"), Step::Done);
        assert_eq!(judged("False", "OwnerNotFound"), Step::Done);
    }

    #[test]
    fn keys_are_carried_out_once_the_status_has_the_value() {
        let (rotate, revoke) = (Asked::Rotate("2".to_owned()), Asked::Revoke("2".to_owned()));
        let handled = |what: &str, value: &str| told("True", "Converged", "", json!({ what: value }));
        assert_eq!(judge(&rotate, &handled("lastHandledRotate", "1")), Step::Waits);
        assert_eq!(judge(&rotate, &handled("lastHandledRotate", "2")), Step::Done);
        assert_eq!(judge(&revoke, &handled("lastHandledRotate", "2")), Step::Waits);
        assert_eq!(judge(&revoke, &handled("lastHandledRevoke", "2")), Step::Done);
        let paused = told("Unknown", "Paused", "paused", json!({}));
        assert_eq!(judge(&rotate, &paused), Step::HeldBack);
    }
}
