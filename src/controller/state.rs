//! What the controller knows, behind one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::iam::breaker::Breaker;
use crate::iam::desired::{Desired, Fate};
use crate::iam::index::{Index, ServerPolicies};
use crate::iam::names::{DocumentName, PolicyName};
use crate::iam::subject::{ObjectKey, Subject};
use crate::kubernetes::Seen;

use super::crds::Crds;
use super::drift::Drift;
use super::foreign_keys::Ledger;
use super::keys::Keys;
use super::mirror::Mirror;
use super::outcome::{Outcome, Report};
use super::wipe::Wipe;

/// Since when an object waits for convergence.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// When its last unconverged change was seen.
    pub since: Instant,
    /// Whether the change takes something away.
    pub revokes: bool,
}

/// Everything pure.
pub struct State {
    /// What is declared.
    pub index: Index,
    /// What is known of the server.
    pub mirror: Mirror,
    /// The Kubernetes side of every object.
    pub seen: HashMap<ObjectKey, Box<Seen>>,
    /// What became of each subject's last convergence.
    pub outcomes: HashMap<Subject, Box<Outcome>>,
    /// Objects that wait for convergence.
    pub pending: BTreeMap<ObjectKey, Pending>,
    /// Subjects whose folders this process has seen to, and whether they have any.
    pub laid_out: HashMap<Subject, bool>,
    /// Shares (by uid) whose folder marker has been seen to: for which generation, and what there is to say about it.
    pub markers: HashMap<Arc<str>, (i64, Option<String>)>,
    /// Subjects whose IAM is in force while their folders and keys are seen to.
    pub settling: HashSet<Subject>,
    /// Subjects that wait for a policy or an account to exist, or for a policy to be given up, by name.
    pub waiting: HashMap<String, BTreeSet<Subject>>,
    /// Subjects for which the server has not been seen to hold what it should since the start; `None` once all have been.
    pub uncompared: Option<BTreeSet<Subject>>,
    /// What is known of the policies that objects refer to.
    pub policies: ServerPolicies,
    /// Objects (by uid) whose key this process has proven.
    pub proven: HashSet<Arc<str>>,
    /// What is known of keys that were not issued here.
    pub foreign_keys: Ledger,
    /// What is known of our CRDs.
    pub crds: Crds,
    /// How many objects below their folders have been deleted for objects (by uid) that go.
    pub erased: HashMap<Arc<str>, u64>,
    /// Holds what is too much to be taken away at once.
    pub breaker: Breaker,
    /// Whether it is known in this term what the leader before held.
    pub recalled: bool,
    /// Objects with minor news that wait for a quiet moment, and how often they have.
    pub minor_news: HashMap<ObjectKey, u32>,
    /// What is known of foreign changes.
    pub drift: Drift,
    /// Whether the server has lost its users.
    pub wipe: Wipe,
}

impl State {
    /// Whether something is missing that is about to be made: a declared policy, or the account of a member.
    pub fn awaits(&self, report: &Report) -> bool {
        let now = Timestamp::now();
        let is_coming = |name: &DocumentName| {
            let policy = PolicyName::parse(name.as_str()).map(Subject::Policy);
            matches!(
                policy.map(|policy| self.index.desired(&policy, now)),
                Ok(Desired::Policy(policy)) if policy.fate == Fate::Present && policy.document.is_some()
            )
        };
        !report.missing_users.is_empty() || report.missing_policies.iter().any(is_coming)
    }

    /// Whether something that the objects say is not on the server yet: left undone on purpose, waiting for something else to
    /// appear, or for somebody to give up what a deletion takes away.
    pub(super) fn falls_short(&self, subject: &Subject, report: &Report) -> bool {
        let is_deleting = || self.index.object_of(subject).is_some_and(|owner| owner.meta.deleting.is_some());
        report.held_back || report.awaited_user.is_some() || self.awaits(report) || (report.is_stuck() && is_deleting())
    }

    /// The keys of a user whose object is in force as it is, its key included: a further look at it is no news.
    pub fn keys_in_place(&self, subject: &Subject) -> Option<&Keys> {
        let last = self.outcomes.get(subject)?.result.as_ref().ok().filter(|report| report.unfinished.is_none())?;
        let owner = self.index.object_of(subject)?;
        let is_ready = self.seen.get(&owner.meta.key)?.status.is_ready_at(owner.meta.generation);
        // That the key of a workload has to go shows in no generation: it was locked, or its time is over.
        let may_stay = match subject {
            Subject::Key(_) => self.index.desired(subject, Timestamp::now()).fate() == Fate::Present,
            _ => true,
        };
        last.keys.as_deref().filter(|keys| keys.issued.is_some() && is_ready && may_stay)
    }

    /// Forgets what came of a former term of leading: somebody else has led since. What that one brought into force is not
    /// measured here.
    pub(super) fn begin_term(&mut self) {
        self.forget_server();
        self.foreign_keys = Ledger::default();
        self.drift = Drift::default();
        self.wipe = Wipe::default();
        self.outcomes.clear();
        self.settling.clear();
        self.markers.clear();
        self.recalled = false;
        let (seen, index) = (&self.seen, &self.index);
        self.pending.retain(|key, _| {
            let generation = index.get(key).map(|declared| declared.meta.generation);
            let is_ready = |generation| seen.get(key).is_some_and(|seen| seen.status.is_ready_at(generation));
            !generation.is_some_and(is_ready)
        });
    }

    /// Has the folders of a subject laid out at its next run, although it may have been ready before this process started.
    pub fn doubt_folders(&mut self, subject: Subject) {
        self.laid_out.insert(subject, false);
    }

    /// Forgets what was known of the server; the declarations stay.
    pub fn forget_server(&mut self) {
        self.mirror.forget_all();
        self.laid_out.clear();
        self.proven.clear();
    }
}
