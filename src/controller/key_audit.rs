//! Looks at every key again, one after the other: does the server still take it, and are there keys that nobody issued?
//!
//! A look costs one Kubernetes and one MinIO read for each key, and one MinIO read for a hundred users together. So looks are
//! spread over the interval, and many users are looked at in a rolling way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::ForeignKeys;
use crate::iam::declared::{Body, Declared};
use crate::iam::names::UserName;
use crate::iam::subject::{Kind, Subject};

use super::engine::{Engine, State};
use super::outcome::{Failure, Retry};
use super::queue::Urgency;
use super::status;

/// How many users are looked at in a second at most, unless the full interval asks for more: 1,000 in less than a minute.
const LOOKS_PER_SECOND: u32 = 20;

/// An interval is cut into so many steps.
const STEPS: u32 = 10;

/// Of how many users the keys are asked for in one request.
const USERS_PER_REQUEST: usize = 100;

/// How much of an interval lies between two looks at a user; the rest is for what comes late: a step, and its spreading.
const BETWEEN_LOOKS: f64 = 0.8;

/// Looks at the keys of all managed users again and again, for ever.
pub async fn keep(engine: Arc<Engine>) {
    if engine.settings.observe {
        return std::future::pending().await;
    }
    let mut schedule = Schedule::default();
    loop {
        engine.health.wait_up().await;
        let users = take_stock(&mut engine.state());
        let interval = interval(engine.settings.recheck, engine.settings.full_audit_interval, users.len());
        let (step, now) = (interval / STEPS, Instant::now());
        let due = schedule.due(&users, now, interval);
        for some in due.chunks(USERS_PER_REQUEST) {
            let share = step.mul_f64(some.len() as f64 / due.len() as f64);
            compare_ids(&engine, some).await;
            ask_again(&engine, some, &users, share);
            schedule.looked_at(some, Instant::now(), interval);
            sleep(share).await;
        }
        sleep_until(now + step).await;
    }
}

fn take_stock(state: &mut State) -> BTreeMap<UserName, String> {
    let users = managed(state);
    state.foreign_keys.keep_to(&users);
    users
}

/// The users that are looked after, with the uids of their objects.
fn managed(state: &State) -> BTreeMap<UserName, String> {
    let users = state.index.objects_of(Kind::MinioUser).filter(|declared| is_looked_after(state, declared));
    let named = users.filter_map(|declared| match &declared.body {
        Ok(Body::User(user)) => Some((user.name.clone(), declared)),
        _ => None,
    });
    let holds = |(name, declared): &(UserName, &Declared)| {
        state.index.user(name).is_some_and(|holder| holder.meta.key == declared.meta.key)
    };
    named.filter(holds).map(|(name, declared)| (name, declared.meta.uid.clone())).collect()
}

/// For whom nothing is done at present, nothing is looked at either.
fn is_looked_after(state: &State, declared: &Declared) -> bool {
    let meta = &declared.meta;
    let is_stalled = || state.seen.get(&meta.key).is_some_and(|seen| status::is_stalled(&seen.status));
    meta.origin.is_some() && meta.finalizer && meta.deleting.is_none() && !meta.paused && !is_stalled()
}

/// Within which time everybody is looked at.
fn interval(audit: Duration, full_audit: Duration, users: usize) -> Duration {
    let unhurried = Duration::from_secs(1).saturating_mul(u32::try_from(users).unwrap_or(u32::MAX)) / LOOKS_PER_SECOND;
    unhurried.clamp(audit, full_audit.max(audit))
}

/// Who is to be looked at when.
#[derive(Debug, Default)]
struct Schedule {
    due: BTreeMap<UserName, Instant>,
}

impl Schedule {
    /// Who is due. Whoever is new is given a moment within the interval at random, so that those who come together are looked
    /// at apart.
    fn due(&mut self, users: &BTreeMap<UserName, String>, now: Instant, interval: Duration) -> Vec<UserName> {
        self.due.retain(|user, _| users.contains_key(user));
        for user in users.keys() {
            let due = self
                .due
                .entry(user.clone())
                .or_insert_with(|| now + interval.mul_f64(BETWEEN_LOOKS * rand::random_range(0.0..1.0)));
            *due = (*due).min(now + interval);
        }
        self.due.iter().filter(|(_, due)| **due <= now).map(|(user, _)| user.clone()).collect()
    }

    fn looked_at(&mut self, users: &[UserName], now: Instant, interval: Duration) {
        for user in users {
            self.due.insert(user.clone(), now + interval.mul_f64(BETWEEN_LOOKS));
        }
    }
}

/// Notes whose keys must be listed by name, as their ids are not all known.
async fn compare_ids(engine: &Engine, users: &[UserName]) {
    let names: BTreeSet<String> = users.iter().map(ToString::to_string).collect();
    let mut listed = match engine.server.client.list_access_keys_bulk(&names).await {
        Ok(listed) => listed,
        Err(error) => return list_one_by_one(engine, users, Failure::from(error)),
    };
    let mut recorded = engine.secrets.keys_by_user();
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
    }
}

/// A server that does not tell of many users at once is asked for each of them.
fn list_one_by_one(engine: &Engine, users: &[UserName], failure: Failure) {
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

/// Has the keys of these users proven once more, one after the other within `time`.
fn ask_again(engine: &Engine, some: &[UserName], users: &BTreeMap<UserName, String>, time: Duration) {
    let mut state = engine.state();
    for (place, user) in some.iter().enumerate() {
        if let Some(uid) = users.get(user) {
            state.proven.remove(uid);
        }
        let delay = time.mul_f64(place as f64 / some.len() as f64);
        engine.subjects.push(Subject::User(user.clone()), Urgency::Normal, delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const FULL: Duration = Duration::from_secs(600);

    fn users(count: usize) -> BTreeMap<UserName, String> {
        let name = |number| UserName::parse(&format!("user{number}")).unwrap();
        (0..count).map(|number| (name(number), number.to_string())).collect()
    }

    #[test]
    fn a_thousand_are_looked_at_within_an_audit_and_everybody_within_a_full_one() {
        for (count, expected) in [(0, MINUTE), (1_000, MINUTE), (6_000, FULL / 2), (12_000, FULL), (100_000, FULL)] {
            assert_eq!(interval(MINUTE, FULL, count), expected, "{count}");
        }
    }

    /// Runs a schedule for some intervals, step by step, and says when each user was looked at.
    fn looks(count: usize, interval: Duration, rounds: u32) -> BTreeMap<UserName, Vec<Duration>> {
        let (mut schedule, everybody, start) = (Schedule::default(), users(count), Instant::now());
        let mut looks: BTreeMap<UserName, Vec<Duration>> = BTreeMap::new();
        for step in 0..=rounds * STEPS {
            let now = start + interval / STEPS * step;
            let due = schedule.due(&everybody, now, interval);
            assert!(due.len() <= count / 3, "{} of {count} at once", due.len());
            // The last of a step is looked at when the step is nearly over.
            let end = now + interval / STEPS;
            schedule.looked_at(&due, end, interval);
            for user in due {
                looks.entry(user).or_default().push(end - start);
            }
        }
        looks
    }

    #[test]
    fn everybody_is_looked_at_within_every_interval_and_not_all_at_once() {
        let looks = looks(500, MINUTE, 6);
        assert_eq!(looks.len(), 500);
        for (user, times) in looks {
            let gaps = times.windows(2).map(|pair| pair[1] - pair[0]).chain([times[0]]);
            assert!(gaps.max().unwrap() <= MINUTE, "{user}: {times:?}");
            assert!(times.len() <= 8, "{user} is looked at too often: {times:?}");
        }
    }

    #[test]
    fn who_goes_is_forgotten_and_a_shorter_interval_counts_at_once() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        let _ = schedule.due(&users(10), now, FULL);
        let _ = schedule.due(&users(1), now, MINUTE);
        assert_eq!(schedule.due.len(), 1);
        assert!(schedule.due.values().all(|due| *due <= now + MINUTE));
    }
}
