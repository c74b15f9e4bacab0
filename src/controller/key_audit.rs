//! Looks at every key again, one after the other: does the server still take it, and are there keys that nobody issued?
//!
//! A look costs one MinIO read for each key, and one for some hundred users together. So looks
//! are spread over the interval, and many users are looked at in a rolling way: foreign changes of keys are told of by the
//! stream, and looked for only as fast as needs be. To list the keys of one user, the server goes through those of all: with
//! ten times the users it costs a hundred times as much, so lists are taken as often as leaves the server its time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use crate::config::ForeignKeys;
use crate::iam::declared::{Body, Meta};
use crate::iam::desired::{Desired, DesiredKey, Fate};
use crate::iam::names::UserName;
use crate::iam::subject::{KeyName, Kind, Subject};

use super::duty::Phase;
use super::engine::Engine;
use super::keys;
use super::lookout::Stream;
use super::outcome::{Failure, Retry};
use super::state::State;

/// The keys of so many are looked at within an audit interval, of more within the full one.
const FEW: usize = 1_000;

/// How many keys are looked at in a second at most where nothing but these looks tells of foreign changes, unless the full
/// interval asks for more.
const LOOKS_WITHOUT_STREAM: u32 = 20;

/// An interval is cut into so many steps.
const STEPS: u32 = 20;

/// The keys of so many users are asked for at once, because to open an answer costs more than what is in it. With names of usual
/// length they go into one request.
const LISTED_AT_ONCE: usize = 400;

/// The share of all time that lists may take while the stream tells when somebody makes or changes a key. People notice each
/// of them: the server takes 64 MiB to seal its answer, and collects garbage after it.
const LISTING: f64 = 0.002;

/// So many looks are taken in a row: what wakes the process for one does it for all of them. Few, and one after the other,
/// because those who work on the server notice long rows, and several looks at once.
const LOOKS_IN_A_ROW: usize = 5;

/// How many rows are under way at once, where they take longer than what lies between them.
const ROWS_AT_ONCE: usize = 8;

/// How much of an interval lies between two looks at a user; the rest is for what comes late: a step, and its spreading.
const BETWEEN_LOOKS: f64 = 0.9;

/// Looks at the keys of all objects again and again, for ever.
pub async fn keep(engine: Arc<Engine>) {
    if engine.settings.observe {
        return std::future::pending().await;
    }
    let (mut lists, mut proofs) = (Schedule::new(LISTED_AT_ONCE), Schedule::new(1));
    let mut list_takes = Duration::ZERO;
    loop {
        engine.duty.reaches(Phase::Converging).await;
        engine.health.wait_up().await;
        let holders = take_stock(&mut engine.state());
        let (audit, full_audit) = (engine.settings.recheck, engine.settings.full_audit_interval);
        let stream = engine.lookout.stream();
        let interval = interval(audit, full_audit, &stream, holders.len());
        let (step, now) = (interval / STEPS, Instant::now());
        if engine.state().foreign_keys.take_expected() {
            lists.hasten(now, interval);
        }
        if engine.state().foreign_keys.take_outdated() {
            lists.hasten(now, Duration::ZERO);
        }
        let until_listed = listing_interval(interval, &stream, holders.len(), list_takes);
        for some in lists.due(&holders, now, until_listed).chunks(LISTED_AT_ONCE) {
            let began = Instant::now();
            compare_ids(&engine, some).await;
            list_takes = began.elapsed() / some.len() as u32;
            lists.looked_at(some, now, until_listed);
        }
        let due = proofs.due(&holders, now, interval);
        proofs.looked_at(&due, now, interval);
        look(&engine, &due, &holders, step).await;
        tokio::select! {
            () = sleep_until(now + step) => {}
            () = engine.health.wait_down() => {}
        }
    }
}

/// Who has keys, with the uids of the objects.
type Holders = BTreeMap<Subject, Arc<str>>;

fn take_stock(state: &mut State) -> Holders {
    let holders: Holders = users(state).chain(workloads(state)).collect();
    state.foreign_keys.keep_to(&holders.keys().filter_map(user_of).collect());
    holders
}

/// The users that are looked after.
fn users(state: &State) -> impl Iterator<Item = (Subject, Arc<str>)> {
    let named = state.index.objects_of(Kind::MinioUser).filter_map(|declared| match &declared.body {
        Ok(Body::User(user)) => Some((&user.name, &declared.meta)),
        _ => None,
    });
    let holds = |(name, meta): &(&UserName, &Meta)| {
        let holder = state.index.user(name);
        meta.origin.is_some() && holder.is_some_and(|holder| holder.meta.key == meta.key)
    };
    let looked_after = named.filter(holds).filter(|(_, meta)| is_looked_after(state, meta));
    looked_after.map(|(name, meta)| (Subject::User(name.clone()), meta.uid.clone()))
}

/// The workloads with a key.
fn workloads(state: &State) -> impl Iterator<Item = (Subject, Arc<str>)> {
    let has_key = |meta: &Meta| state.seen.get(&meta.key).is_some_and(|seen| seen.status.has_key());
    let objects = state.index.objects_of(Kind::MinioAccessKey).map(|declared| &declared.meta);
    let looked_after = objects.filter(move |meta| is_looked_after(state, meta) && has_key(meta));
    looked_after.map(|meta| (Subject::Key(KeyName::from(&meta.key)), meta.uid.clone()))
}

/// For whom nothing is done at present, nothing is looked at either.
fn is_looked_after(state: &State, meta: &Meta) -> bool {
    let is_stalled = || state.seen.get(&meta.key).is_some_and(|seen| seen.status.is_stalled());
    meta.finalizer && meta.deleting.is_none() && !meta.paused && !is_stalled()
}

fn user_of(holder: &Subject) -> Option<&UserName> {
    match holder {
        Subject::User(user) => Some(user),
        _ => None,
    }
}

/// Within which time everybody is looked at.
fn interval(audit: Duration, full_audit: Duration, stream: &Stream, holders: usize) -> Duration {
    let full = full_audit.max(audit);
    match stream {
        _ if holders <= FEW => audit,
        Stream::Open => full,
        Stream::Away | Stream::Refused(_) => {
            let seconds = holders as f64 / f64::from(LOOKS_WITHOUT_STREAM);
            Duration::from_secs(1).mul_f64(seconds).clamp(audit, full)
        }
    }
}

/// Within which time the keys of everybody are listed, where to list those of one user takes so long.
fn listing_interval(interval: Duration, stream: &Stream, holders: usize, takes: Duration) -> Duration {
    match stream {
        Stream::Open if holders > FEW => interval.max(takes.mul_f64(holders as f64 / LISTING)),
        Stream::Open | Stream::Away | Stream::Refused(_) => interval,
    }
}

/// Who is to be looked at when.
#[derive(Debug)]
struct Schedule {
    /// So many are looked at together.
    batch: usize,
    due: BTreeMap<Subject, Instant>,
}

impl Schedule {
    fn new(batch: usize) -> Self {
        Self { batch, due: BTreeMap::new() }
    }

    /// Who is due, and whose turn comes next so far as another batch is not full. Within the interval there are as
    /// many moments as batches; whoever is new is given one of them at random, so that those who come together are looked at
    /// apart, and who joins others brings no batch of its own.
    fn due(&mut self, holders: &Holders, now: Instant, interval: Duration) -> Vec<Subject> {
        self.due.retain(|holder, _| holders.contains_key(holder));
        let moments = holders.len().div_ceil(self.batch);
        let first = || {
            let place = rand::random_range(1..=moments) as f64 / moments as f64;
            now + interval.mul_f64(BETWEEN_LOOKS * place)
        };
        for holder in holders.keys() {
            self.due.entry(holder.clone()).or_insert_with(first);
        }
        self.hasten(now, interval);
        let mut turns: Vec<(&Instant, &Subject)> = self.due.iter().map(|(holder, due)| (due, holder)).collect();
        turns.sort_unstable();
        let due = turns.iter().take_while(|(due, _)| **due <= now).count();
        turns.into_iter().take(due.next_multiple_of(self.batch)).map(|(_, holder)| holder.clone()).collect()
    }

    /// Everybody's turn comes within `interval`, in the same order.
    fn hasten(&mut self, now: Instant, interval: Duration) {
        let longest = self.due.values().max().map_or(Duration::ZERO, |last| last.duration_since(now));
        if longest > interval {
            let faster = interval.as_secs_f64() / longest.as_secs_f64();
            self.due.values_mut().for_each(|due| *due = now + due.duration_since(now).mul_f64(faster));
        }
    }

    /// Each batch takes its next turn at the end, as far behind the one before as evenly spread batches lie apart: a round
    /// that was shorter, or came all at once, spreads again.
    fn looked_at(&mut self, holders: &[Subject], now: Instant, interval: Duration) {
        let moments = self.due.len().div_ceil(self.batch).max(1);
        let between = interval.mul_f64(BETWEEN_LOOKS);
        for holder in holders {
            self.due.remove(holder);
        }
        let mut last = self.due.values().max().copied().unwrap_or(now).max(now);
        for some in holders.chunks(self.batch) {
            last = (last + between.div_f64(moments as f64)).min(now + between);
            self.due.extend(some.iter().map(|holder| (holder.clone(), last)));
        }
    }
}

/// Notes whose keys must be listed by name, as their ids are not all known.
async fn compare_ids(engine: &Engine, holders: &[Subject]) {
    let users: Vec<&UserName> = holders.iter().filter_map(user_of).collect();
    let names: BTreeSet<String> = users.iter().map(ToString::to_string).collect();
    let mut listed = match engine.server.client.list_access_keys_bulk(&names).await {
        Ok(listed) => listed,
        Err(error) => return list_one_by_one(engine, &users, Failure::from(error)),
    };
    let mut recorded = engine.secrets.keys_of_users(&names);
    let now = Timestamp::now();
    let mut state = engine.state();
    for user in users {
        let keys = listed.remove(user.as_str()).unwrap_or_default().into_iter();
        let living = keys.filter(|key| key.expiration.is_none_or(|end| end > now)).map(|key| key.access_key).collect();
        let recorded = recorded.remove(user.as_str()).unwrap_or_default();
        state.foreign_keys.compare(user, &living, &recorded);
        // What could not be deleted yet is tried again.
        if engine.settings.foreign_keys == ForeignKeys::Prune && state.foreign_keys.has_foreign(user) {
            state.foreign_keys.ask(user);
        }
        if state.foreign_keys.is_asked(user) {
            engine.subjects.push_idle(Subject::User(user.clone()), Duration::ZERO);
        }
    }
}

/// A server that does not tell of many users at once is asked for each of them, when it is their turn.
fn list_one_by_one(engine: &Engine, users: &[&UserName], failure: Failure) {
    if failure.retry == Retry::WhenUp {
        engine.health.is_down(failure.message);
        return;
    }
    tracing::debug!(message = failure.message, "the keys of many users cannot be listed at once");
    let mut state = engine.state();
    for user in users {
        state.foreign_keys.ask(user);
    }
}

/// Looks at the keys of these holders, in rows that are spread over `time`.
async fn look(engine: &Engine, some: &[Subject], holders: &Holders, time: Duration) {
    let rows = some.chunks(LOOKS_IN_A_ROW);
    let (started, share) = (Instant::now(), time / u32::try_from(rows.len().max(1)).unwrap_or(u32::MAX));
    stream::iter((0..).zip(rows))
        .for_each_concurrent(ROWS_AT_ONCE, |(place, row)| async move {
            sleep_until(started + share * place).await;
            for holder in row {
                if !is_in_order(engine, holder).await {
                    have_proven(engine, holder.clone(), holders);
                }
            }
        })
        .await;
}

/// Whether a run would find nothing to do. Where that cannot be told, one shall find out.
async fn is_in_order(engine: &Engine, holder: &Subject) -> bool {
    let (owner, desired) = {
        let state = engine.state();
        let is_asked = user_of(holder).is_some_and(|user| state.foreign_keys.is_asked(user));
        let Some(owner) = state.index.object_of(holder).filter(|_| !is_asked) else { return false };
        let desired = matches!(holder, Subject::Key(_)).then(|| state.index.desired(holder, Timestamp::now()));
        (owner.clone(), desired)
    };
    let scope = match &desired {
        None => None,
        Some(Desired::Key(DesiredKey { fate: Fate::Present, user: Some(_), scope, .. })) => scope.as_ref(),
        Some(_) => return false,
    };
    keys::are_in_order(engine, &owner, scope).await.unwrap_or(false)
}

/// Has the keys of a holder proven in a run.
fn have_proven(engine: &Engine, holder: Subject, holders: &Holders) {
    if let Some(uid) = holders.get(&holder) {
        engine.state().proven.remove(uid);
    }
    engine.subjects.push_idle(holder, Duration::ZERO);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const FULL: Duration = Duration::from_secs(600);

    fn holders(count: usize) -> Holders {
        let name = |number| Subject::User(UserName::parse(&format!("user{number}")).unwrap());
        (0..count).map(|number| (name(number), number.to_string().into())).collect()
    }

    #[test]
    fn a_thousand_are_looked_at_within_an_audit_and_everybody_within_a_full_one() {
        let at = |stream, counts: [usize; 5]| counts.map(|count| interval(MINUTE, FULL, &stream, count));
        assert_eq!(at(Stream::Open, [0, 1_000, 1_001, 6_000, 100_000]), [MINUTE, MINUTE, FULL, FULL, FULL]);
        let without = [MINUTE, MINUTE, FULL / 2, FULL, FULL];
        assert_eq!(at(Stream::Away, [0, 1_000, 6_000, 12_000, 100_000]), without, "nothing else tells");
        assert_eq!(interval(MINUTE, MINUTE / 2, &Stream::Open, 2_000), MINUTE, "the full one is never shorter");
    }

    #[test]
    fn lists_leave_the_server_its_time_while_the_stream_tells() {
        let takes = Duration::from_millis(1);
        let at = |stream, count| listing_interval(FULL, &stream, count, takes);
        assert_eq!([at(Stream::Open, 1_001), at(Stream::Open, 12_000)], [FULL, FULL * 10]);
        assert_eq!([at(Stream::Away, 12_000), at(Stream::Refused(String::new()), 12_000)], [FULL, FULL]);
        assert_eq!(listing_interval(FULL, &Stream::Open, 100_000, Duration::ZERO), FULL, "before the first one");
        assert_eq!(listing_interval(MINUTE, &Stream::Open, FEW, takes), MINUTE, "of few it costs little");
    }

    /// Runs a schedule for some intervals, step by step, and says when each user was looked at.
    fn looks(count: usize, interval: Duration, rounds: u32) -> BTreeMap<Subject, Vec<Duration>> {
        let (mut schedule, everybody, start) = (Schedule::new(1), holders(count), Instant::now());
        let mut looks: BTreeMap<Subject, Vec<Duration>> = BTreeMap::new();
        for step in 0..=rounds * STEPS {
            let now = start + interval / STEPS * step;
            let due = schedule.due(&everybody, now, interval);
            assert!(due.len() <= count / 3, "{} of {count} at once", due.len());
            schedule.looked_at(&due, now, interval);
            for (place, holder) in due.iter().enumerate() {
                // They are looked at within the step, in any order.
                let late = if place % 2 == 0 { interval / STEPS } else { Duration::ZERO };
                looks.entry(holder.clone()).or_default().push(now + late - start);
            }
        }
        looks
    }

    #[test]
    fn everybody_is_looked_at_within_every_interval_and_not_all_at_once() {
        let looks = looks(500, MINUTE, 6);
        assert_eq!(looks.len(), 500);
        for (holder, times) in looks {
            let gaps = times.windows(2).map(|pair| pair[1] - pair[0]).chain([times[0]]);
            assert!(gaps.max().unwrap() <= MINUTE, "{holder}: {times:?}");
            assert!(times.len() <= 8, "{holder} is looked at too often: {times:?}");
        }
    }

    #[test]
    fn those_who_are_due_together_with_others_fill_a_batch() {
        let (mut schedule, everybody, start) = (Schedule::new(400), holders(950), Instant::now());
        let mut batches = Vec::new();
        for step in 0..STEPS * 2 {
            let now = start + MINUTE / STEPS * step;
            let due = schedule.due(&everybody, now, MINUTE);
            schedule.looked_at(&due, now, MINUTE);
            if !due.is_empty() {
                batches.push(due.len());
            }
        }
        assert!(batches.iter().all(|size| *size == 400 || *size == 800 || *size == 950), "{batches:?}");
        assert!((3..=8).contains(&batches.len()), "{batches:?}");
    }

    #[test]
    fn a_longer_interval_spreads_the_batches_again() {
        let (mut schedule, everybody, start) = (Schedule::new(10), holders(100), Instant::now());
        let mut batches = Vec::new();
        for step in 0..STEPS * 20 {
            let now = start + FULL / STEPS * step;
            let interval = if step < STEPS / 2 { FULL } else { FULL * 5 };
            for some in schedule.due(&everybody, now, interval).chunks(10) {
                batches.push(now - start);
                schedule.looked_at(some, now, interval);
            }
        }
        let (first, later): (Vec<Duration>, Vec<Duration>) = batches.iter().partition(|at| **at < FULL * 2);
        assert!(first.len() >= 10, "not everybody was looked at within the short interval: {first:?}");
        let gaps: Vec<Duration> = later.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (FULL / 3..FULL / 2).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn who_joins_others_is_looked_at_with_them() {
        let (mut schedule, start, rounds) = (Schedule::new(400), Instant::now(), 10);
        let mut batches = 0;
        for step in 0..STEPS * rounds {
            let now = start + MINUTE / STEPS * step;
            let due = schedule.due(&holders(100 + step as usize), now, MINUTE);
            schedule.looked_at(&due, now, MINUTE);
            batches += usize::from(!due.is_empty());
        }
        assert!((9..=11).contains(&batches), "{batches} in {rounds} intervals, although one holds all of them");
    }

    #[test]
    fn who_goes_is_forgotten_and_a_shorter_interval_counts_at_once() {
        let mut schedule = Schedule::new(1);
        let now = Instant::now();
        let _ = schedule.due(&holders(10), now, FULL);
        let _ = schedule.due(&holders(1), now, MINUTE);
        assert_eq!(schedule.due.len(), 1);
        assert!(schedule.due.values().all(|due| *due <= now + MINUTE));
        schedule.hasten(now, Duration::ZERO);
        assert!(schedule.due.values().all(|due| *due == now));
    }

    #[test]
    fn who_is_looked_at_sooner_keeps_the_order_and_the_distances() {
        let (mut schedule, now) = (Schedule::new(1), Instant::now());
        let _ = schedule.due(&holders(300), now, FULL);
        let before = schedule.due.clone();
        schedule.hasten(now, MINUTE);
        let longest = before.values().max().unwrap().duration_since(now).as_secs_f64();
        for (holder, due) in &schedule.due {
            let share = before[holder].duration_since(now).as_secs_f64() / longest;
            let off = due.duration_since(now).as_secs_f64() - share * MINUTE.as_secs_f64();
            assert!(off.abs() < 0.001, "{holder} by {off} s");
        }
        let hastened = schedule.due.clone();
        schedule.hasten(now, FULL);
        assert_eq!(schedule.due, hastened, "nobody is put off");
    }
}
