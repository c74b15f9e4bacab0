//! Tests against real servers. One binary, so that they are linked once.

mod alone;
mod chart;
mod crds;
mod credentials;
mod documentation;
mod e2e;
mod files;
mod gitops;
mod guard;
mod identity;
mod import;
mod jupyterhub;
mod lease;
mod minio;
mod policies;
mod proxy;
mod rest;
mod support;

// What generates documents is used beside the code, too, where this is its path.
use minio_manager::iam;
