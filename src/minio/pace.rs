//! One change at a time, and not too many per second: MinIO makes all IAM changes under a lock that every request also takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    time::Instant,
};

use crate::rate::TokenBucket;

/// How a change waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Revocations and what a person waits for: before all routine changes, and without waiting for a token.
    Urgent,
    /// Everything else.
    Routine,
}

/// Hands out permits for changes: one at a time per process, urgent ones first, routine ones at a limited rate.
///
/// Within an urgency the order is first come, first served. Giving up while waiting costs nothing. Clones share one pace.
#[derive(Clone, Debug)]
pub struct Pacer {
    shared: Arc<Shared>,
}

/// The right to make one change; dropping it hands the turn on.
#[derive(Debug)]
#[must_use = "the turn ends when the permit is dropped"]
pub struct Permit {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something changed that the two waiters at the gates may have waited for.
    changed: Notify,
    /// Waited at by urgent callers in their order; who holds it waits for the turn itself.
    urgent_gate: AsyncMutex<()>,
    routine_gate: AsyncMutex<()>,
}

#[derive(Debug)]
struct State {
    in_flight: bool,
    urgent_waiting: usize,
    /// Tokens for routine changes. Urgent ones take theirs on credit, up to one second's worth.
    bucket: Option<TokenBucket>,
}

impl Pacer {
    /// A pacer for `writes_per_second` routine changes per second, at most one second's worth of them in a burst; 0: any number.
    pub fn new(writes_per_second: u32) -> Self {
        let rate = f64::from(writes_per_second);
        let bucket = (writes_per_second > 0).then(|| TokenBucket::new(rate, rate, Instant::now()));
        let shared = Shared {
            state: Mutex::new(State { in_flight: false, urgent_waiting: 0, bucket }),
            changed: Notify::new(),
            urgent_gate: AsyncMutex::new(()),
            routine_gate: AsyncMutex::new(()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits for the turn of one change.
    pub async fn acquire(&self, urgency: Urgency) -> Permit {
        match urgency {
            Urgency::Urgent => self.acquire_urgent().await,
            Urgency::Routine => self.acquire_routine().await,
        }
        Permit { shared: Arc::clone(&self.shared) }
    }

    async fn acquire_urgent(&self) {
        let _waiting = Waiting::register(&self.shared);
        let _first = self.shared.urgent_gate.lock().await;
        self.shared.wait_until(|state, now| state.take_urgent(now)).await;
    }

    async fn acquire_routine(&self) {
        let _first = self.shared.routine_gate.lock().await;
        self.shared.wait_until(|state, now| state.take_routine(now)).await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.lock().in_flight = false;
        self.shared.changed.notify_waiters();
    }
}

/// What an attempt to take the turn led to.
enum Attempt {
    Taken,
    /// Not before something changes.
    Blocked,
    /// Not before this time.
    NotBefore(Instant),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_until(&self, take: impl Fn(&mut State, Instant) -> Attempt) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Enabled before looking, so that no change between looking and waiting is missed.
            changed.as_mut().enable();
            let attempt = take(&mut self.lock(), Instant::now());
            match attempt {
                Attempt::Taken => return,
                Attempt::Blocked => changed.await,
                Attempt::NotBefore(time) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(time) => {}
                    }
                }
            }
        }
    }
}

impl State {
    fn take_urgent(&mut self, now: Instant) -> Attempt {
        if self.in_flight {
            return Attempt::Blocked;
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.take_on_credit(now);
        }
        self.in_flight = true;
        Attempt::Taken
    }

    fn take_routine(&mut self, now: Instant) -> Attempt {
        if self.in_flight || self.urgent_waiting > 0 {
            return Attempt::Blocked;
        }
        if let Some(time) = self.bucket.as_mut().and_then(|bucket| bucket.take(now).err()) {
            return Attempt::NotBefore(time);
        }
        self.in_flight = true;
        Attempt::Taken
    }
}

/// Counts an urgent caller for as long as it waits, also when it gives up.
struct Waiting<'a> {
    shared: &'a Shared,
}

impl<'a> Waiting<'a> {
    fn register(shared: &'a Shared) -> Self {
        shared.lock().urgent_waiting += 1;
        Self { shared }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.lock().urgent_waiting -= 1;
        self.shared.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
