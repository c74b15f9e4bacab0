//! The lease that keeps two replicas from acting at once: every mutation asks it first.
//!
//! ```text
//!   store (Redis, Kubernetes, in-process) <── keeper ──> Lease ──> may_mutate: the fence of every write
//!                                                          └─────> Standing: what the loops of the controller wait for
//! ```
//!
//! MinIO knows no fencing: it carries out what anybody sends. So time has to keep two leaders apart, and no clock is compared
//! with that of another machine:
//!
//! - A lease lasts [`LEASE`] from before the request that took or renewed it was sent, by a clock that counts the time in
//!   which the machine slept. Every store counts from a later moment.
//! - A write begins only while the lease lasts longer than the write may take.
//! - Who takes the lease waits until the former leader's has run out, and one deadline more, in which the server carries out
//!   what it was sent last; unless the former leader ended in order. See [`Former`].

mod clock;
mod handle;
mod in_kubernetes;
mod in_process;
mod in_redis;
mod keeper;
mod look;
mod store;

use std::time::Duration;

pub use clock::{Clock, since_boot};
pub use handle::{Lease, Standing, Term};
pub use in_kubernetes::{Holder, InKubernetes};
pub use in_process::InProcess;
pub use in_redis::InRedis;
pub use keeper::keep;
pub use look::{Look, is_kept};
pub use store::{Attempt, Error, Former, Renewal, Store};

/// How long a lease lasts.
pub const LEASE: Duration = Duration::from_secs(10);

/// How often it is renewed.
pub const RENEWAL: Duration = Duration::from_secs(3);

/// The longest that one mutation may take.
pub const MUTATION_DEADLINE: Duration = Duration::from_secs(3);
