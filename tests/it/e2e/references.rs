use crate::support::{
    minio::unique,
    world::{World, grant, group, share, user},
};

#[tokio::test]
async fn a_share_may_come_before_its_user() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let (name, bob) = (unique("share"), unique("bob"));
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob, "Read")))).await;
    let view = world.ready("PathShare", &name).await;
    assert_eq!(view.status("/grants/pending"), 1);
    assert_eq!(view.status("/pending/0"), &serde_json::json!({"kind": "User", "name": bob, "reason": "UserNotFound"}));
    world.apply(&user(&bob, "")).await;
    let bob = world.person(&bob).await;
    world.observed("PathShare", &name, "the grant is active", |view| view.status("/grants/active") == 1).await;
    world.ready("PathShare", &name).await;
    bob.expect(&file, "GL").await;
}

#[tokio::test]
async fn everything_may_come_in_the_reverse_order() {
    let world = World::shared().await;
    let [name, team, extra, alice, bob] = ["share", "team", "extra", "alice", "bob"].map(unique);
    let path = format!("lake/homes/{alice}/exp");
    let spec =
        format!("owner: {{kind: User, name: {alice}}}, grants: [{{kind: Group, name: {team}, access: ReadWrite}}]");
    world.apply(&share(&name, &path, &spec)).await;
    world.ready_is("PathShare", &name, "False", "OwnerNotFound").await;
    world
        .apply(&format!(
            "kind: GroupMembership\nmetadata: {{name: {extra}}}\nspec: {{group: {team}, members: [{{name: {bob}, access: ReadWrite}}]}}"
        ))
        .await;
    let view = world.ready("GroupMembership", &extra).await;
    assert_eq!(view.status("/pending/0/reason"), "GroupNotFound");
    world.apply(&group(&team, "")).await;
    world.ready("MinioGroup", &team).await;
    let view = world
        .observed("GroupMembership", &extra, "the user is missing", |v| v.status("/pending/0/reason") == "UserNotFound")
        .await;
    assert_eq!(view.status("/pending/0/name"), &bob);
    world.apply(&format!("{}---\n{}", user(&alice, ""), user(&bob, ""))).await;
    let (alice, bob) = (world.person(&alice).await, world.person(&bob).await);
    world.observed("GroupMembership", &extra, "the member is active", |v| v.status("/grants/active") == 1).await;
    world.ready("GroupMembership", &extra).await;
    world.ready_is("PathShare", &name, "True", "Converged").await;
    let (file, team_file) = (alice.home("exp/file"), format!("lake/teams/{team}/file"));
    world.seed(&[&file, &team_file]).await;
    bob.expect(&file, "GPDL").await;
    bob.expect(&team_file, "GPDL").await;
}

#[tokio::test]
async fn the_second_object_of_a_name_waits_for_the_first_to_go() {
    let world = World::shared().await;
    let (first, second, name) = (unique("first"), unique("second"), unique("alice"));
    world.apply(&user(&first, &format!("username: {name}"))).await;
    let alice = world.person(&first).await;
    world.apply(&user(&second, &format!("username: {name}, enabled: false"))).await;
    let message = world.stalled("MinioUser", &second, "Conflict").await;
    assert!(message.contains(&first), "{message}");
    world
        .eventually("an event says so", async || world.event_reasons("MinioUser", &second).await.contains("Conflict"))
        .await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    alice.expect(&file, "GPDL").await;
    assert!(world.expect_account(&name).await.enabled, "the loser changes nothing");
    world.delete_and_wait("MinioUser", &first).await;
    world.ready_is("MinioUser", &second, "True", "Disabled").await;
    assert!(!world.expect_account(&name).await.enabled, "the loser has taken over");
}

#[tokio::test]
async fn the_end_of_the_loser_changes_nothing() {
    let world = World::shared().await;
    let (first, second, name) = (unique("first"), unique("second"), unique("alice"));
    world.apply(&user(&first, &format!("username: {name}"))).await;
    let alice = world.person(&first).await;
    world.apply(&user(&second, &format!("username: {name}"))).await;
    world.stalled("MinioUser", &second, "Conflict").await;
    world.delete_and_wait("MinioUser", &second).await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    alice.expect(&file, "GPDL").await;
    assert!(world.secret(&alice.secret).await.is_some());
}

#[tokio::test]
async fn a_group_cannot_take_the_name_of_a_twin() {
    let world = World::shared().await;
    let team = unique("team");
    world.apply(&group(&team, "")).await;
    world.ready("MinioGroup", &team).await;
    let twin = format!("{team}-ro");
    world.apply(&group(&twin, "")).await;
    let message = world.stalled("MinioGroup", &twin, "Conflict").await;
    assert!(message.contains(&team), "{message}");
    assert_eq!(world.document(&format!("group-policy-{twin}-ro")).await, None);
}
