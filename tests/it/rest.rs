//! The REST service: the real program beside the controller, MinIO and the Kubernetes API.

mod auth;
mod fuzz;
mod golden;
mod golden_differences;
mod keys;
mod login;
mod management;
mod openapi;
mod reads;
mod service;
mod sharing;
