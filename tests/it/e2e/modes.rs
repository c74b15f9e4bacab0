use std::collections::BTreeSet;

use crate::support::{
    minio::unique,
    product::Setup,
    s3::Try,
    world::{World, grant, group, share, user},
};

#[tokio::test]
async fn a_disabled_user_loses_everything_and_gets_it_back() {
    let world = World::shared().await;
    let [alice, owner] = world.users(["alice", "owner"]).await;
    let (name, team) = (unique("share"), unique("team"));
    let [home, shared, team_file] = [alice.home("file"), owner.home("exp/file"), format!("lake/teams/{team}/file")];
    world.seed(&[&home, &shared, &team_file]).await;
    world.apply(&share(&name, &owner.home("exp"), &format!("grants: [{}]", grant(&alice.name, "Read")))).await;
    world.apply(&group(&team, &format!("members: [{}]", alice.name))).await;
    world.apply(&user(&alice.name, "policies: [readonly]")).await;
    for (kind, name) in [("PathShare", &name), ("MinioGroup", &team), ("MinioUser", &alice.name)] {
        world.ready(kind, name).await;
    }
    alice.expect(&home, "GPDL").await;
    world.apply(&user(&alice.name, "policies: [readonly], enabled: false")).await;
    world.ready_is("MinioUser", &alice.name, "True", "Disabled").await;
    for path in [&home, &shared, &team_file] {
        alice.expect(path, "").await;
    }
    let account = world.expect_account(&alice.name).await;
    assert!(!account.enabled);
    let kept = [format!("user-home-policy-{}", alice.name), "group-policy-globalusers".to_owned()];
    assert_eq!(account.policies, BTreeSet::from(kept), "a disabled user keeps its own and the everyone document");
    // What happens meanwhile counts when the user comes back.
    world.delete_and_wait("PathShare", &name).await;
    world.apply(&user(&alice.name, "policies: [readonly], enabled: true")).await;
    world.ready_is("MinioUser", &alice.name, "True", "Converged").await;
    alice.expect(&home, "GPDL").await;
    alice.expect(&team_file, "GPDL").await;
    assert_eq!(alice.status(Try::Put, &shared).await, 403);
}

#[tokio::test]
async fn a_locked_user_is_locked_whatever_its_spec_says() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    alice.expect(&file, "GPDL").await;
    world.annotate("MinioUser", &alice.name, "lock", Some("key found in a public repository")).await;
    let view = world.ready_is("MinioUser", &alice.name, "True", "Locked").await;
    assert!(view.message("Ready").contains("public repository"), "{}", view.message("Ready"));
    alice.expect(&file, "").await;
    world.apply(&user(&alice.name, "enabled: true")).await;
    world.ready_is("MinioUser", &alice.name, "True", "Locked").await;
    alice.expect(&file, "").await;
    world.annotate("MinioUser", &alice.name, "lock", None).await;
    world.ready_is("MinioUser", &alice.name, "True", "Converged").await;
    alice.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn a_locked_group_and_a_locked_share_give_nothing() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (name, team) = (unique("share"), unique("team"));
    let (shared, team_file) = (alice.home("exp/file"), format!("lake/teams/{team}/file"));
    world.seed(&[&shared, &team_file]).await;
    let spec = format!("grants: [{}], everyone: Read", grant(&bob.name, "ReadWrite"));
    world.apply(&share(&name, &alice.home("exp"), &spec)).await;
    world.apply(&group(&team, &format!("members: [{}]", bob.name))).await;
    world.ready("PathShare", &name).await;
    world.ready("MinioGroup", &team).await;
    bob.expect(&shared, "GPDL").await;
    bob.expect(&team_file, "GPDL").await;
    for (kind, name) in [("PathShare", &name), ("MinioGroup", &team)] {
        world.annotate(kind, name, "lock", Some("under review")).await;
        world.ready_is(kind, name, "True", "Locked").await;
    }
    bob.expect(&shared, "").await;
    bob.expect(&team_file, "").await;
    for (kind, name) in [("PathShare", &name), ("MinioGroup", &team)] {
        world.annotate(kind, name, "lock", None).await;
        world.ready_is(kind, name, "True", "Converged").await;
    }
    bob.expect(&shared, "GPDL").await;
    bob.expect(&team_file, "GPDL").await;
}

#[tokio::test]
async fn nothing_is_written_for_what_is_paused() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let name = format!("user-home-policy-{}", alice.name);
    let written = async || world.minio().policy_info(&name).await.unwrap().map(|policy| policy.updated);
    let before = written().await;
    world.annotate("MinioUser", &alice.name, "reconcile", Some("paused")).await;
    world.ready_is("MinioUser", &alice.name, "Unknown", "Paused").await;
    world.apply(&user(&alice.name, "policies: [readonly], enabled: false")).await;
    world.ready_is("MinioUser", &alice.name, "Unknown", "Paused").await;
    let account = world.expect_account(&alice.name).await;
    assert!(account.enabled && !account.policies.contains("readonly"), "{account:?}");
    assert_eq!(written().await, before);
    world.annotate("MinioUser", &alice.name, "reconcile", None).await;
    world.ready_is("MinioUser", &alice.name, "True", "Disabled").await;
    assert!(!world.expect_account(&alice.name).await.enabled);
}

#[tokio::test]
async fn nothing_is_written_for_a_paused_group_or_policy() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (team, policy) = (unique("team"), unique("policy"));
    let declared = |bucket: &str| {
        format!(
            "kind: MinioPolicy\nmetadata: {{name: {policy}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
             Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::{bucket}/*']}}]"
        )
    };
    world.apply(&group(&team, &format!("members: [{}]", alice.name))).await;
    world.apply(&declared("before")).await;
    for (kind, name) in [("MinioGroup", &team), ("MinioPolicy", &policy)] {
        world.ready(kind, name).await;
        world.annotate(kind, name, "reconcile", Some("paused")).await;
        world.ready_is(kind, name, "Unknown", "Paused").await;
    }
    let document = world.document(&policy).await;
    world.apply(&group(&team, &format!("members: [{}]", bob.name))).await;
    world.apply(&declared("after")).await;
    for (kind, name) in [("MinioGroup", &team), ("MinioPolicy", &policy)] {
        world.ready_is(kind, name, "Unknown", "Paused").await;
    }
    assert_eq!(world.members(&team).await, Some(BTreeSet::from([alice.name.clone()])));
    assert_eq!(world.document(&policy).await, document);
    for (kind, name) in [("MinioGroup", &team), ("MinioPolicy", &policy)] {
        world.annotate(kind, name, "reconcile", None).await;
        world.ready(kind, name).await;
    }
    assert_eq!(world.members(&team).await, Some(BTreeSet::from([bob.name.clone()])));
    assert!(world.document(&policy).await.is_some_and(|document| document.contains("after")));
}

#[tokio::test]
async fn observing_what_was_converged_touches_nothing() {
    let minio = std::sync::Arc::new(crate::support::minio::Server::start());
    let world = World::own(Setup { minio: Some(minio.clone()), ..Setup::default() }).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (name, team) = (unique("share"), unique("team"));
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world.apply(&group(&team, &format!("members: [{}]", alice.name))).await;
    world.ready("PathShare", &name).await;
    world.ready("MinioGroup", &team).await;
    world.product().terminate();
    // While nobody looks, much is to be done: given, taken away, and deleted.
    world.apply(&share(&name, &alice.home("exp"), "grants: []")).await;
    world.apply(&group(&team, &format!("members: [{}]", bob.name))).await;
    world.delete("MinioUser", &alice.name).await;
    let secrets = async || {
        let mut versions = Vec::new();
        for name in world.secret_names().await {
            versions.push((name.clone(), world.secret(&name).await.unwrap().metadata.resource_version));
        }
        versions
    };
    let before = (secrets().await, world.expect_account(&alice.name).await, world.members(&team).await);
    let namespace = Some(world.namespace().to_owned());
    let observing = Setup { minio: Some(minio), namespace, ..Setup::default() }.with(&["--mode", "observe"]);
    let observer = World::own(observing).await;
    let plans = |view: &crate::support::world::View| view.message("Ready").contains("planned");
    for (kind, name) in [("MinioUser", &alice.name), ("MinioGroup", &team)] {
        let view = observer.observed(kind, name, "it says what it would do", plans).await;
        assert_eq!(view.condition("Ready").unwrap()["reason"], "Paused");
    }
    let after = (secrets().await, world.expect_account(&alice.name).await, world.members(&team).await);
    assert_eq!(before, after);
    assert_eq!(observer.product().metrics().writes(), 0);
    assert!(world.view("MinioUser", &alice.name).await.0["metadata"]["finalizers"].is_array(), "ours is kept");
    observer.seed(&[&alice.home("exp/file")]).await;
    bob.caller.expect(&alice.home("exp/file"), "GL").await;
}

#[tokio::test]
async fn observing_plans_and_writes_nothing() {
    let world = World::own(Setup::default().with(&["--mode", "observe"])).await;
    let (name, team) = (unique("alice"), unique("team"));
    world.apply(&user(&name, "")).await;
    world.apply(&group(&team, &format!("members: [{name}]"))).await;
    let view = world
        .observed("MinioUser", &name, "it says what it would do", |view| view.message("Ready").contains(&name))
        .await;
    assert_eq!(view.condition("Ready").unwrap()["reason"], "Paused");
    world.ready_is("MinioGroup", &team, "Unknown", "Paused").await;
    assert_eq!(view.0["metadata"]["finalizers"], serde_json::Value::Null);
    assert_eq!(world.account(&name).await, None);
    assert_eq!(world.members(&team).await, None);
    assert_eq!(world.secret_names().await, BTreeSet::new());
    assert_eq!(world.product().metrics().writes(), 0);
    assert!(!world.minio().bucket_exists("lake").await.unwrap());
}
