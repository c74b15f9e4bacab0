use std::time::{Duration, Instant};

use minio_manager::minio::Credentials;

use crate::support::{
    minio::unique,
    s3::{Caller, Try},
    world::{World, grant, group, share},
};

#[tokio::test]
async fn a_user_reads_what_is_shared_and_nothing_beside_it() {
    let world = World::shared().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let name = unique("share");
    let [inside, sibling, above] = ["exp/file", "exp2/file", "file"].map(|rest| alice.home(rest));
    world.seed(&[&inside, &sibling, &above]).await;
    world.apply(&share(&name, &alice.home("exp/"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    let view = world.ready("PathShare", &name).await;
    assert_eq!(view.status("/grants/active"), 1);
    bob.expect(&inside, "GL").await;
    bob.expect(&sibling, "").await;
    bob.expect(&above, "").await;
    assert!(!bob.may(Try::List, &alice.home("exp")).await, "that would show the siblings");
    carol.expect(&inside, "").await;
    alice.expect(&inside, "GPDL").await;
}

#[tokio::test]
async fn the_level_of_a_grant_can_be_changed_and_the_grant_ended() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let name = unique("share");
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    let with = |grants: &str| share(&name, &alice.home("exp"), &format!("grants: [{grants}]"));
    for (access, rights) in [("Read", "GL"), ("ReadWrite", "GPDL"), ("Read", "GL")] {
        world.apply(&with(&grant(&bob.name, access))).await;
        world.ready("PathShare", &name).await;
        bob.expect(&file, rights).await;
    }
    world.apply(&with("")).await;
    world.ready("PathShare", &name).await;
    bob.expect(&file, "").await;
}

#[tokio::test]
async fn a_deleted_share_is_out_of_force_when_it_is_gone() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let name = unique("share");
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "ReadWrite")))).await;
    world.ready("PathShare", &name).await;
    bob.expect(&file, "GPDL").await;
    let started = Instant::now();
    world.delete_and_wait("PathShare", &name).await;
    bob.expect(&file, "").await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_grant_to_a_group_reaches_members_and_one_to_its_twin_the_read_only_ones() {
    let world = World::shared().await;
    let [owner, member, reader] = world.users(["owner", "member", "reader"]).await;
    let (team, to_group, to_twin) = (unique("team"), unique("share"), unique("share"));
    world.apply(&group(&team, &format!("members: [{}], readOnlyMembers: [{}]", member.name, reader.name))).await;
    let (one, two) = (owner.home("one/file"), owner.home("two/file"));
    world.seed(&[&one, &two]).await;
    world
        .apply(&share(
            &to_group,
            &owner.home("one"),
            &format!("grants: [{{kind: Group, name: {team}, access: ReadWrite}}]"),
        ))
        .await;
    world
        .apply(&share(
            &to_twin,
            &owner.home("two"),
            &format!("grants: [{{kind: Group, name: {team}-ro, access: Read}}]"),
        ))
        .await;
    world.ready("PathShare", &to_group).await;
    world.ready("PathShare", &to_twin).await;
    member.expect(&one, "GPDL").await;
    reader.expect(&one, "").await;
    member.expect(&two, "").await;
    reader.expect(&two, "GL").await;
    // A twin never writes.
    world
        .apply(&share(
            &to_twin,
            &owner.home("two"),
            &format!("grants: [{{kind: Group, name: {team}-ro, access: ReadWrite}}]"),
        ))
        .await;
    let view = world.ready("PathShare", &to_twin).await;
    assert_eq!(view.status("/pending/0/reason"), "ReadOnlyGroup");
    reader.expect(&two, "").await;
}

#[tokio::test]
async fn a_share_with_everyone_reaches_all_managed_users_and_nobody_else() {
    let world = World::shared().await;
    let [owner, somebody] = world.users(["owner", "somebody"]).await;
    let name = unique("share");
    let file = owner.home("public/file");
    world.seed(&[&file]).await;
    world.apply(&share(&name, &owner.home("public"), "everyone: Read")).await;
    world.ready("PathShare", &name).await;
    somebody.expect(&file, "GL").await;
    let newcomer = world.user("newcomer").await;
    newcomer.expect(&file, "GL").await;
    let stranger = unique("stranger");
    let secret = Credentials::generate().secret;
    world.minio().add_user(&stranger, &secret, true).await.unwrap();
    let stranger = Caller::new(world.minio().clone(), Credentials::new(&*stranger, secret));
    stranger.expect(&file, "").await;
    world.apply(&share(&name, &owner.home("public"), "everyone: None")).await;
    world.ready("PathShare", &name).await;
    somebody.expect(&file, "").await;
}

#[tokio::test]
async fn a_suspended_share_gives_nothing_until_it_is_resumed() {
    let world = World::shared().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let name = unique("share");
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    let spec = format!("grants: [{}], everyone: Read", grant(&bob.name, "ReadWrite"));
    let path = alice.home("exp");
    world.apply(&share(&name, &path, &spec)).await;
    world.ready("PathShare", &name).await;
    bob.expect(&file, "GPDL").await;
    carol.expect(&file, "GL").await;
    world.apply(&share(&name, &path, &format!("{spec}, suspended: true"))).await;
    world.ready_is("PathShare", &name, "True", "Suspended").await;
    bob.expect(&file, "").await;
    carol.expect(&file, "").await;
    world.apply(&share(&name, &path, &spec)).await;
    world.ready_is("PathShare", &name, "True", "Converged").await;
    bob.expect(&file, "GPDL").await;
    carol.expect(&file, "GL").await;
}

#[tokio::test]
async fn an_owner_can_only_share_what_is_its_own() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let team = unique("team");
    world.apply(&group(&team, &format!("members: [{}]", alice.name))).await;
    let [own, foreign, of_team, unknown] = ["own", "foreign", "team", "unknown"].map(unique);
    let (file, team_file) = (alice.home("exp/file"), format!("lake/teams/{team}/exp/file"));
    world.seed(&[&file, &team_file]).await;
    let owned = |name: &str, path: &str, kind: &str, owner: &str| {
        let grants = grant(&bob.name, "Read");
        share(name, path, &format!("owner: {{kind: {kind}, name: {owner}}}, grants: [{grants}]"))
    };
    world.apply(&owned(&foreign, &alice.home("exp"), "User", &bob.name)).await;
    let message = world.stalled("PathShare", &foreign, "OwnerMismatch").await;
    assert!(message.contains(&bob.name), "{message}");
    bob.expect(&file, "").await;
    world.apply(&owned(&unknown, &format!("lake/homes/{unknown}/exp"), "User", &unknown)).await;
    world.ready_is("PathShare", &unknown, "False", "OwnerNotFound").await;
    world.apply(&owned(&own, &alice.home("exp"), "User", &alice.name)).await;
    world.ready("PathShare", &own).await;
    bob.expect(&file, "GL").await;
    world.apply(&owned(&of_team, &format!("lake/teams/{team}/exp"), "Group", &team)).await;
    world.ready("PathShare", &of_team).await;
    bob.expect(&team_file, "GL").await;
}

#[tokio::test]
async fn shares_of_an_owner_that_goes_are_out_of_force() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let name = unique("share");
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    let spec = format!("owner: {{kind: User, name: {}}}, grants: [{}]", alice.name, grant(&bob.name, "Read"));
    world.apply(&share(&name, &alice.home("exp"), &spec)).await;
    world.ready("PathShare", &name).await;
    bob.expect(&file, "GL").await;
    world.delete_and_wait("MinioUser", &alice.name).await;
    let view = world.ready_is("PathShare", &name, "True", "Suspended").await;
    assert!(view.message("Ready").contains(&alice.name), "{}", view.message("Ready"));
    bob.expect(&file, "").await;
    // A new user of the same name does not revive it.
    world.apply(&crate::support::world::user(&alice.name, "")).await;
    world.ready("MinioUser", &alice.name).await;
    world.ready_is("PathShare", &name, "True", "Suspended").await;
    bob.expect(&file, "").await;
}

#[tokio::test]
async fn what_two_shares_give_lasts_until_both_are_gone() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let [outer, inner, again] = ["outer", "inner", "again"].map(unique);
    let (deep, shallow) = (alice.home("exp/deep/file"), alice.home("exp/file"));
    world.seed(&[&deep, &shallow]).await;
    let read = format!("grants: [{}]", grant(&bob.name, "Read"));
    let write = format!("grants: [{}]", grant(&bob.name, "ReadWrite"));
    world.apply(&share(&outer, &alice.home("exp"), &write)).await;
    world.apply(&share(&inner, &alice.home("exp/deep"), &read)).await;
    world.apply(&share(&again, &alice.home("exp/deep"), &read)).await;
    for name in [&outer, &inner, &again] {
        let view = world.ready("PathShare", name).await;
        assert_eq!(view.status("/grants/active"), 1, "a covered grant counts as active");
    }
    bob.expect(&deep, "GPDL").await;
    world.delete_and_wait("PathShare", &outer).await;
    bob.expect(&deep, "GL").await;
    bob.expect(&shallow, "").await;
    world.delete_and_wait("PathShare", &inner).await;
    bob.expect(&deep, "GL").await;
    world.delete_and_wait("PathShare", &again).await;
    bob.expect(&deep, "").await;
}

#[tokio::test]
async fn an_empty_folder_that_may_be_written_gets_a_marker() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let [empty, full, read] = ["empty", "full", "read"].map(unique);
    world.seed(&[&alice.home("full/file")]).await;
    let write = format!("grants: [{}]", grant(&bob.name, "ReadWrite"));
    world.apply(&share(&empty, &alice.home("empty"), &write)).await;
    world.apply(&share(&full, &alice.home("full"), &write)).await;
    world.apply(&share(&read, &alice.home("read"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    for name in [&empty, &full, &read] {
        world.ready("PathShare", name).await;
    }
    let keys = world.keys_below(&alice.home("")).await;
    let key = |rest: &str| format!("homes/{}/{rest}", alice.name);
    assert!(keys.contains(&key("empty/")), "{keys:?}");
    assert!(!keys.contains(&key("full/")) && !keys.contains(&key("read/")), "{keys:?}");
    assert_eq!(bob.status(Try::Put, &alice.home("empty/file")).await, 200);
}

#[tokio::test]
async fn a_missing_bucket_is_said_and_not_made() {
    let world = World::shared().await;
    let bob = world.user("bob").await;
    let (name, bucket) = (unique("share"), unique("bucket"));
    world
        .apply(&share(&name, &format!("{bucket}/data"), &format!("grants: [{}]", grant(&bob.name, "ReadWrite"))))
        .await;
    let view = world.ready("PathShare", &name).await;
    assert!(view.message("Ready").contains(&bucket), "{}", view.message("Ready"));
    assert!(!world.minio().bucket_exists(&bucket).await.unwrap());
    world.seed(&[&format!("{bucket}/data/file")]).await;
    bob.expect(&format!("{bucket}/data/file"), "GPDL").await;
}

#[tokio::test]
async fn awkward_paths_mean_exactly_themselves() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    for folder in
        ["with space", "per%cent", "plus+and&", "quote'\"s", "ümläut", "日本", "back\\slash", "dollar$x", "[a]{b}"]
    {
        let name = unique("share");
        let file = alice.home(&format!("{folder}/file"));
        world.seed(&[&file]).await;
        let path = serde_json::to_string(&format!("s3a://{}", alice.home(folder))).unwrap();
        world
            .apply(&format!(
                "kind: PathShare\nmetadata: {{name: {name}}}\nspec: {{path: {path}, grants: [{}]}}",
                grant(&bob.name, "ReadWrite")
            ))
            .await;
        world.ready("PathShare", &name).await;
        bob.expect(&file, "GPDL").await;
        let neighbour = alice.home(&format!("{folder}2/file"));
        world.seed(&[&neighbour]).await;
        bob.expect(&neighbour, "").await;
    }
}

#[tokio::test]
async fn a_share_of_what_somebody_has_anyway_takes_nothing_along_when_it_ends() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let (home, part) = (unique("share"), unique("share"));
    let (file, deep) = (alice.home("file"), alice.home("exp/file"));
    world.seed(&[&file, &deep]).await;
    let read = format!("grants: [{}]", grant(&alice.name, "Read"));
    world.apply(&share(&home, &alice.home(""), &read)).await;
    world.apply(&share(&part, &alice.home("exp"), &read)).await;
    for name in [&home, &part] {
        world.ready("PathShare", name).await;
        alice.expect(&file, "GPDL").await;
        alice.expect(&deep, "GPDL").await;
    }
    for name in [&home, &part] {
        world.delete_and_wait("PathShare", name).await;
        alice.expect(&file, "GPDL").await;
        alice.expect(&deep, "GPDL").await;
    }
}
