//! The Kubernetes API: tokens of service accounts, and of whoever else it knows.

use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode_claims;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use serde::Deserialize;

use super::outbound::{Away, Turns};
use super::{Failure, Identity, Token};
use crate::config::KubernetesConfig;

pub(super) struct Kubernetes {
    config: KubernetesConfig,
    client: kube::Client,
    turns: Turns,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Kubernetes {
    pub(super) fn new(config: KubernetesConfig, client: kube::Client) -> Self {
        Self { config, client, turns: Turns::new() }
    }

    pub(super) async fn identify(&self, token: &Token) -> Result<Option<Identity>, Failure> {
        let status = self.review(token).await?;
        if status.authenticated != Some(true) || !self.is_for_us(&status) {
            return Ok(None);
        }
        let Some(owner) = status.user else { return Ok(None) };
        let Some(user) = owner.username.and_then(|name| self.config.users.get(&name)) else { return Ok(None) };
        let groups = owner.groups.unwrap_or_default();
        let admin = self.config.admin_group.as_ref().is_some_and(|group| groups.contains(group));
        Ok(Some(Identity { user: user.to_string(), admin, expires: end(token) }))
    }

    /// Whether we may review tokens.
    pub(super) async fn check(&self) -> Result<(), Away> {
        let asked = ResourceAttributes {
            group: Some("authentication.k8s.io".to_owned()),
            resource: Some("tokenreviews".to_owned()),
            verb: Some("create".to_owned()),
            ..ResourceAttributes::default()
        };
        let spec =
            SelfSubjectAccessReviewSpec { resource_attributes: Some(asked), ..SelfSubjectAccessReviewSpec::default() };
        let answer = self.create(&SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() }).await?;
        if answer.status.is_some_and(|status| status.allowed) {
            Ok(())
        } else {
            Err(Away::new("RBAC does not let us create TokenReviews"))
        }
    }

    async fn review(&self, token: &Token) -> Result<TokenReviewStatus, Away> {
        let audiences = self.config.audience.clone().map(|audience| vec![audience]);
        let spec = TokenReviewSpec { token: Some(token.expose().to_owned()), audiences };
        let review = self.create(&TokenReview { spec, ..TokenReview::default() }).await?;
        Ok(review.status.unwrap_or_default())
    }

    /// An authenticator that does not know audiences names none, and its tokens are for the API server.
    fn is_for_us(&self, status: &TokenReviewStatus) -> bool {
        let Some(audience) = &self.config.audience else { return true };
        status.audiences.as_ref().is_some_and(|audiences| audiences.contains(audience))
    }

    async fn create<T>(&self, question: &T) -> Result<T, Away>
    where
        T: kube::Resource<Scope = k8s_openapi::ClusterResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        let api: Api<T> = Api::all(self.client.clone());
        let params = PostParams::default();
        let create = async {
            let answer = api.create(&params, question).await;
            answer.map_err(|error| Away::new(crate::telemetry::chain(&error)))
        };
        self.turns.take(create).await
    }
}

/// When a token that the API server has accepted ends, if it is a JWT: its signature needs no second look.
fn end(token: &Token) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims: Claims = insecure_decode_claims(token.expose()).ok()?;
    Timestamp::from_second(claims.exp).ok()
}
