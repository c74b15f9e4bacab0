//! POST /credentials/rotate: a new key for oneself, and on request the end of everything that was derived before.

use std::collections::BTreeSet;

use minio_manager::minio::Credentials;
use serde_json::Value;

use crate::support::rest::{ServiceSetup, with_layout};
use crate::support::s3::{Caller, Try};
use crate::support::world::World;

const FILE: &str = "cdm-lake/users-general-warehouse/alice/file";

fn caller(world: &World, key: &Value) -> Caller {
    let text = |name: &str| key[name].as_str().expect("a key").to_owned();
    Caller::new(world.minio().clone(), Credentials::new(text("access_key"), text("secret_key")))
}

async fn key_ids(world: &World) -> BTreeSet<String> {
    world.access_keys("alice").await.into_iter().map(|key| key.access_key).collect()
}

fn ids<const N: usize>(callers: [&Caller; N]) -> BTreeSet<String> {
    callers.map(|caller| caller.credentials().access_key.clone()).into()
}

#[tokio::test]
async fn a_new_key_works_at_once_and_the_former_one_for_its_overlap() {
    let setup = ServiceSetup::default().person("alice", false).person("nobody", false);
    let (world, service) = with_layout("berdl", setup).await;
    let alice = service.person("alice");
    let first = alice.at_s3(&world).await;
    world.seed(&[FILE]).await;

    let key = alice.post("/credentials/rotate").await.expect(200);
    let second = caller(&world, &key);
    second.expect(FILE, "GPDL").await;
    assert!(first.may(Try::Get, FILE).await, "what runs with the former key goes on");
    assert_ne!(ids([&first]), ids([&second]));
    assert_eq!((&key["username"], &key["s3_secret_key"]), (&"alice".into(), &key["secret_key"]));
    assert_eq!(alice.get("/credentials/").await.expect(200), key, "it is the key from now on");

    // Of three keys the oldest goes.
    let third = caller(&world, &alice.post("/credentials/rotate").await.expect(200));
    third.expect(FILE, "GPDL").await;
    assert!(second.may(Try::Get, FILE).await && !first.may(Try::Get, FILE).await);
    assert_eq!(key_ids(&world).await, ids([&second, &third]));

    let refused = alice.post("/credentials/rotate?revoke=perhaps").await.expect(422);
    assert_eq!(refused["detail"][0]["loc"], serde_json::json!(["query", "revoke"]));
    assert_eq!(service.nobody().post("/credentials/rotate").await.code(), (401, Some(10010)));
    assert_eq!(service.person("nobody").post("/credentials/rotate").await.code(), (400, Some(20030)));
    assert_eq!(key_ids(&world).await, ids([&second, &third]), "what is refused changes nothing");
}

#[tokio::test]
async fn a_revocation_ends_every_other_key_and_session_with_the_answer() {
    let (world, service) = with_layout("berdl", ServiceSetup::default().person("alice", false)).await;
    let alice = service.person("alice");
    let first = alice.at_s3(&world).await;
    world.seed(&[FILE]).await;
    let second = caller(&world, &alice.post("/credentials/rotate").await.expect(200));
    let (foreign, session) = (world.foreign_key("alice").await, world.session("alice").await);
    for derived in [&first, &second, &foreign] {
        assert!(derived.may(Try::Get, FILE).await);
    }
    assert_eq!(session.get(FILE).await.0, 200);

    let key = alice.post("/credentials/rotate?revoke=true").await.expect(200);
    for derived in [&first, &second, &foreign] {
        assert_eq!(derived.status(Try::Get, FILE).await, 403);
    }
    assert_eq!(session.get(FILE).await.0, 403);
    let last = caller(&world, &key);
    last.expect(FILE, "GPDL").await;
    assert_eq!(key_ids(&world).await, ids([&last]));
}
