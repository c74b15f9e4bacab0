//! What became of a convergence: the one place where failures get their reason, their delay and their metric label.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::api::meta::reason;
use crate::controller::adopted_secret::FormerSecret;
use crate::controller::credentials;
use crate::controller::keys::Keys;
use crate::controller::workspace::Erasing;
use crate::iam::names::{DocumentName, UserName};
use crate::kubernetes;
use crate::minio;

/// The first delay after a failure; doubled with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest delay between two tries.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What happens next after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing, until a person changes an object.
    OnChange,
    /// Another try after a delay that grows.
    Backoff,
    /// Another try as soon as MinIO answers again.
    WhenUp,
}

/// Why a subject could not be converged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happens next.
    pub retry: Retry,
    /// The reason of the condition.
    pub reason: &'static str,
    /// What a person should know, without secrets.
    pub message: String,
}

impl Failure {
    /// A failure that only a change of an object ends.
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self { retry: Retry::OnChange, reason, message: message.into() }
    }

    /// The lease ends before a write could.
    pub fn fenced() -> Self {
        let message = "the leader lease is not held long enough for a write".to_owned();
        Self { retry: Retry::Backoff, reason: reason::LEASE_UNAVAILABLE, message }
    }

    /// A failure that the next try may end.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { retry: Retry::Backoff, reason: reason::PROGRESSING, message: message.into() }
    }
}

impl From<minio::Error> for Failure {
    fn from(error: minio::Error) -> Self {
        let message = format!("MinIO: {}", crate::telemetry::chain(&error));
        match error.class() {
            _ if error.is_reserved_name() => {
                Self::stalled(reason::RESERVED, format!("{message}; choose another username"))
            }
            minio::Class::Unavailable => Self { retry: Retry::WhenUp, reason: reason::MINIO_UNAVAILABLE, message },
            _ => Self::transient(message),
        }
    }
}

impl From<kubernetes::Error> for Failure {
    fn from(error: kubernetes::Error) -> Self {
        Self::transient(crate::telemetry::chain(&error))
    }
}

impl From<credentials::Error> for Failure {
    fn from(error: credentials::Error) -> Self {
        let message = crate::telemetry::chain(&error);
        match (error.class(), error.reason()) {
            (credentials::Class::WaitForChange, reason) => Self::stalled(reason, message),
            (credentials::Class::Retry, reason::MINIO_UNAVAILABLE) if error.is_unavailable() => {
                Self { retry: Retry::WhenUp, reason: reason::MINIO_UNAVAILABLE, message }
            }
            (credentials::Class::Retry, reason) => Self { retry: Retry::Backoff, reason, message },
        }
    }
}

/// What a converged subject reports.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Policies that shall be attached and do not exist.
    pub missing_policies: BTreeSet<DocumentName>,
    /// Members whose account does not exist yet.
    pub missing_users: BTreeSet<UserName>,
    /// The user whose key is to be issued, while its account is not ready for that.
    pub awaited_user: Option<UserName>,
    /// Who still holds a policy that shall go.
    pub holders: BTreeSet<String>,
    /// Names in groups that are no users any more, in words; the server refuses to take them out.
    pub stale_members: Vec<String>,
    /// Attachments and members that no object declares and that were kept.
    pub kept: Vec<String>,
    /// How many documents the subject has, and their size in bytes; `None` where nothing was done.
    pub documents: Option<(usize, usize)>,
    /// The keys, for users that were seen to.
    pub keys: Option<Box<Keys>>,
    /// How it stands with the secret that an adopted account had; `None` where that was not looked at.
    pub former_secret: Option<FormerSecret>,
    /// How far the deletion of data has come that is not over yet.
    pub erasing: Option<Erasing>,
    /// Why folders or keys are not ready although the rest is in force.
    pub unfinished: Option<Failure>,
    /// How often in a row folders or keys were tried in vain.
    pub tries: u32,
    /// Whether something that the objects say was left undone on purpose: paused, observed, an unreadable object.
    pub held_back: bool,
    /// Whether because of that the server still holds something else than it should.
    pub leaves_undone: bool,
    /// Whether a part of it was held because too much was taken away at once.
    pub large_change: bool,
    /// How many changes were made.
    pub changes: usize,
    /// What would be changed, in observe mode or while paused.
    pub planned: Vec<String>,
}

impl Report {
    /// Whether something that shall go is still held by somebody: a policy by those who have it attached, a group by members
    /// that the server does not let go.
    pub fn is_stuck(&self) -> bool {
        !self.holders.is_empty() || !self.stale_members.is_empty()
    }
}

/// The last result of a subject.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The sequence of the index that it includes.
    pub sequence: u64,
    /// How often it failed in a row.
    pub failures: u32,
    /// What it reports, or why it failed.
    pub result: Result<Report, Failure>,
}

/// The delay before the next try, after so many failures in a row; a little random, so that many do not come at once.
pub fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_DELAY.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_DELAY).mul_f64(rand::random_range(0.75..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_are_bounded() {
        assert!(backoff(1) <= FIRST_DELAY && backoff(1) >= FIRST_DELAY.mul_f64(0.75));
        assert!(backoff(4) > backoff(1));
        for failures in [20, 1000, u32::MAX] {
            assert!(backoff(failures) <= LONGEST_DELAY);
        }
    }
}
