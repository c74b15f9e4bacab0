//! The Kubernetes API: real tokens of service accounts, reviewed by a real API server.

use std::time::Instant;

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use minio_manager::{
    config::BackendName,
    iam::names::UserName,
    rest::auth::{AuthConfigError, AuthError, Authenticator},
};

use super::{File, asked, caller, config};
use crate::support::{identity::RestIdentity, kube::Cluster, proxy::Proxy, world::PATIENCE};

const AUDIENCE: &str = "lake";

/// A namespace with a service account `etl`.
pub struct Account {
    client: Client,
    namespace: String,
}

impl Account {
    pub async fn create(prefix: &str) -> Self {
        let cluster = Cluster::shared();
        let account = Self { client: cluster.client().await, namespace: cluster.namespace(prefix).await };
        let object = ServiceAccount {
            metadata: ObjectMeta { name: Some("etl".to_owned()), ..ObjectMeta::default() },
            ..ServiceAccount::default()
        };
        account.api().create(&PostParams::default(), &object).await.unwrap();
        account
    }

    fn api(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// As Kubernetes calls it.
    pub fn name(&self) -> String {
        format!("system:serviceaccount:{}:etl", self.namespace)
    }

    /// The group of all service accounts of its namespace.
    fn group(&self) -> String {
        format!("system:serviceaccounts:{}", self.namespace)
    }

    /// A new token for an audience; without one for the API server.
    pub async fn token(&self, audience: Option<&str>) -> String {
        let audiences = audience.map(str::to_owned).into_iter().collect();
        let spec = TokenRequestSpec { audiences, ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = self.api().create_token_request("etl", &PostParams::default(), &request).await.unwrap();
        answer.status.unwrap().token
    }

    /// The REST service as it may review tokens, and nobody else's.
    async fn reviewer(&self) -> Client {
        let identity = RestIdentity::install(Cluster::shared(), &self.namespace).await;
        identity.review_tokens().await;
        identity.client().await
    }

    async fn delete(&self) {
        self.api().delete("etl", &kube::api::DeleteParams::default()).await.unwrap();
    }

    /// A file that maps it to a user.
    pub fn users(&self, user: &str) -> File {
        File::new(&format!("users: {{'{}': {user}}}\n", self.name()))
    }
}

fn with(client: Client, users: &File, variables: &[(&str, &str)]) -> Authenticator {
    let own = [("AUTH", "kubernetes"), ("KUBERNETES_USERS", users.path())];
    Authenticator::new(config(&[&own, variables].concat()), UserName::parse, Some(client)).unwrap()
}

#[tokio::test]
async fn a_service_account_is_whom_the_map_says() {
    let (account, stranger) = (Account::create("auth").await, Account::create("auth").await);
    let users = account.users("etl-nightly");
    let auth = with(account.reviewer().await, &users, &[]);
    auth.check().await.unwrap();
    assert_eq!(asked(&auth, &account.token(None).await).await, Ok(caller("etl-nightly", false)));
    assert_eq!(asked(&auth, &stranger.token(None).await).await, Err(AuthError::InvalidToken));
    assert_eq!(asked(&auth, "nonsense").await, Err(AuthError::InvalidToken));
    let mut forged = account.token(None).await;
    forged.truncate(forged.len() - 20);
    assert_eq!(asked(&auth, &forged).await, Err(AuthError::InvalidToken));
}

#[tokio::test]
async fn a_token_must_be_for_the_configured_audience() {
    let account = Account::create("auth-audience").await;
    let users = account.users("etl-nightly");
    let auth = with(account.reviewer().await, &users, &[("KUBERNETES_AUDIENCE", AUDIENCE)]);
    assert!(asked(&auth, &account.token(Some(AUDIENCE)).await).await.is_ok());
    assert_eq!(asked(&auth, &account.token(None).await).await, Err(AuthError::InvalidToken));
    assert_eq!(asked(&auth, &account.token(Some("other")).await).await, Err(AuthError::InvalidToken));
    let for_the_api_server = with(account.reviewer().await, &users, &[]);
    assert_eq!(asked(&for_the_api_server, &account.token(Some(AUDIENCE)).await).await, Err(AuthError::InvalidToken));
}

#[tokio::test]
async fn a_group_makes_administrators() {
    let account = Account::create("auth-group").await;
    let users = account.users("etl-nightly");
    let token = account.token(None).await;
    let ours = with(account.reviewer().await, &users, &[("KUBERNETES_ADMIN_GROUP", &account.group())]);
    assert_eq!(asked(&ours, &token).await, Ok(caller("etl-nightly", true)));
    let other = with(account.reviewer().await, &users, &[("KUBERNETES_ADMIN_GROUP", "system:masters")]);
    assert_eq!(asked(&other, &token).await, Ok(caller("etl-nightly", false)));
}

#[tokio::test]
async fn the_tokens_of_a_deleted_account_are_worth_nothing() {
    let account = Account::create("auth-deleted").await;
    let users = account.users("etl-nightly");
    let auth = with(account.reviewer().await, &users, &[("AUTH_CACHE_TTL", "0")]);
    let token = account.token(None).await;
    assert!(asked(&auth, &token).await.is_ok());
    account.delete().await;
    // The API server remembers tokens itself, for ten seconds.
    let started = Instant::now();
    while asked(&auth, &token).await != Err(AuthError::InvalidToken) {
        assert!(started.elapsed() < PATIENCE, "a deleted account goes on working");
        tokio::time::sleep(PATIENCE / 300).await;
    }
}

#[tokio::test]
async fn without_the_right_to_review_tokens_it_says_so() {
    let account = Account::create("auth-rights").await;
    let users = account.users("etl-nightly");
    // A service account without a binding may ask for nothing but its own rights.
    let token = account.token(None).await;
    let client = client_with(|config| config.auth_info.token = Some(token.into())).await;
    let auth = with(client, &users, &[]);
    let unavailable = AuthError::Unavailable { backend: BackendName::Kubernetes };
    assert_eq!(asked(&auth, &account.token(None).await).await, Err(unavailable));
    let error = auth.check().await.unwrap_err().to_string();
    assert!(error.contains("RBAC does not let us create TokenReviews"), "{error}");
}

#[tokio::test]
async fn an_api_server_that_is_away_is_said_so() {
    let account = Account::create("auth-away").await;
    let users = account.users("etl-nightly");
    let server = kubeconfig().await.cluster_url;
    let proxy = Proxy::start(format!("{}:{}", server.host().unwrap(), server.port_u16().unwrap()).parse().unwrap());
    let through = format!("https://{}", proxy.address()).parse().unwrap();
    let client = client_with(|config| config.cluster_url = through).await;
    let auth = with(client, &users, &[("AUTH_CACHE_TTL", "0")]);
    let token = account.token(None).await;
    assert!(asked(&auth, &token).await.is_ok());
    proxy.cut();
    assert_eq!(asked(&auth, &token).await, Err(AuthError::Unavailable { backend: BackendName::Kubernetes }));
    proxy.mend();
    assert!(asked(&auth, &token).await.is_ok());
}

#[tokio::test]
async fn without_a_cluster_there_is_no_such_backend() {
    crate::support::kube::install_crypto();
    let users = File::new("users: {}\n");
    let config = config(&[("AUTH", "kubernetes"), ("KUBERNETES_USERS", users.path())]);
    let error = Authenticator::new(config, UserName::parse, None).unwrap_err();
    assert!(matches!(error, AuthConfigError::NoKubernetes));
}

async fn kubeconfig() -> Config {
    let kubeconfig = Kubeconfig::read_from(Cluster::shared().kubeconfig()).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

async fn client_with(change: impl FnOnce(&mut Config)) -> Client {
    crate::support::kube::install_crypto();
    let mut config = kubeconfig().await;
    change(&mut config);
    minio_manager::kubernetes::client(config).unwrap()
}
