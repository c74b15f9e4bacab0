//! The list of all users: what it proves, and when it is not believed.
//!
//! A server answers it only once its IAM is loaded, so whatever was absent before it was asked for is really absent. But a
//! server that lost its data, or another one behind the same address, also answers. A list without any user, where objects
//! have made some, is believed only when it comes again; then everything is made anew but keys: they wait for a person.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::api::meta::{annotation, reason};
use crate::api::{HeldChange, MINIO_INSTANCE_NAME};
use crate::iam::change::Change;
use crate::iam::declared::Declared;
use crate::iam::names::UserName;
use crate::iam::plan::Plan;
use crate::iam::subject::{Kind, Subject};
use crate::minio::{PolicyEntities, UserEntry};

use super::conditions::Said;
use super::engine::Engine;
use super::instance;
use super::outcome::{Failure, Retry};
use super::state::State;

/// An empty list is believed when another one that was asked for so much later is empty, too.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// How long one that was asked for serves those who doubt the absence of what they know nothing of.
const SERVES: Duration = Duration::from_secs(1);

/// What the hashes of changes begin with that are held because the server lost its users.
const HASH_PREFIX: &str = "wiped-";

/// How it stands with the users of the server, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wipe {
    /// They are there, as far as is known.
    #[default]
    None,
    /// None was listed for the first time at this moment.
    Suspected(Instant),
    /// None was listed again. New keys wait until somebody acknowledges that under this hash.
    Believed {
        /// What the acknowledgement must say.
        hash: String,
        /// How many users there should have been.
        users: usize,
    },
}

impl Wipe {
    /// Takes in a list that was asked for at a moment; `missing` is how many users objects have made, if it has none at all.
    /// Says whether it is believed.
    fn take_in(&mut self, missing: usize, asked_at: Instant) -> bool {
        match self {
            Wipe::None | Wipe::Suspected(_) if missing == 0 => *self = Wipe::None,
            Wipe::None => *self = Wipe::Suspected(asked_at),
            Wipe::Suspected(first) if asked_at.duration_since(*first) >= SECOND_LOOK => {
                let hash = format!("{HASH_PREFIX}{:x}", Timestamp::now().as_millisecond());
                *self = Wipe::Believed { hash, users: missing };
            }
            Wipe::Suspected(_) | Wipe::Believed { .. } => {}
        }
        !matches!(self, Wipe::Suspected(_))
    }

    /// Why new keys wait, and what to do about it.
    fn reason_to_wait(&self) -> Option<String> {
        let Wipe::Believed { hash, .. } = self else { return None };
        Some(format!(
            "MinIO had lost all its users; they were made again, and new keys wait until somebody has looked at it: annotate \
             the MinioInstance {MINIO_INSTANCE_NAME} with {}={hash}, or restore the data of MinIO",
            annotation::ACKNOWLEDGE_LARGE_CHANGE
        ))
    }
}

impl State {
    /// Whether new keys wait for a person, because the server had lost all its users.
    pub fn credentials_wait(&self) -> bool {
        matches!(self.wipe, Wipe::Believed { .. })
    }

    /// Why new keys wait; nothing where they do not.
    pub fn why_credentials_wait(&self) -> Option<String> {
        self.wipe.reason_to_wait()
    }

    /// The users that objects have made or taken over, as far as these are known to have had an account.
    fn users_with_account(&self) -> impl Iterator<Item = &UserName> {
        self.index
            .users()
            .filter(|(declared, user)| self.had_account(declared, user.name.as_str()))
            .map(|(_, user)| &user.name)
    }

    fn had_account(&self, declared: &Declared, user: &str) -> bool {
        declared.meta.origin.is_some() && (self.had_key(declared) || self.mirror.account(user).is_some())
    }

    fn had_key(&self, declared: &Declared) -> bool {
        self.seen.get(declared.key()).is_some_and(|seen| seen.status.has_key())
    }
}

/// Lists all users.
///
/// # Errors
/// The answer of the server, or that the list is not believed.
pub async fn list_users(engine: &Engine) -> Result<BTreeMap<String, UserEntry>, Failure> {
    let asked = Asked::now(engine);
    let users = engine.server.client.list_users().await?;
    believe(engine, asked, &users).await?;
    Ok(users)
}

/// Lists all users, and all policies with their holders.
///
/// # Errors
/// As [`list_users`].
pub async fn list_users_and_entities(
    engine: &Engine,
) -> Result<(BTreeMap<String, UserEntry>, PolicyEntities), Failure> {
    let asked = Asked::now(engine);
    let (users, entities) = engine.server.client.list_users_and_entities().await?;
    believe(engine, asked, &users).await?;
    Ok((users, entities))
}

/// What was known when a list was asked for: those that are made while the server answers need not be in it.
struct Asked {
    at: Instant,
    some_exist: bool,
}

impl Asked {
    fn now(engine: &Engine) -> Self {
        let some_exist = engine.state().users_with_account().next().is_some();
        Self { at: Instant::now(), some_exist }
    }
}

/// Takes in a list of all users, unless it is not believed.
async fn believe(engine: &Engine, asked: Asked, users: &BTreeMap<String, UserEntry>) -> Result<(), Failure> {
    let (before, missing, is_believed) = {
        let mut state = engine.state();
        let is_empty = users.keys().all(|name| state.index.config().reserved_users.contains(name));
        let missing = if is_empty && asked.some_exist { state.users_with_account().count().max(1) } else { 0 };
        let before = state.wipe.clone();
        let is_believed = state.wipe.take_in(missing, asked.at);
        (before, missing, is_believed)
    };
    if is_believed {
        return remember(engine, before, missing).await;
    }
    if before == Wipe::None {
        tracing::warn!(users = missing, "MinIO lists no users at all; it is asked again before that is believed");
    }
    Err(Failure {
        retry: Retry::WhenUp,
        reason: reason::MINIO_UNAVAILABLE,
        message: format!(
            "MinIO lists no users although there should be {missing}; it is asked again before that is believed"
        ),
    })
}

/// Once the users are made again, no list tells any more that they were lost: whoever leads next must know it from elsewhere.
async fn remember(engine: &Engine, before: Wipe, missing: usize) -> Result<(), Failure> {
    let held = held_change(&engine.state()).filter(|_| !matches!(before, Wipe::Believed { .. }));
    let Some(held) = held else { return Ok(()) };
    if let Err(error) = instance::hold(engine, &held).await {
        engine.state().wipe = before;
        return Err(error.into());
    }
    tracing::error!(
        users = missing,
        "MinIO has lost all its users; they are made again, and new keys wait for a person"
    );
    doubt_all_folders(&mut engine.state());
    Ok(())
}

/// The folders of users and groups, and the buckets that these are in, may be lost as well: also of those whose accounts somebody
/// brings back before they are made again.
fn doubt_all_folders(state: &mut State) {
    let objects = [Kind::MinioUser, Kind::MinioGroup].into_iter().flat_map(|kind| state.index.objects_of(kind));
    let subjects: Vec<Subject> = objects.filter_map(Declared::own_subject).collect();
    subjects.into_iter().for_each(|subject| state.doubt_folders(subject));
}

/// Sees to it that what was absent at a moment was really so: a server that loads its IAM says the same of policies that it has.
///
/// # Errors
/// As [`list_users`]: then nothing is known.
pub async fn confirm_absence(engine: &Engine, seen_at: Instant) -> Result<(), Failure> {
    let mut listed = engine.lookout.listed.lock().await;
    if listed.is_some_and(|asked_at| asked_at >= seen_at) {
        return Ok(());
    }
    let asked_at = Instant::now();
    list_users(engine).await?;
    *listed = Some(asked_at);
    Ok(())
}

/// As [`confirm_absence`], for what nobody has seen before: there a list of a moment ago will do.
///
/// # Errors
/// As [`confirm_absence`].
pub async fn confirm_first_absence(engine: &Engine) -> Result<(), Failure> {
    let now = Instant::now();
    confirm_absence(engine, now.checked_sub(SERVES).unwrap_or(now)).await
}

/// Before an account is made again whose object has had a key: were all lost together?
///
/// # Errors
/// As [`confirm_absence`].
pub async fn confirm_losses(engine: &Engine, owner: Option<&Declared>, plan: &Plan) -> Result<(), Failure> {
    let makes_account = plan.changes.iter().any(|change| matches!(change, Change::CreateUser { .. }));
    let Some(owner) = owner.filter(|_| makes_account) else { return Ok(()) };
    let had_key = engine.state().had_key(owner);
    if had_key { confirm_absence(engine, Instant::now()).await } else { Ok(()) }
}

/// What the status of the `MinioInstance` says of it, for people and for the next start.
pub fn held_change(state: &State) -> Option<HeldChange> {
    let Wipe::Believed { hash, users } = &state.wipe else { return None };
    let users = i64::try_from(*users).unwrap_or(i64::MAX);
    let sample = state.wipe.reason_to_wait().into_iter().collect();
    Some(HeldChange { hash: hash.clone(), removals: users, sample })
}

/// The same as a condition.
pub fn said(state: &State) -> Option<Said> {
    state.wipe.reason_to_wait().map(|why| Said::new(reason::LARGE_CHANGE, why))
}

/// Whether a held change is one of these.
pub fn is_wipe(held: &HeldChange) -> bool {
    held.hash.starts_with(HASH_PREFIX)
}

/// Takes up what was held when the controller ended.
pub fn recall(state: &mut State, held: Option<&HeldChange>) {
    let held = held.filter(|held| is_wipe(held));
    if let Some(held) = held.filter(|_| !state.credentials_wait()) {
        let users = usize::try_from(held.removals).unwrap_or_default();
        state.wipe = Wipe::Believed { hash: held.hash.clone(), users };
    }
}

/// Lets keys be issued again, if what is acknowledged is what they wait for.
pub fn acknowledge(engine: &Engine, acknowledged: Option<&str>) {
    let mut state = engine.state();
    let is_meant = matches!(&state.wipe, Wipe::Believed { hash, .. } if Some(hash.as_str()) == acknowledged);
    if is_meant {
        state.wipe = Wipe::None;
        drop(state);
        tracing::info!("it is acknowledged that MinIO had lost its users; keys are issued again");
        engine.converge_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_believed_when_it_comes_again_later() {
        let start = Instant::now();
        let mut wipe = Wipe::default();
        assert!(wipe.take_in(0, start));
        assert!(!wipe.take_in(7, start), "the first one");
        assert!(!wipe.take_in(7, start + SECOND_LOOK / 2), "too soon to be another one");
        assert!(wipe.take_in(0, start + SECOND_LOOK), "a hiccup");
        assert_eq!(wipe, Wipe::None);
        assert!(!wipe.take_in(7, start));
        assert!(wipe.take_in(7, start + SECOND_LOOK));
        assert!(matches!(&wipe, Wipe::Believed { users: 7, .. }));
        assert!(wipe.take_in(0, start + 2 * SECOND_LOOK), "they are made again");
        let why = wipe.reason_to_wait().expect("keys wait all the same");
        assert!(why.contains(annotation::ACKNOWLEDGE_LARGE_CHANGE) && why.contains(HASH_PREFIX), "{why}");
    }
}
