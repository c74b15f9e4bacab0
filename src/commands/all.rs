//! `minio-manager all`: the controller and the REST service in one process, for trying out and for small installations.

use tracing::info;

use super::Failure;
use super::controller::{self, Stage, ordered};
use crate::config::{AllArgs, ControllerConfig, Environment, ServiceConfig};
use crate::rest;
use crate::telemetry::{Readiness, http, logs};

/// Runs both until SIGTERM or SIGINT, or until one of them or a port fails.
///
/// # Errors
/// A wrong configuration, a port that cannot be opened, or what one of them reports.
pub fn run(args: AllArgs, environment: &Environment) -> Result<(), Failure> {
    let (service, config) = ServiceConfig::beside(args, environment)?;
    logs::start(&config.log)?;
    let both = controller::staged(config, |config, stage| together(config, service, stage));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(both)
}

async fn together(config: ControllerConfig, service: ServiceConfig, stage: Stage) -> Result<(), Failure> {
    let listener = http::bind("--listen", service.listen).await?;
    info!(rest = %listener.local_addr()?, "the REST API is open");
    let shutdown = stage.shutdown.clone();
    let rest = rest::Stage {
        listener,
        metrics: stage.metrics.clone(),
        readiness: Readiness::waiting("the first full lists of objects are not complete"),
        shutdown: shutdown.clone(),
    };
    ordered(rest::run(service, rest), crate::controller::run(config, stage), &shutdown).await
}
