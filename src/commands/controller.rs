//! `minio-manager controller`: sets the stage (log, metrics, health, lease, signals) and runs the controller on it.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Failure;
use crate::config::{ControllerArgs, ControllerConfig, Environment};
use crate::lease::Lease;
use crate::telemetry::{self, Metrics, Readiness, http, logs};

/// What every part of a running controller shares.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// To be set after the first full lists of all objects.
    pub readiness: Readiness,
    /// Asked before every mutation.
    pub lease: Arc<Lease>,
    /// Ends everything, in order, when it is cancelled.
    pub shutdown: CancellationToken,
}

/// Runs `controller` until SIGTERM or SIGINT, or until it or the port for metrics and health fails.
///
/// # Errors
/// A wrong configuration, a port that cannot be opened, or what the controller reports.
pub fn run<F, E>(
    args: ControllerArgs,
    environment: &Environment,
    controller: impl FnOnce(ControllerConfig, Stage) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), E>>,
    E: Into<Failure>,
{
    let config = ControllerConfig::resolve(args, environment)?;
    logs::start(&config.log)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(staged(config, controller))
}

/// Sets the stage and runs `controller` on it.
pub(super) async fn staged<F, E>(
    config: ControllerConfig,
    controller: impl FnOnce(ControllerConfig, Stage) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), E>>,
    E: Into<Failure>,
{
    let shutdown = CancellationToken::new();
    let signals = end_on_signal(shutdown.clone())?;
    let metrics = Arc::new(Metrics::new());
    let listener = http::bind("--metrics-listen", config.metrics_listen).await?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        endpoint = %config.minio.endpoint,
        home = config.instance.home_namespace,
        metrics = %listener.local_addr()?,
        "starting"
    );
    let stage = Stage {
        readiness: Readiness::waiting("the first full lists of objects are not complete"),
        lease: Arc::new(Lease::new(metrics.clone())),
        shutdown,
        metrics,
    };
    let health = http::serve(listener, stage.metrics.clone(), stage.readiness.clone(), stage.shutdown.clone());
    tokio::select! {
        ended = ordered(health, controller(config, stage.clone()), &stage.shutdown) => ended,
        never = signals => match never {},
    }
}

/// Runs both until both have ended; the end of one asks the other to end too. Where both fail, the failure of `main` counts.
pub(super) async fn ordered<A, B>(
    beside: impl Future<Output = Result<(), A>>,
    main: impl Future<Output = Result<(), B>>,
    shutdown: &CancellationToken,
) -> Result<(), Failure>
where
    A: Into<Failure>,
    B: Into<Failure>,
{
    let beside = async {
        let ended = beside.await.map_err(Into::into);
        shutdown.cancel();
        ended
    };
    let main = async {
        let ended = main.await.map_err(Into::into);
        if let Err(error) = &ended {
            tracing::error!("ending: {}", telemetry::chain(&**error));
        }
        shutdown.cancel();
        ended
    };
    let (beside, main) = tokio::join!(beside, main);
    main.and(beside)
}

/// Hears signals from now on; the first one asks for an orderly end. What is answered never ends.
///
/// # Errors
/// Signals cannot be heard.
pub(super) fn end_on_signal(shutdown: CancellationToken) -> Result<impl Future<Output = Infallible>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: ending in order"),
            _ = interrupt.recv() => info!("SIGINT: ending in order"),
        }
        shutdown.cancel();
        std::future::pending().await
    })
}

#[cfg(test)]
mod tests;
