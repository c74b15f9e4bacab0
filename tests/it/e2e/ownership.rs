//! Secrets of somebody else, and several who want the same one.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use minio_manager::controller::credentials::default_secret_name;
use minio_manager::iam::names::UserName;
use minio_manager::minio::KeyState;
use serde_json::{Value, json};

use crate::support::{
    minio::unique,
    product::Setup,
    s3::Caller,
    world::{View, World, user},
};

fn wanting(name: &str, secret: &str, more: &str) -> String {
    user(name, &format!("credentials: {{secretName: {secret}{more}}}"))
}

fn workload(name: &str, user: &str, secret: &str) -> String {
    format!("kind: MinioAccessKey\nmetadata: {{name: {name}}}\nspec: {{user: {user}, secretName: {secret}}}\n")
}

fn id(caller: &Caller) -> &str {
    &caller.credentials().access_key
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    let api_version = if kind == "Deployment" { "apps/v1" } else { "minio-manager.io/v1alpha1" };
    json!([{"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true}])
}

async fn uid(world: &World, kind: &str, name: &str) -> String {
    world.view(kind, name).await.0["metadata"]["uid"].as_str().unwrap().to_owned()
}

async fn assert_works(world: &World, secret: &str, user: &str) -> Caller {
    let caller = world.caller(secret).await;
    assert_eq!(world.minio().probe(caller.credentials()).await.unwrap(), KeyState::Works);
    let keys = world.access_keys(user).await;
    assert!(keys.iter().any(|key| key.access_key == id(&caller)), "the Secret {secret} holds a key of {user}");
    caller
}

/// A Secret of somebody else: nobody gets it, nothing is written to it, and it is the user's as soon as it is gone.
async fn assert_left_alone(world: &World, secret: &str, holder: &str, of: &str, going: &str) {
    let before = world.secret(secret).await.unwrap();
    for name in [of, going] {
        world.apply(&wanting(name, secret, "")).await;
        let message = world.stalled("MinioUser", name, "SecretConflict").await;
        // For all others it is just that object.
        let holder = if name == of { holder } else { holder.trim_start_matches("a former ") };
        assert!(message.contains(&format!("/{secret} belongs to {holder}:")), "{message}");
    }
    // Neither another look, nor a request, nor the end of the user changes that.
    world.annotate("MinioUser", of, "rotate", Some("1")).await;
    world.annotate("MinioUser", of, "revoke", Some("1")).await;
    world.apply(&wanting(of, secret, ", rotationInterval: 36h")).await;
    world.stalled("MinioUser", of, "SecretConflict").await;
    world.delete_and_wait("MinioUser", going).await;
    assert_eq!(world.secret(secret).await, Some(before), "it was written");
    assert_eq!(world.access_keys(of).await, [], "keys that nobody can have");
    assert!(world.secret(&format!("{secret}.pending")).await.is_none());

    world.delete("Secret", secret).await;
    let person = world.person(of).await;
    assert_eq!(person.secret, secret);
    assert_works(world, secret, of).await;
    assert_eq!(world.access_keys(of).await.len(), 1);
}

#[tokio::test]
async fn a_secret_without_an_owner_is_left_alone() {
    let world = World::shared().await;
    let (secret, of, going) = (unique("s3"), unique("alice"), unique("alice"));
    world.apply(&format!("kind: Secret\nmetadata: {{name: {secret}}}\nstringData: {{mine: mine}}")).await;
    assert_left_alone(&world, &secret, "nobody", &of, &going).await;
}

#[tokio::test]
async fn a_secret_of_a_deployment_is_left_alone() {
    let world = World::shared().await;
    let (secret, of, going) = (unique("s3"), unique("alice"), unique("alice"));
    let owners = owner("Deployment", "web", "11111111-2222-3333-4444-555555555555");
    world
        .apply(&format!(
            "kind: Secret\nmetadata: {{name: {secret}, ownerReferences: {owners}}}\nstringData: {{mine: mine}}"
        ))
        .await;
    assert_left_alone(&world, &secret, "Deployment web", &of, &going).await;
}

#[tokio::test]
async fn a_secret_with_our_label_and_another_owner_is_left_alone() {
    let world = World::shared().await;
    let (secret, of, going) = (unique("s3"), unique("alice"), unique("alice"));
    let owners = owner("MinioUser", "bob", "11111111-2222-3333-4444-555555555555");
    world
        .apply(&format!(
            "kind: Secret\nmetadata: {{name: {secret}, ownerReferences: {owners}, labels: \
             {{minio-manager.io/username-slug: {of}}}}}\nstringData: {{AWS_ACCESS_KEY_ID: a, AWS_SECRET_ACCESS_KEY: b}}"
        ))
        .await;
    assert_left_alone(&world, &secret, "MinioUser bob", &of, &going).await;
}

/// Somebody keeps the Secret of a user beyond its end, such as by a restored backup.
#[tokio::test]
async fn a_secret_of_a_former_object_of_the_same_name_is_left_alone() {
    let world = World::shared().await;
    let (secret, of, going) = (unique("s3"), unique("alice"), unique("alice"));
    world.apply(&wanting(&of, &secret, "")).await;
    let former = world.person(&of).await;
    let kept = world.secret(&secret).await.unwrap();
    world.delete_and_wait("MinioUser", &of).await;
    let restored = json!({
        "kind": "Secret",
        "metadata": {
            "name": secret, "labels": kept.metadata.labels, "annotations": kept.metadata.annotations,
            "ownerReferences": kept.metadata.owner_references,
        },
        "data": kept.data,
    });
    world.apply(&restored.to_string()).await;
    assert_left_alone(&world, &secret, &format!("a former MinioUser {of}"), &of, &going).await;
    assert_ne!(id(&world.caller(&secret).await), id(&former), "the key of the former user is not published again");
    assert_eq!(world.minio().probe(former.credentials()).await.unwrap(), KeyState::Unknown);
}

#[tokio::test]
async fn two_users_who_name_one_secret_do_not_share_it() {
    let world = World::shared().await;
    let (secret, first, second) = (unique("s3"), unique("first"), unique("second"));
    world.apply(&wanting(&first, &secret, "")).await;
    world.person(&first).await;
    let before = world.secret(&secret).await.unwrap();
    world.apply(&wanting(&second, &secret, "")).await;
    let message = world.stalled("MinioUser", &second, "SecretConflict").await;
    assert!(message.contains(&format!("MinioUser {first}")), "{message}");
    assert_eq!(world.secret(&secret).await.unwrap(), before);
    assert_eq!(world.access_keys(&second).await, []);

    // The first one lives on as if there were nobody else.
    world.annotate("MinioUser", &first, "revoke", Some("1")).await;
    let is_answered = |view: &View| view.status("/credentials/lastHandledRevoke") == "1";
    world.observed("MinioUser", &first, "it is revoked", is_answered).await;
    let rotated = assert_works(&world, &secret, &first).await;
    assert_eq!(world.access_keys(&first).await.len(), 1);
    world.stalled("MinioUser", &second, "SecretConflict").await;

    world.delete_and_wait("MinioUser", &first).await;
    let heir = world.person(&second).await;
    assert_eq!(heir.secret, secret);
    assert_ne!(id(&assert_works(&world, &secret, &second).await), id(&rotated));
    assert_eq!(owner_uid(&world.secret(&secret).await.unwrap()), uid(&world, "MinioUser", &second).await);
}

fn owner_uid(secret: &Secret) -> String {
    secret.metadata.owner_references.as_ref().unwrap()[0].uid.clone()
}

/// They come in one moment, so that all of them find the name free.
#[tokio::test]
async fn of_many_users_who_name_one_secret_at_once_one_gets_it() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
    let secret = unique("s3");
    let mut names: BTreeSet<String> = (0..6).map(|_| unique("user")).collect();
    let all: Vec<String> = names.iter().map(|name| wanting(name, &secret, "")).collect();
    // Declared while nobody looks, and then seen together.
    world.product().kill();
    world.apply(&all.join("---\n")).await;
    world.product().launch();
    while !names.is_empty() {
        world.eventually("somebody has the Secret", async || world.secret(&secret).await.is_some()).await;
        let of = world.secret(&secret).await.unwrap().metadata.owner_references.unwrap()[0].name.clone();
        world.ready("MinioUser", &of).await;
        assert!(names.remove(&of), "{of} is none of them");
        for other in &names {
            let names_it = |view: &View| {
                view.says("Stalled", "True") && view.message("Stalled").contains(&format!("belongs to MinioUser {of}:"))
            };
            world.observed("MinioUser", other, "it says who has the Secret", names_it).await;
        }
        // Nothing of the others is in the way of whoever has it.
        world.annotate("MinioUser", &of, "rotate", Some("1")).await;
        let is_answered =
            |view: &View| view.status("/credentials/lastHandledRotate") == "1" && view.says("Ready", "True");
        world.observed("MinioUser", &of, "it is rotated", is_answered).await;
        assert_works(&world, &secret, &of).await;
        assert_eq!(world.secret_names().await, BTreeSet::from([secret.clone()]));
        for other in &names {
            assert_eq!(world.access_keys(other).await, [], "{other} has no Secret and so no key");
        }
        world.delete_and_wait("MinioUser", &of).await;
    }
}

#[tokio::test]
async fn a_user_and_a_workload_who_name_one_secret_do_not_share_it() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    // First the workload, then the user.
    let (secret, etl, late) = (unique("s3"), unique("etl"), unique("late"));
    world.apply(&workload(&etl, &alice.name, &secret)).await;
    world.ready("MinioAccessKey", &etl).await;
    let key = assert_works(&world, &secret, &alice.name).await;
    world.apply(&wanting(&late, &secret, "")).await;
    let message = world.stalled("MinioUser", &late, "SecretConflict").await;
    assert!(message.contains(&format!("MinioAccessKey {etl}")), "{message}");
    assert_eq!(id(&world.caller(&secret).await), id(&key));
    world.delete_and_wait("MinioAccessKey", &etl).await;
    world.person(&late).await;
    assert_works(&world, &secret, &late).await;

    // First the user, then the workload: one of the same user, and one of another.
    for of in [&alice.name, &bob.name] {
        let etl = unique("etl");
        world.apply(&workload(&etl, of, &alice.secret)).await;
        let message = world.stalled("MinioAccessKey", &etl, "SecretConflict").await;
        assert!(message.contains(&format!("MinioUser {}", alice.name)), "{message}");
        assert_eq!(id(&world.caller(&alice.secret).await), id(&alice));
        world.delete_and_wait("MinioAccessKey", &etl).await;
    }
    assert_eq!(world.access_keys(&alice.name).await.len(), 1);
    assert_eq!(world.access_keys(&bob.name).await.len(), 1);
}

fn default_name(user: &str) -> String {
    default_secret_name(&UserName::parse(user).unwrap())
}

/// Names that look alike, or would be one name in a Secret's.
#[tokio::test]
async fn users_whose_names_look_alike_have_secrets_of_their_own() {
    let world = World::own(Setup::default()).await;
    let names = ["ann-bee", "Ann-Bee", "ANN-BEE", "ann_bee", "ann.bee", "ann@bee", "annbee", "ann-2dbee", "ann-5fbee"];
    let object = |number: usize, name: &str| {
        format!("kind: MinioUser\nmetadata: {{name: object-{number}}}\nspec: {{username: '{name}'}}\n")
    };
    let all: Vec<String> = names.iter().enumerate().map(|(number, name)| object(number, name)).collect();
    world.apply(&all.join("---\n")).await;
    let mut secrets = BTreeMap::new();
    for (number, name) in names.iter().enumerate() {
        let person = world.person(&format!("object-{number}")).await;
        assert_eq!((person.name.as_str(), &person.secret), (*name, &default_name(name)));
        assert_works(&world, &person.secret, name).await;
        secrets.insert(person.secret, *name);
    }
    assert_eq!(secrets.len(), names.len(), "{secrets:?}");
}

/// Two different names of users whose Secrets have the same name by default: the hash in a slug is short.
fn namesakes() -> (String, String) {
    let mut seen = BTreeMap::new();
    let long = "a".repeat(40);
    for number in 0_u32.. {
        let name = format!("{long}.{number}");
        if let Some(other) = seen.insert(default_name(&name), name.clone()) {
            return (other, name);
        }
    }
    unreachable!("there are more names than hashes")
}

#[tokio::test]
async fn users_whose_secrets_have_one_name_by_default_do_not_share_it() {
    let world = World::shared().await;
    let (first, second) = tokio::task::spawn_blocking(namesakes).await.unwrap();
    let secret = default_name(&first);
    assert!(first != second && secret == default_name(&second));
    let object = |name: &str, user: &str, more: &str| {
        format!("kind: MinioUser\nmetadata: {{name: {name}}}\nspec: {{username: {user}, {more}}}\n")
    };
    let (one, two) = (unique("one"), unique("two"));
    world.apply(&object(&one, &first, "")).await;
    assert_eq!(world.person(&one).await.secret, secret);
    world.apply(&object(&two, &second, "")).await;
    let message = world.stalled("MinioUser", &two, "SecretConflict").await;
    assert!(message.contains(&format!("MinioUser {one}")) && message.contains("secretName"), "{message}");
    let key = assert_works(&world, &secret, &first).await;
    assert_eq!(world.access_keys(&second).await, []);
    // As the message says.
    let other = unique("s3");
    world.apply(&object(&two, &second, &format!("credentials: {{secretName: {other}}}"))).await;
    world.person(&two).await;
    assert_works(&world, &other, &second).await;
    assert_eq!(id(&world.caller(&secret).await), id(&key));
    for name in [&one, &two] {
        world.delete_and_wait("MinioUser", name).await;
    }
}
