//! The REST service: the real program beside the controller, MinIO and the Kubernetes API.

mod access;
pub mod auth;
mod clients;
mod foreign;
mod fuzz;
mod golden;
mod golden_differences;
mod keys;
mod limits;
mod login;
mod management;
mod openapi;
mod outage;
mod ownership;
mod reads;
mod rotation;
mod service;
mod sharing;
