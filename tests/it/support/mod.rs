//! The servers that tests run against.

pub mod kube;
