//! A JupyterHub: the tokens that its users make, and those that it gives to their servers.

use http::StatusCode;
use serde::Deserialize;

use super::outbound::{Away, Http};
use super::{Failure, Identity, Token};
use crate::config::JupyterhubConfig;

#[derive(Debug)]
pub(super) struct Jupyterhub {
    config: JupyterhubConfig,
    http: Http,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
    /// Of the owner: scopes limit what a token may do in the hub, and the hub tells them of every token alike.
    #[serde(default)]
    admin: bool,
}

#[derive(Deserialize)]
struct About {
    #[expect(dead_code, reason = "that it is there tells that this is a hub")]
    version: String,
}

impl Jupyterhub {
    pub(super) fn new(config: JupyterhubConfig, http: Http) -> Self {
        Self { config, http }
    }

    pub(super) async fn identify(&self, token: &Token) -> Result<Option<Identity>, Failure> {
        let url = self.config.url.join("user").map_err(|error| Away::new(error.to_string()))?;
        let answer = self.http.get(url, token.header("token")).await?;
        match answer.status {
            StatusCode::OK => {
                let owner: Owner = answer.json()?;
                // Services have tokens too, and their names have nothing to do with those of users.
                let is_user = owner.kind == "user";
                Ok(is_user.then_some(Identity { user: owner.name, admin: owner.admin, expires: None }))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(None),
            status => Err(Away::answered(status).into()),
        }
    }

    pub(super) async fn check(&self) -> Result<(), Away> {
        let answer = self.http.get(self.config.url.clone(), None).await?;
        if !answer.status.is_success() {
            return Err(Away::answered(answer.status));
        }
        answer.json::<About>().map(drop)
    }
}
