//! The heart that all loops share: what is declared, what is known of the server, what waits to be done.
//!
//! Everything pure lives behind one lock that is never held across a wait. Events go in, dirty subjects and objects come out
//! into two queues; workers take from them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, Semaphore};

use crate::api::meta::reason;
use crate::config::ForeignKeys;
use crate::controller::credentials::{Issuer, SecretCache};
use crate::iam::breaker::{Breaker, LargeChangeLimit};
use crate::iam::declared::{Body, Target};
use crate::iam::index::{self, Dirty, Event, Index, ServerPolicies};
use crate::iam::names::{ServerGroup, UserName};
use crate::iam::observed::Surroundings;
use crate::iam::subject::{KeyName, Kind, ObjectKey, Subject};
use crate::kubernetes::watch::Sink;
use crate::kubernetes::{Decoded, Seen};
use crate::lease::Lease;
use crate::rate::Pace;
use crate::telemetry::Metrics;

use super::conditions::Said;
use super::crds::Crds;
use super::drift::Drift;
use super::duty::Duty;
use super::foreign_keys::Ledger;
use super::health::Health;
use super::large_change;
use super::lookout::Lookout;
use super::mirror::Mirror;
use super::objects::Objects;
use super::outcome::{Outcome, Report, Retry, backoff};
use super::queue::{Queue, Urgency};
use super::report;
use super::server::Server;
use super::state::{Pending, State};
use super::wipe::Wipe;
use super::workspace;

/// How many of the objects that wait for their finalizer are looked at to tell a burst.
const HELD_LOOKED_AT: usize = 256;

/// What the controller was told to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Identifies this installation; part of the label of every document.
    pub instance: String,
    /// Where `MinioInstance` lives.
    pub home_namespace: String,
    /// Where MinIO is.
    pub endpoint: String,
    /// Plan and report only.
    pub observe: bool,
    /// How much may be taken away at once.
    pub large_change_limit: LargeChangeLimit,
    /// How long a missing policy is taken for missing before the server is asked again; keys are looked at again as often.
    pub recheck: Duration,
    /// Within which time every key is looked at, however many there are.
    pub full_audit_interval: Duration,
    /// What becomes of keys of managed users that were not issued here.
    pub foreign_keys: ForeignKeys,
    /// The interval of key renewal where an object names none.
    pub rotation_interval: SignedDuration,
    /// The life of a replaced key where an object names none.
    pub overlap: SignedDuration,
}

/// The shared heart of the controller.
pub struct Engine {
    state: Mutex<State>,
    /// Subjects to converge.
    pub subjects: Queue<Subject>,
    /// Objects to report on.
    pub reports: Queue<ObjectKey>,
    /// Objects that need our finalizer before they count.
    pub admissions: Queue<ObjectKey>,
    /// The Kubernetes side.
    pub objects: Objects,
    /// The MinIO side.
    pub server: Server,
    /// Whether MinIO can be reached.
    pub health: Health,
    /// Whether this replica leads.
    pub lease: Arc<Lease>,
    /// What it may do therefore.
    pub duty: Duty,
    /// Issues keys.
    pub issuer: Issuer,
    /// What is known of Secrets.
    pub secrets: Arc<SecretCache>,
    /// Counts and measures.
    pub metrics: Arc<Metrics>,
    /// What the controller was told to be.
    pub settings: Settings,
    /// Rung when the next expiry may have changed.
    pub expiry: Notify,
    /// Who may delete data at present.
    pub erasers: Semaphore,
    /// What makes the loops that look for foreign changes look.
    pub lookout: Lookout,
    /// Paces what is written to Kubernetes without haste: finalizers and statuses.
    pub pace: Pace,
    held: Mutex<HashMap<ObjectKey, Decoded>>,
}

/// The parts that an engine is made of.
pub struct Parts {
    /// The index, empty.
    pub index: Index,
    /// The Kubernetes side.
    pub objects: Objects,
    /// The MinIO side.
    pub server: Server,
    /// Issues keys.
    pub issuer: Issuer,
    /// What is known of Secrets, shared with the issuer.
    pub secrets: Arc<SecretCache>,
    /// Counts and measures.
    pub metrics: Arc<Metrics>,
    /// Whether this replica leads.
    pub lease: Arc<Lease>,
    /// What it may do therefore.
    pub duty: Duty,
    /// What the controller was told to be.
    pub settings: Settings,
    /// Of what is written to Kubernetes without haste.
    pub pace: Pace,
}

impl Engine {
    /// An engine that has seen nothing yet.
    pub fn new(mut parts: Parts) -> Self {
        // What has ended before the start uses no quota.
        parts.index.tick(Timestamp::now());
        let state = State {
            index: parts.index,
            mirror: Mirror::default(),
            seen: HashMap::new(),
            outcomes: HashMap::new(),
            pending: BTreeMap::new(),
            laid_out: HashMap::new(),
            markers: HashMap::new(),
            settling: HashSet::new(),
            waiting: HashMap::new(),
            uncompared: None,
            policies: ServerPolicies::default(),
            proven: HashSet::new(),
            foreign_keys: Ledger::default(),
            crds: Crds::default(),
            erased: HashMap::new(),
            breaker: Breaker::new(parts.settings.large_change_limit, rand::random()),
            recalled: false,
            minor_news: HashMap::new(),
            drift: Drift::default(),
            wipe: Wipe::default(),
        };
        Self {
            state: Mutex::new(state),
            subjects: Queue::default(),
            reports: Queue::default(),
            admissions: Queue::default(),
            objects: parts.objects,
            server: parts.server,
            health: Health::new(),
            lease: parts.lease,
            duty: parts.duty,
            issuer: parts.issuer,
            secrets: parts.secrets,
            metrics: parts.metrics,
            settings: parts.settings,
            expiry: Notify::new(),
            erasers: Semaphore::new(workspace::ERASERS),
            lookout: Lookout::default(),
            pace: parts.pace,
            held: Mutex::new(HashMap::new()),
        }
    }

    /// The pure state; never hold it across a wait.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shares and memberships act through other subjects, and keys under names of their own; without our finalizer their
    /// deletion could go unseen, so they count only once they carry it.
    fn needs_admission(&self, object: &Decoded) -> bool {
        matches!(object.key.kind, Kind::PathShare | Kind::GroupMembership | Kind::MinioAccessKey)
            && !self.settings.observe
            && !object.seen.has_finalizer()
            && !object.seen.is_deleting()
    }

    /// Takes in a version of an object; answers what it makes dirty.
    fn take_in(&self, state: &mut State, object: Decoded) -> Dirty {
        if self.needs_admission(&object) {
            self.hold(object);
            return Dirty::default();
        }
        // The watch may be faster than the answer to the write of the finalizer.
        self.release(&object.key, object.seen.uid());
        if is_stale(state, &object) {
            return Dirty::default();
        }
        let Decoded { key, mut seen, event } = object;
        seen.forget_others();
        let mut is_told_otherwise = false;
        if let Some(held) = state.seen.get(&key) {
            if matches!(event, Event::Undecodable(..)) {
                seen.status.clone_from(&held.status);
            }
            let was = held.uid();
            if was != seen.uid() {
                state.markers.remove(was);
                state.proven.remove(was);
            }
            // What we wrote is held already, so this is somebody else's: perhaps of a leader before us, who stood still.
            is_told_otherwise = held.status != seen.status;
        }
        state.crds.saw(key.kind, state.seen.get(&key).map(Box::as_ref), Some(&seen));
        state.seen.insert(key.clone(), seen);
        let mut dirty = state.index.apply(event);
        if is_told_otherwise {
            dirty.objects.insert(key.clone());
        }
        if !dirty.subjects.is_empty() {
            let revokes = dirty.subjects.values().any(|urgency| *urgency == index::Urgency::Revocation);
            let pending = state.pending.entry(key).or_insert(Pending { since: Instant::now(), revokes });
            pending.revokes |= revokes;
        }
        dirty
    }

    /// Forgets an object that is gone; answers what that makes dirty.
    fn drop_out(&self, state: &mut State, key: &ObjectKey) -> Dirty {
        self.held().remove(key);
        if let Some(seen) = state.seen.remove(key) {
            state.crds.saw(key.kind, Some(&seen), None);
            state.markers.remove(seen.uid());
            state.proven.remove(seen.uid());
            state.erased.remove(seen.uid());
        }
        state.pending.remove(key);
        state.minor_news.remove(key);
        state.index.apply(Event::Delete(key.clone()))
    }

    fn hold(&self, object: Decoded) {
        let key = object.key.clone();
        self.held().insert(key.clone(), object);
        self.admissions.push(key, Urgency::Normal, Duration::ZERO);
    }

    /// The object that waits for our finalizer under this key.
    pub fn held_object(&self, key: &ObjectKey) -> Option<Decoded> {
        self.held().get(key).cloned()
    }

    /// The object with this uid waits no longer. Says whether it still did.
    pub fn release(&self, key: &ObjectKey, uid: &str) -> bool {
        let mut held = self.held();
        let still = held.get(key).is_some_and(|object| object.seen.uid() == uid);
        if still {
            held.remove(key);
        }
        still
    }

    /// Whether objects that act through the subject wait for their finalizer at this moment.
    fn more_is_coming(&self, subject: &Subject, index: &Index) -> bool {
        self.held().values().take(HELD_LOOKED_AT).any(|object| acts_through(object, subject, index))
    }

    /// Begins a term of leading.
    pub fn begin_term(&self) {
        self.state().begin_term();
    }

    /// Why what waits cannot be worked on, if so.
    pub fn problem(&self) -> Option<Said> {
        let lease = self.lease.problem().map(|problem| Said::new(reason::LEASE_UNAVAILABLE, problem));
        lease.or_else(|| self.health.problem().map(|problem| Said::new(reason::MINIO_UNAVAILABLE, problem)))
    }

    /// Whether no object waits for its finalizer.
    pub fn all_admitted(&self) -> bool {
        self.held().is_empty()
    }

    /// Takes in the answer to a write of ours, unless the object went away meanwhile.
    pub fn answer(&self, object: Decoded) {
        let is_known = self.state().seen.get(&object.key).is_some_and(|seen| seen.uid() == object.seen.uid());
        if is_known {
            self.upsert(object);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ObjectKey, Decoded>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets pass what is due by now.
    pub fn tick(&self, now: Timestamp) {
        let mut state = self.state();
        let dirty = state.index.tick(now);
        self.spread(&state, dirty);
    }

    /// Queues what an event made dirty.
    pub fn spread(&self, state: &State, dirty: Dirty) {
        let converges = !dirty.subjects.is_empty();
        for (subject, urgency) in dirty.subjects {
            let urgency = match urgency {
                index::Urgency::Revocation => Urgency::Urgent,
                index::Urgency::Normal => Urgency::Normal,
            };
            let more_to_come = urgency == Urgency::Normal && self.more_is_coming(&subject, &state.index);
            self.subjects.push_change(subject, urgency, more_to_come);
        }
        // What converges is reported when it has; before, a report would only compete with it.
        let delay = if converges { report::GRACE } else { Duration::ZERO };
        for key in dirty.objects {
            self.queue_report(state, key, delay);
        }
        self.expiry.notify_one();
    }

    /// The IAM of a subject is as the objects say up to `sequence`; its folders and keys may still be missing. Those who only
    /// wait for the IAM need not wait for these.
    pub fn in_force(&self, subject: &Subject, sequence: u64) {
        let mut state = self.state();
        let own = state.index.object_of(subject).map(|object| object.meta.key.clone());
        let mut objects = state.index.converged(subject, sequence);
        objects.extend(self.compare(&mut state, subject));
        if state.keys_in_place(subject).is_none() {
            state.settling.insert(subject.clone());
        }
        for key in objects.into_iter().filter(|key| Some(key) != own.as_ref()) {
            self.queue_report(&state, key, Duration::ZERO);
        }
    }

    /// Queues a report on an object. Who deletes something waits until it is gone.
    fn queue_report(&self, state: &State, key: ObjectKey, delay: Duration) {
        let is_deleting = state.seen.get(&key).is_some_and(|seen| seen.is_deleting());
        let urgency = if is_deleting { Urgency::Urgent } else { Urgency::Normal };
        self.reports.push(key, urgency, delay);
    }

    /// Records what became of a convergence, and queues what follows from it.
    pub fn finish(&self, subject: &Subject, urgency: Urgency, outcome: Outcome) {
        let mut state = self.state();
        let objects = match &outcome.result {
            Ok(report) if state.falls_short(subject, report) => {
                let mut objects = state.index.waiting_for(subject);
                if report.large_change && !state.awaits(report) {
                    objects.extend(state.index.widened(subject, outcome.sequence));
                }
                objects
            }
            Ok(_) => state.index.converged(subject, outcome.sequence),
            Err(failure) => {
                let waiting = state.index.waiting_for(subject);
                match failure.retry {
                    // Nothing of ours is in force for a name that somebody else holds, and that is final: objects that only
                    // name the subject must not wait for its author.
                    Retry::OnChange => {
                        state.index.converged(subject, outcome.sequence);
                    }
                    Retry::Backoff => self.subjects.push(subject.clone(), urgency, backoff(outcome.failures)),
                    // After an outage everything is hurried; where only this call failed, it waits like any other.
                    Retry::WhenUp => self.subjects.push(subject.clone(), urgency, backoff(outcome.failures)),
                }
                waiting
            }
        };
        if let Ok(report) = &outcome.result {
            self.wait_for(&mut state, subject, report);
            if let Subject::User(user) = subject
                && report.changes > 0
            {
                self.queue_keys(&state, user);
            }
        }
        state.settling.remove(subject);
        // What was left undone may be what an object gave before this process started.
        let is_compared = match &outcome.result {
            Ok(report) => !report.leaves_undone,
            Err(failure) => failure.retry == Retry::OnChange,
        };
        let compared = if is_compared { self.compare(&mut state, subject) } else { BTreeSet::new() };
        if *subject == Subject::Everyone || state.index.object_of(subject).is_some() {
            state.outcomes.insert(subject.clone(), Box::new(outcome));
        } else {
            // Nobody declares it any more, so nobody will ask again.
            let desired = state.index.desired(subject, Timestamp::now());
            state.outcomes.remove(subject);
            state.clear(subject);
            state.mirror.forget(&desired);
        }
        // Its own object tells of more than what it waited for: keys, documents, what is missing.
        let own = state.index.object_of(subject).map(|object| object.meta.key.clone());
        for key in objects.into_iter().chain(compared).chain(own) {
            self.queue_report(&state, key, Duration::ZERO);
        }
    }

    /// Queues the subject again for when what it misses appears. What appeared while it was planned counts too.
    fn wait_for(&self, state: &mut State, subject: &Subject, report: &Report) {
        let policies = report.missing_policies.iter().map(|name| (name.to_string(), state.mirror.has_policy(name)));
        let users = report.missing_users.iter().map(|name| (name.to_string(), state.mirror.has_user(name.as_str())));
        let missing: Vec<(String, bool)> = policies.chain(users).collect();
        if missing.iter().any(|(_, is_there)| *is_there) {
            self.subjects.push(subject.clone(), Urgency::Normal, Duration::ZERO);
        }
        if !missing.is_empty() || report.is_stuck() || report.awaited_user.is_some() {
            self.subjects.push(subject.clone(), Urgency::Normal, self.settings.recheck);
        }
        for name in &report.missing_policies {
            state.mirror.unlearn_document(name);
        }
        for (name, _) in missing {
            state.waiting.entry(name).or_default().insert(subject.clone());
        }
    }

    /// Notes that the server has been seen to hold what it should for a subject, since the start. After the last one nothing
    /// can be in force any more that this process has not seen; answers the objects that waited for that.
    fn compare(&self, state: &mut State, subject: &Subject) -> BTreeSet<ObjectKey> {
        let Some(uncompared) = state.uncompared.as_mut() else { return BTreeSet::new() };
        uncompared.remove(subject);
        if !uncompared.is_empty() {
            return BTreeSet::new();
        }
        state.uncompared = None;
        self.lookout.compared.ring();
        tracing::info!("everything has been compared with the server");
        let mut waited = state.index.compared();
        waited.extend(state.index.undecodable().keys().cloned());
        waited
    }

    /// Queues the subjects that waited for a policy or an account of this name to exist, or for somebody to give it up.
    pub fn appeared(&self, state: &mut State, name: &str) {
        for subject in state.waiting.remove(name).into_iter().flatten() {
            self.subjects.push(subject, Urgency::Normal, Duration::ZERO);
        }
    }

    /// Queues the access key objects of a user: they may have waited for it, or its keys are confined in another way now.
    pub fn queue_keys(&self, state: &State, user: &UserName) {
        for declared in state.index.keys_of(user) {
            self.subjects.push(Subject::Key(KeyName::from(declared.key())), Urgency::Normal, Duration::ZERO);
        }
    }

    /// Queues everything that is declared, after a start.
    pub fn converge_all(&self) {
        let mut state = self.state();
        let subjects = state.index.subjects();
        large_change::begin_comparison(&mut state, &subjects);
        state.uncompared = Some(subjects.clone());
        drop(state);
        for subject in subjects {
            self.subjects.push(subject, Urgency::Normal, Duration::ZERO);
        }
    }

    /// Queues a report on every object, such as when MinIO goes away or comes back.
    pub fn report_all(&self) {
        let keys: Vec<ObjectKey> = self.state().seen.keys().cloned().collect();
        for key in keys {
            self.reports.push(key, Urgency::Normal, Duration::ZERO);
        }
    }

    /// The label that every document of this installation carries.
    pub fn mark(&self) -> String {
        format!("minio-manager:{}", self.settings.instance)
    }
}

impl Sink for Engine {
    fn upsert(&self, object: Decoded) {
        let mut state = self.state();
        let dirty = self.take_in(&mut state, object);
        self.spread(&state, dirty);
    }

    fn delete(&self, key: &ObjectKey) {
        let mut state = self.state();
        let dirty = self.drop_out(&mut state, key);
        self.spread(&state, dirty);
    }

    fn relist(&self, kind: Kind, namespace: &str, objects: Vec<Decoded>) {
        let listed: HashSet<ObjectKey> = objects.iter().map(|object| object.key.clone()).collect();
        let in_scope = |key: &&ObjectKey| key.kind == kind && key.namespace == namespace && !listed.contains(*key);
        let mut gone: Vec<ObjectKey> = self.state().seen.keys().filter(in_scope).cloned().collect();
        gone.extend(self.held().keys().filter(in_scope).cloned());
        // What a list changes is worked on once, however many of its objects concern a subject. The lock is free between two
        // objects, for a long list takes long.
        let mut dirty = Dirty::default();
        for object in objects {
            dirty.absorb(self.take_in(&mut self.state(), object));
        }
        for key in gone {
            dirty.absorb(self.drop_out(&mut self.state(), &key));
        }
        let mut state = self.state();
        state.crds.saw_list(kind, namespace);
        self.spread(&state, dirty);
    }
}

/// Whether a share or membership gives something through the subject.
fn acts_through(object: &Decoded, subject: &Subject, index: &Index) -> bool {
    let Event::Upsert(declared) = &object.event else { return false };
    match (&declared.body, subject) {
        (Ok(Body::Share(share)), Subject::Everyone) => share.everyone,
        (Ok(Body::Share(share)), Subject::User(user)) => share.grants.contains_key(&Target::User(user.clone())),
        (Ok(Body::Share(share)), Subject::Group(group)) => {
            let sides = [ServerGroup::from(group), index.config().layout.twin(group)];
            sides.into_iter().any(|side| share.grants.contains_key(&Target::Group(side)))
        }
        (Ok(Body::Membership(membership)), Subject::Group(group)) => membership.group == *group,
        _ => false,
    }
}

/// Whether a newer version of the object is held already: answers to our own writes overtake the watch.
fn is_stale(state: &State, object: &Decoded) -> bool {
    let version = |seen: &Seen| seen.version().and_then(|version| version.parse::<u64>().ok());
    state.seen.get(&object.key).is_some_and(|held| {
        held.uid() == object.seen.uid()
            && version(held).zip(version(&object.seen)).is_some_and(|(held, new)| new < held)
    })
}
