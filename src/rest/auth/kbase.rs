//! The authentication service of KBase.

use http::StatusCode;
use serde::Deserialize;

use super::outbound::{Away, Http};
use super::{AuthError, Failure, Identity, Token};
use crate::config::KbaseConfig;

/// What the service calls itself.
const SERVICE_NAME: &str = "Authentication Service";
/// Its code for a token that it does not know.
const INVALID_TOKEN: i64 = 10020;

#[derive(Debug)]
pub(super) struct Kbase {
    config: KbaseConfig,
    http: Http,
}

#[derive(Deserialize)]
struct Me {
    user: String,
    #[serde(default)]
    customroles: Vec<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: RefusedError,
}

#[derive(Deserialize)]
struct RefusedError {
    appcode: Option<i64>,
}

#[derive(Deserialize)]
struct About {
    servicename: String,
}

impl Kbase {
    pub(super) fn new(config: KbaseConfig, http: Http) -> Self {
        Self { config, http }
    }

    pub(super) async fn identify(&self, token: &Token) -> Result<Option<Identity>, Failure> {
        let url = self.config.url.join("api/V2/me").map_err(|error| Away::new(error.to_string()))?;
        let answer = self.http.get(url, token.header("")).await?;
        if answer.status != StatusCode::OK {
            let refused: Refused = answer.json()?;
            return match refused.error.appcode {
                Some(INVALID_TOKEN) => Ok(None),
                code => Err(Away::new(format!("it answered {} with code {code:?}", answer.status.as_u16())).into()),
            };
        }
        let me: Me = answer.json()?;
        let missing = self.config.required_roles.iter().filter(|role| !me.customroles.contains(role));
        let missing: Vec<_> = missing.cloned().collect();
        if !missing.is_empty() {
            return Err(AuthError::MissingRole { missing }.into());
        }
        let admin = me.customroles.iter().any(|role| self.config.admin_roles.contains(role));
        Ok(Some(Identity { user: me.user, admin, expires: None }))
    }

    pub(super) async fn check(&self) -> Result<(), Away> {
        let answer = self.http.get(self.config.url.clone(), None).await?;
        if !answer.status.is_success() {
            return Err(Away::answered(answer.status));
        }
        let about: About = answer.json()?;
        if about.servicename == SERVICE_NAME {
            Ok(())
        } else {
            Err(Away::new(format!("KBASE_AUTH_URL is of a service that does not call itself {SERVICE_NAME:?}")))
        }
    }
}
