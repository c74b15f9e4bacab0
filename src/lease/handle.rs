//! The lease as the rest of the controller knows it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::store::Former;
use super::{Clock, MUTATION_DEADLINE, since_boot};
use crate::telemetry::Metrics;

/// The longest pause between two looks at the clock, which timers may fall behind.
const LOOK: Duration = Duration::from_millis(250);

/// How this process stands to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody else leads, or nobody yet.
    StandingBy,
    /// This process leads.
    Leading(Term),
    /// The store does not answer, so nobody is known to lead.
    Away {
        /// What went wrong.
        problem: String,
        /// Whether this process led before.
        led: bool,
    },
}

/// One time of leading without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Counts the terms of this process.
    number: u64,
    /// From when on the leader before surely does nothing any more.
    begins: Duration,
    /// Whether it may not have ended in order.
    follows_a_crash: bool,
}

impl Term {
    /// Whether the server may still carry out what the leader before sent.
    pub fn follows_a_crash(self) -> bool {
        self.follows_a_crash
    }
}

#[derive(Debug, Default)]
struct Hold {
    /// Until when the lease is surely ours; in the past where it is not.
    until: Duration,
    /// The number of the last term.
    term: u64,
    /// From when on the last term may write.
    begins: Duration,
    /// Whether what was begun in former terms has ended, so that the present one may write.
    admitted: bool,
    /// Whether this process has stopped writing for good.
    closed: bool,
    /// Whether it may tell others that nothing of it is on its way.
    in_order: bool,
}

/// Asked before every mutation.
pub struct Lease {
    clock: Clock,
    hold: Mutex<Hold>,
    standing: watch::Sender<Standing>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("standing", &*self.standing.borrow()).finish_non_exhaustive()
    }
}

impl Lease {
    /// A lease that nobody has asked for yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self::with_clock(metrics, Arc::new(since_boot))
    }

    /// As [`Lease::new`], by another clock.
    pub fn with_clock(metrics: Arc<Metrics>, clock: Clock) -> Self {
        metrics.set_leader(false);
        Self { clock, hold: Mutex::default(), standing: watch::Sender::new(Standing::StandingBy), metrics }
    }

    /// The clock of leases.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Whether a mutation that ends within `deadline` still ends under the lease.
    pub fn may_mutate(&self, deadline: Duration) -> bool {
        let hold = self.hold();
        hold.admitted && !hold.closed && self.now().saturating_add(deadline) < hold.until
    }

    /// How this process stands, and every change of that.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Why the store cannot be asked, if so.
    pub fn problem(&self) -> Option<String> {
        match &*self.standing.borrow() {
            Standing::Away { problem, .. } => Some(problem.clone()),
            Standing::Leading(_) | Standing::StandingBy => None,
        }
    }

    /// Waits until the leader before a term surely does nothing any more.
    pub async fn begins(&self, term: Term) {
        while let Some(left) = term.begins.checked_sub(self.now()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// Lets a term write. To be said once it has begun, and nothing is under way that was begun before it.
    pub fn admit(&self, term: Term) {
        let mut hold = self.hold();
        hold.admitted = hold.term == term.number && self.now() >= term.begins;
    }

    /// Stops every further mutation for good: the first thing of an orderly end.
    pub fn close(&self) {
        self.hold().closed = true;
    }

    /// Nothing is under way any more: whoever leads next need not wait.
    pub fn ended_in_order(&self) {
        let mut hold = self.hold();
        hold.in_order = hold.closed && self.now() >= hold.begins;
    }

    /// Whether others may be told that nothing of this process is on its way.
    pub(super) fn is_in_order(&self) -> bool {
        self.hold().in_order
    }

    pub(super) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// The lease was taken with a request that was sent at `sent`.
    pub(super) fn gained(&self, sent: Duration, life: Duration, former: Former) {
        let term = {
            let mut hold = self.hold();
            // While our own lease lasted, nobody else can have begun.
            let begins = if sent < hold.until { hold.begins } else { self.now().saturating_add(former.wait()) };
            *hold = Hold {
                until: sent.saturating_add(life),
                term: hold.term + 1,
                begins,
                admitted: false,
                closed: hold.closed,
                in_order: false,
            };
            Term { number: hold.term, begins, follows_a_crash: !former.wait().is_zero() }
        };
        let wait = term.begins.saturating_sub(self.now());
        tracing::info!(term = term.number, ?former, ?wait, "this process leads");
        self.metrics.set_leader(true);
        self.standing.send_replace(Standing::Leading(term));
    }

    /// The lease was renewed with a request that was sent at `sent`. After it had run out here, a new term begins: what was
    /// begun in the one before must not go on.
    pub(super) fn renewed(&self, sent: Duration, life: Duration) {
        if !self.leads() {
            return self.gained(sent, life, Former::Ourselves);
        }
        self.hold().until = sent.saturating_add(life);
    }

    /// The lease is somebody else's.
    pub(super) fn lost(&self) {
        self.hold().admitted = false;
        self.stand(Standing::StandingBy);
    }

    /// The store does not answer. While the lease lasts, that changes nothing.
    pub(super) fn unanswered(&self, problem: &str) {
        if self.leads() && !self.time_left().is_zero() {
            return;
        }
        self.hold().admitted = false;
        let led = match &*self.standing.borrow() {
            Standing::Leading(_) => true,
            Standing::StandingBy => false,
            Standing::Away { led, .. } => *led,
        };
        self.stand(Standing::Away { problem: problem.to_owned(), led });
    }

    /// How long writes may still begin.
    pub(super) fn time_left(&self) -> Duration {
        self.hold().until.saturating_sub(self.now()).saturating_sub(MUTATION_DEADLINE)
    }

    pub(super) fn leads(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Leading(_))
    }

    fn stand(&self, standing: Standing) {
        self.metrics.set_leader(false);
        let is_news = self.standing.send_if_modified(|held| {
            let is_news = std::mem::discriminant(held) != std::mem::discriminant(&standing);
            // The words of a problem may change with every try.
            if is_news {
                held.clone_from(&standing);
            }
            is_news
        });
        match standing {
            Standing::Away { problem, .. } if is_news => {
                tracing::warn!(problem, "the lease cannot be looked after; nothing is written until it can");
            }
            Standing::StandingBy if is_news => tracing::info!("another process leads, or may; this one stands by"),
            _ => {}
        }
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
