//! Keys below managed users that should not be there. Those that were not issued here are told of, and deleted where the
//! controller is told to; those of ours that had ended, and are back with an older state of the server, are deleted.
//!
//! The ids of all keys of many users come with one cheap request, and the names that tell where a key comes from only with a
//! dear one for each user. So ids are compared first: only where one of them is new, or one that was told of is gone, the
//! names are asked for, in a run of the user itself. There no key of the user is being issued meanwhile.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use crate::api::Origin;
use crate::api::meta::condition;
use crate::config::ForeignKeys;
use crate::iam::declared::Declared;
use crate::iam::names::UserName;
use crate::iam::subject::Subject;
use crate::minio::AccessKey;
use crate::telemetry::metrics::DriftKind;
use crate::telemetry::{AuditLine, audit};

use super::credentials::{Forgotten, SortedKeys, sort};
use super::engine::Engine;
use super::keys;
use super::outcome::Failure;
use super::state::State;

/// How many ids a sentence names.
const IDS_SHOWN: usize = 5;

/// What is known of the keys of every managed user.
#[derive(Debug, Default)]
pub struct Ledger {
    known: HashMap<UserName, SortedKeys>,
    /// Users whose keys are to be listed by name in their next run.
    unfamiliar: HashSet<UserName>,
    /// Whether the server may be another one, or have an older state, since all keys were looked at.
    outdated: bool,
    /// Whether somebody else made or changed a key, and nobody has been told yet.
    expected: bool,
    /// Whether the keys of all managed users have been looked at.
    complete: bool,
}

impl Ledger {
    /// What is known of the keys of a user; none before they were looked at for the first time.
    pub fn of(&self, user: &UserName) -> Option<&SortedKeys> {
        self.known.get(user)
    }

    /// Compares the ids of the living keys of a user with those that are known; `recorded` are those of our Secrets. Where
    /// there is news, the names are looked at.
    pub fn compare(&mut self, user: &UserName, living: &BTreeSet<String>, recorded: &BTreeSet<String>) {
        let nothing = SortedKeys::default();
        let known = self.known.get(user).unwrap_or(&nothing);
        let told: BTreeSet<&String> = [&known.stray, &known.foreign, &known.forgotten].into_iter().flatten().collect();
        let unexplained: BTreeSet<&String> = living.difference(recorded).collect();
        if unexplained == told {
            self.known.entry(user.clone()).or_default();
        } else {
            self.ask(user);
        }
    }

    /// Whether a user has keys of others that were told of.
    pub fn has_foreign(&self, user: &UserName) -> bool {
        self.known.get(user).is_some_and(|keys| !keys.foreign.is_empty())
    }

    /// Whether the keys of a user are to be listed by name.
    pub fn is_asked(&self, user: &UserName) -> bool {
        self.unfamiliar.contains(user)
    }

    /// Has the keys of a user listed by name in its next run.
    pub fn ask(&mut self, user: &UserName) {
        self.unfamiliar.insert(user.clone());
    }

    /// The server has been away: the keys of everybody are to be compared now, not when it is their turn.
    pub fn outdate(&mut self) {
        self.outdated = true;
    }

    /// Whether the keys of everybody are to be compared now. Said once.
    pub fn take_outdated(&mut self) -> bool {
        std::mem::take(&mut self.outdated)
    }

    /// Somebody else made a key, or changed one that is not ours, for whomever.
    pub fn expect(&mut self) {
        self.expected = true;
    }

    /// Whether there may be news of keys that are not ours. Said once.
    pub fn take_expected(&mut self) -> bool {
        std::mem::take(&mut self.expected)
    }

    /// These are the managed users now: the others are forgotten.
    pub fn keep_to(&mut self, users: &HashSet<&UserName>) {
        self.known.retain(|user, _| users.contains(user));
        self.unfamiliar.retain(|user| users.contains(user));
        self.complete = self.unfamiliar.is_empty() && self.known.len() == users.len();
    }

    /// How many keys are not ours.
    pub fn count(&self) -> usize {
        self.known.values().map(|keys| keys.stray.len() + keys.foreign.len() + keys.forgotten.len()).sum()
    }

    /// How many keys of all managed users are not ours; none before everybody was looked at.
    pub fn total(&self) -> Option<usize> {
        self.complete.then(|| self.count())
    }
}

/// Looks at the names of the keys of a user, where there is a reason to. What fails is looked at again with the next audit:
/// it holds up nobody's access.
///
/// Keys of others are deleted only with `may_prune`: whoever was adopted needs time to change to the key that it got.
pub async fn look(engine: &Engine, owner: &Declared, user: &UserName, may_prune: bool) {
    if !is_due(&mut engine.state(), owner, user) {
        return;
    }
    let prunes = may_prune && engine.settings.foreign_keys == ForeignKeys::Prune;
    if let Err(failure) = sort_out(engine, owner, user, prunes).await {
        tracing::warn!(%user, message = failure.message, "the keys of a user cannot be looked at; the next audit does");
        engine.state().foreign_keys.ask(user);
    }
}

/// Who was just adopted comes with keys of others, and is looked at without being asked for.
fn is_due(state: &mut State, owner: &Declared, user: &UserName) -> bool {
    let is_new = state.foreign_keys.of(user).is_none() && key_in_status(state, owner).is_none();
    state.foreign_keys.unfamiliar.remove(user) || (is_new && owner.meta.origin == Some(Origin::Adopted))
}

fn key_in_status(state: &State, owner: &Declared) -> Option<String> {
    state.seen.get(&owner.meta.key)?.status.key().access_key
}

async fn sort_out(engine: &Engine, owner: &Declared, user: &UserName, prunes: bool) -> Result<(), Failure> {
    let keys = match engine.server.client.list_access_keys(user.as_str()).await {
        Err(error) if error.is_absent() => Vec::new(),
        keys => keys?,
    };
    let mut sorted = sort_now(engine, owner, user, &keys);
    if !sorted.forgotten.is_empty() {
        sorted.forgotten = end_forgotten(engine, owner, user, &keys).await?;
    }
    let mut pruned = BTreeSet::new();
    if prunes {
        for id in std::mem::take(&mut sorted.foreign) {
            prune(engine, user, &id).await?;
            pruned.insert(id);
        }
    }
    let news = sentence(&sorted);
    let before = engine.state().foreign_keys.known.insert(user.clone(), sorted);
    let told = match &before {
        Some(keys) => sentence(keys),
        None => condition_message(&engine.state(), owner),
    };
    if !pruned.is_empty() {
        let note = format!("deleted because they were not issued here: {}", some_of(&pruned));
        tell(engine, owner, user, "ForeignKeysPruned", &note).await;
    }
    match news {
        Some(note) if told.as_ref() != Some(&note) => tell(engine, owner, user, condition::FOREIGN_KEYS, &note).await,
        None if told.is_some() => tracing::info!(%user, "all keys are ours again"),
        _ => {}
    }
    Ok(())
}

/// What the status says of such keys, from before this process started.
fn condition_message(state: &State, owner: &Declared) -> Option<String> {
    let told = state.seen.get(&owner.meta.key)?.status.condition(condition::FOREIGN_KEYS)?;
    Some(told.message)
}

/// Deletes what had ended for the user itself and for its workloads, and says which keys stay although no Secret names them.
async fn end_forgotten(
    engine: &Engine,
    owner: &Declared,
    user: &UserName,
    keys: &[AccessKey],
) -> Result<BTreeSet<String>, Failure> {
    let mut younger = BTreeSet::new();
    let workloads: Vec<Declared> = engine.state().index.keys_of(user).cloned().collect();
    for object in workloads.iter().filter(|object| !object.meta.paused).chain([owner]) {
        let Forgotten { ended, younger: more } = keys::end_forgotten(engine, object, keys).await?;
        younger.extend(more);
        if !ended.is_empty() {
            ended.iter().for_each(|_| engine.metrics.drift_repair(DriftKind::Key));
            let note = format!("deleted because they had ended and were there again: {}", some_of(&ended));
            tell(engine, object, user, "ForgottenKeysEnded", &note).await;
        }
    }
    Ok(younger)
}

fn sort_now(engine: &Engine, owner: &Declared, user: &UserName, keys: &[AccessKey]) -> SortedKeys {
    let mut recorded = engine.secrets.keys_of(user);
    recorded.extend(key_in_status(&engine.state(), owner));
    let state = engine.state();
    let workloads = state.index.keys_of(user).map(|declared| &*declared.meta.uid);
    sort(keys, workloads.chain([&*owner.meta.uid]), &recorded, Timestamp::now())
}

async fn prune(engine: &Engine, user: &UserName, access_key: &str) -> Result<(), Failure> {
    if engine.server.delete_access_key(access_key).await? {
        let subject = Subject::User(user.clone());
        let causes = engine.state().index.causes(&subject);
        audit::record(&AuditLine::new(&subject, format!("delete access key {access_key}"), None, None, causes));
        engine.metrics.drift_repair(DriftKind::Key);
    }
    Ok(())
}

/// A line in the log, and an event.
async fn tell(engine: &Engine, owner: &Declared, user: &UserName, reason: &str, note: &str) {
    tracing::warn!(%user, reason, note, "keys that were not issued here");
    let seen = engine.state().seen.get(&owner.meta.key).cloned();
    if let Some(seen) = seen {
        engine.objects.event(&owner.meta.key, &seen, true, reason, note).await;
    }
}

/// What there is to say of keys that are not ours; nothing where there are none.
pub fn sentence(keys: &SortedKeys) -> Option<String> {
    let mut parts = Vec::new();
    if !keys.foreign.is_empty() {
        parts.push(format!("{} not issued here: {}", counted(&keys.foreign), some_of(&keys.foreign)));
    }
    if !keys.stray.is_empty() {
        let stray = some_of(&keys.stray);
        parts.push(format!("{} issued for an object that is not known: {stray}", counted(&keys.stray)));
    }
    if !keys.forgotten.is_empty() {
        let forgotten = some_of(&keys.forgotten);
        parts.push(format!("{} issued later than the one in the Secret: {forgotten}", counted(&keys.forgotten)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn counted(ids: &BTreeSet<String>) -> String {
    match ids.len() {
        1 => "1 access key was".to_owned(),
        more => format!("{more} access keys were"),
    }
}

fn some_of(ids: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = ids.iter().take(IDS_SHOWN).map(String::as_str).collect();
    match ids.len().saturating_sub(IDS_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    fn alice() -> UserName {
        UserName::parse("alice").unwrap()
    }

    /// Whether a comparison has the names looked at.
    fn is_news(ledger: &mut Ledger, living: &[&str]) -> bool {
        ledger.compare(&alice(), &set(living), &set(&["A"]));
        ledger.unfamiliar.remove(&alice())
    }

    #[test]
    fn names_are_looked_at_only_where_an_id_is_news() {
        let (mut ledger, alice) = (Ledger::default(), alice());
        assert!(!is_news(&mut ledger, &["A"]), "it is in a Secret");
        assert!(is_news(&mut ledger, &["A", "OLD", "LAPTOP"]));
        let sorted = SortedKeys { recorded: set(&["OLD"]), foreign: set(&["LAPTOP"]), ..SortedKeys::default() };
        ledger.known.insert(alice.clone(), sorted);
        assert!(!is_news(&mut ledger, &["A", "LAPTOP"]), "that has been told");
        assert!(is_news(&mut ledger, &["A", "OLD", "LAPTOP"]), "the Secret that named it does so no more");
        assert!(is_news(&mut ledger, &["A", "LAPTOP", "PHONE"]));
        assert!(is_news(&mut ledger, &["A"]), "the foreign one is gone, which is news too");

        ledger.ask(&alice);
        ledger.keep_to(&HashSet::from([&alice]));
        assert_eq!(ledger.total(), None, "somebody is still to be looked at");
        ledger.unfamiliar.clear();
        ledger.keep_to(&HashSet::from([&alice]));
        assert_eq!(ledger.total(), Some(1));
        ledger.keep_to(&HashSet::new());
        assert_eq!((ledger.count(), ledger.of(&alice)), (0, None));
    }

    #[test]
    fn few_ids_are_named_and_the_rest_counted() {
        let keys = |foreign: &[&str], stray: &[&str]| SortedKeys {
            foreign: set(foreign),
            stray: set(stray),
            ..SortedKeys::default()
        };
        let younger = SortedKeys { forgotten: set(&["A"]), ..SortedKeys::default() };
        assert_eq!(sentence(&younger).unwrap(), "1 access key was issued later than the one in the Secret: A");
        assert_eq!(sentence(&keys(&[], &[])), None);
        assert_eq!(
            sentence(&keys(&["A", "B", "C", "D", "E", "F", "G"], &[])).unwrap(),
            "7 access keys were not issued here: A, B, C, D, E and 2 more"
        );
        assert_eq!(
            sentence(&keys(&["A"], &["B"])).unwrap(),
            "1 access key was not issued here: A; 1 access key was issued for an object that is not known: B"
        );
    }
}
