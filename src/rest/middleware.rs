//! What happens around every endpoint, in this order: an id, the caller, the body, the rights, the limits; then metrics and
//! the audit line.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::Instant;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use super::app::{Answered, App, Call};
use super::auth::AuthError;
use super::error::ApiError;
use super::input::{Body, Template};
use super::routes::{Access, Expects, Route, method_name};

/// The largest body that is read.
pub const BODY_LIMIT: usize = 256 * 1024;
/// How long it may take to find out who asks; several slow backends would add up.
const AUTH_DEADLINE: Duration = Duration::from_secs(6);
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// Answers from this many bytes on are compressed for those who accept it.
const COMPRESSED_FROM: u64 = 500;
/// From this many users on, those are forgotten whose bucket is full again, which takes each of them the seconds of a burst.
const USERS_REMEMBERED: usize = 10_000;
/// So many seconds' worth of writes may come at once.
const BURST_SECONDS: f64 = 10.0;
/// The route of calls that did not get to one: who asks is unknown, or there is no such path.
pub const NO_ROUTE: &str = "none";
const REQUEST_ID: &str = "x-request-id";

/// What a route says about itself to the layers around it.
#[derive(Clone, Copy)]
struct Nature {
    path: &'static str,
    method: &'static str,
    access: Access,
    expects: Expects,
    writes: bool,
}

/// An endpoint with the checks that its row in the table asks for.
pub fn around(route: &Route) -> MethodRouter {
    let nature = Nature {
        path: route.path,
        method: method_name(&route.method),
        access: route.access,
        expects: route.body,
        writes: route.writes(),
    };
    route.handler.clone().layer(from_fn(move |request, next| check(nature, request, next)))
}

/// The methods of one path; all others are refused with those that there are. HEAD is no method of this service.
pub fn only(methods: MethodRouter, allow: String) -> MethodRouter {
    let refusal = ApiError::method_not_allowed(allow);
    let head = refusal.clone();
    methods.fallback(move || async move { refusal }).layer(from_fn(move |request: Request, next: Next| {
        let head = head.clone();
        async move { if request.method() == Method::HEAD { head.into_response() } else { next.run(request).await } }
    }))
}

/// The layers around all paths.
pub fn around_all(router: Router, app: &Arc<App>) -> Router {
    router
        .layer(from_fn_with_state(app.clone(), identify))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESSED_FROM)))
}

/// No such path.
pub async fn nothing_here() -> ApiError {
    ApiError::not_found()
}

/// Gives the call an id and finds out who makes it; a malformed or unknown token is refused on every path.
async fn identify(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let call = Call::begin(app.clone(), id.clone());
    let found = tokio::time::timeout(AUTH_DEADLINE, app.auth.authenticate(request.headers())).await;
    let started = Instant::now();
    let method = method_name(request.method());
    let mut response = match found.unwrap_or(Err(AuthError::TooSlow)) {
        // An encoded slash would be a part of a name, where the legacy service took it for the end of one.
        Ok(_) if has_encoded_slash(request.uri().path()) => ApiError::not_found().into_response(),
        Ok(caller) => {
            request.extensions_mut().insert(call.by(caller));
            next.run(request).await
        }
        Err(error) => {
            tracing::debug!(request = %id, %error, "refused");
            ApiError::from(error).into_response()
        }
    };
    if response.extensions().get::<Counted>().is_none() {
        app.metrics.http_request(NO_ROUTE, method, response.status().as_u16(), started.elapsed());
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn has_encoded_slash(path: &str) -> bool {
    path.as_bytes().windows(3).any(|bytes| bytes.eq_ignore_ascii_case(b"%2f"))
}

/// The caller's own id where it is short and plain, else one of ours.
fn request_id(request: &Request) -> Arc<str> {
    let plain =
        |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| format!("{:032x}", rand::random::<u128>()).into(), Into::into)
}

/// Body, rights and limits of one route; what became of the call is counted and, for a change, told to the audit trail.
async fn check(nature: Nature, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let call = request.extensions().get::<Call>().cloned();
    let Some(call) = call else { return ApiError::unavailable("the call was not prepared").into_response() };
    let mut response = match prepare(nature, &call, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let status = response.status();
    call.app.metrics.http_request(nature.path, nature.method, status.as_u16(), started.elapsed());
    call.answered(Answered { method: nature.method, route: nature.path, writes: nature.writes, status });
    response.extensions_mut().insert(Counted);
    response
}

async fn prepare(nature: Nature, call: &Call, request: Request) -> Result<Request, ApiError> {
    let mut request = read_body(nature.expects, request).await?;
    request.extensions_mut().insert(Template(nature.path));
    match nature.access {
        Access::Public => {}
        Access::User => drop(call.caller()?),
        Access::Admin if call.caller()?.admin => {}
        Access::Admin => return Err(ApiError::not_admin()),
    }
    if nature.access != Access::Public {
        call.app
            .readiness
            .get()
            .map_err(|reason| ApiError::unavailable(format!("The service is not ready: {reason}")))?;
    }
    if nature.writes {
        call.take_write()?;
    }
    Ok(request)
}

/// Reads the body before anybody asks who sends it, as the legacy service did. Where none has to be sent, only one that claims
/// to be JSON has to be sound.
async fn read_body(expects: Expects, request: Request) -> Result<Request, ApiError> {
    if matches!(expects, Expects::Nothing) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let kind = parts.headers.get("content-type");
    let bytes = match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(read)) => read.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(ApiError::too_large(BODY_LIMIT)),
        Ok(Err(_)) => return Err(ApiError::plain(StatusCode::BAD_REQUEST, "The request body broke off")),
        Err(_) => return Err(ApiError::plain(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time")),
    };
    let body = match expects {
        Expects::Perhaps(_) if bytes.is_empty() => None,
        Expects::Perhaps(_) if !kind.is_some_and(is_json) => Body::read(&bytes).ok(),
        Expects::Body(_) if !kind.is_none_or(is_json) => Some(Body(text_of(&bytes))),
        _ => Some(Body::read(&bytes)?),
    };
    if let Some(body) = body {
        parts.extensions.insert(body);
    }
    Ok(Request::from_parts(parts, axum::body::Body::empty()))
}

/// A body that is not called JSON is a text, which no endpoint accepts.
fn text_of(bytes: &Bytes) -> serde_json::Value {
    serde_json::Value::String(String::from_utf8_lossy(bytes).into_owned())
}

fn is_json(value: &HeaderValue) -> bool {
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Marks an answer that has been counted under its route.
#[derive(Clone, Copy)]
struct Counted;

/// How much each user has changed lately: a bucket of tokens each.
#[derive(Default)]
pub struct Writes(Mutex<HashMap<String, (f64, Instant)>>);

impl Writes {
    /// Takes one change off the user's bucket.
    ///
    /// # Errors
    /// 429 where it is empty.
    pub fn take(&self, user: &str, per_second: u32) -> Result<(), ApiError> {
        if per_second == 0 {
            return Ok(());
        }
        let (rate, now) = (f64::from(per_second), Instant::now());
        let full = rate * BURST_SECONDS;
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= USERS_REMEMBERED && !users.contains_key(user) {
            users.retain(|_, (left, since)| *left + since.elapsed().as_secs_f64() * rate < full);
        }
        let (left, since) = users.get(user).copied().unwrap_or((full, now));
        let left = (left + (now - since).as_secs_f64() * rate).min(full);
        let granted = left >= 1.0;
        users.insert(user.to_owned(), (if granted { left - 1.0 } else { left }, now));
        if granted { Ok(()) } else { Err(ApiError::too_many_writes(1)) }
    }
}
