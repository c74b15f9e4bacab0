//! The lease of an installation with one replica: held from the start until the process gives it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::telemetry::Metrics;

/// A lease that nobody else can take. One replica, replaced by `Recreate`, is the operator's promise.
#[derive(Debug)]
pub struct InProcess {
    held: AtomicBool,
    metrics: Arc<Metrics>,
}

impl InProcess {
    /// Takes the lease.
    pub fn acquire(metrics: Arc<Metrics>) -> Self {
        metrics.set_leader(true);
        Self { held: AtomicBool::new(true), metrics }
    }

    /// Whether this process acts.
    pub fn is_leader(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// How long the lease surely lasts; nothing once it was given up.
    pub fn time_left(&self) -> Duration {
        if self.is_leader() { Duration::MAX } else { Duration::ZERO }
    }

    /// Whether a mutation that ends within `deadline` still ends under the lease.
    pub fn may_mutate(&self, deadline: Duration) -> bool {
        self.time_left() > deadline
    }

    /// Gives the lease up: the last thing of an orderly stop, when no call is in flight.
    pub fn release(&self) {
        self.held.store(false, Ordering::Release);
        self.metrics.set_leader(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_lasts_until_it_is_released() {
        let metrics = Arc::new(Metrics::new());
        let lease = InProcess::acquire(metrics.clone());
        assert!(lease.is_leader() && lease.may_mutate(Duration::from_secs(3)));
        assert!(metrics.encode().unwrap().contains("minio_manager_leader 1\n"));
        lease.release();
        assert!(!lease.is_leader() && !lease.may_mutate(Duration::ZERO));
        assert!(metrics.encode().unwrap().contains("minio_manager_leader 0\n"));
    }
}
