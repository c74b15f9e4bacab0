//! Keys that somebody else issued below our users.

use std::collections::BTreeSet;

use minio_manager::minio::{AccessKey, Credentials, Holder, NewAccessKey};
use serde_json::json;

use super::keys::{access_key, holder};
use crate::support::{
    minio::unique,
    product::Setup,
    s3::{Caller, Try},
    world::{View, World, user},
};

const CONDITION: &str = "ForeignKeys";

fn id(caller: &Caller) -> &str {
    &caller.credentials().access_key
}

async fn ids(world: &World, user: &str) -> BTreeSet<String> {
    world.access_keys(user).await.into_iter().map(|key| key.access_key).collect()
}

/// A key that is named as ours are, for an object that nobody knows.
async fn stray_key(world: &World, user: &str) -> Caller {
    let key = NewAccessKey {
        parent: user.to_owned(),
        credentials: Credentials::generate(),
        name: "minio-manager-0123456789abcdef".to_owned(),
        description: String::new(),
        expiration: None,
        session_policy: None,
    };
    world.minio().add_access_key(&key).await.unwrap();
    Caller::new(world.minio().clone(), key.credentials)
}

/// A user of MinIO that no object describes, with a key.
async fn unmanaged(world: &World) -> (String, Caller) {
    let name = unique("stranger");
    world.minio().add_user(&name, &Credentials::generate().secret, true).await.unwrap();
    world.minio().set_mapping(&Holder::User(name.clone()), &BTreeSet::from(["readonly".to_owned()])).await.unwrap();
    let key = world.foreign_key(&name).await;
    (name, key)
}

async fn counted(world: &World, keys: u32) {
    let metric = || world.product().metrics().sum("minio_manager_unmanaged", &["kind=\"keys\""]);
    world.eventually("the metric counts them", async || metric() == f64::from(keys)).await;
    let is_counted = |view: &View| view.status("/unmanaged/keys") == keys;
    let in_status = async || world.find("MinioInstance", "default").await.as_ref().is_some_and(is_counted);
    world.eventually("the MinioInstance counts them", in_status).await;
}

#[tokio::test]
async fn foreign_keys_are_told_of_and_left_alone() {
    let world = World::own(Setup::default().with(&["--audit-interval", "1s"])).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    counted(&world, 0).await;
    let (_, strangers) = unmanaged(&world).await;
    let (laptop, stray) = (world.foreign_key(&alice.name).await, stray_key(&world, &alice.name).await);
    let names_both = |view: &View| {
        let message = view.message(CONDITION);
        message.contains(&format!("not issued here: {}", id(&laptop))) && message.contains(id(&stray))
    };
    let view = world.observed("MinioUser", &alice.name, "the keys are named", names_both).await;
    assert!(view.says(CONDITION, "True") && view.says("Ready", "True") && view.says("CredentialsReady", "True"));
    counted(&world, 2).await;
    world
        .eventually("there is an event", async || {
            world.event_reasons("MinioUser", &alice.name).await.contains(CONDITION)
        })
        .await;
    assert!(world.view("MinioUser", &bob.name).await.condition(CONDITION).is_none());
    assert!(laptop.may(Try::Get, &file).await && stray.may(Try::Get, &file).await);

    // What was said stays said over a restart, and goes when it is no longer so.
    assert!(world.product().terminate().success());
    world.product().launch();
    counted(&world, 2).await;
    assert_eq!(world.view("MinioUser", &alice.name).await.message(CONDITION), view.message(CONDITION));
    for key in [&laptop, &stray] {
        assert!(world.minio().delete_access_key(id(key)).await.unwrap());
    }
    world.observed("MinioUser", &alice.name, "nothing is said", |view| view.condition(CONDITION).is_none()).await;
    counted(&world, 0).await;
    assert!(alice.may(Try::Get, &file).await);
    assert!(strangers.client().list_users().await.is_err() && strangers.may(Try::Get, &file).await);
}

#[tokio::test]
async fn foreign_keys_are_deleted_where_that_is_wanted_and_ours_never() {
    let world = World::own(Setup::default().with(&["--audit-interval", "1s", "--foreign-keys", "Prune"])).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (file, of_bob) = (alice.home("file"), bob.home("file"));
    world.seed(&[&file, &of_bob]).await;
    let etl = unique("etl");
    world.apply(&access_key(&etl, &alice.name, "rotationInterval: 2h")).await;
    let workload = holder(&world, &etl).await;
    let (stranger, strangers) = unmanaged(&world).await;
    let (laptop, stray) = (world.foreign_key(&alice.name).await, stray_key(&world, &alice.name).await);
    world.eventually("the foreign key is gone", async || !ids(&world, &alice.name).await.contains(id(&laptop))).await;
    assert_eq!(laptop.status(Try::Get, &file).await, 403);
    let expected = BTreeSet::from([&alice.caller, &workload, &stray].map(|caller| id(caller).to_owned()));
    assert_eq!(ids(&world, &alice.name).await, expected, "what looks like ours may be for an object not seen yet");
    assert!(world.event_reasons("MinioUser", &alice.name).await.contains("ForeignKeysPruned"));
    let line = format!("delete access key {}", id(&laptop));
    assert!(world.product().audit().iter().any(|found| found["change"] == line));
    let view = world
        .observed("MinioUser", &alice.name, "the other one is told of", |view| {
            view.message(CONDITION).contains(id(&stray))
        })
        .await;
    assert!(view.says("Ready", "True") && !view.message(CONDITION).contains(id(&laptop)));

    // Our own keys are issued, proven and published while somebody looks for foreign ones all the time.
    let mut latest = bob;
    for round in 0..12 {
        world.annotate("MinioUser", &latest.name, "rotate", Some(&round.to_string())).await;
        let value = json!(round.to_string());
        world
            .observed("MinioUser", &latest.name, "it is rotated", |view| {
                view.status("/credentials/lastHandledRotate") == &value && view.says("Ready", "True")
            })
            .await;
        let next = world.person(&latest.name).await;
        assert!(next.may(Try::Get, &of_bob).await && latest.may(Try::Get, &of_bob).await, "round {round}");
        latest = next;
    }
    assert!(!world.event_reasons("MinioUser", &latest.name).await.contains("ForeignKeysPruned"));
    assert_eq!(ids(&world, &stranger).await, BTreeSet::from([id(&strangers).to_owned()]));
}

#[tokio::test]
async fn every_key_that_comes_or_goes_leaves_an_audit_line() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let uid = world.view("MinioUser", &alice.name).await.0["metadata"]["uid"].clone();
    world.apply(&user(&alice.name, "deletionPolicy: Retain")).await;
    world.delete_and_wait("MinioUser", &alice.name).await;
    for change in ["create", "delete"] {
        let change = format!("{change} access key {}", id(&alice));
        let lines = world.product().audit();
        let line = lines.iter().find(|line| line["change"] == change).unwrap_or_else(|| panic!("no line: {change}"));
        assert_eq!(line["subject"], format!("user {}", alice.name));
        assert_eq!((&line["because"][0]["kind"], &line["because"][0]["uid"]), (&json!("MinioUser"), &uid));
    }
    assert!(!world.product().stdout().contains(alice.credentials().secret.expose()), "ids only");
}

/// Has the server know a key as it did before: as after its drives were restored.
async fn bring_back(world: &World, user: &str, key: AccessKey, caller: &Caller) {
    let AccessKey { name, description, expiration, .. } = key;
    let credentials = caller.credentials().clone();
    let key =
        NewAccessKey { parent: user.to_owned(), credentials, name, description, expiration, session_policy: None };
    world.minio().add_access_key(&key).await.unwrap();
}

async fn key_of(world: &World, user: &str, caller: &Caller) -> AccessKey {
    let mut keys = world.access_keys(user).await.into_iter();
    keys.find(|key| key.access_key == id(caller)).expect("the key is listed")
}

#[tokio::test]
async fn keys_that_had_ended_and_are_there_again_are_deleted_and_no_others() {
    let world = World::own(Setup::default().with(&["--audit-interval", "1s"])).await;
    let alice = world.user("alice").await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    let etl = unique("etl");
    world.apply(&access_key(&etl, &alice.name, "rotationInterval: 2h")).await;
    let workload = holder(&world, &etl).await;
    let former = [key_of(&world, &alice.name, &alice.caller).await, key_of(&world, &alice.name, &workload).await];
    let age = |key: &AccessKey, before: &str| AccessKey {
        description: key.description.replacen("issued 2", &format!("issued {before}"), 1),
        ..key.clone()
    };

    // The revocation ends both, and the new key of the user is replaced once more, with an overlap.
    for (annotation, handled) in [("revoke", "lastHandledRevoke"), ("rotate", "lastHandledRotate")] {
        world.annotate("MinioUser", &alice.name, annotation, Some("1")).await;
        let is_done =
            |view: &View| view.status(&format!("/credentials/{handled}")) == "1" && view.says("Ready", "True");
        world.observed("MinioUser", &alice.name, "it is done", is_done).await;
    }
    let secret = format!("miniokey-{etl}");
    let is_replaced = async || id(&world.caller(&secret).await) != id(&workload);
    world.eventually("the workload has another key", is_replaced).await;
    let (now, of_workload) = (world.person(&alice.name).await, holder(&world, &etl).await);
    let living = ids(&world, &alice.name).await;
    assert!(living.len() == 3 && !living.contains(id(&alice)) && !living.contains(id(&workload)), "{living:?}");

    for (key, caller) in former.iter().zip([&alice.caller, &workload]) {
        bring_back(&world, &alice.name, age(key, "1"), caller).await;
    }
    world.eventually("they are gone again", async || ids(&world, &alice.name).await == living).await;
    for caller in [&alice.caller, &workload] {
        assert_eq!(caller.status(Try::Get, &file).await, 403);
    }
    for caller in [&now.caller, &of_workload] {
        assert!(caller.may(Try::Get, &file).await, "the keys in the Secrets");
    }
    world
        .eventually("there are events", async || {
            let user = world.event_reasons("MinioUser", &alice.name).await;
            user.contains("ForgottenKeysEnded")
                && world.event_reasons("MinioAccessKey", &etl).await.contains("ForgottenKeysEnded")
        })
        .await;

    // One that is younger than what the Secret names was issued in a time that Kubernetes knows nothing of.
    bring_back(&world, &alice.name, age(&former[0], "9"), &alice.caller).await;
    let names_it = |view: &View| view.message(CONDITION).contains(&format!("in the Secret: {}", id(&alice)));
    world.observed("MinioUser", &alice.name, "it is named", names_it).await;
    assert!(alice.may(Try::Get, &file).await, "people may have it");
    world.annotate("MinioUser", &alice.name, "rotate", Some("2")).await;
    world.eventually("a renewal ends it", async || !ids(&world, &alice.name).await.contains(id(&alice))).await;
}
