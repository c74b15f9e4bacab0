//! GET /health and its two sharper siblings.

use axum::Json;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::app::Call;
use super::error::ApiError;
use super::models::HealthResponse;
use super::routes::{Access, Expects, Route, schema_of};

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let route = |path, id, summary, handler| Route {
        method: Method::GET,
        path,
        id,
        tag: "health",
        summary,
        access: Access::Public,
        body: Expects::Nothing,
        query: &[],
        answers: vec![(200, schema_of::<HealthResponse>)],
        handler,
    };
    vec![
        route("/health", "health_check_health_get", "Whether the service runs", get(healthy)),
        route("/health/live", "health_live_health_live_get", "Whether the service runs", get(healthy)),
        route("/health/ready", "health_ready_health_ready_get", "Whether the service can answer", get(ready)),
    ]
}

async fn healthy() -> Json<HealthResponse> {
    Json(HealthResponse { status: "healthy".to_owned() })
}

async fn ready(call: Call) -> Response {
    match call.app.readiness.get() {
        Ok(()) => Json(HealthResponse { status: "ready".to_owned() }).into_response(),
        Err(reason) => ApiError::plain(StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}
