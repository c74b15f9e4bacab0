//! Logs, metrics, health and audit lines.
