//! Compares what is known of the server with what it says: all users and attachments together, documents and groups in turn.
//!
//! Two requests tell of all users, their status, attachments and memberships, and of the attachments of groups; they block
//! nobody. Documents, the status of groups and empty groups are only told by name, a fraction of a millisecond each: these are
//! read one after the other, all of them within an interval.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::meta::reason;
use crate::iam::subject::Subject;
use crate::iam::unmanaged::Managed;
use crate::telemetry::metrics::UnmanagedKind;

use super::drift::{self, AT_ONCE, Audited};
use super::duty::Phase;
use super::engine::Engine;
use super::listing::Listing;
use super::lookout::Stream;
use super::mirror::{Mirror, Need};
use super::outcome::{Failure, Retry, backoff};
use super::server::Fact;
use super::state::State;
use super::wipe;

/// The time between two audits at least, however many foreign changes there are.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// So many names are read at most in a second, where they are read in a hurry: a quarter of what costs the server one core.
const HURRIED_READS: u32 = 1_000;

/// The same where nothing but these reads tells of foreign changes.
const READS_WITHOUT_STREAM: u32 = 200;

/// So many names are read in a row: more of them would save the processor something, and those who work on the server notice
/// longer ones.
const READS_IN_A_ROW: usize = 5;

/// The time between two rounds at least.
const SHORTEST_ROUND: Duration = Duration::from_millis(500);

/// How much of an interval a round takes; the rest is for what comes late.
const ROUND: f64 = 0.9;

/// The same where nothing but these reads tells of foreign changes: also what came just after its turn has its next one within
/// the interval.
const ROUND_WITHOUT_STREAM: f64 = 0.5;

/// Compares all users and attachments again and again, for ever.
pub async fn keep(engine: Arc<Engine>) {
    let mut last = Instant::now();
    let mut failures = 0;
    loop {
        engine.duty.reaches(Phase::Converging).await;
        engine.lookout.audits.due(last + SHORTEST_PAUSE, last + engine.settings.recheck).await;
        engine.duty.reaches(Phase::Converging).await;
        engine.health.wait_up().await;
        last = Instant::now();
        match audit(&engine).await {
            Ok(()) => {
                failures = 0;
                engine.metrics.audited(last.elapsed());
            }
            Err(failure) => {
                failures += 1;
                fail(&engine, failure);
                sleep(backoff(failures)).await;
                engine.lookout.audits.ring();
            }
        }
    }
}

fn fail(engine: &Engine, failure: Failure) {
    if failure.retry != Retry::WhenUp {
        tracing::warn!(message = failure.message, "MinIO cannot be compared with the objects; it is tried again");
    } else if engine.health.is_down(failure.message.clone()) {
        tracing::warn!(problem = failure.message, "MinIO cannot be compared with the objects before it answers");
    }
}

async fn audit(engine: &Engine) -> Result<(), Failure> {
    let (users, entities) = wipe::list_users_and_entities(engine).await?;
    let listing = Listing::new(users, &entities);
    let known = engine.state().mirror.known_holders();
    // What we have written since the server was asked may look like drift; it is read again, and that is all.
    for some in known.chunks(AT_ONCE) {
        let differing: BTreeSet<Need> = {
            let state = engine.state();
            some.iter().filter(|name| listing.differs(&state.mirror, name)).cloned().collect()
        };
        notice(engine, &differing);
    }
    let audited = count_unmanaged(engine, &listing);
    for (kind, count) in [
        (UnmanagedKind::Users, audited.users),
        (UnmanagedKind::Groups, audited.groups),
        (UnmanagedKind::Policies, audited.policies),
    ] {
        engine.metrics.set_unmanaged(kind, count as u64);
    }
    engine.state().drift.audited = Some(audited);
    Ok(())
}

fn notice(engine: &Engine, differing: &BTreeSet<Need>) {
    if !differing.is_empty() {
        tracing::debug!(names = differing.len(), "MinIO says something else than it did");
        drift::notice(engine, differing);
    }
}

fn count_unmanaged(engine: &Engine, listing: &Listing) -> Audited {
    let refused = refused(&engine.state());
    let users: Vec<&String> = listing.users().collect();
    let groups: Vec<&String> = listing.groups().collect();
    let policies: Vec<_> = listing.policies().collect();
    Audited {
        at: Timestamp::now(),
        users: count(engine, &refused, &users, |managed, name| !managed.user(name)),
        groups: count(engine, &refused, &groups, |managed, name| !managed.group(name)),
        policies: count(engine, &refused, &policies, |managed, name| !managed.policy(name)),
    }
}

/// Subjects whose name belongs to somebody else.
fn refused(state: &State) -> BTreeSet<Subject> {
    let failures =
        state.outcomes.iter().filter_map(|(subject, outcome)| Some((subject, outcome.result.as_ref().err()?)));
    let refused = failures.filter(|(_, failure)| failure.reason == reason::ALREADY_EXISTS);
    refused.map(|(subject, _)| subject.clone()).collect()
}

/// Counts in steps, so that nobody waits long for the lock.
fn count<T>(
    engine: &Engine,
    refused: &BTreeSet<Subject>,
    names: &[&T],
    counts: impl Fn(&Managed<'_>, &T) -> bool,
) -> usize {
    let some = |names: &[&T]| {
        let state = engine.state();
        let managed = Managed::new(&state.index, refused);
        names.iter().filter(|name| counts(&managed, name)).count()
    };
    names.chunks(AT_ONCE).map(some).sum()
}

/// Reads documents and groups again and again, one after the other, for ever.
pub async fn sweep(engine: Arc<Engine>) {
    let mut stream = engine.lookout.stream.subscribe();
    loop {
        engine.duty.reaches(Phase::Converging).await;
        engine.health.wait_up().await;
        let is_hurried = engine.lookout.sweeps.answer();
        engine.lookout.compared.answer();
        stream.mark_unchanged();
        let names: Vec<Need> = engine.state().mirror.existing().into_iter().collect();
        let time = round_time(&engine, names.len(), is_hurried);
        let started = Instant::now();
        tokio::select! {
            read = read_in_turn(&engine, &names, time) => if let Err(failure) = read {
                fail(&engine, failure);
                sleep(SHORTEST_PAUSE).await;
                engine.lookout.sweeps.ring();
            },
            // A round in a hurry is brought to its end, whoever asks for another one.
            () = engine.lookout.sweeps.heard(), if !is_hurried => {}
            // A round that began before then leaves out what was not known yet.
            () = engine.lookout.compared.heard(), if !is_hurried => {}
            // The sender lives as long as the engine.
            _ = stream.changed(), if !is_hurried => {}
        }
        sleep_until(started + SHORTEST_ROUND).await;
    }
}

/// How long a round takes.
fn round_time(engine: &Engine, names: usize, is_hurried: bool) -> Duration {
    let at_rate = |rate: u32| Duration::from_secs(1).mul_f64(names as f64 / f64::from(rate));
    let (audit, full) = (engine.settings.recheck, engine.settings.full_audit_interval);
    match engine.lookout.stream() {
        _ if is_hurried => at_rate(HURRIED_READS),
        Stream::Open => full.mul_f64(ROUND),
        Stream::Away | Stream::Refused(_) => {
            at_rate(READS_WITHOUT_STREAM).max(audit.mul_f64(ROUND_WITHOUT_STREAM)).min(full.max(audit))
        }
    }
}

/// Reads each name once, spread over `time`.
async fn read_in_turn(engine: &Engine, names: &[Need], time: Duration) -> Result<(), Failure> {
    let started = Instant::now();
    for (place, some) in names.chunks(READS_IN_A_ROW).enumerate() {
        let share = (place * READS_IN_A_ROW) as f64 / names.len() as f64;
        sleep_until(started + time.mul_f64(share)).await;
        notice(engine, &read_again(engine, some).await?);
    }
    sleep_until(started + time).await;
    Ok(())
}

/// The names of which the server says something else than what is known.
async fn read_again(engine: &Engine, names: &[Need]) -> Result<BTreeSet<Need>, Failure> {
    let mut differing = BTreeSet::new();
    for name in names {
        let fact = engine.server.read(name.clone()).await?;
        if differs(&engine.state().mirror, &fact) {
            differing.insert(name.clone());
        }
    }
    Ok(differing)
}

/// Whether something that was read now is not what is known. Of what is not known, nothing is said.
fn differs(mirror: &Mirror, fact: &Fact) -> bool {
    match fact {
        Fact::Account(name, account) => mirror.known_account(name).is_some_and(|known| known != account),
        Fact::Group(name, group) => mirror.known_group(name).is_some_and(|known| known != group),
        Fact::Document(name, document) => mirror.contradicts(name, document),
    }
}
