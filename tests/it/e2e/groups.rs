use std::collections::BTreeSet;

use crate::support::{
    minio::unique,
    s3::Try,
    world::{World, group},
};

fn members(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn members_write_and_read_only_members_read() {
    let world = World::shared().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let team = unique("team");
    world.apply(&group(&team, &format!("members: [{}], readOnlyMembers: [{}]", alice.name, bob.name))).await;
    let view = world.ready("MinioGroup", &team).await;
    assert_eq!(view.status("/twinName"), &format!("{team}-ro"));
    let path = format!("lake/teams/{team}/file");
    world.seed(&[&path]).await;
    alice.expect(&path, "GPDL").await;
    bob.expect(&path, "GL").await;
    carol.expect(&path, "").await;
    assert_eq!(world.members(&team).await, Some(members(&[&alice.name])));
    assert_eq!(world.members(&format!("{team}-ro")).await, Some(members(&[&bob.name])));
}

#[tokio::test]
async fn a_member_that_is_taken_out_loses_access_at_once() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let team = unique("team");
    world.apply(&group(&team, &format!("members: [{}, {}]", alice.name, bob.name))).await;
    world.ready("MinioGroup", &team).await;
    let path = format!("lake/teams/{team}/file");
    world.seed(&[&path]).await;
    bob.expect(&path, "GPDL").await;
    world.apply(&group(&team, &format!("members: [{}]", alice.name))).await;
    world.ready("MinioGroup", &team).await;
    bob.expect(&path, "").await;
    alice.expect(&path, "GPDL").await;
    // From writing to reading.
    world.apply(&group(&team, &format!("members: [], readOnlyMembers: [{}]", alice.name))).await;
    world.ready("MinioGroup", &team).await;
    alice.expect(&path, "GL").await;
}

#[tokio::test]
async fn memberships_add_members_beside_the_groups_list() {
    let world = World::shared().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let (team, extra) = (unique("team"), unique("extra"));
    world.apply(&group(&team, &format!("members: [{}]", alice.name))).await;
    world
        .apply(&format!(
            "kind: GroupMembership\nmetadata: {{name: {extra}}}\nspec: {{group: {team}, members: [\
             {{name: {}, access: ReadWrite}}, {{name: {}, access: Read}}]}}",
            bob.name, carol.name
        ))
        .await;
    world.ready("MinioGroup", &team).await;
    let view = world.ready("GroupMembership", &extra).await;
    assert_eq!(view.status("/grants/active"), 2);
    let path = format!("lake/teams/{team}/file");
    world.seed(&[&path]).await;
    alice.expect(&path, "GPDL").await;
    bob.expect(&path, "GPDL").await;
    carol.expect(&path, "GL").await;
    world.delete_and_wait("GroupMembership", &extra).await;
    alice.expect(&path, "GPDL").await;
    bob.expect(&path, "").await;
    carol.expect(&path, "").await;
}

#[tokio::test]
async fn two_declarations_of_a_member_hold_it_until_both_are_gone() {
    let world = World::shared().await;
    let bob = world.user("bob").await;
    let (team, extra) = (unique("team"), unique("extra"));
    world.apply(&group(&team, &format!("members: [{}]", bob.name))).await;
    world
        .apply(&format!(
            "kind: GroupMembership\nmetadata: {{name: {extra}}}\nspec: {{group: {team}, members: [{{name: {}, access: Read}}]}}",
            bob.name
        ))
        .await;
    world.ready("MinioGroup", &team).await;
    world.ready("GroupMembership", &extra).await;
    let path = format!("lake/teams/{team}/file");
    world.seed(&[&path]).await;
    bob.expect(&path, "GPDL").await;
    world.apply(&group(&team, "members: []")).await;
    world.ready("MinioGroup", &team).await;
    bob.expect(&path, "GL").await;
    world.delete_and_wait("GroupMembership", &extra).await;
    bob.expect(&path, "").await;
}

#[tokio::test]
async fn a_member_in_both_lists_may_write_and_that_is_said() {
    let world = World::shared().await;
    let bob = world.user("bob").await;
    let team = unique("team");
    world.apply(&group(&team, &format!("members: [{0}], readOnlyMembers: [{0}]", bob.name))).await;
    let view = world.ready("MinioGroup", &team).await;
    assert!(view.message("Ready").contains(&bob.name), "{}", view.message("Ready"));
    let path = format!("lake/teams/{team}/file");
    world.seed(&[&path]).await;
    bob.expect(&path, "GPDL").await;
}

#[tokio::test]
async fn without_a_twin_there_are_no_read_only_members() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (team, extra) = (unique("team"), unique("extra"));
    world.apply(&group(&team, &format!("readOnlyTwin: Disabled, members: [{}]", alice.name))).await;
    world
        .apply(&format!(
            "kind: GroupMembership\nmetadata: {{name: {extra}}}\nspec: {{group: {team}, members: [{{name: {}, access: Read}}]}}",
            bob.name
        ))
        .await;
    world.ready("MinioGroup", &team).await;
    let view = world.ready("GroupMembership", &extra).await;
    assert_eq!(view.status("/pending/0/reason"), "TwinDisabled");
    assert_eq!(world.members(&format!("{team}-ro")).await, None);
    let path = format!("lake/teams/{team}/file");
    world.seed(&[&path]).await;
    alice.expect(&path, "GPDL").await;
    bob.expect(&path, "").await;
    // The twin comes, and what waited for it.
    world.apply(&group(&team, &format!("readOnlyTwin: Enabled, members: [{}]", alice.name))).await;
    world.ready("MinioGroup", &team).await;
    world.observed("GroupMembership", &extra, "nothing is pending", |v| v.status("/grants/active") == 1).await;
    world.ready("GroupMembership", &extra).await;
    bob.expect(&path, "GL").await;
}

#[tokio::test]
async fn a_disabled_group_gives_nothing_and_takes_nothing_else() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let team = unique("team");
    let spec = format!("members: [{}]", alice.name);
    world.apply(&group(&team, &spec)).await;
    world.ready("MinioGroup", &team).await;
    let path = format!("lake/teams/{team}/file");
    world.seed(&[&path, &alice.home("file")]).await;
    alice.expect(&path, "GPDL").await;
    world.apply(&group(&team, &format!("{spec}, enabled: false"))).await;
    world.ready_is("MinioGroup", &team, "True", "Disabled").await;
    alice.expect(&path, "").await;
    alice.expect(&alice.home("file"), "GPDL").await;
    let on_server = world.minio().group_info(&team).await.unwrap();
    assert!(on_server.is_none_or(|group| group.enabled), "the server's own group status is never used");
    world.apply(&group(&team, &format!("{spec}, enabled: true"))).await;
    world.ready("MinioGroup", &team).await;
    alice.expect(&path, "GPDL").await;
}

#[tokio::test]
async fn policies_of_a_group_reach_its_members_and_not_the_read_only_ones() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let team = unique("team");
    world.seed(&["other-bucket/public"]).await;
    let spec = format!("members: [{}], readOnlyMembers: [{}], policies: [readonly]", alice.name, bob.name);
    world.apply(&group(&team, &spec)).await;
    world.ready("MinioGroup", &team).await;
    assert_eq!(alice.status(Try::Get, "other-bucket/public").await, 200);
    assert_eq!(bob.status(Try::Get, "other-bucket/public").await, 403);
}

#[tokio::test]
async fn a_group_with_nothing_to_give_has_no_document() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let team = unique("team");
    world.apply(&group(&team, &format!("workspace: None, members: [{}]", alice.name))).await;
    world.ready("MinioGroup", &team).await;
    assert_eq!(world.document(&format!("group-policy-{team}")).await, None);
    assert_eq!(world.members(&team).await, Some(members(&[&alice.name])));
}
