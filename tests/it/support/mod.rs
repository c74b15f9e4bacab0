//! The servers that tests run against, and the product between them.

pub mod flaky;
pub mod identity;
pub mod kube;
pub mod kubelet;
pub mod minio;
pub mod product;
pub mod program;
pub mod proxy;
pub mod python;
pub mod random;
#[allow(dead_code, reason = "the tests of most endpoints come with them")]
pub mod redis;
pub mod replicas;
pub mod rest;
pub mod s3;
pub mod somebody;
pub mod sts;
#[allow(dead_code, reason = "measured by the benchmarks")]
pub mod vitals;
pub mod world;
