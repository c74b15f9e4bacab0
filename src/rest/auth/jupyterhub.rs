//! A JupyterHub: the tokens that its users make, and those that it gives to their servers. It also gives away tokens of people:
//! to services, and to the servers of others, when they are opened in a browser. Those lack a scope that is asked for here.

use http::StatusCode;
use serde::Deserialize;

use super::outbound::{Away, Http};
use super::{AuthError, Failure, Identity, Token};
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
    /// Of the owner, whatever the token may do.
    #[serde(default)]
    admin: bool,
    /// What the token may do; hubs before version 2 do not say.
    #[serde(default)]
    scopes: Vec<String>,
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
                if owner.kind != "user" {
                    return Ok(None);
                }
                let scope = &self.config.scope;
                if !owner.scopes.iter().any(|held| is_for(held, scope, &owner.name)) {
                    return Err(AuthError::MissingScope { scope: scope.clone() }.into());
                }
                Ok(Some(Identity { user: owner.name, admin: owner.admin, expires: None }))
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

/// Whether a scope that a token holds is the wanted one, for everybody or for this user: itself, or a server of its own.
fn is_for(held: &str, wanted: &str, user: &str) -> bool {
    let Some((scope, filter)) = held.split_once('!') else { return held == wanted };
    let own = match filter.split_once('=') {
        Some(("user", name)) => name == user,
        Some(("server", server)) => server.split_once('/').is_some_and(|(name, _)| name == user),
        _ => false,
    };
    own && scope == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_counts_for_everybody_or_for_its_user_alone() {
        let fits = |held: &str| is_for(held, "users:activity", "alice");
        for held in [
            "users:activity",
            "users:activity!user=alice",
            "users:activity!server=alice/",
            "users:activity!server=alice/lab",
        ] {
            assert!(fits(held), "{held}");
        }
        for held in [
            "",
            "users",
            "read:users:activity",
            "users:activity!",
            "users:activity!user",
            "users:activity!user=",
            "users:activity!user=bob",
            "users:activity!user=alice2",
            "users:activity!group=alice",
            "users:activity!server=alice",
            "users:activity!server=alice2/",
            "users:activity!server=bob/alice",
            "read:users:activity!user=alice",
        ] {
            assert!(!fits(held), "{held}");
        }
    }
}
