//! One object at the API server: calls under a deadline.

use std::time::Duration;

use kube::Resource;
use kube::api::ApiResource;
use tokio::time::Instant;

use crate::api;
use crate::iam::subject::{Kind, ObjectKey};

/// How long one call to the API server may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// Why a call to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with an error, or could not be reached.
    #[error("the Kubernetes API refused to {action} {object}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// Somebody else keeps writing the object.
    #[error("{object} keeps changing while it is written")]
    Contended {
        /// Which object.
        object: String,
    },
    /// No answer in time.
    #[error("the Kubernetes API did not {action} {object} in time")]
    Timeout {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
    },
}

impl Error {
    /// The status code of the answer, if there was one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Error::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Error::Timeout { .. } | Error::Contended { .. } => None,
        }
    }

    /// Whether it is certain that nothing was changed: the server refused, or was not reached.
    pub fn is_without_effect(&self) -> bool {
        match self {
            Error::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => (400..500).contains(&status.code),
                error => never_arrived(error),
            },
            Error::Contended { .. } => true,
            Error::Timeout { .. } => false,
        }
    }
}

/// Whether there was no connection to send a request on.
fn never_arrived(error: &kube::Error) -> bool {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes
        .any(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect()))
}

/// Runs one call to the API server under the deadline.
///
/// # Errors
/// The answer of the server, or that there was none in time.
pub async fn call<T>(
    action: &'static str,
    object: impl std::fmt::Display,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    call_until(Instant::now() + CALL_DEADLINE, action, object, call).await
}

/// Runs one call to the API server that has to end at an instant, too; after it, nothing is sent.
///
/// # Errors
/// The answer of the server, or that there was none in time.
pub async fn call_until<T>(
    end: Instant,
    action: &'static str,
    object: impl std::fmt::Display,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    let now = Instant::now();
    if end <= now {
        return Err(Error::Timeout { action, object: object.to_string() });
    }
    match tokio::time::timeout_at(end.min(now + CALL_DEADLINE), call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Error::Api { action, object: object.to_string(), source: Box::new(source) }),
        Err(_) => Err(Error::Timeout { action, object: object.to_string() }),
    }
}

/// The API resource of a kind.
pub fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::MinioUser => ApiResource::erase::<api::MinioUser>(&()),
        Kind::MinioGroup => ApiResource::erase::<api::MinioGroup>(&()),
        Kind::GroupMembership => ApiResource::erase::<api::GroupMembership>(&()),
        Kind::PathShare => ApiResource::erase::<api::PathShare>(&()),
        Kind::MinioPolicy => ApiResource::erase::<api::MinioPolicy>(&()),
        Kind::MinioAccessKey => ApiResource::erase::<api::MinioAccessKey>(&()),
    }
}

/// The key of an object of a kind.
pub fn key_of<K: Resource>(kind: Kind, object: &K) -> ObjectKey {
    let meta = object.meta();
    ObjectKey::new(kind, meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}
