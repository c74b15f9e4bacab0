//! The authentication service of KBase: tokens, roles, and all that can go wrong; and what is remembered of it.

use std::{sync::Arc, time::Instant};

use http::HeaderMap;
use minio_manager::{
    config::BackendName,
    rest::auth::{AuthError, Authenticator, Caller},
};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{
    asked, authenticator, caller,
    kbase_server::{KbaseServer, Says},
    nowhere,
};
use crate::support::world::PATIENCE;

const USER: &[&str] = &["BERDL_USER"];
const UNAVAILABLE: AuthError = AuthError::Unavailable { backend: BackendName::Kbase };

fn with(server: &KbaseServer, variables: &[(&str, &str)]) -> Authenticator {
    authenticator(&[&[("AUTH", "kbase"), ("KBASE_AUTH_URL", server.url.as_str())], variables].concat())
}

#[tokio::test]
async fn a_token_is_its_owners() {
    let server = KbaseServer::start().await.told("tok-alice", Says::Is("alice", USER));
    let auth = with(&server, &[]);
    auth.check().await.unwrap();
    assert_eq!(asked(&auth, "tok-alice").await, Ok(caller("alice", false)));
    assert_eq!(asked(&auth, "tok-unknown").await, Err(AuthError::InvalidToken));
    assert_eq!(auth.authenticate(&HeaderMap::new()).await, Ok(None));
}

#[tokio::test]
async fn roles_let_in_and_make_administrators() {
    let server = KbaseServer::start()
        .await
        .told("tok-user", Says::Is("alice", USER))
        .told("tok-boss", Says::Is("boss", &["BERDL_USER", "CDM_JUPYTERHUB_ADMIN"]))
        .told("tok-other", Says::Is("eve", &["SOMETHING", "KBASE_ADMIN"]))
        .told("tok-none", Says::Is("mallory", &[]));
    let auth = with(&server, &[("KBASE_ADMIN_ROLES", "KBASE_ADMIN, CDM_JUPYTERHUB_ADMIN")]);
    let lacks = AuthError::MissingRole { missing: vec!["BERDL_USER".to_owned()] };
    assert_eq!(asked(&auth, "tok-user").await, Ok(caller("alice", false)), "built-in roles do not count");
    assert_eq!(asked(&auth, "tok-boss").await, Ok(caller("boss", true)));
    assert_eq!(asked(&auth, "tok-other").await, Err(lacks.clone()), "administrators need the required roles too");
    assert_eq!(asked(&auth, "tok-none").await, Err(lacks));

    let two = with(&server, &[("KBASE_REQUIRED_ROLES", "BERDL_USER ,CDM_JUPYTERHUB_ADMIN")]);
    assert!(asked(&two, "tok-boss").await.is_ok());
    let lacks = AuthError::MissingRole { missing: vec!["CDM_JUPYTERHUB_ADMIN".to_owned()] };
    assert_eq!(asked(&two, "tok-user").await, Err(lacks));

    let none = with(&server, &[("KBASE_REQUIRED_ROLES", ""), ("KBASE_ADMIN_ROLES", "")]);
    assert_eq!(asked(&none, "tok-other").await, Ok(caller("eve", false)));
}

#[tokio::test]
async fn a_name_that_breaks_the_rules_is_refused_and_never_cleaned() {
    let server = KbaseServer::start().await;
    let auth = with(&server, &[]);
    for name in ["a", "root", "Admin", "_alice", "alice__a", "al ice", "alice/..", " alice", "аlice", ""] {
        server.tell("tok", Says::Is(name, USER));
        let answer = asked(&auth, "tok").await;
        assert!(matches!(answer, Err(AuthError::InvalidUserName { .. })), "{name:?}: {answer:?}");
    }
}

#[tokio::test]
async fn nonsense_is_not_taken_for_an_invalid_token() {
    let elsewhere = KbaseServer::start().await.told("tok", Says::Is("alice", USER));
    let server = KbaseServer::start().await;
    let auth = with(&server, &[]);
    for says in [
        Says::Answers(500, json!({"error": {"httpcode": 500, "httpstatus": "Internal Server Error", "message": "x"}})),
        Says::Answers(400, json!({"error": {"httpcode": 400, "appcode": 30000, "message": "30000 Missing input"}})),
        Says::Answers(401, json!({"message": "no route"})),
        Says::Answers(200, json!({"display": "nobody"})),
        Says::Answers(200, json!([])),
        Says::Page(200),
        Says::Page(502),
        Says::Redirects(format!("{}/api/V2/me", elsewhere.url)),
        Says::Much,
    ] {
        server.tell("tok", says);
        assert_eq!(asked(&auth, "tok").await, Err(UNAVAILABLE));
    }
    assert_eq!(elsewhere.asked(), 0, "redirects are not followed");
    server.tell("tok", Says::Is("alice", USER));
    assert!(asked(&auth, "tok").await.is_ok(), "failures are not remembered");
}

#[tokio::test]
async fn a_service_that_is_away_is_said_so() {
    let url = nowhere();
    let auth = authenticator(&[("AUTH", "kbase"), ("KBASE_AUTH_URL", &url)]);
    assert_eq!(asked(&auth, "tok").await, Err(UNAVAILABLE));
    let error = auth.check().await.unwrap_err().to_string();
    assert!(error.starts_with("kbase cannot be used: "), "{error}");
}

#[tokio::test]
async fn a_service_that_hangs_is_not_waited_for() {
    let server = KbaseServer::start().await;
    server.set_open(false);
    let auth = with(&server, &[]);
    let answer = tokio::time::timeout(PATIENCE, asked(&auth, "tok")).await;
    assert_eq!(answer.expect("there is a deadline"), Err(UNAVAILABLE));
}

#[tokio::test]
async fn another_service_is_noticed_at_the_start() {
    let server = KbaseServer::start().await;
    let other = format!("{}/api/V2/me", server.url);
    let auth = authenticator(&[("AUTH", "kbase"), ("KBASE_AUTH_URL", &other)]);
    assert!(auth.check().await.is_err());
}

#[tokio::test]
async fn what_is_known_is_not_asked_again() {
    let server = KbaseServer::start().await.told("tok", Says::Is("alice", USER));
    let auth = with(&server, &[("AUTH_CACHE_TTL", "5m")]);
    for _ in 0..20 {
        assert!(asked(&auth, "tok").await.is_ok());
    }
    assert_eq!(server.asked(), 1);
    for _ in 0..3 {
        assert!(asked(&auth, "wrong").await.is_err());
    }
    assert_eq!(server.asked(), 4, "only successes are remembered");

    let forgetful = with(&server, &[("AUTH_CACHE_TTL", "0")]);
    for _ in 0..3 {
        assert!(asked(&forgetful, "tok").await.is_ok());
    }
    assert_eq!(server.asked(), 7);
}

#[tokio::test]
async fn a_withdrawn_token_works_no_longer_than_it_is_remembered() {
    let server = KbaseServer::start().await.told("tok", Says::Is("alice", USER));
    let auth = with(&server, &[("AUTH_CACHE_TTL", "500ms")]);
    assert!(asked(&auth, "tok").await.is_ok());
    server.forget("tok");
    let started = Instant::now();
    while asked(&auth, "tok").await != Err(AuthError::InvalidToken) {
        assert!(started.elapsed() < PATIENCE, "a withdrawn token goes on working");
        tokio::task::yield_now().await;
    }
    assert_eq!(server.asked(), 2);
}

/// So many ask with one token at once, before the service answers.
async fn asking_at_once(server: &KbaseServer, count: usize) -> Vec<JoinHandle<Result<Caller, AuthError>>> {
    server.set_open(false);
    let auth = Arc::new(with(server, &[]));
    let ask = |_| {
        let auth = auth.clone();
        tokio::spawn(async move { asked(&auth, "tok").await })
    };
    let asking = (0..count).map(ask).collect();
    while server.asked() == 0 {
        tokio::task::yield_now().await;
    }
    asking
}

#[tokio::test]
async fn many_at_once_with_one_token_ask_once() {
    let server = KbaseServer::start().await.told("tok", Says::Is("alice", USER));
    let asking = asking_at_once(&server, 50).await;
    server.set_open(true);
    for one in asking {
        assert_eq!(one.await.unwrap(), Ok(caller("alice", false)));
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn who_gives_up_leaves_the_others_what_they_wait_for() {
    let server = KbaseServer::start().await.told("tok", Says::Is("alice", USER));
    let mut asking = asking_at_once(&server, 10).await;
    // The first is the one that asks for all.
    asking.remove(0).abort();
    server.set_open(true);
    for one in asking {
        assert_eq!(one.await.unwrap(), Ok(caller("alice", false)));
    }
    assert_eq!(server.asked(), 2);
}
