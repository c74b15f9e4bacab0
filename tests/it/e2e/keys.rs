//! Access keys for workloads, from the object to S3.

use std::{collections::BTreeSet, fs, time::Duration};

use minio_manager::minio::KeyState;
use serde_json::{Value, json};

use crate::support::{
    kube::{Cluster, tool},
    minio::unique,
    product::Setup,
    s3::{Caller, Try},
    world::{World, from_now, grant, share, user},
};

/// A `MinioAccessKey` of this name, with more fields of its spec in flow style.
pub fn access_key(name: &str, user: &str, spec: &str) -> String {
    format!("kind: MinioAccessKey\nmetadata: {{name: {name}}}\nspec: {{user: {user}, {spec}}}\n")
}

async fn state(world: &World, caller: &Caller) -> KeyState {
    world.minio().probe(caller.credentials()).await.unwrap()
}

/// Waits for the key of an object, and answers whoever has it.
pub async fn holder(world: &World, name: &str) -> Caller {
    let view = world.ready("MinioAccessKey", name).await;
    world.caller(view.status("/credentials/secretName").as_str().unwrap()).await
}

fn id(caller: &Caller) -> &str {
    &caller.credentials().access_key
}

#[tokio::test]
async fn a_key_does_what_its_scope_says_and_no_more_than_its_user_may() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (out, other) = (alice.home("out/x"), alice.home("other/x"));
    let of_bob = bob.home("data/x");
    world.seed(&[&out, &other, &of_bob]).await;
    let name = unique("etl");
    let scope = format!(
        "scope: [{{path: 's3a://{}', access: ReadWrite}}, {{path: 's3a://{}', access: ReadWrite}}]",
        alice.home("out/"),
        bob.home("data"),
    );
    world.apply(&access_key(&name, &alice.name, &scope)).await;
    let key = holder(&world, &name).await;

    key.expect(&out, "GPDL").await;
    key.expect(&other, "").await;
    key.expect(&of_bob, "").await;
    assert!(alice.may(Try::Get, &other).await, "the user itself is not confined");

    // What the user gets, the key gets as far as its scope goes; what the user loses, the key loses with it.
    let shared = unique("share");
    world.apply(&share(&shared, &bob.home("data"), &format!("grants: [{}]", grant(&alice.name, "Read")))).await;
    world.ready("PathShare", &shared).await;
    key.expect(&of_bob, "GL").await;
    world.delete("PathShare", &shared).await;
    world.eventually("the user is refused", async || !alice.may(Try::Get, &of_bob).await).await;
    key.expect(&of_bob, "").await;

    let secret = world.secret(&format!("miniokey-{name}")).await.unwrap();
    let data = secret.data.unwrap();
    assert_eq!(data["S3_USER"].0, alice.name.as_bytes());
    assert!(data.contains_key("config") && data.contains_key("credential.json"));
    let owner = &secret.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("MinioAccessKey", name.as_str()));
}

#[tokio::test]
async fn rotation_and_revocation_concern_the_keys_of_the_object_only() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let (name, file) = (unique("etl"), alice.home("x"));
    world.seed(&[&file]).await;
    world.apply(&access_key(&name, &alice.name, "rotationInterval: 2h, overlap: 1h")).await;
    let first = holder(&world, &name).await;

    world.annotate("MinioAccessKey", &name, "rotate", Some("1")).await;
    let view = world
        .observed("MinioAccessKey", &name, "the rotation is handled", |view| {
            view.status("/credentials/lastHandledRotate") == "1" && view.says("Ready", "True")
        })
        .await;
    assert!(view.status("/credentials/previousExpiresAt").is_string());
    let second = holder(&world, &name).await;
    assert_ne!(id(&first), id(&second));
    for key in [&first, &second, &alice.caller] {
        assert!(key.may(Try::Get, &file).await, "{}", id(key));
    }

    world.annotate("MinioAccessKey", &name, "revoke", Some("1")).await;
    world
        .observed("MinioAccessKey", &name, "the revocation is handled", |view| {
            view.status("/credentials/lastHandledRevoke") == "1" && view.says("Ready", "True")
        })
        .await;
    let third = holder(&world, &name).await;
    assert!(third.may(Try::Get, &file).await && alice.may(Try::Get, &file).await);
    assert_eq!(state(&world, &first).await, KeyState::Unknown);
    assert_eq!(state(&world, &second).await, KeyState::Unknown);

    world.delete_and_wait("MinioAccessKey", &name).await;
    assert!(world.secret(&format!("miniokey-{name}")).await.is_none());
    let left: BTreeSet<String> = world.access_keys(&alice.name).await.into_iter().map(|key| key.access_key).collect();
    assert_eq!(left, BTreeSet::from([id(&alice).to_owned()]));
}

#[tokio::test]
async fn a_revocation_of_the_user_replaces_the_keys_of_its_workloads() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let name = unique("etl");
    world.apply(&access_key(&name, &alice.name, "")).await;
    let before = holder(&world, &name).await;
    world.annotate("MinioUser", &alice.name, "revoke", Some("1")).await;
    world.eventually("the workload's key is ended", async || state(&world, &before).await == KeyState::Unknown).await;
    let secret = format!("miniokey-{name}");
    let replaced = async || id(&world.caller(&secret).await) != id(&before);
    world.eventually("another key is in its Secret", replaced).await;
    assert_eq!(state(&world, &holder(&world, &name).await).await, KeyState::Works);
}

#[tokio::test]
async fn a_narrower_scope_ends_the_former_key_at_once_and_a_wider_one_does_not() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let name = unique("etl");
    let scoped = |rest: &str| {
        access_key(&name, &alice.name, &format!("scope: [{{path: 's3a://{}', access: Read}}]", alice.home(rest)))
    };
    world.apply(&scoped("a")).await;
    let first = holder(&world, &name).await;
    let replaced = async |by: &str, former: &Caller| {
        world.apply(&scoped(by)).await;
        let former = id(former).to_owned();
        world
            .observed("MinioAccessKey", &name, "another key is issued", |view| {
                view.says("Ready", "True") && view.status("/credentials/accessKey") != former.as_str()
            })
            .await;
        holder(&world, &name).await
    };
    let wider = replaced("", &first).await;
    assert_eq!(state(&world, &first).await, KeyState::Works);
    let narrower = replaced("b", &wider).await;
    assert_eq!(state(&world, &wider).await, KeyState::Unknown);
    assert_eq!(state(&world, &first).await, KeyState::Unknown, "at most two keys live");
    assert_eq!(state(&world, &narrower).await, KeyState::Works);
}

#[tokio::test]
async fn a_lock_takes_the_key_away_and_unlocking_gives_another() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let name = unique("etl");
    world.apply(&access_key(&name, &alice.name, "")).await;
    let key = holder(&world, &name).await;
    world.annotate("MinioAccessKey", &name, "lock", Some("leaked on a forum")).await;
    let view = world.ready_is("MinioAccessKey", &name, "True", "Locked").await;
    assert!(view.message("Ready").contains("leaked on a forum"));
    assert!(view.says("CredentialsReady", "False") && view.status("/credentials/accessKey").is_null());
    assert_eq!(state(&world, &key).await, KeyState::Unknown);
    assert!(world.secret(&format!("miniokey-{name}")).await.is_none());

    world.annotate("MinioAccessKey", &name, "lock", None).await;
    world.ready_is("MinioAccessKey", &name, "True", "Converged").await;
    let another = holder(&world, &name).await;
    assert_eq!(state(&world, &another).await, KeyState::Works);
    assert_ne!(id(&key), id(&another));
}

#[tokio::test]
async fn a_key_and_its_secret_end_at_their_instant() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let name = unique("etl");
    let end = from_now(Duration::from_secs(4));
    world.apply(&access_key(&name, &alice.name, &format!("expiresAt: '{end}'"))).await;
    let key = holder(&world, &name).await;
    assert_eq!(state(&world, &key).await, KeyState::Works);
    world.eventually("the key has ended", async || state(&world, &key).await == KeyState::Unknown).await;
    assert!(jiff::Timestamp::now() >= end);
    let view = world.ready_is("MinioAccessKey", &name, "True", "Suspended").await;
    assert!(view.message("Ready").contains("has passed"), "{}", view.message("Ready"));
    assert!(world.secret(&format!("miniokey-{name}")).await.is_none());

    // Its author lets it go on.
    let end = from_now(Duration::from_secs(3600 * 3));
    world.apply(&access_key(&name, &alice.name, &format!("expiresAt: '{end}'"))).await;
    world.ready_is("MinioAccessKey", &name, "True", "Converged").await;
    holder(&world, &name).await;
    let keys = world.access_keys(&alice.name).await;
    let mine = keys.iter().find(|key| key.access_key != id(&alice)).unwrap();
    assert_eq!(mine.expiration.unwrap().as_second(), end.as_second(), "the server ends it then, too");
}

#[tokio::test]
async fn a_key_waits_for_its_user_and_goes_with_it() {
    let world = World::shared().await;
    let (alice, name) = (unique("alice"), unique("etl"));
    world.apply(&access_key(&name, &alice, "")).await;
    world.ready_is("MinioAccessKey", &name, "False", "OwnerNotFound").await;
    world.apply(&user(&alice, "")).await;
    let key = holder(&world, &name).await;
    assert_eq!(state(&world, &key).await, KeyState::Works);

    world.apply(&user(&alice, "enabled: false")).await;
    world.ready_is("MinioAccessKey", &name, "True", "Disabled").await;
    assert_eq!(key.status(Try::Get, "lake/homes/x").await, 403);
    world.apply(&user(&alice, "enabled: true")).await;
    world.ready_is("MinioAccessKey", &name, "True", "Converged").await;
    assert_eq!(id(&holder(&world, &name).await), id(&key), "a key that is good is kept");

    world.delete_and_wait("MinioUser", &alice).await;
    world.ready_is("MinioAccessKey", &name, "True", "Suspended").await;
    assert!(world.secret(&format!("miniokey-{name}")).await.is_none());

    // Somebody else gets the name: the key does not follow.
    world.apply(&user(&alice, "")).await;
    let another = world.person(&alice).await;
    let view = world.ready_is("MinioAccessKey", &name, "True", "Suspended").await;
    assert!(view.message("Ready").contains("another user"), "{}", view.message("Ready"));
    assert_eq!(world.access_keys(&alice).await.len(), 1, "only {}", id(&another));
    world.delete_and_wait("MinioAccessKey", &name).await;
}

#[tokio::test]
async fn a_key_of_an_account_that_somebody_else_made_is_not_issued() {
    let world = World::shared().await;
    let (alice, name) = (unique("alice"), unique("etl"));
    world.minio().add_user(&alice, &minio_manager::minio::Credentials::generate().secret, true).await.unwrap();
    world.apply(&format!("{}---\n{}", user(&alice, ""), access_key(&name, &alice, ""))).await;
    world.stalled("MinioUser", &alice, "AlreadyExists").await;
    let waits = |view: &crate::support::world::View| {
        view.says("Ready", "Unknown") && view.message("Ready").contains(&format!("user {alice} to be in force"))
    };
    world.observed("MinioAccessKey", &name, "it waits", waits).await;
    assert!(world.access_keys(&alice).await.is_empty());
    assert!(world.secret(&format!("miniokey-{name}")).await.is_none());
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_left_alone() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let (first, second) = (unique("etl"), unique("etl"));
    world.apply(&access_key(&first, &alice.name, "")).await;
    let key = holder(&world, &first).await;
    let spec = format!("secretName: miniokey-{first}");
    world.apply(&access_key(&second, &alice.name, &spec)).await;
    let message = world.stalled("MinioAccessKey", &second, "SecretConflict").await;
    assert!(message.contains(&format!("MinioAccessKey {first}")), "{message}");
    assert_eq!(id(&world.caller(&format!("miniokey-{first}")).await), id(&key));
    // The user's own Secret is not to be had either.
    let third = unique("etl");
    world.apply(&access_key(&third, &alice.name, &format!("secretName: {}", alice.secret))).await;
    world.stalled("MinioAccessKey", &third, "SecretConflict").await;
    for name in [&second, &third, &first] {
        world.delete_and_wait("MinioAccessKey", name).await;
    }
    assert!(world.secret(&alice.secret).await.is_some());
}

/// An object in another namespace than that of the world.
async fn put_elsewhere(kube: &kube::Client, namespace: &str, name: &str, user: &str) {
    let api = kube::Api::<minio_manager::api::MinioAccessKey>::namespaced(kube.clone(), namespace);
    let object = json!({
        "apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioAccessKey",
        "metadata": {"name": name}, "spec": {"user": user},
    });
    api.create(&kube::api::PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

#[tokio::test]
async fn kubectl_shows_when_keys_expire() {
    let world = World::own(Setup::default()).await;
    let alice = world.user("alice").await;
    world.apply(&access_key("etl", &alice.name, "")).await;
    holder(&world, "etl").await;
    let output = std::process::Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN"))
        .args(["get", "mu,mk", "--namespace", world.namespace()])
        .env("KUBECONFIG", Cluster::shared().kubeconfig())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(shown.matches("KEY EXPIRES").count(), 2, "{shown}");
    for (kind, name) in [("MinioUser", alice.name.as_str()), ("MinioAccessKey", "etl")] {
        let view = world.view(kind, name).await;
        let expires = view.status("/credentials/expiresAt").as_str().unwrap();
        let line = shown.lines().find(|line| line.contains(&format!("/{name} "))).unwrap_or_default();
        assert!(line.contains(expires) && line.contains("Converged"), "{expires}:\n{shown}");
    }
}

#[tokio::test]
async fn another_namespace_holds_keys_of_whom_it_may() {
    let cluster = Cluster::shared();
    let kube = cluster.client().await;
    let spark = cluster.namespace("spark").await;
    let config = std::env::temp_dir().join(unique("keys-config"));
    fs::write(&config, format!("namespaces:\n  {spark}:\n    keysFor: [alice]\n")).unwrap();
    let setup = Setup { beside: vec![spark.clone()], ..Setup::default() };
    let world = World::own(setup.with(&["--config", config.to_str().unwrap()])).await;
    world.apply(&format!("{}---\n{}", user("alice", ""), user("bob", ""))).await;
    world.person("alice").await;
    world.person("bob").await;
    put_elsewhere(&kube, &spark, "permitted", "alice").await;
    put_elsewhere(&kube, &spark, "refused", "bob").await;
    let api = kube::Api::<minio_manager::api::MinioAccessKey>::namespaced(kube.clone(), &spark);
    let view = async |name: &str| json!(api.get(name).await.unwrap());
    let ready = |view: &Value| {
        let conditions = view["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").cloned().unwrap_or_default();
        (
            ready["status"].as_str().unwrap_or_default().to_owned(),
            ready["reason"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let is = async |name: &str, status: &str, reason: &str| {
        ready(&view(name).await) == (status.to_owned(), reason.to_owned())
    };
    world.eventually("the permitted key is there", async || is("permitted", "True", "Converged").await).await;
    world.eventually("the other one is refused", async || is("refused", "False", "NotPermitted").await).await;
    let secrets = kube::Api::<k8s_openapi::api::core::v1::Secret>::namespaced(kube.clone(), &spark);
    let held = secrets.get("miniokey-permitted").await.unwrap().data.unwrap();
    let text = |key: &str| String::from_utf8(held[key].0.clone()).unwrap();
    let credentials = minio_manager::minio::Credentials::new(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"));
    assert_eq!(world.minio().probe(&credentials).await.unwrap(), KeyState::Works);
    assert!(secrets.get_opt("miniokey-refused").await.unwrap().is_none());
    assert_eq!(world.access_keys("bob").await.len(), 1);

    // The permission is withdrawn: so is the key.
    fs::write(&config, format!("namespaces:\n  {spark}:\n    keysFor: []\n")).unwrap();
    world.product().kill();
    world.product().launch();
    world.eventually("the key is withdrawn", async || is("permitted", "False", "NotPermitted").await).await;
    let is_ended = async || world.minio().probe(&credentials).await.unwrap() == KeyState::Unknown;
    world.eventually("the key has ended", is_ended).await;
    let is_gone = async || secrets.get_opt("miniokey-permitted").await.unwrap().is_none();
    world.eventually("its Secret is gone", is_gone).await;
}
