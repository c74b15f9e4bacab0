//! Logs, audit lines, metrics and health.

pub mod audit;
pub mod http;
pub mod logs;
pub mod metrics;

pub use audit::AuditLine;
pub use http::Readiness;
pub use logs::chain;
pub use metrics::Metrics;
