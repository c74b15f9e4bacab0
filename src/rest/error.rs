//! Answers that are no success: the codes of the legacy service, in a body that every known client understands.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::auth::AuthError;
use crate::iam::path::PathError;
use crate::kubernetes;
use crate::telemetry::chain;

/// The codes of the legacy service that this one answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 10010
    NoToken,
    /// 10020
    InvalidToken,
    /// 10030
    InvalidHeader,
    /// 10040
    MissingRole,
    /// 20015
    Path,
    /// 20030
    User,
    /// 20040
    Group,
    /// 20042
    Governance,
    /// 20050
    Unavailable,
    /// 30010
    Request,
    /// 30020
    Bucket,
}

impl Code {
    fn number(self) -> u32 {
        match self {
            Self::NoToken => 10010,
            Self::InvalidToken => 10020,
            Self::InvalidHeader => 10030,
            Self::MissingRole => 10040,
            Self::Path => 20015,
            Self::User => 20030,
            Self::Group => 20040,
            Self::Governance => 20042,
            Self::Unavailable => 20050,
            Self::Request => 30010,
            Self::Bucket => 30020,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::NoToken => "No authentication token",
            Self::InvalidToken => "Invalid token",
            Self::InvalidHeader => "Invalid authentication header",
            Self::MissingRole => "Missing required role",
            Self::Path => "MinIO policy validation error",
            Self::User => "MinIO user operation error",
            Self::Group => "MinIO group operation error",
            Self::Governance => "Data governance policy violation",
            Self::Unavailable => "MinIO connection error",
            Self::Request => "Request validation failed",
            Self::Bucket => "Bucket validation error",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NoToken | Self::InvalidToken | Self::InvalidHeader => StatusCode::UNAUTHORIZED,
            Self::MissingRole | Self::Governance => StatusCode::FORBIDDEN,
            Self::Path | Self::User | Self::Group | Self::Bucket => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Request => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// What is wrong with one part of a request body or query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    /// A word for programs, such as `missing`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where: `body` or `query`, then names and indices.
    pub loc: Vec<Value>,
    /// What would be right.
    pub msg: String,
}

/// An answer that is no success. What it says is for the caller; causes that are not go to the log.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: Option<Code>,
    message: String,
    violations: Vec<Violation>,
    allow: Option<String>,
    retry_after: Option<u64>,
}

impl ApiError {
    /// An error with a code, and the status that goes with it.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: Some(code), ..Self::plain(code.status(), message) }
    }

    /// An error that the legacy service has no code for.
    pub fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: None, message: message.into(), violations: Vec::new(), allow: None, retry_after: None }
    }

    /// 400/20030
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Code::User, message)
    }

    /// 400/20040
    pub fn group(message: impl Into<String>) -> Self {
        Self::new(Code::Group, message)
    }

    /// 403/20042
    pub fn governance(message: impl Into<String>) -> Self {
        Self::new(Code::Governance, message)
    }

    /// 503/20050: what was asked for may still happen.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { retry_after: Some(2), ..Self::new(Code::Unavailable, message) }
    }

    /// 403 for somebody who is no administrator.
    pub fn not_admin() -> Self {
        Self::plain(StatusCode::FORBIDDEN, "Administrator privileges required for this operation")
    }

    /// 404
    pub fn not_found() -> Self {
        Self::plain(StatusCode::NOT_FOUND, "Not Found")
    }

    /// 405, with the methods that the path has.
    pub fn method_not_allowed(allow: impl Into<String>) -> Self {
        Self { allow: Some(allow.into()), ..Self::plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed") }
    }

    /// 413
    pub fn too_large(limit: usize) -> Self {
        Self::plain(StatusCode::PAYLOAD_TOO_LARGE, format!("The request body is larger than {limit} bytes"))
    }

    /// 429
    pub fn too_many_writes(seconds: u64) -> Self {
        let message = format!("Too many changes by one user; try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::plain(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// 422: what is wrong, and where.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let parts: Vec<String> = violations.iter().map(|one| format!("{}: {}", place(&one.loc), one.msg)).collect();
        Self { violations, ..Self::new(Code::Request, parts.join("; ")) }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// What it tells the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

fn place(loc: &[Value]) -> String {
    let part = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    loc.iter().map(part).collect::<Vec<_>>().join(".")
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let message = error.to_string();
        match error {
            AuthError::MalformedHeader => Self::new(Code::InvalidHeader, message),
            AuthError::InvalidToken | AuthError::MissingScope { .. } => Self::new(Code::InvalidToken, message),
            AuthError::MissingRole { .. } => Self::new(Code::MissingRole, message),
            AuthError::InvalidUserName { .. } => Self::user(message),
            AuthError::Unavailable { .. } | AuthError::TooSlow => {
                Self::plain(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
        }
    }
}

impl From<PathError> for ApiError {
    fn from(error: PathError) -> Self {
        let code = if matches!(error, PathError::Bucket(_)) { Code::Bucket } else { Code::Path };
        Self::new(code, error.to_string())
    }
}

/// The Kubernetes API is away, or refuses what this service should be allowed to do. The caller learns that it may be tried
/// again, and whether it is certain that nothing came of it, the log why.
impl From<kubernetes::Error> for ApiError {
    fn from(error: kubernetes::Error) -> Self {
        tracing::warn!(error = %chain(&error), "the Kubernetes API did not do what was asked");
        Self::unavailable(if error.is_without_effect() {
            "The Kubernetes API cannot be reached or refused the change, which was not made; ask again"
        } else {
            "The Kubernetes API did not answer in time; the change may have been made or not; ask again"
        })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = if self.violations.is_empty() { json!(self.message) } else { json!(self.violations) };
        let body = json!({
            "detail": detail,
            "error": self.code.map(Code::number),
            "error_type": self.code.map(Code::text),
            "message": self.message,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(allow) = self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};

    use k8s_openapi::api::core::v1::Secret;
    use kube::core::Status;
    use kube::{Api, Config};

    use super::*;

    #[tokio::test]
    async fn only_what_was_refused_or_never_sent_is_said_to_be_without_effect() {
        let answered = |code: u16| {
            let status = Status { code, ..Status::default() };
            kubernetes::call("change", "object", async { Err::<(), _>(kube::Error::Api(status.boxed())) })
        };
        for (code, is_certain) in [(403, true), (409, true), (429, true), (500, false), (503, false), (504, false)] {
            let error = ApiError::from(answered(code).await.unwrap_err());
            assert_eq!(error.message().contains("was not made"), is_certain, "{code}: {}", error.message());
        }
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Nobody listens there any more.
        let closed = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap().local_addr().unwrap();
        let secrets = |address: SocketAddr| {
            let client = kubernetes::client(Config::new(format!("http://{address}").parse().unwrap())).unwrap();
            Api::<Secret>::namespaced(client, "lake")
        };
        let refused = kubernetes::call("read", "object", secrets(closed).get("x")).await.unwrap_err();
        assert!(ApiError::from(refused).message().contains("was not made"));
        let silent = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let soon = tokio::time::Instant::now() + std::time::Duration::from_millis(50);
        let secrets = secrets(silent.local_addr().unwrap());
        let late = kubernetes::call_until(soon, "change", "object", secrets.get("x")).await.unwrap_err();
        assert!(ApiError::from(late).message().contains("may have been made or not"));
    }
}
