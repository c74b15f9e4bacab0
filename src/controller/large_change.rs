//! Large changes wait for a person: where the breaker meets plans, comparisons, `MinioInstance` and whoever acknowledges.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::api::meta::{annotation, reason};
use crate::api::{HeldChange, MINIO_INSTANCE_NAME, MinioInstance};
use crate::iam::breaker::Notice;
use crate::iam::declared::{Body, Declared};
use crate::iam::desired::{Desired, Fate};
use crate::iam::index::Verdict;
use crate::iam::observed::Observed;
use crate::iam::plan::{self, Loss, Plan};
use crate::iam::subject::Subject;

use super::conditions::Said;
use super::duty::Phase;
use super::engine::{Engine, Settings};
use super::events::truncate;
use super::outcome::{Outcome, Retry};
use super::queue::Urgency;
use super::state::State;
use super::wipe;

/// How long a line of the sample may be, in bytes.
const LINE_BYTES: usize = 1000;

/// A subject that cannot be looked at after so many tries does not hold up all others any longer.
const TRIES: u32 = 3;

/// A plan as far as it may be carried out now.
pub struct Restrained {
    /// The plan, which takes nothing that waits.
    pub plan: Plan,
    /// What it takes, as the breaker counts it.
    pub losses: BTreeSet<Loss>,
    /// Whether something was held.
    pub is_held: bool,
}

/// Keeps a plan from taking what waits for a person. What goes with the account of a member is left to its deletion.
pub fn restrain(
    state: &mut State,
    desired: &Desired,
    observed: &Observed,
    plan: Plan,
    settings: &Settings,
) -> Restrained {
    let subject = desired.subject();
    // Where nothing may be taken anyway it is not known what would be.
    if !state.breaker.is_on() || plan.withheld {
        return Restrained { plan, losses: BTreeSet::new(), is_held: state.breaker.holds(&subject) };
    }
    let counted = state.index.counted(&subject, &plan.losses, Timestamp::now());
    let held = state.breaker.judge(&subject, counted.clone(), Instant::now());
    let waits =
        |loss: &&Loss| state.index.goes_along(loss) || held.contains(&state.index.counted_as(loss, &plan.losses));
    let spared: BTreeSet<Loss> = plan.losses.iter().filter(waits).cloned().collect();
    if spared.is_empty() {
        return Restrained { plan, losses: counted, is_held: false };
    }
    let sparing = plan::plan_sparing(desired, observed, &state.mirror, &settings.instance, &spared);
    let is_held = !held.is_empty();
    let losses = counted.difference(&held).cloned().collect();
    Restrained { plan: Plan { withheld: is_held, ..sparing }, losses, is_held }
}

/// Whether the key of a workload only goes because its user does. That waits until the account has gone, which takes the key
/// along: the user's deletion may be held.
pub fn goes_with_its_user(state: &State, desired: &Desired, owner: &Declared) -> bool {
    let (Desired::Key(key), Ok(Body::Key(declared))) = (desired, &owner.body) else { return false };
    let meta = &owner.meta;
    let is_over = meta.deleting.is_some() || meta.lock.is_some() || declared.is_expired(Timestamp::now());
    state.breaker.is_on()
        && key.fate == Fate::Deleted
        && !is_over
        && state.index.goes(&declared.user)
        && !state.mirror.lacks_user(declared.user.as_str())
}

/// Takes in that a subject was looked at, and queues those whose losses need not wait any more.
pub fn looked_at(engine: &Engine, subject: &Subject, outcome: &Outcome) {
    let mut state = engine.state();
    let is_away = matches!(&outcome.result, Err(failure) if failure.retry == Retry::WhenUp && outcome.failures < TRIES);
    if outcome.result.as_ref().is_ok_and(|report| !report.large_change) {
        state.breaker.settled(subject);
    }
    let freed = if is_away { BTreeSet::new() } else { state.breaker.compared(subject, Instant::now()) };
    for subject in freed {
        engine.subjects.push(subject, Urgency::Urgent, Duration::ZERO);
    }
}

/// Everything is compared with the server from now on.
pub fn begin_comparison(state: &mut State, subjects: &BTreeSet<Subject>) {
    sample(state);
    state.breaker.begin_comparison(subjects);
}

fn sample(state: &mut State) {
    let index = &state.index;
    state.breaker.sample(Instant::now(), || index.size());
}

/// Learns before anything is planned what the leader before held.
pub fn recall(state: &mut State, held: Option<&HeldChange>) {
    let held = held.filter(|held| !wipe::is_wipe(held));
    state.breaker.begin_term(held.map(|held| held.hash.as_str()));
    let subjects = state.index.subjects();
    begin_comparison(state, &subjects);
}

/// Looks whether somebody acknowledges what is held, and answers what `MinioInstance` is to show.
pub async fn see_to(engine: &Engine, instance: &MinioInstance) -> Option<HeldChange> {
    let before = instance.status.as_ref().and_then(|status| status.held_change.clone());
    let (shown, is_news) = {
        let mut state = engine.state();
        // What the leader before held, or this one before an outage, holds until it is known what has become of it.
        let is_unknown = !state.recalled || state.breaker.is_comparing() || engine.settings.observe;
        if is_unknown || engine.duty.phase() < Phase::Converging {
            return before;
        }
        sample(&mut state);
        if let Some(hash) = instance.acknowledged_change() {
            acknowledge(engine, &mut state, hash);
        }
        let former = state.breaker.published().map(|notice| notice.hash.clone());
        let shown = state.breaker.publish().map(|notice| (held_change(notice), notice.to_string()));
        let is_news = shown.as_ref().map(|(held, _)| &held.hash) != former.as_ref();
        if is_news {
            report_held(engine, &state);
        }
        (shown, is_news)
    };
    let (held, sentence) = shown?;
    if is_news && before.is_none() {
        let message = format!("{sentence}; {}", remedy(&engine.settings, &held.hash));
        tracing::warn!(removals = held.removals, hash = held.hash, message, "a large change is held");
        engine.objects.event_on_instance(instance, reason::LARGE_CHANGE, &message).await;
    }
    Some(held)
}

fn acknowledge(engine: &Engine, state: &mut State, hash: &str) {
    let freed = state.breaker.acknowledge(hash);
    if !freed.is_empty() {
        tracing::warn!(hash, subjects = freed.len(), "the large change was acknowledged, and goes on");
    }
    for subject in freed {
        engine.subjects.push(subject, Urgency::Urgent, Duration::ZERO);
    }
}

/// The objects concerned name the hash.
fn report_held(engine: &Engine, state: &State) {
    for subject in state.breaker.subjects() {
        for key in state.index.waiting_for(subject) {
            engine.reports.push(key, Urgency::Normal, Duration::ZERO);
        }
    }
}

fn held_change(notice: &Notice) -> HeldChange {
    HeldChange {
        hash: notice.hash.clone(),
        removals: i64::try_from(notice.removals).unwrap_or(i64::MAX),
        sample: notice.sample.iter().map(|line| truncate(line, LINE_BYTES)).collect(),
    }
}

/// What a person types to let it go.
fn remedy(settings: &Settings, hash: &str) -> String {
    format!(
        "if it is meant: kubectl annotate -n {} minioinstance/{MINIO_INSTANCE_NAME} {}={hash} --overwrite",
        settings.home_namespace,
        annotation::ACKNOWLEDGE_LARGE_CHANGE
    )
}

/// What `MinioInstance` says while something is held.
pub fn of_instance(engine: &Engine, held: Option<&HeldChange>) -> Option<Said> {
    let held = held?;
    let some: Vec<&str> = held.sample.iter().take(3).map(String::as_str).collect();
    let message = format!(
        "{} removals at once wait for a person, such as: {}; {}",
        held.removals,
        some.join("; "),
        remedy(&engine.settings, &held.hash)
    );
    Some(Said::new(reason::LARGE_CHANGE, message))
}

/// Why an object is not in force because of what is held: of its own subject, or of one that it waits for.
pub fn of_object(state: &State, own: Option<&Subject>, verdict: &Verdict, settings: &Settings) -> Option<Said> {
    if !state.breaker.is_holding() {
        return None;
    }
    let subject = own.into_iter().chain(&verdict.outstanding).find(|subject| state.breaker.holds(subject))?;
    let how = match state.breaker.published() {
        Some(notice) => remedy(settings, &notice.hash),
        None => format!("minioinstance/{MINIO_INSTANCE_NAME} will say how to let it go"),
    };
    let message = format!(
        "what {subject} would lose is held, because so much is taken away at once that it may be a mistake; {how}"
    );
    Some(Said::new(reason::LARGE_CHANGE, message))
}
