//! Leases that keep two replicas from acting at once.
