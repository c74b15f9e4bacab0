//! Secrets that the owner of a namespace writes as if the controller had.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use minio_manager::controller::credentials::default_secret_name;
use minio_manager::iam::names::UserName;
use minio_manager::minio::{Credentials, KeyState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Trust;
use crate::e2e::keys::{access_key, holder};
use crate::support::{
    minio::unique,
    world::{Person, View, World, user},
};

/// A Secret as the controller writes it: of an object, with a key that somebody chose.
fn forged(name: &str, (kind, object, uid): (&str, &str, &str), user: &str, pair: &Credentials) -> String {
    let now = Timestamp::now();
    let data = BTreeMap::from([
        ("AWS_ACCESS_KEY_ID", pair.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", pair.secret.expose().to_owned()),
        ("S3_EXPIRATION", (now + SignedDuration::from_hours(40)).to_string()),
        ("S3_USER", user.to_owned()),
    ]);
    let mut hash = Sha256::new();
    for (name, value) in &data {
        for part in [name.as_bytes(), value.as_bytes()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    json!({
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {"minio-manager.io/username-slug": user},
            "annotations": {
                "minio-manager.io/issued-at": now.to_string(),
                "minio-manager.io/content-hash": hex::encode(hash.finalize()),
            },
            "ownerReferences": [{"apiVersion": "minio-manager.io/v1alpha1", "kind": kind, "name": object, "uid": uid}],
        },
        "stringData": data,
    })
    .to_string()
}

async fn uid(world: &World, kind: &str, name: &str) -> String {
    world.view(kind, name).await.0["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// A user of the team for whom nothing has been done yet, and what its Secret will be called.
async fn user_to_come(trust: &Trust) -> (String, String) {
    let name = unique("crew-forger");
    let paused = "annotations: {minio-manager.io/reconcile: paused}";
    trust.team.apply(&format!("kind: MinioUser\nmetadata: {{name: {name}, {paused}}}\nspec: {{}}\n")).await;
    let secret = default_secret_name(&UserName::parse(&name).unwrap());
    (name, secret)
}

async fn resume(world: &World, name: &str) {
    world.annotate("MinioUser", name, "reconcile", None).await;
}

/// The key of somebody at home, of which the owner of the namespace knows the id.
async fn victim(trust: &Trust, name: &str) -> Person {
    let name = unique(name);
    trust.home.apply(&user(&name, "")).await;
    trust.home.person(&name).await
}

fn known_by_id(person: &Person) -> Credentials {
    Credentials::new(&*person.credentials().access_key, Credentials::generate().secret)
}

async fn state(world: &World, credentials: &Credentials) -> KeyState {
    world.minio().probe(credentials).await.unwrap()
}

#[tokio::test]
async fn a_pair_that_waits_in_a_forged_secret_ends_nobodys_key() {
    let trust = Trust::enter().await;
    let alice = victim(&trust, "alice").await;
    let (name, secret) = user_to_come(&trust).await;
    let uid = uid(&trust.team, "MinioUser", &name).await;
    let pending = format!("{secret}.pending");
    trust.team.apply(&forged(&pending, ("MinioUser", &name, &uid), &name, &known_by_id(&alice))).await;
    resume(&trust.team, &name).await;
    let forger = trust.team.person(&name).await;
    assert!(trust.team.secret(&pending).await.is_none(), "the forged pair is of no use");
    assert_eq!(state(&trust.home, alice.credentials()).await, KeyState::Works);
    assert_eq!(state(&trust.home, forger.credentials()).await, KeyState::Works);
    let of_forger: Vec<String> = trust.home.access_keys(&name).await.into_iter().map(|key| key.access_key).collect();
    assert_eq!(of_forger, [forger.credentials().access_key.clone()]);
}

#[tokio::test]
async fn a_pair_that_waits_in_a_forged_secret_takes_no_name_and_acts_as_nobody_else() {
    let trust = Trust::enter().await;
    let alice = victim(&trust, "alice").await;
    // The name of somebody who comes later, and a key that would be that of somebody who is there.
    for (id, of) in [("bob4711", None), ("AKFORGED000000000001", Some(&alice.name))] {
        let (name, secret) = user_to_come(&trust).await;
        let uid = uid(&trust.team, "MinioUser", &name).await;
        let pair = Credentials::new(id, Credentials::generate().secret);
        let of = of.unwrap_or(&name);
        trust.team.apply(&forged(&format!("{secret}.pending"), ("MinioUser", &name, &uid), of, &pair)).await;
        resume(&trust.team, &name).await;
        trust.team.person(&name).await;
        assert_eq!(state(&trust.home, &pair).await, KeyState::Unknown, "{id}");
    }
    assert_eq!(trust.home.access_keys(&alice.name).await.len(), 1);
    trust.home.apply(&user("bob4711", "")).await;
    trust.home.person("bob4711").await;
}

#[tokio::test]
async fn the_end_of_an_object_ends_no_key_that_a_forged_secret_names() {
    let trust = Trust::enter().await;
    // The namespace may hold a key of hers, and so knows what else she has.
    let pal = victim(&trust, "pal-alice").await;
    let etl = unique("etl");
    trust.team.apply(&access_key(&etl, &pal.name, "")).await;
    let own = holder(&trust.team, &etl).await;
    let uid = uid(&trust.team, "MinioAccessKey", &etl).await;
    let secret = format!("miniokey-{etl}");
    let mut edit: Value =
        serde_json::from_str(&forged(&secret, ("MinioAccessKey", &etl, &uid), &pal.name, &known_by_id(&pal))).unwrap();
    edit["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    edit.as_object_mut().unwrap().remove("kind");
    edit["data"] = json!({"config": null, "credential.json": null});
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ALLOW_HTTP"] {
        edit["data"][variable] = Value::Null;
    }
    trust.team.patch("Secret", &secret, edit).await;
    trust.team.delete_and_wait("MinioAccessKey", &etl).await;
    assert_eq!(state(&trust.home, pal.credentials()).await, KeyState::Works);
    assert_eq!(state(&trust.home, own.credentials()).await, KeyState::Unknown);
    assert_eq!(trust.home.access_keys(&pal.name).await.len(), 1);
}

#[tokio::test]
async fn a_secret_that_is_there_before_is_left_alone_and_nothing_leaks_into_it() {
    let trust = Trust::enter().await;
    for suffix in ["", ".pending"] {
        let (name, secret) = user_to_come(&trust).await;
        let taken = format!("{secret}{suffix}");
        let yaml = format!("kind: Secret\nmetadata: {{name: {taken}}}\nstringData: {{mine: mine}}\n");
        trust.team.apply(&yaml).await;
        let before = trust.team.secret(&taken).await;
        resume(&trust.team, &name).await;
        let message = trust.team.stalled("MinioUser", &name, "SecretConflict").await;
        assert!(message.contains(&taken), "{message}");
        assert_eq!(trust.team.secret(&taken).await, before);
        assert_eq!(trust.home.access_keys(&name).await, []);
        trust.team.delete("Secret", &taken).await;
        let person = trust.team.person(&name).await;
        assert_eq!(state(&trust.home, person.credentials()).await, KeyState::Works);
    }
}

/// That an owner knows the uid of an object at home gives no right to its Secret, which is where the object is.
#[tokio::test]
async fn a_secret_for_an_object_of_another_namespace_gets_nothing() {
    let trust = Trust::enter().await;
    let alice = victim(&trust, "alice").await;
    let uid = uid(&trust.home, "MinioUser", &alice.name).await;
    let pair = Credentials::generate();
    for name in [alice.secret.clone(), format!("{}.pending", alice.secret), unique("another")] {
        trust.team.apply(&forged(&name, ("MinioUser", &alice.name, &uid), &alice.name, &pair)).await;
    }
    trust.home.annotate("MinioUser", &alice.name, "rotate", Some("1")).await;
    let is_answered = |view: &View| view.status("/credentials/lastHandledRotate") == "1";
    trust.home.observed("MinioUser", &alice.name, "it is rotated", is_answered).await;
    let rotated = trust.home.person(&alice.name).await;
    assert_eq!(state(&trust.home, rotated.credentials()).await, KeyState::Works);
    assert_ne!(rotated.credentials().access_key, pair.access_key);
    assert_eq!(state(&trust.home, &pair).await, KeyState::Unknown);
    let held = trust.team.caller(&alice.secret).await;
    assert_eq!(held.credentials(), &pair, "what is in the team's namespace is as it was written");
}
