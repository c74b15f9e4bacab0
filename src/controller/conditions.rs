//! From what is known of an object to its conditions: one ordered list of checks, the first that applies decides.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::meta::{condition, reason};

use super::events::truncate;
use super::outcome::{Failure, Retry};

/// The longest message of a condition, in bytes.
const MESSAGE_BYTES: usize = 2000;

/// Something that is so, with its reason and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The reason, in CamelCase.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
}

impl Said {
    /// A reason and a sentence.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// A condition that is True because there is something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The type of the condition.
    pub type_: &'static str,
    /// Reason and sentence.
    pub said: Said,
    /// Whether the condition is True; `CredentialsReady` may also be False.
    pub holds: bool,
}

/// What is known of an object.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What a person must change: `Stalled`.
    pub stalled: Option<Said>,
    /// Nothing is done for the object although it is fine: paused, observed, foreign claim.
    pub held_back: Option<Said>,
    /// Something that the object needs is not there: its owner.
    pub missing: Option<Said>,
    /// Why what waits cannot be worked on: MinIO is away, or the store of the lease.
    pub problem: Option<Said>,
    /// The last failure of a subject that the object waits for.
    pub failure: Option<Failure>,
    /// What the object waits for, in words; nothing when it is in force.
    pub outstanding: Vec<String>,
    /// Why the object gives nothing although it is in force: disabled, suspended, locked.
    pub resting: Option<Said>,
    /// What there is to say of an object in force.
    pub summary: String,
    /// Further conditions.
    pub remarks: Vec<Remark>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    True,
    False,
    Unknown,
}

struct Judgement {
    ready: Ready,
    said: Said,
    stalled: bool,
    reconciling: bool,
}

fn judge(facts: &Facts) -> Judgement {
    let judgement = |ready, said, stalled, reconciling| Judgement { ready, said, stalled, reconciling };
    if let Some(said) = &facts.stalled {
        return judgement(Ready::False, said.clone(), true, false);
    }
    if let Some(said) = &facts.held_back {
        return judgement(Ready::Unknown, said.clone(), false, false);
    }
    if let Some(failure) = facts.failure.as_ref().filter(|failure| failure.retry == Retry::OnChange) {
        return judgement(Ready::False, Said::new(failure.reason, failure.message.clone()), true, false);
    }
    if !facts.outstanding.is_empty() {
        if let Some(problem) = &facts.problem {
            return judgement(Ready::Unknown, problem.clone(), false, true);
        }
        let said = match &facts.failure {
            Some(failure) => Said::new(failure.reason, format!("tried again: {}", failure.message)),
            None => Said::new(reason::PROGRESSING, format!("waiting for {}", facts.outstanding.join(", "))),
        };
        return judgement(Ready::Unknown, said, false, true);
    }
    if let Some(said) = &facts.missing {
        return judgement(Ready::False, said.clone(), false, false);
    }
    let said = facts.resting.clone().unwrap_or_else(|| Said::new(reason::CONVERGED, facts.summary.clone()));
    judgement(Ready::True, said, false, false)
}

/// The conditions of an object. A transition time is kept unless the status of its condition flips.
pub fn conditions(facts: &Facts, generation: i64, previous: &[Condition], now: Timestamp) -> Vec<Condition> {
    let judgement = judge(facts);
    let status = match judgement.ready {
        Ready::True => "True",
        Ready::False => "False",
        Ready::Unknown => "Unknown",
    };
    let make = |type_: &str, status: &str, said: &Said| {
        let before = previous.iter().find(|condition| condition.type_ == type_ && condition.status == status);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: said.reason.to_owned(),
            message: truncate(&said.message, MESSAGE_BYTES),
            observed_generation: Some(generation),
            last_transition_time: before.map_or(Time(now), |condition| condition.last_transition_time.clone()),
        }
    };
    let mut conditions = vec![make(condition::READY, status, &judgement.said)];
    if judgement.reconciling {
        conditions.push(make(condition::RECONCILING, "True", &judgement.said));
    }
    if judgement.stalled {
        conditions.push(make(condition::STALLED, "True", &judgement.said));
    }
    for remark in &facts.remarks {
        conditions.push(make(remark.type_, if remark.holds { "True" } else { "False" }, &remark.said));
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(facts: &Facts) -> (String, String, Vec<String>) {
        let conditions = conditions(facts, 3, &[], Timestamp::UNIX_EPOCH);
        let ready = conditions[0].clone();
        assert_eq!((ready.type_.as_str(), ready.observed_generation), ("Ready", Some(3)));
        let others = conditions[1..].iter().map(|condition| condition.type_.clone()).collect();
        (ready.status, ready.reason, others)
    }

    #[test]
    fn the_first_check_that_applies_decides() {
        let mut facts = Facts { summary: "in force".into(), ..Facts::default() };
        let expect = |facts: &Facts, status: &str, reason: &str, others: &[&str]| {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            assert_eq!(ready(facts), (status.to_owned(), reason.to_owned(), others));
        };
        expect(&facts, "True", "Converged", &[]);
        facts.resting = Some(Said::new(reason::SUSPENDED, "suspended"));
        expect(&facts, "True", "Suspended", &[]);
        facts.missing = Some(Said::new(reason::OWNER_NOT_FOUND, "no owner"));
        expect(&facts, "False", "OwnerNotFound", &[]);
        facts.outstanding = vec!["user bob".into()];
        expect(&facts, "Unknown", "Progressing", &["Reconciling"]);
        facts.problem = Some(Said::new(reason::MINIO_UNAVAILABLE, "MinIO is away"));
        expect(&facts, "Unknown", "MinioUnavailable", &["Reconciling"]);
        facts.failure = Some(Failure::stalled(reason::ALREADY_EXISTS, "exists"));
        expect(&facts, "False", "AlreadyExists", &["Stalled"]);
        facts.held_back = Some(Said::new(reason::PAUSED, "paused"));
        expect(&facts, "Unknown", "Paused", &[]);
        facts.stalled = Some(Said::new(reason::CONFLICT, "taken"));
        expect(&facts, "False", "Conflict", &["Stalled"]);
    }

    #[test]
    fn a_transition_time_moves_only_when_the_status_flips() {
        let now = Timestamp::from_second(1_000).unwrap();
        let facts = Facts { summary: "in force".into(), ..Facts::default() };
        let first = conditions(&facts, 1, &[], Timestamp::UNIX_EPOCH);
        let second = conditions(&Facts { summary: "still in force".into(), ..facts.clone() }, 2, &first, now);
        assert_eq!(second[0].last_transition_time.0, Timestamp::UNIX_EPOCH);
        let waiting = Facts { outstanding: vec!["user bob".into()], ..facts };
        assert_eq!(conditions(&waiting, 2, &second, now)[0].last_transition_time.0, now);
    }
}
