//! Every key is looked at again and again, and whoever is well does not notice.

use serde_json::json;

use super::keys::{access_key, holder};
use crate::support::{
    minio::unique,
    product::Setup,
    s3::Try,
    world::{Person, World, user},
};

const OFTEN: [&str; 2] = ["--audit-interval", "1s"];

/// Waits until the keys have been looked at so many times more.
async fn audits(world: &World, times: u64) {
    let asked = || world.product().metrics().requests(&["list-access-keys-bulk"]);
    let before = asked();
    world.eventually("the keys are looked at", async || asked() >= before + times).await;
}

async fn lose_key(world: &World, person: &Person) {
    assert!(world.minio().delete_access_key(&person.credentials().access_key).await.unwrap());
}

/// The person with another key than that.
async fn with_another_key(world: &World, person: &Person) -> Person {
    let old = person.credentials().access_key.as_str();
    let is_other = |key: &serde_json::Value| key.is_string() && key != old;
    world
        .observed("MinioUser", &person.name, "it has another key", |view| {
            is_other(view.status("/credentials/accessKey"))
        })
        .await;
    world.person(&person.name).await
}

#[tokio::test]
async fn a_key_that_was_deleted_on_the_server_is_replaced() {
    let world = World::own(Setup::default().with(&OFTEN)).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (file, of_bob) = (alice.home("file"), bob.home("file"));
    world.seed(&[&file, &of_bob]).await;
    let etl = unique("etl");
    world.apply(&access_key(&etl, &bob.name, "rotationInterval: 2h")).await;
    let workload = holder(&world, &etl).await;
    lose_key(&world, &alice).await;
    with_another_key(&world, &alice).await.expect(&file, "GPDL").await;
    assert!(world.minio().delete_access_key(&workload.credentials().access_key).await.unwrap());
    let old = workload.credentials().access_key.as_str();
    world.observed("MinioAccessKey", &etl, "it has another key", |v| v.status("/credentials/accessKey") != old).await;
    holder(&world, &etl).await.expect(&of_bob, "GPDL").await;
    bob.expect(&of_bob, "GPDL").await;
    assert_eq!(world.access_keys(&alice.name).await.len(), 1);
    assert_eq!(world.product().metrics().sum("minio_manager_drift_repairs_total", &["kind=\"key\""]), 2.0);
    let view = world.view("MinioUser", &bob.name).await;
    assert_eq!(view.status("/credentials/accessKey"), &bob.credentials().access_key, "nobody else gets another key");
}

#[tokio::test]
async fn an_audit_of_what_is_well_writes_and_tells_nothing() {
    let world = World::own(Setup::default().with(&OFTEN)).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    world.annotate("MinioUser", &bob.name, "rotate", Some("1")).await;
    world
        .observed("MinioUser", &bob.name, "it is rotated", |view| view.status("/credentials/lastHandledRotate") == "1")
        .await;
    // What was written last may still be on its way.
    audits(&world, 2).await;
    let versions = async || {
        let mut versions = Vec::new();
        for person in [&alice, &bob] {
            versions.push(world.view("MinioUser", &person.name).await.0["metadata"]["resourceVersion"].clone());
            versions.push(json!(world.secret(&person.secret).await.unwrap().metadata.resource_version));
        }
        versions
    };
    let (before, metrics, lines) = (versions().await, world.product().metrics(), world.product().audit().len());
    audits(&world, 6).await;
    let after = world.product().metrics();
    assert!(after.requests(&["probe"]) >= metrics.requests(&["probe"]) + 4, "the keys are proven");
    assert_eq!(after.writes(), metrics.writes());
    assert_eq!(after.requests(&["list-service-accounts"]), metrics.requests(&["list-service-accounts"]));
    assert_eq!(versions().await, before);
    assert_eq!(world.product().audit().len(), lines);

    // A new start knows the former key of bob, too.
    assert!(world.product().terminate().success());
    world.product().launch();
    audits(&world, 4).await;
    let metrics = world.product().metrics();
    assert_eq!((metrics.writes(), metrics.requests(&["list-service-accounts"])), (0, 0));
    assert_eq!(versions().await, before);
}

#[tokio::test]
async fn who_is_disabled_or_paused_is_not_given_a_key_by_an_audit() {
    let world = World::own(Setup::default().with(&OFTEN)).await;
    let [disabled, paused, well] = world.users(["disabled", "paused", "well"]).await;
    world.apply(&user(&disabled.name, "enabled: false")).await;
    world.ready_is("MinioUser", &disabled.name, "True", "Disabled").await;
    world.annotate("MinioUser", &paused.name, "reconcile", Some("paused")).await;
    world.ready_is("MinioUser", &paused.name, "Unknown", "Paused").await;
    for person in [&disabled, &paused, &well] {
        lose_key(&world, person).await;
    }
    with_another_key(&world, &well).await;
    audits(&world, 4).await;
    for person in [&disabled, &paused] {
        assert_eq!(world.access_keys(&person.name).await, [], "{}", person.name);
    }
    world.apply(&user(&disabled.name, "enabled: true")).await;
    world.annotate("MinioUser", &paused.name, "reconcile", None).await;
    for person in [&disabled, &paused] {
        let again = with_another_key(&world, person).await;
        let file = again.home("file");
        assert!(again.may(Try::Put, &file).await);
    }
}

#[tokio::test]
async fn an_outage_is_no_news_of_who_is_well() {
    let world = World::own(Setup::default().with(&OFTEN)).await;
    let people = world.users(["alice", "bob", "carol"]).await;
    audits(&world, 2).await;
    let versions = async || {
        let mut versions = Vec::new();
        for person in &people {
            versions.push(world.view("MinioUser", &person.name).await.0["metadata"]["resourceVersion"].clone());
        }
        versions
    };
    let before = versions().await;
    world.product().minio().stop();
    world.ready_is("MinioInstance", "default", "Unknown", "MinioUnavailable").await;
    world.product().minio().start_again();
    world.ready("MinioInstance", "default").await;
    audits(&world, 4).await;
    assert_eq!(versions().await, before);
    for person in &people {
        let view = world.view("MinioUser", &person.name).await;
        assert_eq!(view.status("/credentials/accessKey"), &person.credentials().access_key, "nobody gets another key");
    }
}
