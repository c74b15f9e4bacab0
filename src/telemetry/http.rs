//! The port for machines: `/metrics`, `/live`, `/ready`.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Metrics;

/// What Prometheus asks for, and all others understand as text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long an orderly stop waits for open connections.
const GRACE: Duration = Duration::from_secs(3);
const ROUTES: [(&str, &str); 3] = [("GET", "/metrics"), ("GET", "/live"), ("GET", "/ready")];

/// Why the port does not work.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address} ({flag}); choose another address there")]
    Bind {
        /// The flag that names the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The listener broke.
    #[error("the server for metrics and health stopped")]
    Serve(#[source] std::io::Error),
}

/// Whether the process is ready, shared between the server and who knows.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<RwLock<Result<(), String>>>);

impl Readiness {
    /// Not ready, for a reason that people understand.
    pub fn waiting(reason: impl Into<String>) -> Self {
        Self(Arc::new(RwLock::new(Err(reason.into()))))
    }

    /// Ready from now on.
    pub fn set_ready(&self) {
        self.set(Ok(()));
    }

    /// Not ready from now on.
    pub fn set_waiting(&self, reason: impl Into<String>) {
        self.set(Err(reason.into()));
    }

    /// `Ok` when ready, else the reason why not.
    ///
    /// # Errors
    /// The reason.
    pub fn get(&self) -> Result<(), String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: Result<(), String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// Opens the port that the flag names.
///
/// # Errors
/// Names flag and address.
pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|source| HttpError::Bind { flag, address, source })
}

/// Serves metrics and health until `shutdown`, then gives open connections a moment.
///
/// # Errors
/// A broken listener.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Result<(), HttpError> {
    let app = router(metrics, readiness);
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let grace_is_over = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server.into_future() => served.map_err(HttpError::Serve),
        () = grace_is_over => Ok(()),
    }
}

/// The routes of the port, for processes that serve more than these on it.
pub fn router(metrics: Arc<Metrics>, readiness: Readiness) -> Router {
    metrics.expect_http_routes(ROUTES);
    Router::new()
        .route("/metrics", get(exposition))
        .route("/live", get(|| async { "alive\n" }))
        .route("/ready", get(move || async move { ready(&readiness) }))
        .route_layer(middleware::from_fn_with_state(metrics.clone(), count))
        .with_state(metrics)
}

async fn exposition(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn ready(readiness: &Readiness) -> Response {
    match readiness.get() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let known = ROUTES.iter().find(|(_, route)| *route == request.uri().path());
    let response = next.run(request).await;
    // A method that the route does not have is answered by axum, and belongs to no series.
    if let Some((method, route)) = known
        && response.status() != StatusCode::METHOD_NOT_ALLOWED
    {
        metrics.http_request(route, method, response.status().as_u16(), start.elapsed());
    }
    response
}

#[cfg(test)]
mod tests;
