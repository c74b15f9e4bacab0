//! The index: objects in, dirty subjects out.
//!
//! ```text
//! event ──> entries ──> claims (who holds a name) ──> effects (what each object gives) ──> dirty subjects
//!              ├──────> refs (who refers to what) ──> cascades, timers
//!              └──────> quotas (which grants of an owner are too many)
//! ```
//!
//! [`Index::apply`] compares what objects give before and after an event, and follows the references to those who depend on
//! it; [`Index::tick`] does so for the passing of time. A subject whose [`Index::desired`] changes is always reported.

mod change;
mod claims;
mod config;
mod desired;
mod effects;
mod entry;
mod grants;
mod keys;
mod lookup;
mod pairs;
mod progress;
mod quota;
mod refs;
mod retained;
mod server_names;
mod standing;
#[cfg(test)]
mod tests;
mod verdict;
mod withdrawal;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::meta::reason;

use super::declared::{Declared, Invalid, Undecodable};
use super::names::PolicyName;
use super::subject::{Kind, ObjectKey, Subject};

pub use config::{Glob, IndexConfig, NamespaceRules, PathPrefix, Permissions};
pub use lookup::Given;
pub use verdict::{Members, Verdict};

/// Something that happened to the objects, or that was seen of them.
#[derive(Clone, Debug)]
pub enum Event {
    /// An object is there, in this version.
    Upsert(Box<Declared>),
    /// An object is gone.
    Delete(ObjectKey),
    /// All objects of a kind in a namespace; what is not among them is gone.
    Relist {
        /// The kind.
        kind: Kind,
        /// The namespace.
        namespace: String,
        /// The objects that could be decoded.
        objects: Vec<Declared>,
        /// Those that could not.
        undecodable: Vec<Undecodable>,
    },
    /// An object is there in a version that cannot be decoded. Its last good version stays in force, unless the metadata
    /// says otherwise: under deletion, locked.
    Undecodable(Box<Undecodable>),
    /// Canned policies of the server were read; this is all that is known of them now.
    Policies(ServerPolicies),
}

/// What is known of the canned policies of the server. Nothing is said of those that are in neither set: they have not been
/// read yet, or are there and ordinary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerPolicies {
    /// Those that are not there.
    pub absent: BTreeSet<PolicyName>,
    /// Those that carry `admin:`, `kms:` or `sts:` actions.
    pub admin: BTreeSet<PolicyName>,
}

/// How soon a subject should be converged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// In its turn.
    Normal,
    /// First: something is taken away, or somebody waits for an answer of REST.
    Revocation,
}

/// What has to be looked at again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// The subjects whose desired state may have changed.
    pub subjects: BTreeMap<Subject, Urgency>,
    /// The objects whose status may have changed.
    pub objects: BTreeSet<ObjectKey>,
    /// The number of this change; a subject that converges from now on includes it.
    pub seq: u64,
}

impl Dirty {
    /// Whether nothing has to be looked at again.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty() && self.objects.is_empty()
    }

    /// Adds what another change made dirty.
    pub fn absorb(&mut self, other: Dirty) {
        for (subject, urgency) in other.subjects {
            let held = self.subjects.entry(subject).or_insert(urgency);
            *held = (*held).max(urgency);
        }
        // Not `append`, which moves what is there already, too: a relist absorbs once for every object.
        self.objects.extend(other.objects);
        self.seq = self.seq.max(other.seq);
    }
}

/// What an object can do at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What it says holds.
    InForce,
    /// What it says holds in part or not at all, until a person changes something.
    Stalled(Invalid),
    /// What it says does not hold or takes nothing in, and that is as it should be: disabled, suspended, locked, paused, or
    /// its owner is missing.
    Inactive {
        /// The reason of `Ready`, from [`crate::api::meta::reason`].
        reason: &'static str,
        /// The reason in words.
        message: String,
    },
    /// It is under deletion: what it said holds no more.
    Deleting,
}

impl Standing {
    fn inactive(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Inactive { reason, message: message.into() }
    }

    fn paused() -> Self {
        Self::inactive(reason::PAUSED, "the annotation minio-manager.io/reconcile says paused: nothing is written")
    }

    fn locked(reason: &str) -> Self {
        let message = match reason.trim() {
            "" => "locked by the annotation minio-manager.io/lock".to_owned(),
            reason => format!("locked: {reason}"),
        };
        Self::inactive(reason::LOCKED, message)
    }

    /// Whether what the object says holds.
    pub fn is_in_force(&self) -> bool {
        *self == Self::InForce
    }
}

/// All objects, and what follows from them.
#[derive(Clone, Debug)]
pub struct Index {
    config: IndexConfig,
    entries: BTreeMap<ObjectKey, entry::Entry>,
    claims: claims::Claims,
    refs: refs::Refs,
    quotas: quota::Quotas,
    progress: progress::Progress,
    withdrawals: withdrawal::Withdrawals,
    undecodable: BTreeMap<ObjectKey, Undecodable>,
    /// The objects under deletion.
    leaving: BTreeSet<ObjectKey>,
    /// The kinds whose CRD goes or is gone.
    retained: BTreeSet<Kind>,
    server_policies: ServerPolicies,
    seq: u64,
    clock: Timestamp,
    compared: bool,
}

impl Index {
    /// An index without objects.
    pub fn new(config: IndexConfig) -> Self {
        Self {
            quotas: quota::Quotas::new(config.grants_per_owner),
            config,
            entries: BTreeMap::new(),
            claims: claims::Claims::default(),
            refs: refs::Refs::default(),
            progress: progress::Progress::default(),
            withdrawals: withdrawal::Withdrawals::default(),
            undecodable: BTreeMap::new(),
            leaving: BTreeSet::new(),
            retained: BTreeSet::new(),
            server_policies: ServerPolicies::default(),
            seq: 0,
            clock: Timestamp::MIN,
            compared: false,
        }
    }

    /// Takes an event in. The cost follows what the event touches, not the number of objects.
    pub fn apply(&mut self, event: Event) -> Dirty {
        let mut dirty = self.begin();
        match event {
            Event::Upsert(declared) => self.upsert(declared, &mut dirty),
            Event::Delete(key) => self.delete(&key, &mut dirty),
            Event::Relist { kind, namespace, objects, undecodable } => {
                self.relist(kind, &namespace, objects, undecodable, &mut dirty);
            }
            Event::Undecodable(found) => self.cannot_decode(*found, &mut dirty),
            Event::Policies(seen) => self.see_policies(seen, &mut dirty),
        }
        dirty
    }

    /// Lets time pass: reports what ends, and what begins to count as expiring, up to `now` and after the last such call. The
    /// quota that a grant used is free for others from here on, not before.
    pub fn tick(&mut self, now: Timestamp) -> Dirty {
        let mut dirty = self.begin();
        self.expire(now, &mut dirty);
        dirty
    }

    /// Up to when time has passed here.
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// The first instant after `now` at which [`Index::tick`] has something to report.
    pub fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        self.refs.next_timer(now)
    }

    /// A subject has reached the server with everything up to `seq` in it. Returns the objects that waited for it.
    ///
    /// To be called also for subjects for which there was nothing to do; not for those of whose change a part is held back.
    pub fn converged(&mut self, subject: &Subject, seq: u64) -> BTreeSet<ObjectKey> {
        self.withdrawals.converged(subject, seq);
        // An object that holds a name acts through that alone, in all its versions.
        if let Some(holder) = self.holder_of(subject).cloned()
            && let Some(entry) = self.entries.get_mut(&holder)
        {
            entry.former_unknown = false;
        }
        self.progress.converged(subject, seq)
    }

    /// Whether all subjects have been compared with the server since the start.
    pub fn is_compared(&self) -> bool {
        self.compared
    }

    /// All subjects have been compared with the server: former versions that this index has not seen are no more in force.
    /// Returns the objects that waited for it.
    pub fn compared(&mut self) -> BTreeSet<ObjectKey> {
        self.compared = true;
        let waiting = self.entries.iter_mut().filter(|(_, entry)| entry.former_unknown);
        waiting
            .map(|(key, entry)| {
                entry.former_unknown = false;
                key.clone()
            })
            .collect()
    }

    /// The number of the last change.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What the index was made with.
    pub fn config(&self) -> &IndexConfig {
        &self.config
    }

    fn begin(&mut self) -> Dirty {
        self.seq += 1;
        Dirty { subjects: BTreeMap::new(), objects: BTreeSet::new(), seq: self.seq }
    }
}

/// Whether an object of this kind, of which nothing but its key is known, could touch a subject.
fn could_touch(kind: Kind, subject: &Subject) -> bool {
    match kind {
        Kind::MinioPolicy => matches!(subject, Subject::Policy(_)),
        Kind::GroupMembership => matches!(subject, Subject::Group(_)),
        Kind::MinioUser => !matches!(subject, Subject::Policy(_)),
        Kind::MinioGroup | Kind::PathShare => !matches!(subject, Subject::Policy(_) | Subject::Key(_)),
        Kind::MinioAccessKey => matches!(subject, Subject::Key(_)),
    }
}
