//! What can go wrong with credentials, without a secret in it.

use crate::api::meta::reason;
use crate::minio;

/// What an error asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A person must change something; until then only the audit looks again.
    WaitForChange,
    /// Try again later, with growing pauses.
    Retry,
}

/// Why a user's credentials are not as they should be. Whatever was begun is resumed by the next run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A Secret of that name exists and is not this object's; it was left as it is.
    #[error(
        "the Secret {namespace}/{name} belongs to {owner}: set spec.credentials.secretName to another name, or delete that Secret"
    )]
    SecretConflict {
        /// Where the Secret is.
        namespace: String,
        /// What it is called.
        name: String,
        /// Who owns it, in words.
        owner: String,
    },
    /// New keys wait for a person.
    #[error("{0}")]
    Waits(String),
    /// The Kubernetes API refused or did not answer.
    #[error("cannot {action} the Secret {namespace}/{name}")]
    Kubernetes {
        /// What was tried: a verb.
        action: &'static str,
        /// Where the Secret is.
        namespace: String,
        /// What it is called.
        name: String,
        /// Why not.
        source: KubernetesFailure,
    },
    /// MinIO refused or did not answer.
    #[error("cannot {action} of the MinIO user {user}")]
    Minio {
        /// What was tried: a verb and its object.
        action: &'static str,
        /// The user whose key it is.
        user: String,
        /// Why not.
        source: minio::Error,
    },
    /// The server created a key and does not accept it.
    #[error("MinIO does not accept the new key {access_key} of the MinIO user {user} yet")]
    Unproven {
        /// The user whose key it is.
        user: String,
        /// The id of the key.
        access_key: String,
    },
    /// The right to write ends before a write could.
    #[error("the leader lease is not held long enough for a write")]
    Fenced,
    /// Somebody else writes the same Secrets all the time.
    #[error("the Secret {namespace}/{name} keeps changing while it is written")]
    Contended {
        /// Where the Secret is.
        namespace: String,
        /// What it is called.
        name: String,
    },
}

impl Error {
    /// What the error asks of the caller.
    pub fn class(&self) -> Class {
        match self {
            Self::SecretConflict { .. } | Self::Waits(_) => Class::WaitForChange,
            _ => Class::Retry,
        }
    }

    /// Whether MinIO could not be reached at all.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Minio { source, .. } if source.class() == minio::Class::Unavailable)
    }

    /// The reason that a condition shows.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SecretConflict { .. } => reason::SECRET_CONFLICT,
            Self::Waits(_) => reason::LARGE_CHANGE,
            Self::Minio { .. } | Self::Unproven { .. } => reason::MINIO_UNAVAILABLE,
            Self::Fenced => reason::LEASE_UNAVAILABLE,
            Self::Kubernetes { .. } | Self::Contended { .. } => reason::PROGRESSING,
        }
    }
}

/// What the Kubernetes API answered, without anything that it may have quoted of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubernetesFailure {
    /// It refused.
    #[error("the Kubernetes API answered {code} {reason}")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// Its own word for it, such as `Forbidden`.
        reason: String,
    },
    /// It did not answer in time.
    #[error("the Kubernetes API did not answer within {0} seconds")]
    Timeout(u64),
    /// The exchange failed.
    #[error("the exchange with the Kubernetes API failed: {0}")]
    Exchange(&'static str),
}

impl KubernetesFailure {
    pub(super) fn is(&self, status: u16) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == status)
    }
}

impl From<kube::Error> for KubernetesFailure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused { code: status.code, reason: status.reason },
            kube::Error::HyperError(_) | kube::Error::Service(_) => Self::Exchange("no connection, or it broke"),
            kube::Error::SerdeError(_) => Self::Exchange("the answer could not be decoded"),
            kube::Error::Auth(_) => Self::Exchange("the credentials of this process could not be used"),
            _ => Self::Exchange("the request could not be sent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_api_server_about_a_secret_are_not_repeated() {
        let status = kube::core::Status::failure("data: Invalid value: \"hunter2\"", "Invalid").with_code(422);
        let failure = KubernetesFailure::from(kube::Error::Api(Box::new(status)));
        assert!(failure.is(422));
        assert_eq!(failure.to_string(), "the Kubernetes API answered 422 Invalid");
        let decoding = serde_json::from_str::<u8>("\"hunter2\"").unwrap_err();
        let failure = KubernetesFailure::from(kube::Error::SerdeError(decoding));
        assert!(!format!("{failure} {failure:?}").contains("hunter2"));
    }

    #[test]
    fn only_a_conflict_waits_for_a_person() {
        let conflict = Error::SecretConflict { namespace: "lake".into(), name: "s3".into(), owner: "nobody".into() };
        assert_eq!((conflict.class(), conflict.reason()), (Class::WaitForChange, "SecretConflict"));
        assert_eq!((Error::Fenced.class(), Error::Fenced.reason()), (Class::Retry, "LeaseUnavailable"));
    }
}
