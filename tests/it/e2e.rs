//! The whole product from outside: objects go into a real API server, and what counts is what people can then do with their
//! keys on a real MinIO, and what that MinIO holds.

mod adopted_secret;
mod adoption;
mod alerts;
mod breaker;
mod controller_identity;
mod crash;
mod crds;
mod credentials;
mod data;
mod deletion;
mod drift;
mod examples;
mod faults;
mod force;
mod foreign_keys;
mod groups;
mod invalid;
mod key_audit;
pub mod keys;
mod kills;
mod matrix;
mod modes;
mod namespaces;
mod orders;
mod ownership;
mod policies;
mod process;
mod references;
mod release;
mod requests;
mod restart;
mod rights;
mod shares;
mod time;
mod trust;
mod users;
