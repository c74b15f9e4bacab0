use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::support::{
    minio::unique,
    product::Setup,
    world::{World, user},
};

fn text(secret: &Secret, key: &str) -> String {
    let value = secret.data.as_ref().and_then(|data| data.get(key)).unwrap_or_else(|| panic!("no {key} in the Secret"));
    String::from_utf8(value.0.clone()).unwrap()
}

#[tokio::test]
async fn a_secret_holds_what_clients_need() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let secret = world.secret(&alice.secret).await.unwrap();
    let endpoint = world.product().minio().endpoint().to_string();
    for (key, value) in [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ENDPOINT_URL_S3", &endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
        ("S3_USER", &alice.name),
    ] {
        assert_eq!(text(&secret, key), value, "{key}");
    }
    let view = world.view("MinioUser", &alice.name).await;
    let key = world.access_keys(&alice.name).await;
    assert_eq!(key.len(), 1);
    let expires: Timestamp = text(&secret, "S3_EXPIRATION").parse().unwrap();
    assert_eq!(view.status("/credentials/accessKey"), &key[0].access_key);
    assert_eq!(text(&secret, "AWS_ACCESS_KEY_ID"), key[0].access_key);
    assert_eq!(key[0].expiration, Some(expires));
    assert_eq!(view.status("/credentials/expiresAt").as_str().unwrap().parse::<Timestamp>().unwrap(), expires);
    let hours = expires.duration_since(Timestamp::now()).as_hours();
    assert!((47..=48).contains(&hours), "interval and overlap are 24 h each: {hours}");
    let file: serde_json::Value = serde_json::from_str(&text(&secret, "credential.json")).unwrap();
    assert_eq!(file["AccessKeyId"], text(&secret, "AWS_ACCESS_KEY_ID"));
    assert_eq!(file["SecretAccessKey"], text(&secret, "AWS_SECRET_ACCESS_KEY"));
    assert_eq!(file["Version"], 1);
    assert!(text(&secret, "config").contains("credential_process"));
    let owner = &secret.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), json!(owner.uid)), ("MinioUser", view.0["metadata"]["uid"].clone()));
    assert!(secret.metadata.labels.unwrap().contains_key("minio-manager.io/username-slug"));
    assert!(!world.secret_names().await.contains(&format!("{}.pending", alice.secret)));
}

#[tokio::test]
async fn a_deleted_secret_is_reissued_with_a_new_key() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    world.delete("Secret", &alice.secret).await;
    let old = alice.credentials().access_key.clone();
    world
        .observed("MinioUser", &alice.name, "it has another key", |view| {
            let key = view.status("/credentials/accessKey");
            key.is_string() && key != old.as_str()
        })
        .await;
    let again = world.person(&alice.name).await;
    assert_ne!(again.credentials().access_key, old);
    again.expect(&file, "GPDL").await;
    alice.expect(&file, "GPDL").await;
    let keys: BTreeSet<String> = world.access_keys(&alice.name).await.into_iter().map(|key| key.access_key).collect();
    assert_eq!(keys, BTreeSet::from([old, again.credentials().access_key.clone()]), "reissuing deletes no key");
}

#[tokio::test]
async fn an_edited_secret_is_replaced() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    world.patch("Secret", &alice.secret, json!({"stringData": {"AWS_SECRET_ACCESS_KEY": "of-somebody-else"}})).await;
    world
        .eventually("the Secret holds a key that works again", async || {
            let secret = world.secret(&alice.secret).await;
            let edited = secret.is_none_or(|secret| text(&secret, "AWS_SECRET_ACCESS_KEY") == "of-somebody-else");
            !edited
        })
        .await;
    let again = world.person(&alice.name).await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    again.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn a_foreign_secret_in_the_way_stops_the_credentials_only() {
    let world = World::shared().await;
    let (name, secret) = (unique("alice"), unique("taken"));
    world.apply(&format!("kind: Secret\nmetadata: {{name: {secret}}}\nstringData: {{mine: 'do not touch'}}")).await;
    world.apply(&user(&name, &format!("credentials: {{secretName: {secret}}}"))).await;
    let message = world.stalled("MinioUser", &name, "SecretConflict").await;
    assert!(message.contains(&secret), "{message}");
    assert!(world.expect_account(&name).await.policies.contains(&format!("user-home-policy-{name}")));
    assert_eq!(world.keys_below(&format!("lake/homes/{name}/")).await.len(), 1, "the home is laid out");
    let untouched = world.secret(&secret).await.unwrap();
    assert_eq!(text(&untouched, "mine"), "do not touch");
    assert_eq!(untouched.data.unwrap().len(), 1);
    world.delete("Secret", &secret).await;
    let person = world.person(&name).await;
    assert_eq!(person.secret, secret);
    let file = person.home("file");
    world.seed(&[&file]).await;
    person.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn a_user_with_a_conflict_goes_without_the_foreign_secret() {
    let world = World::shared().await;
    let (name, secret) = (unique("alice"), unique("taken"));
    world.apply(&format!("kind: Secret\nmetadata: {{name: {secret}}}\nstringData: {{mine: 'do not touch'}}")).await;
    world.apply(&user(&name, &format!("credentials: {{secretName: {secret}}}"))).await;
    world.stalled("MinioUser", &name, "SecretConflict").await;
    world.delete_and_wait("MinioUser", &name).await;
    assert!(world.secret(&secret).await.is_some());
    assert_eq!(world.account(&name).await, None);
}

#[tokio::test]
async fn a_renamed_secret_is_written_before_the_old_one_goes() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let renamed = unique("renamed");
    world.apply(&user(&alice.name, &format!("credentials: {{secretName: {renamed}}}"))).await;
    let again = world.person(&alice.name).await;
    assert_eq!(again.secret, renamed);
    assert!(world.secret(&alice.secret).await.is_none());
    let file = alice.home("file");
    world.seed(&[&file]).await;
    again.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn a_key_that_was_deleted_on_the_server_is_replaced_at_the_next_start() {
    let world = World::own(Setup::default()).await;
    let alice = world.user("alice").await;
    world.product().kill();
    assert!(world.minio().delete_access_key(&alice.credentials().access_key).await.unwrap());
    world.product().launch();
    let old = alice.credentials().access_key.as_str();
    world.observed("MinioUser", &alice.name, "it has another key", |v| v.status("/credentials/accessKey") != old).await;
    let again = world.person(&alice.name).await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    again.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn a_due_key_of_a_disabled_user_keeps_nobody_busy() {
    let world = World::own(Setup::default().with(&["--audit-interval", "1h"])).await;
    let alice = world.user("alice").await;
    world.apply(&user(&alice.name, "enabled: false")).await;
    world.ready_is("MinioUser", &alice.name, "True", "Disabled").await;
    let long_ago = json!({"metadata": {"annotations": {"minio-manager.io/issued-at": "2020-01-01T00:00:00Z"}}});
    world.patch("Secret", &alice.secret, long_ago).await;
    world
        .observed("MinioUser", &alice.name, "its key is due", |view| {
            let next = view.status("/credentials/nextRotationAt").as_str().and_then(|next| next.parse().ok());
            next.is_some_and(|next: Timestamp| next < Timestamp::now())
        })
        .await;
    let runs = || world.product().metrics().sum("minio_manager_converge_total", &["subject=\"user\""]);
    let before = runs();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(runs() - before <= 1.0, "{} runs in 4 s although nothing can change", runs() - before);
    world.apply(&user(&alice.name, "enabled: true")).await;
    let old = alice.credentials().access_key.as_str();
    world.observed("MinioUser", &alice.name, "it has another key", |v| v.status("/credentials/accessKey") != old).await;
}
