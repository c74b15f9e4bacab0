//! Watches objects and converges MinIO to them.
//!
//! ```text
//! objects ─> watch ─> decode ─> index ─> queue ─> converge: observe -> desire -> plan -> apply ─> MinIO
//! Secrets ─> watch ─> cache ──────────────┘          └─> workspace, keys ─> Secrets
//!                        report <── conditions <── outcome <──┘
//! ```

pub mod adopted_secret;
pub mod audit;
pub mod claim;
pub mod conditions;
pub mod converge;
pub mod crds;
pub mod credentials;
pub mod drift;
pub mod duty;
pub mod engine;
pub mod events;
pub mod foreign_keys;
pub mod health;
pub mod instance;
pub mod key_audit;
pub mod keys;
pub mod large_change;
pub mod leader;
pub mod listing;
pub mod lookout;
pub mod measure;
pub mod mirror;
pub mod objects;
pub mod observe;
pub mod outcome;
pub mod queue;
pub mod report;
pub mod run;
pub mod server;
pub mod server_claim;
pub mod state;
pub mod status;
pub mod trace;
pub mod upkeep;
pub mod watch;
pub mod wipe;
pub mod workspace;

pub use run::{Error, run};
