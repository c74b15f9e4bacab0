//! Who asks: backends that know tokens.

use std::collections::HashMap;

use http::{HeaderMap, header};

use crate::config::AuthConfig;
use crate::iam::names::UserName;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The MinIO user.
    pub user: UserName,
    /// Whether it may do everything.
    pub admin: bool,
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Not `Bearer` and one token.
    #[error("Invalid authentication header")]
    MalformedHeader,
    /// Nobody knows the token.
    #[error("Invalid token")]
    InvalidToken,
    /// A role is missing.
    #[error("Missing required role")]
    MissingRole {},
    /// Not a user name.
    #[error("not a user name")]
    InvalidUserName {},
    /// The backend is away.
    #[error("away")]
    Unavailable {},
}

/// Knows tokens.
pub struct Authenticator(HashMap<String, Caller>);

impl Authenticator {
    /// From a configuration.
    pub fn new(config: AuthConfig) -> Self {
        Self(config.0)
    }

    /// Who asks.
    ///
    /// # Errors
    /// Malformed or unknown.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Caller>, AuthError> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let text = value.to_str().map_err(|_| AuthError::MalformedHeader)?;
        let token = text.strip_prefix("Bearer ").ok_or(AuthError::MalformedHeader)?;
        self.0.get(token).cloned().map(Some).ok_or(AuthError::InvalidToken)
    }
}
