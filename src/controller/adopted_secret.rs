//! The secret that an adopted account had: somebody knows it. Where the object says so, it is replaced by one that nobody
//! knows, once people have had the time of the overlap to change to the key that they got.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::api::{AdoptedSecret, Origin};
use crate::iam::declared::{Body, Declared, UserDecl};
use crate::iam::names::UserName;
use crate::iam::subject::Subject;
use crate::telemetry::{AuditLine, audit};

use super::engine::Engine;
use super::keys::{self, Keys};
use super::outcome::Failure;

/// How it stands with the secret that an adopted account had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormerSecret {
    /// It works, as the object wants it.
    Kept,
    /// It works until so long after the first key was issued, which has not happened yet.
    AwaitsKey(SignedDuration),
    /// It works until then.
    Until(Timestamp),
    /// It was replaced then.
    Reset(Timestamp),
}

impl FormerSecret {
    /// What was replaced stays replaced, whatever the object says afterwards.
    fn of(
        policy: AdoptedSecret,
        reset_at: Option<Timestamp>,
        first_issued_at: Option<Timestamp>,
        overlap: SignedDuration,
    ) -> Self {
        match (reset_at, policy, first_issued_at) {
            (Some(at), _, _) => Self::Reset(at),
            (None, AdoptedSecret::Keep, _) => Self::Kept,
            (None, AdoptedSecret::Reset, None) => Self::AwaitsKey(overlap),
            (None, AdoptedSecret::Reset, Some(first)) => Self::Until(end_of_overlap(first, overlap)),
        }
    }

    /// When something is to be done about it.
    pub fn next_visit_at(self) -> Option<Timestamp> {
        match self {
            Self::Until(at) => Some(at),
            Self::Kept | Self::AwaitsKey(_) | Self::Reset(_) => None,
        }
    }

    /// What there is to say while it works.
    pub fn sentence(self) -> Option<String> {
        let until = match self {
            Self::Reset(_) => return None,
            Self::Kept => String::new(),
            Self::AwaitsKey(overlap) => format!("; it is replaced {overlap:#} after the first key is issued"),
            Self::Until(at) => format!("; it is replaced at {at}"),
        };
        Some(format!("the secret that the account had before it was adopted still works, and somebody knows it{until}"))
    }
}

fn end_of_overlap(first_issued_at: Timestamp, overlap: SignedDuration) -> Timestamp {
    first_issued_at.saturating_add(overlap).unwrap_or(Timestamp::MAX)
}

/// When the first key of an object was issued, as its status says.
pub fn first_issued_at(status: &Map<String, Value>) -> Option<Timestamp> {
    instant(status, "firstIssuedAt")
}

/// When the secret that the account had was replaced, as the status says.
pub fn reset_at(status: &Map<String, Value>) -> Option<Timestamp> {
    instant(status, "adoptedSecretResetAt")
}

fn instant(status: &Map<String, Value>, field: &str) -> Option<Timestamp> {
    status.get("credentials")?.get(field)?.as_str()?.parse().ok()
}

/// Replaces the secret when its time has come, and says how it stands with it; nothing for accounts that we made. Done once
/// more after a crash, it does no harm: nobody knows the new secret either.
pub async fn see_to(engine: &Engine, owner: &Declared, keys: Option<&Keys>) -> Result<Option<FormerSecret>, Failure> {
    let Some((user, overlap)) = adopted(engine, owner)? else { return Ok(None) };
    let in_status = from_status(engine, owner, reset_at);
    // The status may not show yet what the run before this one did.
    let reset_at = in_status.or_else(|| last_reset(engine, &user.name));
    let former = FormerSecret::of(user.adopted_secret, reset_at, first_key(engine, owner, keys), overlap);
    let now = Timestamp::now();
    if former.next_visit_at().is_none_or(|at| at > now) {
        return Ok(Some(former));
    }
    reset(engine, &user.name).await?;
    Ok(Some(FormerSecret::Reset(now)))
}

/// Whether people may be expected to use the key that they got. Whoever was adopted had other ways to sign in, and has the
/// time of the overlap to change.
pub fn has_changed_over(engine: &Engine, owner: &Declared, keys: Option<&Keys>) -> Result<bool, Failure> {
    let Some((_, overlap)) = adopted(engine, owner)? else { return Ok(true) };
    let first = first_key(engine, owner, keys);
    Ok(first.is_some_and(|first| end_of_overlap(first, overlap) <= Timestamp::now()))
}

/// What an object says of a user that was adopted, and the overlap of its keys.
fn adopted<'a>(engine: &Engine, owner: &'a Declared) -> Result<Option<(&'a UserDecl, SignedDuration)>, Failure> {
    match &owner.body {
        Ok(Body::User(user)) if owner.meta.origin == Some(Origin::Adopted) => {
            let (_, overlap) = keys::intervals(&user.credentials, &engine.settings)?;
            Ok(Some((user, overlap)))
        }
        _ => Ok(None),
    }
}

/// When the first key was issued: the present one, unless the status knows of an earlier one.
fn first_key(engine: &Engine, owner: &Declared, keys: Option<&Keys>) -> Option<Timestamp> {
    let issued = keys.and_then(|keys| keys.issued.as_ref()).map(|issued| issued.issued_at);
    from_status(engine, owner, first_issued_at).or(issued)
}

fn from_status<T>(engine: &Engine, owner: &Declared, read: impl Fn(&Map<String, Value>) -> Option<T>) -> Option<T> {
    read(&engine.state().seen.get(&owner.meta.key)?.status.fields())
}

fn last_reset(engine: &Engine, user: &UserName) -> Option<Timestamp> {
    let state = engine.state();
    match state.outcomes.get(&Subject::User(user.clone()))?.result.as_ref().ok()?.former_secret {
        Some(FormerSecret::Reset(at)) => Some(at),
        _ => None,
    }
}

/// The secret first: none of the sessions may be followed by another one.
async fn reset(engine: &Engine, user: &UserName) -> Result<(), Failure> {
    let subject = Subject::User(user.clone());
    let causes = engine.state().index.causes(&subject);
    let record = |change: &str| audit::record(&AuditLine::new(&subject, change, None, None, causes.clone()));
    engine.server.replace_secret(user.as_str()).await?;
    record("replace the secret");
    engine.server.end_sessions(user.as_str()).await?;
    record("end all sessions");
    tracing::info!(%user, "the secret that the adopted account had is replaced, and its sessions have been ended");
    engine.state().foreign_keys.ask(user);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_secret_is_replaced_the_overlap_after_the_first_key_and_once() {
        use AdoptedSecret::{Keep, Reset};
        let (first, done) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:07Z"));
        let cases = [
            (Keep, None, Some(first), FormerSecret::Kept),
            (Keep, None, None, FormerSecret::Kept),
            (Reset, None, None, FormerSecret::AwaitsKey(DAY)),
            (Reset, None, Some(first), FormerSecret::Until(at("2026-01-02T00:00:00Z"))),
            (Reset, Some(done), Some(first), FormerSecret::Reset(done)),
            (Keep, Some(done), Some(first), FormerSecret::Reset(done)),
        ];
        for (policy, reset_at, first_issued_at, expected) in cases {
            assert_eq!(FormerSecret::of(policy, reset_at, first_issued_at, DAY), expected);
        }
        let ages = FormerSecret::of(Reset, None, Some(first), SignedDuration::MAX);
        assert_eq!(ages, FormerSecret::Until(Timestamp::MAX));
    }

    #[test]
    fn it_is_said_how_long_the_secret_works() {
        let until = FormerSecret::Until(at("2026-01-02T00:00:00Z")).sentence().unwrap();
        assert!(until.ends_with("somebody knows it; it is replaced at 2026-01-02T00:00:00Z"), "{until}");
        let awaits = FormerSecret::AwaitsKey(DAY).sentence().unwrap();
        assert!(awaits.ends_with("it is replaced 24h after the first key is issued"), "{awaits}");
        assert!(FormerSecret::Kept.sentence().unwrap().ends_with("somebody knows it"));
        assert_eq!(FormerSecret::Reset(Timestamp::UNIX_EPOCH).sentence(), None);
    }
}
