//! What is counted again and again, for the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::api::meta::reason;
use crate::iam::subject::Kind;
use crate::kubernetes::Status;
use crate::telemetry::metrics::{Ready, UnmanagedKind};

use super::duty::Phase;
use super::engine::Engine;
use super::state::State;

/// How often things are counted ...
const INTERVAL: Duration = Duration::from_secs(5);

/// ... where it is no work: where there is much to count, it is done once in so many times as long as it takes, ...
const SHARE: u32 = 2_000;

/// ... and at least so often.
const LONGEST_INTERVAL: Duration = Duration::from_secs(30);

/// Counts for ever.
pub async fn keep(engine: Arc<Engine>) {
    loop {
        let started = Instant::now();
        measure(&engine);
        tokio::time::sleep((started.elapsed() * SHARE).clamp(INTERVAL, LONGEST_INTERVAL)).await;
    }
}

fn measure(engine: &Engine) {
    let (counts, documents, foreign_keys, held) = {
        let state = engine.state();
        let (keys, held) = (state.foreign_keys.count() as u64, state.breaker.removals() as u64);
        (Counts::of(&state, Timestamp::now()), size_of_documents(&state), keys, held)
    };
    // Zeros included, so that a count never goes stale.
    for kind in Kind::ALL {
        for ready in Ready::ALL {
            engine.metrics.set_objects(kind, *ready, counts.objects.get(&(kind, *ready)).copied().unwrap_or(0));
        }
    }
    engine.metrics.set_documents_bytes(documents);
    engine.metrics.set_credentials_expiring(counts.expiring);
    engine.metrics.set_unmanaged(UnmanagedKind::Keys, foreign_keys);
    // What a replica that stands by has in its queue waits for nobody.
    let leads = engine.duty.phase() >= Phase::Admitting;
    engine.metrics.set_held_removals(if leads { held } else { 0 });
    engine.metrics.set_queue_depth(if leads { engine.subjects.len() } else { 0 });
}

/// How many objects there are, and how many keys near their end.
#[derive(Default)]
struct Counts {
    objects: BTreeMap<(Kind, Ready), u64>,
    expiring: u64,
}

impl Counts {
    fn of(state: &State, now: Timestamp) -> Self {
        let mut counts = Self::default();
        for (key, seen) in &state.seen {
            *counts.objects.entry((key.kind, seen.status.ready())).or_default() += 1;
            if !seen.is_deleting() && is_expiring(&seen.status, now) {
                counts.expiring += 1;
            }
        }
        counts
    }
}

fn size_of_documents(state: &State) -> u64 {
    let reports = state.outcomes.values().filter_map(|outcome| outcome.result.as_ref().ok());
    let sizes = reports.filter_map(|report| report.documents).map(|(_, bytes)| bytes);
    sizes.sum::<usize>() as u64
}

/// Whether half of the time between the moment at which a key should have been replaced and its end has passed. A key that
/// is not to be replaced, as its user is disabled or its object ends, may end.
pub fn is_expiring(status: &Status, now: Timestamp) -> bool {
    let is_overdue = status.overdue_at().is_some_and(|at| now >= at);
    is_overdue && ![reason::DISABLED, reason::LOCKED, reason::SUSPENDED].contains(&status.reason().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_counts_as_expiring_once_its_replacement_is_long_overdue() {
        let status = |reason: &str, due: &str, end: &str| {
            let ready = json!({"type": "Ready", "status": "True", "reason": reason, "message": ""});
            let status = json!({"conditions": [ready], "credentials": {"nextRotationAt": due, "expiresAt": end}});
            Status::from(status.as_object().unwrap())
        };
        let at = |status: &Status, now: &str| is_expiring(status, now.parse().unwrap());
        let (due, end) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let key = status(reason::CONVERGED, due, end);
        assert!(!at(&key, "2026-01-01T11:59:59Z"));
        assert!(at(&key, "2026-01-01T12:00:00Z") && at(&key, "2026-02-01T00:00:00Z"));
        assert!(!at(&status(reason::DISABLED, due, end), "2026-02-01T00:00:00Z"));
        assert!(!at(&status(reason::CONVERGED, end, due), "2026-02-01T00:00:00Z"), "the last key of all");
        assert!(!at(&Status::default(), "2026-02-01T00:00:00Z"));
    }
}
