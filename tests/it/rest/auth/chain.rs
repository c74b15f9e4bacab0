//! Several backends: who is asked first, who is asked next, and what it means when one is away.

use jsonwebtoken::Algorithm;
use minio_manager::{
    config::BackendName,
    iam::names::{NameError, UserName},
    rest::auth::{AuthConfigError, AuthError, Authenticator},
};
use serde_json::json;

use super::{
    File, asked, authenticator, caller, config,
    hub::Hub,
    issuer::{AUDIENCE, Provider, Signer},
    kbase_server::{KbaseServer, Says},
    kubernetes::Account,
    nowhere,
};
use crate::support::kube::{Cluster, install_crypto};

const TOKENS: &str = "tokens:\n- {token: static-token-of-alice, user: alice, admin: true}\n\
                      - {token: static-token-of-bob, user: bob}\n";

#[tokio::test]
async fn the_file_knows_its_tokens_only() {
    let tokens = File::new(TOKENS);
    let auth = authenticator(&[("AUTH", "static"), ("STATIC_TOKENS", tokens.path())]);
    auth.check().await.unwrap();
    assert_eq!(asked(&auth, "static-token-of-alice").await, Ok(caller("alice", true)));
    assert_eq!(asked(&auth, "static-token-of-bob").await, Ok(caller("bob", false)));
    for wrong in ["static-token-of-ali", "static-token-of-alicee", "STATIC-TOKEN-OF-ALICE", "x"] {
        assert_eq!(asked(&auth, wrong).await, Err(AuthError::InvalidToken), "{wrong}");
    }
}

#[tokio::test]
async fn the_first_that_knows_a_token_decides() {
    let tokens = File::new(TOKENS);
    let kbase = KbaseServer::start()
        .await
        .told("static-token-of-alice", Says::Is("eve", &["BERDL_USER"]))
        .told("static-token-of-bob", Says::Is("bob", &[]))
        .told("tok-carol", Says::Is("carol", &["BERDL_USER"]));
    let with = |order: &str| {
        authenticator(&[("AUTH", order), ("KBASE_AUTH_URL", &kbase.url), ("STATIC_TOKENS", tokens.path())])
    };
    let static_first = with("static,kbase");
    assert_eq!(asked(&static_first, "static-token-of-alice").await, Ok(caller("alice", true)));
    assert_eq!(kbase.asked(), 0, "no other is asked");
    assert_eq!(asked(&static_first, "tok-carol").await, Ok(caller("carol", false)));
    let kbase_first = with("kbase,static");
    assert_eq!(asked(&kbase_first, "static-token-of-alice").await, Ok(caller("eve", false)));
    let refused = asked(&kbase_first, "static-token-of-bob").await;
    assert!(matches!(refused, Err(AuthError::MissingRole { .. })), "who is refused is not asked for elsewhere");
    assert_eq!(asked(&kbase_first, "unknown").await, Err(AuthError::InvalidToken));
}

#[tokio::test]
async fn one_that_is_away_matters_only_if_no_other_knows_the_token() {
    let tokens = File::new(TOKENS);
    let away = nowhere();
    for order in ["kbase,static", "static,kbase"] {
        let auth = authenticator(&[("AUTH", order), ("KBASE_AUTH_URL", &away), ("STATIC_TOKENS", tokens.path())]);
        assert_eq!(asked(&auth, "static-token-of-bob").await, Ok(caller("bob", false)), "{order}");
        let unavailable = AuthError::Unavailable { backend: BackendName::Kbase };
        assert_eq!(asked(&auth, "unknown").await, Err(unavailable), "{order}");
    }
}

#[tokio::test]
async fn all_together() {
    let tokens = File::new(TOKENS);
    let kbase = KbaseServer::start().await.told("tok-carol", Says::Is("carol", &["BERDL_USER", "KBASE_ADMIN"]));
    let signer = Signer::new("key", Algorithm::RS256);
    let provider = Provider::start(vec![signer.public()]).await;
    let hub = Hub::shared().await;
    hub.create_user("hub-dave", false).await;
    let (of_hub, _) = hub.create_token("hub-dave", json!({})).await;
    let account = Account::create("auth-all").await;
    let users = account.users("etl-nightly");
    let config = config(&[
        ("AUTH", "oidc,kubernetes,jupyterhub,kbase,static"),
        ("KBASE_AUTH_URL", &kbase.url),
        ("OIDC_ISSUER", &provider.url),
        ("OIDC_AUDIENCE", AUDIENCE),
        ("JUPYTERHUB_URL", &hub.url),
        ("KUBERNETES_USERS", users.path()),
        ("STATIC_TOKENS", tokens.path()),
    ]);
    let client = Cluster::shared().client().await;
    let auth = Authenticator::new(config, UserName::parse, Some(client)).unwrap();
    auth.check().await.unwrap();
    for (token, owner) in [
        (signer.sign(&provider.claims()), caller("alice", false)),
        (account.token(None).await, caller("etl-nightly", false)),
        (of_hub, caller("hub-dave", false)),
        ("tok-carol".to_owned(), caller("carol", true)),
        ("static-token-of-alice".to_owned(), caller("alice", true)),
    ] {
        assert_eq!(asked(&auth, &token).await, Ok(owner));
    }
    assert_eq!(asked(&auth, "unknown").await, Err(AuthError::InvalidToken));
}

#[tokio::test]
async fn the_start_names_all_that_cannot_work() {
    let away = nowhere();
    let tokens = File::new(TOKENS);
    let auth = authenticator(&[
        ("AUTH", "kbase,static,jupyterhub"),
        ("KBASE_AUTH_URL", &away),
        ("JUPYTERHUB_URL", &away),
        ("STATIC_TOKENS", tokens.path()),
    ]);
    let error = auth.check().await.unwrap_err().to_string();
    assert!(error.contains("kbase cannot be used: ") && error.contains("; jupyterhub cannot be used: "), "{error}");
    assert!(!error.contains("static"), "{error}");
}

/// A narrower rule, as a layout may have it.
fn lower_case(name: &str) -> Result<UserName, NameError> {
    if name.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(NameError::Shape { what: "username", name: name.to_owned(), separators: "-" });
    }
    UserName::parse(name)
}

#[tokio::test]
async fn the_rule_for_names_is_the_callers() {
    install_crypto();
    let kbase = KbaseServer::start().await.told("tok", Says::Is("Alice", &["BERDL_USER"]));
    let variables = [("AUTH", "kbase"), ("KBASE_AUTH_URL", kbase.url.as_str())];
    let strict = Authenticator::new(config(&variables), lower_case, None).unwrap();
    assert!(matches!(asked(&strict, "tok").await, Err(AuthError::InvalidUserName { .. })));
    assert_eq!(asked(&authenticator(&variables), "tok").await, Ok(caller("Alice", false)));

    let tokens = File::new("tokens: [{token: 0123456789abcdef, user: Alice}]\n");
    let config = config(&[("AUTH", "static"), ("STATIC_TOKENS", tokens.path())]);
    let error = Authenticator::new(config, lower_case, None).unwrap_err();
    assert!(matches!(error, AuthConfigError::Name { backend: BackendName::Static, .. }), "{error}");
}
