//! A JupyterHub: tokens of people, of administrators, and of those who are no people.

use std::time::Instant;

use minio_manager::{
    config::BackendName,
    rest::auth::{AuthError, Authenticator},
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

#[tokio::test]
async fn a_token_that_may_do_little_in_the_hub_is_its_owners_all_the_same() {
    let hub = Hub::shared().await;
    hub.create_user("hub-careful", true).await;
    let (narrow, _) = hub.create_token("hub-careful", json!({"scopes": ["access:servers!user"]})).await;
    assert_eq!(asked(&with(hub, &[]), &narrow).await, Ok(caller("hub-careful", true)));
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
