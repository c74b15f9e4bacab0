//! The way back from a prune that was not meant, as the documentation tells it.

use serde_json::json;

use super::{MANAGERS, apply_as};
use crate::support::{
    minio::unique,
    product::Setup,
    world::{View, World, grant, share, user},
};

#[tokio::test]
async fn what_a_prune_asked_for_and_was_held_comes_back() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "2,1%"])).await;
    let people = world.users(["one", "two", "three", "four"]).await;
    let reader = &people[0];
    let name = unique("share");
    // Whose home is shared must not be among the two that go.
    let owner = world.user("owner").await;
    let (exp, grants) = (owner.home("exp"), format!("grants: [{}]", grant(&reader.name, "Read")));
    let file = format!("{exp}/file");
    world.seed(&[&file]).await;
    world.apply(&share(&name, &exp, &grants)).await;
    world.ready("PathShare", &name).await;
    for person in &people[1..] {
        world.delete("MinioUser", &person.name).await;
    }
    let held = |view: &View| *view.status("/heldChange/removals") == json!(1);
    world.observed("MinioInstance", "default", "one of three is held", held).await;
    world.delete("PathShare", &name).await;
    world.stalled("PathShare", &name, "LargeChange").await;
    reader.expect(&file, "GL").await;

    // A share under another name gives the same, so that the one that waits takes nothing away.
    world.apply(&share(&format!("{name}-again"), &exp, &grants)).await;
    world.ready("PathShare", &format!("{name}-again")).await;
    world.gone("PathShare", &name).await;
    reader.expect(&file, "GL").await;

    // An account whose object waits is let go with what it has, and taken back.
    let mut waiting = Vec::new();
    for person in &people[1..] {
        waiting.extend(world.find("MinioUser", &person.name).await.map(|_| person));
    }
    let [person] = waiting[..] else { panic!("one waits: {}", waiting.len()) };
    world.patch("MinioUser", &person.name, json!({"spec": {"deletionPolicy": "Retain"}})).await;
    world.gone("MinioUser", &person.name).await;
    assert!(world.account(&person.name).await.is_some());
    world.apply(&user(&person.name, "")).await;
    let view = world.ready("MinioUser", &person.name).await;
    assert_eq!(*view.status("/origin"), "Created");
    world.ready("MinioInstance", "default").await;
    let again = world.person(&person.name).await;
    let home = again.home("file");
    world.seed(&[&home]).await;
    again.expect(&home, "GPDL").await;
}

#[tokio::test]
async fn a_prune_that_was_meant_is_acknowledged_by_a_commit() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "2,1%"])).await;
    let people = world.users(["one", "two", "three"]).await;
    let instance = |annotations| {
        let metadata = json!({"name": "default", "namespace": world.namespace(), "annotations": annotations});
        json!({"apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioInstance", "metadata": metadata})
    };
    apply_as(MANAGERS[0], &[instance(json!({}))]);
    for person in &people {
        world.delete("MinioUser", &person.name).await;
    }
    let held = |view: &View| *view.status("/heldChange/removals") == json!(1);
    let view = world.observed("MinioInstance", "default", "one of three is held", held).await;
    let hash = view.status("/heldChange/hash").clone();
    let acknowledged = [instance(json!({"minio-manager.io/acknowledge-large-change": hash}))];
    apply_as(MANAGERS[0], &acknowledged);
    for person in &people {
        world.gone("MinioUser", &person.name).await;
        assert!(world.account(&person.name).await.is_none());
    }
    world.ready("MinioInstance", "default").await;
}
