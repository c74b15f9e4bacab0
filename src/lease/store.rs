//! What a place that keeps the lease can do.

use std::time::Duration;

use super::{LEASE, MUTATION_DEADLINE};
use crate::kubernetes;

/// What came of asking for the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It is ours.
    Acquired(Former),
    /// Somebody else has it.
    Held,
}

/// What the store shows of the leader before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Former {
    /// It ended in order: nothing that it sent is on its way.
    Released,
    /// It was this process, and nobody in between.
    Ourselves,
    /// Its lease runs out after this time at the latest.
    EndsWithin(Duration),
    /// The store cannot tell: it is new, or may have lost what it knew.
    Unknown,
}

impl Former {
    /// How long to wait before the first write: until the former lease has surely run out, and then for what the server may
    /// still carry out.
    pub fn wait(self) -> Duration {
        match self {
            Self::Released | Self::Ourselves => Duration::ZERO,
            Self::EndsWithin(left) => left + MUTATION_DEADLINE,
            Self::Unknown => LEASE + MUTATION_DEADLINE,
        }
    }
}

/// What came of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease is ours for another term.
    Kept,
    /// It is not ours any more.
    Lost,
}

/// A place that keeps the lease.
pub trait Store: Send {
    /// How long the lease lasts, from before it was asked for.
    fn life(&self) -> Duration {
        LEASE
    }

    /// Takes the lease unless somebody has it.
    fn acquire(&mut self) -> impl Future<Output = Result<Attempt, Error>> + Send;

    /// Keeps the lease that was acquired, unless it is somebody else's by now.
    fn renew(&mut self) -> impl Future<Output = Result<Renewal, Error>> + Send;

    /// Gives the lease up; the next leader need not wait.
    fn release(&mut self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Why the store could not be asked. Passwords are in no text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis refuses who we are.
    #[error("Redis at {address} refuses the user and password of REDIS_URL")]
    RedisCredentials {
        /// Host and port.
        address: String,
        /// What it says.
        source: redis::RedisError,
    },
    /// Redis does not answer, or not as it should.
    #[error("Redis at {address} cannot be used")]
    Redis {
        /// Host and port.
        address: String,
        /// What went wrong.
        source: redis::RedisError,
    },
    /// The Kubernetes API refused, or did not answer.
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::Error),
    /// The store did not answer.
    #[error("the store of the lease did not answer within {0:?}")]
    Timeout(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_leader_waits_unless_the_former_one_has_surely_ended() {
        assert_eq!(Former::Released.wait(), Duration::ZERO);
        assert_eq!(Former::Ourselves.wait(), Duration::ZERO);
        assert_eq!(Former::EndsWithin(Duration::ZERO).wait(), Duration::from_secs(3));
        assert_eq!(Former::EndsWithin(Duration::from_secs(4)).wait(), Duration::from_secs(7));
        assert_eq!(Former::Unknown.wait(), Duration::from_secs(13));
    }
}
