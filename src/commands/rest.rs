//! `minio-manager rest`: sets the stage (log, metrics, health, ports, signals) and runs the REST service on it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Failure;
use super::controller::{end_on_signal, ordered};
use crate::config::{Environment, RestArgs, RestConfig};
use crate::rest;
use crate::telemetry::{Metrics, Readiness, http, logs};

/// Runs the REST service until SIGTERM or SIGINT, or until it or a port fails.
///
/// # Errors
/// A wrong configuration, a port that cannot be opened, or what the service reports.
pub fn run(args: RestArgs, environment: &Environment) -> Result<(), Failure> {
    let config = RestConfig::resolve(args, environment)?;
    logs::start(&config.log)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(staged(config))
}

async fn staged(config: RestConfig) -> Result<(), Failure> {
    let metrics = Arc::new(Metrics::new());
    let readiness = Readiness::waiting("the first full lists of objects are not complete");
    let shutdown = CancellationToken::new();
    let signals = end_on_signal(shutdown.clone())?;
    let machines = http::bind("--metrics-listen", config.metrics_listen).await?;
    let listener = http::bind("--listen", config.service.listen).await?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        home = config.service.instance.home_namespace,
        rest = %listener.local_addr()?,
        metrics = %machines.local_addr()?,
        "starting"
    );
    let health = http::serve(machines, metrics.clone(), readiness.clone(), shutdown.clone());
    let stage = rest::Stage { listener, metrics, readiness, shutdown: shutdown.clone() };
    tokio::select! {
        ended = ordered(health, rest::run(config.service, stage), &shutdown) => ended,
        never = signals => match never {},
    }
}
