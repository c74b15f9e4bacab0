//! Log lines: one per outcome, on standard error, for people or for programs.

use std::error::Error;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogConfig, LogFormat};

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directives were not understood.
    #[error("log level {directives:?} is not valid")]
    Directives {
        /// The directives.
        directives: String,
        /// Why not.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log already.
    #[error("the log is started twice")]
    Twice(#[source] TryInitError),
}

/// Starts the log of this process. Standard output stays free for results and audit lines.
///
/// # Errors
/// Directives that are not understood, or a second start.
pub fn start(config: &LogConfig) -> Result<(), LogError> {
    let directives = config.directives.clone();
    let filter: EnvFilter = config.directives.parse().map_err(|source| LogError::Directives { directives, source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).compact().finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).finish().try_init(),
    }
    .map_err(LogError::Twice)
}

/// An error with all its causes on one line: `what: why: why`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the bundle")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(chain(&error), "cannot read the bundle: disk on fire");
    }

    #[test]
    fn wrong_directives_are_refused() {
        let config = LogConfig { format: LogFormat::Json, directives: "minio_manager=loud".to_owned() };
        assert!(matches!(start(&config), Err(LogError::Directives { .. })));
    }
}
