//! Watches objects and converges MinIO to them.

pub mod credentials;
pub mod queue;
