//! The REST service: the legacy API, served by editing and watching objects. It never talks to MinIO.
//!
//! ```text
//! request ─> serve ─> middleware: id, caller, limits ─> routes ─> endpoint ─┬─> view (what objects say) ─> render ─> answer
//!                                                                           └─> edit (what they shall say) ─> view: wait ─> answer
//! ```

pub mod access;
pub mod answers;
pub mod app;
pub mod auth;
pub mod credentials;
pub mod docs;
pub mod edit;
pub mod error;
pub mod health;
pub mod input;
pub mod management;
pub mod middleware;
pub mod models;
pub mod names;
pub mod openapi;
pub mod render;
pub mod routes;
pub mod run;
pub mod serve;
pub mod sharing;
pub mod terms;
pub mod turns;
pub mod view;
pub mod workspaces;

pub use run::{Error, Stage, run};
