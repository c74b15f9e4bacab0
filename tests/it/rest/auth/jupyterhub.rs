//! A JupyterHub: tokens of people, of administrators, and of those who are no people.

use std::time::Instant;

use minio_manager::{
    config::BackendName,
    rest::auth::{AuthError, Authenticator, Caller},
};
use serde_json::json;

use super::{asked, authenticator, caller, hub::Hub};
use crate::support::world::PATIENCE;

fn with(hub: &Hub, variables: &[(&str, &str)]) -> Authenticator {
    authenticator(&[&[("AUTH", "jupyterhub"), ("JUPYTERHUB_URL", hub.url.as_str())], variables].concat())
}

#[tokio::test]
async fn tokens_of_people_are_known() {
    let hub = Hub::shared().await;
    let auth = with(hub, &[]);
    auth.check().await.unwrap();
    hub.create_user("hub-alice", false).await;
    hub.create_user("hub-boss", true).await;
    let (alice, _) = hub.create_token("hub-alice", json!({"note": "tests"})).await;
    let (boss, _) = hub.create_token("hub-boss", json!({"note": "tests"})).await;
    assert_eq!(asked(&auth, &alice).await, Ok(caller("hub-alice", false)));
    assert_eq!(asked(&auth, &boss).await, Ok(caller("hub-boss", true)));
    assert_eq!(asked(&auth, "0123456789abcdef0123456789abcdef").await, Err(AuthError::InvalidToken));
}

fn lacks(scope: &str) -> Result<Caller, AuthError> {
    Err(AuthError::MissingScope { scope: scope.to_owned() })
}

#[tokio::test]
async fn a_token_that_was_handed_to_the_server_of_somebody_else_is_refused() {
    let hub = Hub::shared().await;
    let (auth, by_servers) = (with(hub, &[]), with(hub, &[("JUPYTERHUB_SCOPE", "access:servers")]));
    hub.create_user("hub-host", false).await;
    hub.create_user("hub-guest", true).await;
    let own = hub.start_server("hub-host").await;
    let (made, _) = hub.create_token("hub-host", json!({"note": "tests"})).await;
    for token in [&own, &made] {
        assert_eq!(asked(&auth, token).await, Ok(caller("hub-host", false)));
        assert_eq!(asked(&by_servers, token).await, Ok(caller("hub-host", false)));
    }
    let of_guest = hub.visit("hub-host", &own, "hub-guest").await;
    assert_eq!(asked(&auth, &of_guest).await, lacks("users:activity"));
    assert_eq!(asked(&by_servers, &of_guest).await, lacks("access:servers"));
    let of_host = hub.visit("hub-host", &own, "hub-host").await;
    assert_eq!(asked(&auth, &of_host).await, lacks("users:activity"));
    assert_eq!(asked(&by_servers, &of_host).await, Ok(caller("hub-host", false)));
    let said = asked(&auth, &of_guest).await.unwrap_err().to_string();
    assert!(said.contains("users:activity") && said.contains("JupyterHub"), "{said}");
}

#[tokio::test]
async fn the_scope_must_be_for_the_owner_of_the_token() {
    let hub = Hub::shared().await;
    let auth = with(hub, &[]);
    hub.create_user("hub-careful", true).await;
    hub.create_user("hub-careful2", false).await;
    for (scopes, fine) in [
        (json!(["users:activity!user"]), true),
        (json!(["users:activity"]), true),
        (json!(["users"]), true),
        (json!(["users:activity!user=hub-careful2"]), false),
        (json!(["users:activity!group=everybody"]), false),
        (json!(["read:users:activity", "access:servers!user", "tokens"]), false),
        (json!([]), false),
    ] {
        let (token, _) = hub.create_token("hub-careful", json!({"scopes": scopes})).await;
        let expected = if fine { Ok(caller("hub-careful", true)) } else { lacks("users:activity") };
        assert_eq!(asked(&auth, &token).await, expected, "{scopes}");
    }
}

#[tokio::test]
async fn a_service_is_nobody_even_with_the_name_of_somebody() {
    let hub = Hub::shared().await;
    assert_eq!(asked(&with(hub, &[]), &hub.service_token).await, Err(AuthError::InvalidToken));
}

#[tokio::test]
async fn a_withdrawn_token_works_no_longer_than_it_is_remembered() {
    let hub = Hub::shared().await;
    hub.create_user("hub-bob", false).await;
    let (token, id) = hub.create_token("hub-bob", json!({})).await;
    let auth = with(hub, &[("AUTH_CACHE_TTL", "200ms")]);
    assert!(asked(&auth, &token).await.is_ok());
    hub.delete_token("hub-bob", &id).await;
    let started = Instant::now();
    while asked(&auth, &token).await != Err(AuthError::InvalidToken) {
        assert!(started.elapsed() < PATIENCE, "a withdrawn token goes on working");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_wrong_address_is_not_taken_for_an_invalid_token() {
    let hub = Hub::shared().await;
    let wrong = format!("{}/nonsense", hub.url);
    let auth = authenticator(&[("AUTH", "jupyterhub"), ("JUPYTERHUB_URL", &wrong)]);
    let unavailable = AuthError::Unavailable { backend: BackendName::Jupyterhub };
    assert_eq!(asked(&auth, &hub.service_token).await, Err(unavailable));
    assert!(auth.check().await.unwrap_err().to_string().contains("it answered 404"));
}
