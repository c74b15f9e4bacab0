//! Events, for people who look at one object; the status says the same to everybody who asks.
//!
//! When thousands of objects become Ready at once, their events would double what the API server has to write, and drown the
//! few that somebody needs. So there is a limit, as client-go has one.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::time::Instant;

use crate::kubernetes::call;
use crate::rate::TokenBucket;

/// How long a note may be, in bytes, by the rules of Kubernetes (1,024 there).
const NOTE: usize = 1000;

/// Publishes events. Clones share one limit.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    /// Good news must not use up what bad news need.
    normal: Arc<Mutex<Allowance>>,
    warnings: Arc<Mutex<Allowance>>,
}

impl Events {
    /// Events that are published through `recorder`.
    pub fn new(recorder: Recorder) -> Self {
        let allowance = |burst, per_second| Arc::new(Mutex::new(Allowance::new(burst, per_second, Instant::now())));
        let (normal, warnings) = (allowance(100.0, 5.0), allowance(300.0, 20.0));
        Self { recorder, normal, warnings }
    }

    /// Publishes an event on what `about` refers to. Events only complement the status, so a failure is logged and forgotten.
    pub async fn publish(&self, about: &ObjectReference, name: impl Display, warning: bool, reason: &str, note: &str) {
        let allowance = if warning { &self.warnings } else { &self.normal };
        match allowance.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now()) {
            Taken::Yes => {}
            Taken::First => {
                tracing::info!(warning, "too much happens at once to publish an event about each; the statuses say it");
                return;
            }
            Taken::No => return,
        }
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(truncate(note, NOTE)),
            action: "Converge".to_owned(),
            secondary: None,
        };
        let name = name.to_string();
        if let Err(error) = call("publish an event on", &name, self.recorder.publish(&event, about)).await {
            tracing::debug!(object = name, error = %crate::telemetry::chain(&error), "event was not published");
        }
    }
}

/// So many at once, and then as many a second.
#[derive(Debug)]
struct Allowance {
    tokens: TokenBucket,
    /// Whether there was none when last asked.
    is_spent: bool,
}

/// What came of asking for one more.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    /// The first one that is too many.
    First,
    No,
}

impl Allowance {
    fn new(burst: f64, per_second: f64, now: Instant) -> Self {
        Self { tokens: TokenBucket::new(per_second, burst, now), is_spent: false }
    }

    fn take(&mut self, now: Instant) -> Taken {
        let is_spent = self.tokens.take(now).is_err();
        match (is_spent, std::mem::replace(&mut self.is_spent, is_spent)) {
            (false, _) => Taken::Yes,
            (true, false) => Taken::First,
            (true, true) => Taken::No,
        }
    }
}

/// Cuts a text at a character border.
pub fn truncate(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes.saturating_sub(3);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_a_trickle() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut allowance = Allowance::new(3.0, 10.0, start);
        let taken = |allowance: &mut Allowance, time| -> Vec<Taken> { (0..5).map(|_| allowance.take(time)).collect() };
        use Taken::{First, No, Yes};
        assert_eq!(taken(&mut allowance, start), [Yes, Yes, Yes, First, No]);
        assert_eq!(allowance.take(at(99)), No);
        assert_eq!([allowance.take(at(150)), allowance.take(at(150))], [Yes, First], "one interval has passed");
        assert_eq!(
            [allowance.take(at(200)), allowance.take(at(200))],
            [Yes, First],
            "what is left of an interval counts"
        );
        assert_eq!(taken(&mut allowance, at(60_000)), [Yes, Yes, Yes, First, No]);
    }

    #[test]
    fn texts_are_cut_at_character_borders() {
        assert_eq!(truncate("short", 10), "short");
        assert_eq!(truncate(&"ä".repeat(10), 10), "äää...");
    }
}
