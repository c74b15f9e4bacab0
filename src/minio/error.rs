//! What went wrong, classified once.

use std::error::Error as StdError;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::call::{Call, Outcome};

/// Longest code and message of a server that are kept.
const MESSAGE_LIMIT: usize = 500;

/// What an error asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The user, group, policy, key, bucket or object does not exist (as MinIO itself says: a stranger's 404 is not this).
    Absent,
    /// The change had been made before: success for most callers.
    AlreadyApplied,
    /// The server's state forbids it: group not empty, policy in use, key taken, object exists.
    Conflict,
    /// The identity may not do this, or its credentials are wrong.
    Refused,
    /// The request can never succeed as it is.
    Invalid,
    /// Nothing was done; later it may work: no connection, not initialised, no quorum, overloaded, clocks apart.
    Unavailable,
    /// A change that may or may not have happened: read back before deciding.
    Ambiguous,
    /// The server failed, or its answer makes no sense. May be permanent: retry a bounded number of times.
    Internal,
}

impl Class {
    /// A stable word for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::AlreadyApplied => "already-applied",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Ambiguous => "ambiguous",
            Self::Internal => "internal",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Ambiguous | Self::Internal)
    }
}

/// A failed call. Holds the server's own words, never a body or a secret.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {message}")]
pub struct Error {
    call: Call,
    class: Class,
    status: Option<u16>,
    code: String,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// The call that failed.
    pub fn call(&self) -> Call {
        self.call
    }

    /// What the error asks of the caller.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The HTTP status, where the server answered.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The server's error code, such as `XMinioAdminNoSuchUser`; empty where it gave none.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The server's message, or our own where it did not answer; at most 500 characters on one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether this is an [`Class::Absent`] error.
    pub fn is_absent(&self) -> bool {
        self.class == Class::Absent
    }

    /// Whether the server does not know this route (an older, newer or foreign server).
    pub fn is_missing_route(&self) -> bool {
        match self.status {
            Some(426 | 501 | 405) => true,
            Some(404) => self.class != Class::Absent,
            _ => false,
        }
    }

    /// Whether no user can have this name, because it is that of root or of a key that the server knows.
    pub fn is_reserved_name(&self) -> bool {
        self.call == Call::AddUser && self.status == Some(403) && self.code == "XMinioInvalidIAMCredentials"
    }

    /// Whether there is such a policy, but one that the server cannot say: it takes documents with `NotAction`, and fails to
    /// write them down again.
    pub(super) fn is_unspeakable_document(&self) -> bool {
        self.call == Call::PolicyInfo && self.status == Some(500) && self.message.contains("empty actions not allowed")
    }

    /// The server's refusal of `call`.
    pub(super) fn answered(call: Call, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let Refusal { code, message } = Refusal::read(headers, body);
        let class = classify(call, status, &code, &message);
        let (code, message) = (one_line(&code), one_line(&message));
        let message = match (message.is_empty(), code.is_empty()) {
            (false, _) => message,
            (true, false) => format!("the server answered {} {code}", status.as_u16()),
            (true, true) => format!("the server answered {status} without a reason"),
        };
        Self { call, class, status: Some(status.as_u16()), code, message: one_line(&message), source: None }
    }

    /// The exchange did not come to an answer.
    pub(super) fn transport(call: Call, outcome: Outcome, source: Option<reqwest::Error>) -> Self {
        let class = match outcome {
            Outcome::Connect => Class::Unavailable,
            Outcome::Timeout | Outcome::Broken if call.is_mutation() => Class::Ambiguous,
            Outcome::Timeout | Outcome::Broken => Class::Unavailable,
            Outcome::Oversize | Outcome::Status(_) => broken_answer_class(call),
        };
        let message = match outcome {
            Outcome::Connect => "no connection to the server",
            Outcome::Timeout => "no answer within the deadline",
            Outcome::Broken => "the connection ended before the answer did",
            Outcome::Oversize => "the answer is larger than this call allows",
            Outcome::Status(_) => "the answer could not be read",
        };
        // The URL names users; the source must not repeat it.
        let source = source.map(|error| error.without_url().into());
        Self { call, class, status: None, code: String::new(), message: message.to_owned(), source }
    }

    /// The server answered with success, but with something that cannot be understood.
    pub(super) fn malformed(call: Call, what: impl Into<String>) -> Self {
        let message = format!("the server's answer cannot be understood: {}", what.into());
        Self { call, class: broken_answer_class(call), status: None, code: String::new(), message, source: None }
    }

    /// The server let us know only indirectly that our identity may not do this.
    pub(super) fn denied(call: Call, why: impl Into<String>) -> Self {
        Self { call, class: Class::Refused, status: None, code: String::new(), message: why.into(), source: None }
    }

    /// The request was not sent, because it could not mean what it says.
    pub(super) fn unsendable(call: Call, why: impl Into<String>) -> Self {
        Self { call, class: Class::Invalid, status: None, code: String::new(), message: why.into(), source: None }
    }
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The CA bundle is no PEM, or holds no certificate.
    #[error("the CA bundle must be one or more PEM certificates")]
    CaBundle(#[source] Option<reqwest::Error>),
    /// The TLS set-up failed.
    #[error("the HTTP client cannot be set up")]
    Build(#[source] reqwest::Error),
}

fn broken_answer_class(call: Call) -> Class {
    if call.is_mutation() { Class::Ambiguous } else { Class::Internal }
}

/// The one place where MinIO's answers get their meaning.
fn classify(call: Call, status: StatusCode, code: &str, message: &str) -> Class {
    match code {
        "XMinioAdminNoSuchUser"
        | "XMinioAdminNoSuchGroup"
        | "XMinioAdminNoSuchPolicy"
        | "XMinioAdminNoSuchAccessKey"
        | "NoSuchResource"
        | "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchBucketPolicy"
        | "NoSuchVersion" => return Class::Absent,
        "XMinioInvalidIAMCredentials" if status == StatusCode::NOT_FOUND => return Class::Absent,
        "XMinioAdminPolicyChangeAlreadyApplied" | "BucketAlreadyOwnedByYou" => return Class::AlreadyApplied,
        "XMinioAdminGroupNotEmpty"
        | "XMinioIAMPolicyInUse"
        | "XMinioIAMServiceAccountNotAllowed"
        | "PreconditionFailed"
        | "BucketAlreadyExists"
        | "BucketNotEmpty" => return Class::Conflict,
        "XMinioServerNotInitialized"
        | "XMinioIAMNotInitialized"
        | "XMinioAdminConfigNoQuorum"
        | "RequestTimeTooSkewed" => {
            return Class::Unavailable;
        }
        _ => {}
    }
    match status.as_u16() {
        401 | 403 => Class::Refused,
        // HEAD answers carry no code where a proxy strips MinIO's headers.
        404 if matches!(call, Call::HeadBucket | Call::HeadObject) => Class::Absent,
        // Not MinIO's own: a proxy without a backend, or another service.
        404 => Class::Unavailable,
        408 | 502 | 504 if call.is_mutation() => Class::Ambiguous,
        408 | 429 | 502..=504 | 507 => Class::Unavailable,
        // MinIO reports some permanent refusals as internal errors.
        500 if message.contains("invalid service account expiration") => Class::Invalid,
        500.. => Class::Internal,
        _ => Class::Invalid,
    }
}

/// The code and message of an error answer.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default, rename = "Code", alias = "code")]
    code: String,
    #[serde(default, rename = "Message", alias = "message")]
    message: String,
}

impl Refusal {
    /// From JSON (admin), XML (S3), or the headers with which MinIO explains a HEAD.
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        if let Ok(refusal) = serde_json::from_slice::<Self>(body) {
            return refusal;
        }
        if let Some(refusal) =
            std::str::from_utf8(body).ok().and_then(|text| quick_xml::de::from_str::<Self>(text).ok())
        {
            return refusal;
        }
        let header = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            value.trim_matches('"').to_owned()
        };
        Self { code: header("x-minio-error-code"), message: header("x-minio-error-desc") }
    }
}

fn one_line(message: &str) -> String {
    let shown = message.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(MESSAGE_LIMIT).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
