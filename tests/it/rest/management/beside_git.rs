//! Manifests that git or a person applies declare members of the same group: neither side loses any, and neither fights.

use serde_json::json;

use super::{Stage, refused};
use crate::support::kube::{WAYS, kubectl};
use crate::support::world::group;

fn manifest(document: &str) -> String {
    format!("apiVersion: minio-manager.io/v1alpha1\n{document}")
}

#[tokio::test]
async fn members_of_manifests_are_neither_lost_nor_fought_over() {
    let stage = Stage::begin("berdl", &["alice", "bob"]).await;
    let world = &stage.world;
    let (alice, bob) = (stage.user("alice").await, stage.user("bob").await);
    for (number, (way, manager)) in WAYS.into_iter().enumerate() {
        let name = format!("team{number}");
        // Server-side apply does not take the last field of a spec away.
        let with = |spec: &str| manifest(&group(&name, &format!("workspace: Default, {spec}")));
        if way[0] == "replace" {
            kubectl(world.namespace(), &["create"], &with("members: []"));
            // kubectl does not try again when the controller writes in between.
            world.ready("MinioGroup", &name).await;
        }
        kubectl(world.namespace(), way, &with("members: [alice]"));
        world.ready("MinioGroup", &name).await;
        let file = stage.file_of(&name).await;
        alice.expect(&file, "GPDL").await;

        // Who is in it already stays so without a change; who is not gets in beside it.
        assert_eq!(stage.add(&name, "alice").await.expect(200)["members"], json!(["alice"]));
        assert_eq!(stage.entries(&format!("rest-{name}")).await, None, "{way:?}");
        assert_eq!(stage.add(&name, "bob").await.expect(200)["members"], json!(["alice", "bob"]));
        bob.expect(&file, "GPDL").await;
        let place = format!("MinioGroup {}/{name}", world.namespace());
        for answer in [stage.take_out(&name, "alice").await, stage.add(&format!("{name}ro"), "alice").await] {
            refused(&answer, 400, Some(20040), &[&place, manager]);
        }
        alice.expect(&file, "GPDL").await;

        // The manifest again, and changed: what REST wrote is none of its business.
        kubectl(world.namespace(), way, &with("members: [alice], stewards: [bob]"));
        world.ready("MinioGroup", &name).await;
        bob.expect(&file, "GPDL").await;
        kubectl(world.namespace(), way, &with("members: []"));
        world.ready("MinioGroup", &name).await;
        alice.expect(&file, "").await;
        bob.expect(&file, "GPDL").await;
        kubectl(world.namespace(), way, &with("members: [bob]"));
        world.ready("MinioGroup", &name).await;

        // In both: what REST gave goes, and the answer says who else gives it.
        refused(&stage.take_out(&name, "bob").await, 400, Some(20040), &[&place, manager]);
        assert_eq!(stage.entries(&format!("rest-{name}")).await, Some(vec![]));
        bob.expect(&file, "GPDL").await;
        kubectl(world.namespace(), way, &with("members: []"));
        world.ready("MinioGroup", &name).await;
        bob.expect(&file, "").await;
    }
}

#[tokio::test]
async fn memberships_of_others_count_and_are_named() {
    let stage = Stage::begin("berdl", &["alice", "bob"]).await;
    let world = &stage.world;
    let (alice, bob) = (stage.user("alice").await, stage.user("bob").await);
    let file = stage.group("kbase").await;
    kubectl(
        world.namespace(),
        &["apply", "--server-side", "--field-manager=flux"],
        &manifest(
            "kind: GroupMembership\nmetadata: {name: guests}\nspec: {group: kbase, members: [\
             {name: alice, access: ReadWrite, expiresAt: '2999-01-01T00:00:00Z'}, {name: bob, access: Read}]}",
        ),
    );
    world.ready("GroupMembership", "guests").await;
    let place = format!("GroupMembership {}/guests (managed by flux)", world.namespace());
    refused(&stage.take_out("kbase", "alice").await, 400, Some(20040), &[&place]);
    refused(&stage.take_out("kbasero", "bob").await, 400, Some(20040), &[&place]);
    assert_eq!(stage.add("kbasero", "bob").await.expect(200)["members"], json!(["bob"]));
    assert_eq!(stage.entries("rest-kbase").await, Some(vec![("boss".into(), "ReadWrite".into())]));

    // Write wins over read, and comes and goes by itself.
    assert_eq!(stage.add("kbase", "bob").await.expect(200)["members"], json!(["alice", "bob", "boss"]));
    bob.expect(&file, "GPDL").await;
    assert_eq!(stage.take_out("kbase", "bob").await.expect(200)["members"], json!(["alice", "boss"]));
    bob.expect(&file, "GL").await;

    // No more entries than an object takes.
    let full: Vec<String> = (0..1000).map(|number| format!("{{name: user{number}, access: Read}}")).collect();
    world.apply(&group("full", "")).await;
    world
        .apply(&format!(
            "kind: GroupMembership\nmetadata: {{name: rest-full, labels: {{minio-manager.io/origin: rest}}}}\n\
             spec: {{group: full, members: [{}]}}",
            full.join(", ")
        ))
        .await;
    world.ready("GroupMembership", "rest-full").await;
    refused(&stage.add("full", "alice").await, 400, Some(20040), &["1000 members", "MinioGroup"]);

    // For longer than the other object gives it.
    stage.add("kbase", "alice").await.expect(200);
    let entries = stage.entries("rest-kbase").await.unwrap();
    assert!(entries.contains(&("alice".into(), "ReadWrite".into())));
    world.delete_and_wait("GroupMembership", "guests").await;
    alice.expect(&file, "GPDL").await;
    bob.expect(&file, "").await;
}

#[tokio::test]
async fn a_new_group_of_the_name_does_not_get_the_members_of_the_former() {
    let stage = Stage::begin("berdl", &["alice", "bob"]).await;
    let world = &stage.world;
    let (alice, bob) = (stage.user("alice").await, stage.user("bob").await);
    world.apply(&group("kbase", "")).await;
    world.ready("MinioGroup", "kbase").await;
    let file = stage.file_of("kbase").await;
    stage.add("kbase", "alice").await.expect(200);
    alice.expect(&file, "GPDL").await;
    world.delete_and_wait("MinioGroup", "kbase").await;
    world.apply(&group("kbase", "")).await;
    world.ready("MinioGroup", "kbase").await;
    alice.expect(&file, "").await;
    assert_eq!(stage.add("kbase", "bob").await.expect(200)["members"], json!(["bob"]));
    bob.expect(&file, "GPDL").await;
    alice.expect(&file, "").await;
    assert_eq!(stage.entries("rest-kbase").await, Some(vec![("bob".into(), "ReadWrite".into())]));
}
