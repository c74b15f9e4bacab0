//! Foreign changes of what is looked after. Whatever may have been changed is forgotten, and the subjects that it concerns are
//! converged again: they read it by name, and decide as they always do. So a false alarm costs a read and never a wrong write.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::iam::change::Change;
use crate::iam::names::{DocumentName, UserName};
use crate::iam::subject::{KeyName, Subject};
use crate::telemetry::metrics::DriftKind;

use super::engine::Engine;
use super::mirror::Need;
use super::queue::Urgency;
use super::state::State;

/// So many names are taken up under one lock.
pub const AT_ONCE: usize = 500;

/// So few subjects overtake others; more would hold up those who lose access.
const FEW: usize = 64;

/// So many changes are named in an event.
const CHANGES_SHOWN: usize = 10;

/// The reason of the event about a foreign change that was undone.
const DRIFT_REPAIRED: &str = "DriftRepaired";

/// What no object describes, as far as the last audit saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// When it ended.
    pub at: Timestamp,
    /// Users.
    pub users: usize,
    /// Groups with members.
    pub groups: usize,
    /// Policies that somebody has attached.
    pub policies: usize,
}

/// What is known of foreign changes.
#[derive(Debug, Default)]
pub struct Drift {
    /// Subjects that were in force when somebody else seemed to change something of theirs.
    suspects: HashSet<Subject>,
    /// The last audit.
    pub audited: Option<Audited>,
}

impl State {
    /// Whether all that the objects say of a subject was on the server.
    fn is_in_force(&self, subject: &Subject) -> bool {
        let report = self.outcomes.get(subject).and_then(|outcome| outcome.result.as_ref().ok());
        report.is_some_and(|report| !report.held_back && report.planned.is_empty()) && !self.index.has_news(subject)
    }

    /// If a subject is in force, whatever must be changed for it next was changed by somebody else.
    fn suspect(&mut self, subject: &Subject) {
        if self.is_in_force(subject) {
            self.drift.suspects.insert(subject.clone());
        }
    }

    /// As [`State::suspect`], of everybody: the server was away, and may have been changed meanwhile.
    pub fn suspect_all(&mut self) {
        let subjects: Vec<Subject> = self.outcomes.keys().cloned().collect();
        for subject in subjects {
            self.suspect(&subject);
        }
    }

    /// Whether the next changes for a subject undo what somebody else did: no object has asked for them.
    pub fn is_suspect(&self, subject: &Subject) -> bool {
        self.drift.suspects.contains(subject) && !self.index.has_news(subject)
    }

    /// The server holds what it should for a subject.
    pub fn clear(&mut self, subject: &Subject) {
        self.drift.suspects.remove(subject);
    }
}

/// Looks at these names again, which somebody else may have changed.
pub fn notice(engine: &Engine, names: &BTreeSet<Need>) {
    let names: Vec<&Need> = names.iter().collect();
    for some in names.chunks(AT_ONCE) {
        let subjects = take_up(&mut engine.state(), some);
        let urgency = if names.len() <= FEW && subjects.len() <= FEW { Urgency::Urgent } else { Urgency::Normal };
        for subject in subjects {
            engine.subjects.push(subject, urgency, Duration::ZERO);
        }
    }
}

/// Forgets the names; answers the subjects that they concern.
fn take_up(state: &mut State, names: &[&Need]) -> BTreeSet<Subject> {
    let subjects: BTreeSet<Subject> = names.iter().flat_map(|name| concerned(state, name)).collect();
    state.mirror.forget_names(names.iter().copied());
    for name in names {
        if let Need::Account(name) = name {
            doubt_keys(state, name);
        }
    }
    for subject in &subjects {
        state.suspect(subject);
    }
    subjects
}

fn concerned(state: &State, name: &Need) -> BTreeSet<Subject> {
    match name {
        Need::Account(name) => {
            let Ok(user) = UserName::parse(name) else { return BTreeSet::new() };
            // A user that goes leaves its groups, and takes its keys with it.
            let groups = state.index.dependents(&user).into_iter().map(Subject::Group);
            let keys = state.index.keys_of(&user).map(|declared| Subject::Key(KeyName::from(declared.key())));
            state.index.subject_of_user(name).into_iter().chain(groups).chain(keys).collect()
        }
        Need::Group(name) => state.index.subject_of_group(name).into_iter().collect(),
        Need::Document(name) => {
            let owner = state.index.owner_of_document(name);
            owner.into_iter().chain(state.index.referring_to(name)).chain(holders(state, name)).collect()
        }
    }
}

/// Those whose keys depend on whether a policy carries admin actions. Of documents of our own none ever does.
fn holders(state: &State, policy: &DocumentName) -> impl Iterator<Item = Subject> {
    let names = if policy.is_derived() { BTreeSet::new() } else { state.mirror.holders(policy) };
    names.into_iter().filter_map(|name| state.index.subject_of_user(&name))
}

/// Has the keys that act as a user proven once more.
pub fn doubt_keys(state: &mut State, user: &str) {
    let Ok(user) = UserName::parse(user) else { return };
    let own = state.index.user(&user).map(|declared| declared.meta.uid.clone());
    let uids: Vec<Arc<str>> = state.index.keys_of(&user).map(|declared| declared.meta.uid.clone()).chain(own).collect();
    for uid in uids {
        state.proven.remove(&uid);
    }
}

/// Looks at the keys of a user and of its workloads again: somebody else has changed one of them.
pub fn notice_key(engine: &Engine, user: &str) {
    let mut state = engine.state();
    doubt_keys(&mut state, user);
    let Some(subject) = state.index.subject_of_user(user) else { return };
    engine.subjects.push(subject, Urgency::Urgent, Duration::ZERO);
    if let Ok(user) = UserName::parse(user) {
        for declared in state.index.keys_of(&user) {
            engine.subjects.push(Subject::Key(KeyName::from(declared.key())), Urgency::Urgent, Duration::ZERO);
        }
    }
}

/// Tells of foreign changes that have been undone.
pub async fn tell_of_repair(engine: &Engine, subject: &Subject, changes: &[Change]) {
    for change in changes {
        engine.metrics.drift_repair(kind_of(change));
    }
    let note = in_words(changes);
    tracing::warn!(%subject, note, "somebody else had changed this on MinIO");
    let owner = {
        let state = engine.state();
        let key = state.index.object_of(subject).map(|owner| owner.meta.key.clone());
        key.and_then(|key| Some((state.seen.get(&key)?.clone(), key)))
    };
    if let Some((seen, key)) = owner {
        let note = format!("somebody else had changed this on MinIO; undone: {note}");
        engine.objects.event(&key, &seen, true, DRIFT_REPAIRED, &note).await;
    }
}

fn in_words(changes: &[Change]) -> String {
    let shown: Vec<String> = changes.iter().take(CHANGES_SHOWN).map(|change| change.describe().to_string()).collect();
    match changes.len().saturating_sub(CHANGES_SHOWN) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

fn kind_of(change: &Change) -> DriftKind {
    match change {
        Change::PutDocument { .. } | Change::DeleteDocument { .. } => DriftKind::Document,
        Change::CreateUser { .. } | Change::SetUserStatus { .. } | Change::DeleteUser { .. } => DriftKind::User,
        Change::AddMembers { .. } | Change::RemoveMembers { .. } => DriftKind::Membership,
        Change::EnableGroup { .. } | Change::DeleteGroup { .. } => DriftKind::Group,
        Change::SetMapping { .. } => DriftKind::Attachment,
    }
}
