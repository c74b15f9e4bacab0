use std::collections::BTreeSet;

use minio_manager::minio::{Credentials, Holder};

use crate::support::{
    minio::unique,
    product::Setup,
    world::{World, grant, group, share, user},
};

#[tokio::test]
async fn nothing_of_a_deleted_user_stays_but_its_data() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let team = unique("team");
    world.apply(&group(&team, &format!("members: [{}]", alice.name))).await;
    world.ready("MinioGroup", &team).await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    let key = alice.credentials().access_key.clone();
    world.delete_and_wait("MinioUser", &alice.name).await;
    alice.expect(&file, "").await;
    assert_eq!(world.account(&alice.name).await, None);
    assert_eq!(world.document(&format!("user-home-policy-{}", alice.name)).await, None);
    assert_eq!(world.minio().access_key_info(&key).await.unwrap(), None);
    assert_eq!(world.members(&team).await, Some(BTreeSet::new()));
    let secrets = world.secret_names().await;
    assert!(!secrets.iter().any(|name| name.starts_with(&alice.secret)), "{secrets:?}");
    assert_eq!(world.keys_below(&file).await.len(), 1, "data stays");
}

#[tokio::test]
async fn nothing_of_a_deleted_group_stays_but_its_data() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let team = unique("team");
    world.apply(&group(&team, &format!("members: [{}], readOnlyMembers: [{}]", alice.name, bob.name))).await;
    world.ready("MinioGroup", &team).await;
    let file = format!("lake/teams/{team}/file");
    world.seed(&[&file]).await;
    alice.expect(&file, "GPDL").await;
    world.delete_and_wait("MinioGroup", &team).await;
    alice.expect(&file, "").await;
    bob.expect(&file, "").await;
    for group in [team.clone(), format!("{team}-ro")] {
        assert_eq!(world.members(&group).await, None);
        assert_eq!(world.document(&format!("group-policy-{group}")).await, None);
    }
    assert_eq!(world.keys_below(&file).await.len(), 1, "data stays");
}

#[tokio::test]
async fn data_goes_with_its_user_or_group_where_that_is_declared() {
    let world = World::shared().await;
    let (name, team) = (unique("alice"), unique("team"));
    world.apply(&user(&name, "dataDeletionPolicy: Delete")).await;
    world.apply(&group(&team, "dataDeletionPolicy: Delete")).await;
    world.ready("MinioUser", &name).await;
    world.ready("MinioGroup", &team).await;
    let (home, folder) = (format!("lake/homes/{name}/"), format!("lake/teams/{team}/"));
    let neighbour = format!("lake/homes/{name}2/file");
    let paths: Vec<String> = (0..30).flat_map(|i| [format!("{home}d{i}/file"), format!("{folder}d{i}/file")]).collect();
    world.seed(&paths.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.seed(&[&neighbour]).await;
    world.delete_and_wait("MinioUser", &name).await;
    world.delete_and_wait("MinioGroup", &team).await;
    assert_eq!(world.keys_below(&home).await, Vec::<String>::new());
    assert_eq!(world.keys_below(&folder).await, Vec::<String>::new());
    assert_eq!(world.keys_below(&neighbour).await.len(), 1, "what only starts alike stays");
}

#[tokio::test]
async fn what_is_retained_stays_on_the_server_without_our_keys() {
    let world = World::shared().await;
    let (name, team, policy) = (unique("alice"), unique("team"), unique("policy"));
    world.apply(&user(&name, "deletionPolicy: Retain, dataDeletionPolicy: Delete")).await;
    let alice = world.person(&name).await;
    world.apply(&group(&team, &format!("deletionPolicy: Retain, members: [{name}]"))).await;
    world
        .apply(&format!(
            "kind: MinioPolicy\nmetadata: {{name: {policy}}}\nspec:\n  deletionPolicy: Retain\n  document:\n    \
             Version: '2012-10-17'\n    Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::x/*']}}]"
        ))
        .await;
    world.ready("MinioGroup", &team).await;
    world.ready("MinioPolicy", &policy).await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    let account = world.expect_account(&name).await;
    // The group first: it would give up a member that nothing declares.
    for (kind, object) in [("MinioGroup", &team), ("MinioUser", &name), ("MinioPolicy", &policy)] {
        world.delete_and_wait(kind, object).await;
    }
    assert_eq!(world.expect_account(&name).await, account);
    assert_eq!(world.members(&team).await, Some(BTreeSet::from([name.clone()])));
    assert!(world.document(&format!("user-home-policy-{name}")).await.is_some());
    assert!(world.document(&format!("group-policy-{team}")).await.is_some());
    assert!(world.document(&policy).await.is_some());
    assert_eq!(world.keys_below(&file).await.len(), 1, "data of something that is let go stays");
    assert_eq!(world.access_keys(&name).await, [], "keys that we issued go");
    assert!(world.secret(&alice.secret).await.is_none());
    alice.expect(&file, "").await;
}

#[tokio::test]
async fn the_end_of_a_grantee_ends_its_grants_and_not_the_share() {
    let world = World::shared().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let name = unique("share");
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    let grants = format!("grants: [{}, {}]", grant(&bob.name, "Read"), grant(&carol.name, "Read"));
    world.apply(&share(&name, &alice.home("exp"), &grants)).await;
    world.ready("PathShare", &name).await;
    world.delete_and_wait("MinioUser", &bob.name).await;
    let view =
        world.observed("PathShare", &name, "a grant is pending", |view| view.status("/grants/pending") == 1).await;
    assert_eq!(view.status("/grants/active"), 1);
    bob.expect(&file, "").await;
    carol.expect(&file, "GL").await;
    // Bob comes back with another key, and has what is declared for him.
    world.apply(&user(&bob.name, "")).await;
    let again = world.person(&bob.name).await;
    world.observed("PathShare", &name, "both are active", |view| view.status("/grants/active") == 2).await;
    again.expect(&file, "GL").await;
    bob.expect(&file, "").await;
}

#[tokio::test]
async fn retain_can_be_set_while_an_object_goes() {
    let world = World::shared().await;
    let (name, policy) = (unique("alice"), unique("policy"));
    delete_while_held(&world, &policy, &name).await;
    world.patch("MinioPolicy", &policy, serde_json::json!({"spec": {"deletionPolicy": "Retain"}})).await;
    world.gone("MinioPolicy", &policy).await;
    assert!(world.document(&policy).await.is_some());
    assert_eq!(world.expect_account(&name).await.policies, BTreeSet::from([policy]));
}

#[tokio::test]
async fn a_policy_that_somebody_holds_outlasts_an_outage() {
    // What is held is looked at again at this interval: the look fails while MinIO is away.
    let world = World::own(Setup::default().with(&["--audit-interval", "1s"])).await;
    let (name, policy) = (unique("alice"), unique("policy"));
    let holder = delete_while_held(&world, &policy, &name).await;
    world.product().minio().stop();
    world.ready_is("MinioPolicy", &policy, "Unknown", "MinioUnavailable").await;
    world.product().minio().start_again();
    world.observed("MinioPolicy", &policy, "it waits on", |view| view.message("Ready").contains(&name)).await;
    assert!(world.document(&policy).await.is_some());
    world.minio().set_mapping(&holder, &BTreeSet::new()).await.unwrap();
    world.gone("MinioPolicy", &policy).await;
    assert_eq!(world.document(&policy).await, None);
}

#[tokio::test]
async fn a_deletion_that_overtakes_a_run_takes_everything_with_it() {
    let world = World::own(Setup::default()).await;
    let (name, policy) = (unique("alice"), unique("none-such"));
    world.apply(&user(&name, "dataDeletionPolicy: Delete")).await;
    let alice = world.person(&name).await;
    let files: Vec<String> = (0..400).map(|number| alice.home(&format!("file{number}"))).collect();
    world.seed(&files.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // The run for the new policy asks MinIO for it; before the answer is there, the object is deleted.
    world.product().minio().freeze();
    world.apply(&user(&name, &format!("dataDeletionPolicy: Delete, policies: [{policy}]"))).await;
    world.observed("MinioUser", &name, "its run is under way", |view| view.says("Ready", "Unknown")).await;
    world.delete("MinioUser", &name).await;
    world.observed("MinioUser", &name, "the deletion is seen", |view| view.says("Ready", "Unknown")).await;
    world.product().minio().thaw();
    world.gone("MinioUser", &name).await;
    assert_eq!(world.keys_below(&alice.home("")).await, Vec::<String>::new());
    assert_eq!(world.account(&name).await, None);
    assert!(world.secret(&alice.secret).await.is_none());
}

/// A policy whose deletion waits, because a stranger of this name holds it.
async fn delete_while_held(world: &World, policy: &str, name: &str) -> Holder {
    world
        .apply(&format!(
            "kind: MinioPolicy\nmetadata: {{name: {policy}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
             Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::x/*']}}]"
        ))
        .await;
    world.ready("MinioPolicy", policy).await;
    world.minio().add_user(name, &Credentials::generate().secret, true).await.unwrap();
    let holder = Holder::User(name.to_owned());
    world.minio().set_mapping(&holder, &BTreeSet::from([policy.to_owned()])).await.unwrap();
    world.delete("MinioPolicy", policy).await;
    world.observed("MinioPolicy", policy, "it waits", |view| view.message("Ready").contains(name)).await;
    holder
}
