//! The steps against a model of the server and of the two Secrets: years of a key's life, with people and crashes in between.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::fixtures::{at, owner};
use super::super::secret::IssuedKey;
use super::super::{Recorded, fixtures};
use super::*;
use crate::minio::Credentials;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// As many as a real run may take.
const STEP_LIMIT: usize = 40;

/// What somebody does to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    AskForRotation,
    AskForRevocation,
    DeleteSecret,
    DeleteKey,
    ChangeIntervals(SignedDuration, SignedDuration),
}

/// What the controller does then; the times are in thousandths of the interval.
#[derive(Clone, Copy, Debug)]
enum Reaction {
    AtOnce,
    /// It is killed after so many steps and comes back.
    Crash(usize, i32),
    /// It is away and comes back.
    Absence(i32),
}

/// When something happens.
#[derive(Clone, Copy, Debug)]
enum When {
    /// So many thousandths of the interval after the last event.
    After(i32),
    /// When the controller would look anyway.
    AtNextVisit,
}

/// One user with its Secrets and its keys on the server.
struct World {
    owner: KeyOwner,
    now: Timestamp,
    /// The end of each of our keys.
    server: BTreeMap<String, Timestamp>,
    secret: Option<IssuedKey>,
    pending: Option<IssuedKey>,
    made: usize,
    next_visit: Timestamp,
    /// Until when the key in the Secret has to work, if the controller stays away from now on.
    works_until: Option<Timestamp>,
    /// The key before, and until when it has to work.
    former_until: Option<(String, Timestamp)>,
    /// What every Secret has in common.
    facts: SecretFacts,
    /// Whether nobody changed the intervals since the key in the Secret was made.
    as_issued: bool,
}

impl World {
    fn begin(uid: usize, interval: SignedDuration, overlap: SignedDuration) -> Self {
        let now = at("2026-01-01T00:00:00Z");
        let owner = KeyOwner { uid: format!("uid-{uid}"), interval, overlap, ..owner() };
        let mut world = Self {
            owner,
            now,
            server: BTreeMap::new(),
            secret: None,
            pending: None,
            made: 0,
            next_visit: now,
            works_until: None,
            former_until: None,
            facts: fixtures::facts(),
            as_issued: true,
        };
        world.visit(Action::Nothing);
        world
    }

    fn seen(&self, key: Option<&IssuedKey>) -> Seen {
        key.map_or(Seen::Absent, |key| {
            Seen::Ours(Arc::new(SecretFacts { key: Some(KeyFacts::from(key)), ..self.facts.clone() }))
        })
    }

    /// Takes steps until nothing is left to do, or as many as there are before a crash; whether it came to an end.
    fn run(&mut self, steps: usize) -> bool {
        let pending = if self.pending.is_some() { Seen::Unread } else { Seen::Absent };
        let mut situation = Situation {
            check: Check::Proven,
            secret: self.seen(self.secret.as_ref()),
            pending,
            progress: Progress::Unknown,
            server: KeyOnServer::Unchecked,
            first: self.owner.last.is_none() && self.secret.is_none() && self.pending.is_none(),
            read: false,
            trimmed: false,
            revoked: false,
            former: BTreeSet::new(),
        };
        let mut previous_ends = None;
        for _ in 0..steps {
            let step = next(&self.owner, &situation, self.now).expect("all Secrets are the user's");
            if step == Step::Finish {
                return true;
            }
            self.take(&step, &mut situation, &mut previous_ends);
            assert!(self.server.len() <= 2, "{:?} after {step:?}", self.server);
        }
        false
    }

    fn take(&mut self, step: &Step, situation: &mut Situation, previous_ends: &mut Option<Timestamp>) {
        let now = self.now;
        match step {
            Step::ReadSecrets => {
                situation.secret = self.seen(self.secret.as_ref());
                situation.pending = self.seen(self.pending.as_ref());
                situation.read = true;
            }
            Step::ProbeKey => {
                let works = self.secret.as_ref().is_some_and(|key| self.is_alive(id(key)));
                situation.server = if works { KeyOnServer::Works } else { KeyOnServer::Gone };
            }
            Step::TrimKeys => {
                let last = self.owner.last.as_ref().map(|last| last.access_key.as_str());
                let current = self.secret.as_ref().map(id).or(last).map(str::to_owned);
                // Ids are numbered, so that the last one is the latest.
                let kept = current.filter(|id| self.is_alive(id)).or(self.server.keys().next_back().cloned());
                self.server.retain(|id, _| Some(id) == kept.as_ref());
                *previous_ends = kept.map(|id| self.server[&id]);
                situation.trimmed = true;
            }
            Step::RevokeKeys => {
                let kept = self.secret.as_ref().filter(|key| !self.owner.is_revoked(&KeyFacts::from(*key)));
                let kept = kept.map(|key| id(key).to_owned());
                self.server.retain(|id, _| Some(id) == kept.as_ref());
                (situation.revoked, situation.trimmed) = (true, true);
            }
            Step::WritePending => {
                self.made += 1;
                self.pending = Some(IssuedKey {
                    credentials: Credentials::new(format!("KEY{:017}", self.made), "secret"),
                    issued_at: whole_seconds(now),
                    expires_at: expiration(&self.owner, now),
                    serves_until: expiration(&self.owner, now),
                    previous_expires_at: *previous_ends,
                    made_for: self.owner.wanted(),
                    ..fixtures::key()
                });
                situation.pending = self.seen(self.pending.as_ref());
                situation.progress = Progress::Missing;
            }
            Step::ProbePending => {
                let alive = self.pending.as_ref().is_some_and(|key| self.is_alive(id(key)));
                let state = if alive { KeyState::Works } else { KeyState::Unknown };
                situation.progress = situation.progress.after_probe(state).expect("what was created works");
            }
            Step::CreateKey => {
                let key = self.pending.as_ref().expect("a pair waits");
                assert!(
                    key.expires_at >= now + MINUTE * 15 && key.expires_at <= now + DAY * 365,
                    "the server takes it"
                );
                self.server.insert(id(key).to_owned(), key.expires_at);
                situation.progress = Progress::Created;
            }
            Step::WriteSecret => {
                let pair = self.pending.clone().expect("a pair waits");
                let former = self.secret.as_ref().map(KeyFacts::from);
                let ends = pair.previous_expires_at.filter(|_| !self.owner.owes_revocation());
                let key = IssuedKey {
                    previous_expires_at: ends.map(|end| end_of_previous(&self.owner, former.as_ref(), end, now)),
                    made_for: self.owner.wanted(),
                    ..pair
                };
                let serves_until = serves_until(&self.owner, &KeyFacts::from(&key));
                self.secret = Some(IssuedKey { serves_until, ..key });
                situation.secret = self.seen(self.secret.as_ref());
                (situation.server, situation.trimmed) = (KeyOnServer::Works, false);
            }
            Step::RewriteSecret => {
                let key = self.secret.as_mut().expect("it was read");
                key.previous_expires_at = key.previous_expires_at.filter(|end| *end > now);
                situation.secret = self.seen(self.secret.as_ref());
            }
            Step::RemovePending | Step::DiscardPending => {
                let pair = self.pending.take().expect("a pair waits");
                if *step == Step::DiscardPending {
                    self.server.remove(id(&pair));
                }
                (situation.pending, situation.progress) = (Seen::Absent, Progress::Unknown);
            }
            Step::RemoveFormer(_) | Step::Finish => unreachable!("the Secret never had another name"),
        }
    }

    fn is_alive(&self, id: &str) -> bool {
        self.server.contains_key(id)
    }

    /// Time passes without anybody doing anything. The server drops what has ended, and what was promised still works.
    fn pass(&mut self, to: Timestamp) {
        self.now = to;
        self.server.retain(|_, end| *end > to);
        if let Some(until) = self.works_until.filter(|until| to < *until) {
            let key = self.secret.as_ref().map(id).expect("nobody took the Secret away");
            assert!(self.is_alive(key), "the key in the Secret ended before {until}");
        }
        if let Some((former, until)) = self.former_until.as_ref().filter(|(_, until)| to < *until) {
            assert!(self.is_alive(former), "the key before ended before {until}");
        }
    }

    /// The controller looks, to the end; what it finds is the work of `action`.
    fn visit(&mut self, action: Action) {
        let before = self.secret.clone();
        let living: Vec<String> = self.server.keys().cloned().collect();
        assert!(self.run(STEP_LIMIT), "a run has no end");
        let key = self.secret.clone().expect("a user has a Secret");
        assert!(self.is_alive(id(&key)) && self.pending.is_none());
        let others = self.server.len() - 1;
        assert_eq!(others == 1, key.previous_expires_at.is_some_and(|end| end > self.now), "{:?} {key:?}", self.server);
        if action == Action::AskForRevocation {
            assert_eq!(others, 0, "a revocation ends every other key");
        }
        self.owner.handled = self.owner.handled_by_a_run().or(&self.owner.handled);
        self.owner.last =
            Some(Recorded { secret_name: self.owner.secret_name.clone(), access_key: id(&key).to_owned() });
        let is_new = before.as_ref().map(id) != Some(id(&key));
        if is_new {
            self.check_new_key(action, before.as_ref(), &key, &living);
            self.as_issued = !matches!(action, Action::ChangeIntervals(..)) || key.issued_at == whole_seconds(self.now);
        }
        self.promise(&key);
    }

    fn check_new_key(&mut self, action: Action, before: Option<&IssuedKey>, key: &IssuedKey, living: &[String]) {
        let Some(before) = before else {
            self.former_until = None;
            return;
        };
        if action == Action::Nothing
            && let Some((former, until)) = &self.former_until
        {
            assert!(key.issued_at >= *until, "{former} was to live until {until}, not {}", key.issued_at);
        }
        if action == Action::Nothing && self.as_issued {
            let (age, interval) = (key.issued_at.duration_since(before.issued_at), self.owner.interval);
            assert!(age >= interval - interval / 10, "replaced after {age} of {interval}");
        }
        let had_overlap = living.iter().any(|one| one == id(before)) && action != Action::AskForRevocation;
        let waited = whole_seconds(self.now).duration_since(key.issued_at);
        assert!(waited <= self.owner.interval / 10, "{waited} is too much of {}", self.owner.interval);
        let overlap_ends = before.expires_at.min(key.issued_at + self.owner.overlap);
        // A Secret that tells of none says that it is over.
        let told = key.previous_expires_at.unwrap_or(self.now);
        assert!(!had_overlap || told >= overlap_ends, "it tells {told}, the overlap ends at {overlap_ends}");
        self.former_until = had_overlap.then(|| (id(before).to_owned(), told));
    }

    fn promise(&mut self, key: &IssuedKey) {
        let due = next_rotation(&self.owner, &KeyFacts::from(key));
        let life = key.expires_at.duration_since(key.issued_at);
        let reserve = self.owner.overlap.min(life / 2);
        if self.as_issued {
            assert_eq!(reserve, self.owner.overlap, "a key lives for twice the overlap");
            // Where the making was interrupted, the one before counts from later than this one.
            let latest = key.previous_expires_at.unwrap_or(due).max(key.issued_at + self.owner.interval);
            let jitter = latest.duration_since(due);
            assert!(jitter >= SignedDuration::ZERO && jitter <= self.owner.interval / 10, "{jitter}");
        }
        assert!(due > self.now, "what was just done is not due again");
        assert!(due <= key.serves_until - reserve / 2, "the next one comes late: {due} of {}", key.serves_until);
        self.works_until = Some(key.serves_until.min(due + reserve));
        self.next_visit = key.previous_expires_at.filter(|end| *end > self.now).map_or(due, |end| end.min(due));
    }

    /// The controller is there and looks when it wants to.
    fn live(&mut self, until: Timestamp) {
        while self.next_visit < until {
            let visit = self.next_visit;
            self.pass(visit - SignedDuration::from_secs(1));
            self.pass(visit);
            self.visit(Action::Nothing);
            assert!(self.next_visit > visit, "time goes on");
        }
        self.pass(until);
    }

    fn thousandths(&self, count: i32) -> SignedDuration {
        whole(self.owner.interval * count / 1000)
    }

    fn happens(&mut self, when: When, action: Action, reaction: Reaction) {
        let until = match when {
            When::After(part) => self.now + self.thousandths(part),
            When::AtNextVisit => self.next_visit,
        };
        self.live(until);
        self.act(action);
        match reaction {
            Reaction::AtOnce => {}
            Reaction::Crash(steps, away) => {
                self.run(steps);
                if action != Action::Nothing {
                    (self.works_until, self.former_until) = (None, None);
                }
                self.pass(self.now + self.thousandths(away));
            }
            Reaction::Absence(away) => self.pass(self.now + self.thousandths(away)),
        }
        self.visit(action);
    }

    fn act(&mut self, action: Action) {
        let value = Some(self.made.to_string() + &self.now.to_string());
        match action {
            Action::Nothing => {}
            Action::AskForRotation => self.owner.requests.rotate = value,
            Action::AskForRevocation => self.owner.requests.revoke = value,
            Action::DeleteSecret => self.secret = None,
            Action::DeleteKey => {
                let key = self.secret.as_ref().map(id).expect("a user has a Secret").to_owned();
                self.server.remove(&key);
            }
            Action::ChangeIntervals(interval, overlap) => {
                (self.owner.interval, self.owner.overlap) = (interval, overlap);
                self.as_issued = false;
            }
        }
        if matches!(action, Action::DeleteSecret | Action::DeleteKey | Action::ChangeIntervals(..)) {
            self.works_until = None;
        }
    }
}

fn id(key: &IssuedKey) -> &str {
    &key.credentials.access_key
}

fn whole(duration: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(duration.as_secs())
}

/// An interval and an overlap as objects may have them.
fn intervals() -> impl Strategy<Value = (SignedDuration, SignedDuration)> {
    let interval =
        prop_oneof![Just(HOUR), Just(DAY), Just(DAY * 30), Just(DAY * 180), (60_i32..259_200).prop_map(|m| MINUTE * m)];
    let share = prop_oneof![Just(0), Just(1000), 0_i32..=1000];
    (interval, share).prop_map(|(interval, share)| (interval, whole(interval * share / 1000)))
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => Just(Action::Nothing),
        2 => Just(Action::AskForRotation),
        1 => Just(Action::AskForRevocation),
        1 => Just(Action::DeleteSecret),
        1 => Just(Action::DeleteKey),
        1 => intervals().prop_map(|(interval, overlap)| Action::ChangeIntervals(interval, overlap)),
    ]
}

fn reaction() -> impl Strategy<Value = Reaction> {
    prop_oneof![
        Just(Reaction::AtOnce),
        (0_usize..12, prop_oneof![0_i32..20, 0_i32..3_000]).prop_map(|(steps, away)| Reaction::Crash(steps, away)),
        (0_i32..3_000).prop_map(Reaction::Absence),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![(0_i32..4_000).prop_map(When::After), Just(When::AtNextVisit)]
}

proptest! {
    #[test]
    fn whatever_happens_there_are_two_keys_at_most_and_one_in_the_secret_that_works(
        (interval, overlap) in intervals(),
        events in proptest::collection::vec((when(), action(), reaction()), 1..40),
    ) {
        let mut world = World::begin(0, interval, overlap);
        for (when, action, reaction) in events {
            world.happens(when, action, reaction);
        }
        let end = world.now + world.owner.interval * 5;
        world.live(end);
    }
}

/// The key was made for a shorter overlap, so its turn could come while the one before still lives; there the controller is
/// killed.
#[test]
fn a_crash_finds_a_key_whose_overlap_became_longer() {
    let shorter = Action::ChangeIntervals(DAY * 180, SignedDuration::from_secs(12_783_744));
    let longer = Action::ChangeIntervals(DAY * 180, DAY * 180);
    let mut world = World::begin(0, HOUR, SignedDuration::ZERO);
    for (when, action, reaction) in [
        (When::After(461), shorter, Reaction::Crash(3, 101)),
        (When::After(0), Action::AskForRotation, Reaction::AtOnce),
        (When::After(511), Action::Nothing, Reaction::AtOnce),
        (When::After(1_435), Action::Nothing, Reaction::Absence(391)),
        (When::After(2_418), Action::AskForRotation, Reaction::Crash(3, 101)),
        (When::After(0), Action::AskForRotation, Reaction::AtOnce),
        (When::After(707), Action::Nothing, Reaction::AtOnce),
        (When::After(196), Action::Nothing, Reaction::Crash(0, 817)),
        (When::After(1_134), longer, Reaction::AtOnce),
        (When::AtNextVisit, Action::Nothing, Reaction::Crash(2, 0)),
    ] {
        world.happens(when, action, reaction);
    }
}

#[test]
fn a_year_of_hours_is_a_year_without_a_gap() {
    for overlap in [SignedDuration::ZERO, MINUTE * 30, HOUR] {
        let mut world = World::begin(0, HOUR, overlap);
        let began = world.now;
        world.live(began + DAY * 365);
        assert!((365 * 24..=365 * 24 * 10 / 9).contains(&world.made), "{} keys", world.made);
    }
}

/// Their keys were all made in one second.
#[test]
fn users_who_came_together_are_never_renewed_together_again() {
    const USERS: usize = 600;
    for (interval, overlap) in [(DAY, HOUR), (DAY, DAY), (DAY * 180, DAY * 180)] {
        let mut worlds: Vec<World> = (0..USERS).map(|number| World::begin(number, interval, overlap)).collect();
        for round in 1..=8 {
            let mut times = Vec::new();
            for world in &mut worlds {
                while world.made <= round {
                    let next = world.next_visit;
                    world.live(next + SignedDuration::from_secs(1));
                }
                times.push(world.secret.as_ref().map(|key| key.issued_at).expect("a user has a Secret"));
            }
            times.sort();
            let most = times
                .iter()
                .map(|from| times.iter().filter(|time| (*from..*from + interval / 100).contains(time)).count());
            let most = most.max().unwrap_or_default();
            // A tenth of them, about: the jitter is a tenth of the interval.
            assert!(most < USERS * 3 / 20, "{most} within a hundredth of {interval} in round {round}");
        }
    }
}
