//! What one caller may ask for at most, and what the service tells of itself beside its answers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::rest::{Person, ServiceSetup, with_layout};

const PATH: &str = "s3a://cdm-lake/users-general-warehouse/alice/data/";

#[tokio::test]
async fn who_changes_too_much_too_fast_is_told_to_wait_and_nobody_else_is() {
    let setup = ServiceSetup::default().person("alice", false).person("bob", false);
    let (world, service) = with_layout("berdl", setup.with(&["--rest-writes-per-second", "1"])).await;
    let (alice, bob) = (service.person("alice"), service.person("bob"));
    alice.get("/credentials/").await.expect(200);
    bob.get("/credentials/").await.expect(200);
    let share = async || alice.post_json("/sharing/share", json!({"path": PATH})).await;
    let mut refused = share().await;
    assert_eq!(refused.status, 200, "{}", refused.text);
    // One second's worth comes back each second, and ten may be used at once.
    for _ in 0..500 {
        if refused.status != 429 {
            refused = share().await;
        }
    }
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.body["detail"], refused.body["message"]);
    assert!(refused.headers["retry-after"].parse::<u64>().is_ok());
    alice.get("/workspaces/me").await.expect(200);
    let of_bob = json!({"path": "s3a://cdm-lake/users-general-warehouse/bob/data/"});
    bob.post_json("/sharing/share", of_bob).await.expect(200);
    world.eventually("alice may go on", async || share().await.status == 200).await;
}

#[tokio::test]
async fn calls_are_named_counted_and_told_to_the_audit_trail() {
    let setup = ServiceSetup::default().person("alice", false).person("bob", false);
    let (world, service) = with_layout("berdl", setup).await;
    let alice = service.person("alice");
    for name in ["alice", "bob"] {
        service.person(name).get("/credentials/").await.expect(200);
    }
    let share = json!({"path": PATH, "with_users": ["bob"], "permission": "read"});
    let request = alice.request(Method::POST, "/sharing/share").header("Content-Type", "application/json");
    let named = Person::send(request.header("X-Request-Id", "my-call-7").body(share.to_string())).await;
    assert_eq!((named.status, named.headers["x-request-id"].as_str()), (200, "my-call-7"));
    let odd = Person::send(alice.request(Method::GET, "/workspaces/me").header("X-Request-Id", "no {good} id")).await;
    let (own, next) =
        (odd.headers["x-request-id"].clone(), alice.get("/nowhere").await.headers["x-request-id"].clone());
    assert!(own.len() == 32 && next.len() == 32 && own != next, "{own} {next}");

    for (token, code) in [("two words", 10030), ("nobodys-token-0123", 10020)] {
        let refused = alice.clone().with_token(token).get("/workspaces/me").await;
        assert_eq!(refused.code(), (401, Some(code)), "{}", refused.text);
        assert!(refused.headers.contains_key("x-request-id"));
    }

    let object = world.objects("PathShare").await.remove(0).0;
    let wrote = json!([{"kind": "PathShare", "namespace": world.namespace(), "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"], "generation": object["metadata"]["generation"]}]);
    let line = json!({"v": 1, "target": "audit", "caller": "alice", "call": "POST /sharing/share", "status": 200,
        "request": "my-call-7", "wrote": wrote});
    assert!(service.audit().contains(&line), "{line} is not among {:#?}", service.audit());
    // The controller says what it did for that version of that object.
    let cause = |line: &Value| line["because"].as_array().is_some_and(|all| all.contains(&wrote[0]));
    assert!(world.product().audit().iter().any(cause));

    let text = reqwest::get(format!("{}/metrics", service.machines())).await.unwrap().text().await.unwrap();
    let series = "minio_manager_http_requests_total{";
    let of_share = |line: &&str| line.starts_with(series) && line.contains("/sharing/share") && line.contains("200");
    assert!(text.lines().filter(of_share).any(|line| line.ends_with(" 1")), "{text}");
    assert!(text.contains("minio_manager_http_request_duration_seconds_count"));
    assert!(!text.contains("alice"), "labels hold no names");
    assert_eq!(alice.get("/metrics").await.status, 404, "metrics have a port of their own");
}
