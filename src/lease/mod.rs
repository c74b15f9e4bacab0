//! Leases that keep two replicas from acting at once: every mutation asks the lease first.

mod in_process;

pub use in_process::InProcess;
