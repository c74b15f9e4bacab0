//! Governs who may touch what in MinIO: Kubernetes objects in, IAM state and per-user credentials out.
#![forbid(unsafe_code)]

pub mod access;
pub mod api;
pub mod commands;
pub mod config;
pub mod controller;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod iam;
pub mod kubernetes;
pub mod lease;
pub mod minio;
pub mod rate;
pub mod rest;
pub mod stamp;
pub mod telemetry;
