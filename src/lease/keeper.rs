//! Takes the lease, renews it, and gives it up.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::handle::Lease;
use super::store::{Attempt, Error, Renewal, Store};
use super::{MUTATION_DEADLINE, RENEWAL};
use crate::telemetry::chain;

/// How long the store may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often a process that stands by looks whether the lease is free, and a leader tries a failed renewal again.
const LOOK: Duration = Duration::from_millis(500);

/// The longest pause between two tries of a store that does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long an answer is waited for when everything ends: the lease might have been taken with it.
const LAST_ANSWER: Duration = Duration::from_millis(300);

/// Keeps the lease until `end`, then gives it up if the process has ended in order.
pub async fn keep<S: Store>(lease: Arc<Lease>, store: S, end: CancellationToken) {
    let mut keeper = Keeper { lease, store, holds: false, failures: 0 };
    while !end.is_cancelled() {
        let is_over = async {
            end.cancelled().await;
            tokio::time::sleep(LAST_ANSWER).await;
        };
        let pause = tokio::select! {
            pause = keeper.step() => pause,
            () = is_over => break,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = end.cancelled() => break,
        }
    }
    keeper.give_up().await;
}

struct Keeper<S> {
    lease: Arc<Lease>,
    store: S,
    /// Whether the store may have the lease for us.
    holds: bool,
    failures: u32,
}

impl<S: Store> Keeper<S> {
    /// Asks once, and answers how long to wait before the next time.
    async fn step(&mut self) -> Duration {
        let sent = self.lease.now();
        match self.ask(sent).await {
            Ok(pause) => {
                self.failures = 0;
                pause
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.lease.unanswered(&chain(&error));
                self.pause_after_failure()
            }
        }
    }

    async fn ask(&mut self, sent: Duration) -> Result<Duration, Error> {
        let life = self.store.life();
        if !self.holds {
            let attempt = within(self.store.acquire()).await?;
            if let Attempt::Acquired(former) = attempt {
                self.holds = true;
                self.lease.gained(sent, life, former);
                return Ok(self.until_renewal(sent));
            }
            self.lease.lost();
            return Ok(LOOK);
        }
        match within(self.store.renew()).await? {
            Renewal::Kept => {
                self.lease.renewed(sent, life);
                Ok(self.until_renewal(sent))
            }
            Renewal::Lost => {
                self.holds = false;
                self.lease.lost();
                Ok(Duration::ZERO)
            }
        }
    }

    fn until_renewal(&self, sent: Duration) -> Duration {
        sent.saturating_add(RENEWAL).saturating_sub(self.lease.now())
    }

    /// A leader tries often while its lease lasts, and says at once when writes may not begin any more.
    fn pause_after_failure(&self) -> Duration {
        let left = self.lease.time_left();
        if self.lease.leads() && !left.is_zero() {
            return LOOK.min(left);
        }
        LOOK.saturating_mul(1 << self.failures.saturating_sub(1).min(2)).min(LONGEST_PAUSE)
    }

    async fn give_up(&mut self) {
        if !self.holds || !self.lease.is_in_order() {
            return;
        }
        match within(self.store.release()).await {
            Ok(()) => tracing::info!("the lease is given up"),
            Err(error) => tracing::warn!(error = chain(&error), "the lease is not given up; it runs out by itself"),
        }
        self.lease.lost();
    }
}

async fn within<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(TIMEOUT, asked).await.unwrap_or(Err(Error::Timeout(TIMEOUT)))
}

const _: () = assert!(TIMEOUT.as_millis() < MUTATION_DEADLINE.as_millis());

#[cfg(test)]
mod tests;
