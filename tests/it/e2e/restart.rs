use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use minio_manager::minio::{Credentials, Holder};
use serde_json::Value;

use crate::support::{
    minio::unique,
    product::Setup,
    s3::Try,
    world::{Person, View, World, grant, group, share, user},
};

/// Requests that stop everybody else's for seconds on a server with many groups or policies.
const FORBIDDEN: [&str; 3] = ["groups", "list-canned-policies", "export-iam"];

/// How many subjects wait.
const QUEUE: &str = "minio_manager_queue_depth";

const KINDS: [&str; 5] = ["MinioUser", "MinioGroup", "GroupMembership", "PathShare", "MinioPolicy"];

/// One of everything.
struct Scene {
    alice: Person,
    bob: Person,
    team: String,
    share: String,
    policy: String,
    objects: Vec<(&'static str, String)>,
}

impl Scene {
    async fn set(world: &World) -> Self {
        let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
        let [team, extra, share_name, policy, open] = ["team", "extra", "share", "policy", "open"].map(unique);
        world
            .apply(&format!(
                "kind: MinioPolicy\nmetadata: {{name: {policy}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
                 Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::other-bucket/*']}}]"
            ))
            .await;
        world.apply(&group(&team, &format!("members: [{}], policies: [{policy}]", alice.name))).await;
        world
            .apply(&format!(
                "kind: GroupMembership\nmetadata: {{name: {extra}}}\nspec: {{group: {team}, members: [{{name: {}, access: Read}}]}}",
                bob.name
            ))
            .await;
        world
            .apply(&share(&share_name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "ReadWrite"))))
            .await;
        world.apply(&share(&open, &alice.home("public"), "everyone: Read")).await;
        let mut objects = vec![
            ("MinioPolicy", policy.clone()),
            ("MinioGroup", team.clone()),
            ("GroupMembership", extra),
            ("PathShare", share_name.clone()),
            ("PathShare", open),
        ];
        for (kind, name) in &objects {
            world.ready(kind, name).await;
        }
        objects.extend([&alice, &bob, &carol].map(|person| ("MinioUser", person.name.clone())));
        Self { alice, bob, team, share: share_name, policy, objects }
    }

    /// The versions of everything in the cluster that is ours.
    async fn versions(&self, world: &World) -> BTreeMap<String, Value> {
        let mut versions = BTreeMap::new();
        for (kind, name) in &self.objects {
            let view = world.view(kind, name).await;
            versions.insert(format!("{kind} {name}"), view.0["metadata"]["resourceVersion"].clone());
        }
        for name in world.secret_names().await {
            let version = world.secret(&name).await.unwrap().metadata.resource_version;
            versions.insert(format!("Secret {name}"), version.into());
        }
        versions
    }
}

/// Waits until the restarted product has looked at everything.
async fn settled(world: &World) {
    world
        .eventually("everything is looked at after the start", async || {
            let metrics = world.product().metrics();
            let ready =
                |kind: &str| metrics.sum("minio_manager_objects", &[&format!("kind=\"{kind}\""), "ready=\"True\""]);
            let runs = metrics.sum("minio_manager_converge_total", &[]);
            metrics.sum(QUEUE, &[]) == 0.0 && KINDS.iter().map(|kind| ready(kind)).sum::<f64>() >= 8.0 && runs >= 6.0
        })
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_start_with_nothing_to_do_writes_nothing() {
    let world = World::own(Setup::default()).await;
    let scene = Scene::set(&world).await;
    // The last status may still be on its way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = scene.versions(&world).await;
    let audited = world.product().audit().len();
    for end in ["orderly", "crash"] {
        if end == "orderly" {
            assert!(world.product().terminate().success());
        } else {
            world.product().kill();
        }
        world.product().launch();
        settled(&world).await;
        let metrics = world.product().metrics();
        assert_eq!(metrics.writes(), 0, "writes to MinIO after an {end} end");
        assert_eq!(metrics.requests(&FORBIDDEN), 0, "requests that stop others");
        assert_eq!(scene.versions(&world).await, before, "writes to the cluster after an {end} end");
        assert_eq!(world.product().audit().len(), audited, "changes after an {end} end");
    }
}

#[tokio::test]
async fn what_others_changed_meanwhile_is_repaired_at_the_start() {
    let world = World::own(Setup::default()).await;
    let scene = Scene::set(&world).await;
    let (shared, team_file) = (scene.alice.home("exp/file"), format!("lake/teams/{}/file", scene.team));
    world.seed(&[&shared, &team_file, "other-bucket/file"]).await;
    scene.bob.expect(&shared, "GPDL").await;
    assert!(world.product().terminate().success());

    let home = format!("user-home-policy-{}", scene.bob.name);
    let everything =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#;
    world.minio().put_policy(&home, everything).await.unwrap();
    world.minio().put_policy(&scene.policy, everything).await.unwrap();
    let alice = Holder::User(scene.alice.name.clone());
    let mut attached = world.expect_account(&scene.alice.name).await.policies;
    attached.insert("readwrite".to_owned());
    world.minio().set_mapping(&alice, &attached).await.unwrap();
    world.minio().set_mapping(&Holder::Group(scene.team.clone()), &BTreeSet::new()).await.unwrap();
    world.minio().update_group_members(&scene.team, &BTreeSet::from([scene.bob.name.clone()]), false).await.unwrap();
    world.minio().remove_policy(&format!("group-policy-{}", scene.team)).await.unwrap();
    scene.bob.expect("other-bucket/file", "GPDL").await;

    world.product().launch();
    world
        .eventually("everything is as declared again", async || {
            let as_declared = [
                scene.bob.status(Try::Get, "other-bucket/file").await == 403,
                scene.bob.status(Try::Put, &team_file).await == 403,
                scene.alice.status(Try::Put, "other-bucket/file").await == 403,
                scene.alice.status(Try::Get, "other-bucket/file").await == 200,
                scene.alice.status(Try::Put, &team_file).await == 200,
                world.members(&scene.team).await == Some(BTreeSet::from([scene.alice.name.clone()])),
            ];
            as_declared.iter().all(|holds| *holds)
        })
        .await;
    scene.bob.expect(&shared, "GPDL").await;
    scene.bob.expect(&team_file, "GL").await;
    assert_eq!(world.product().metrics().requests(&FORBIDDEN), 0);
}

#[tokio::test]
async fn what_was_declared_meanwhile_is_in_force_after_the_start() {
    let world = World::own(Setup::default()).await;
    let scene = Scene::set(&world).await;
    let (shared, team_file) = (scene.alice.home("exp/file"), format!("lake/teams/{}/file", scene.team));
    world.seed(&[&shared, &team_file]).await;
    world.product().kill();

    world.delete("PathShare", &scene.share).await;
    world.apply(&group(&scene.team, &format!("members: [{}]", scene.bob.name))).await;
    let newcomer = unique("newcomer");
    world.apply(&user(&newcomer, "")).await;
    world.delete("Secret", &scene.alice.secret).await;
    scene.bob.expect(&shared, "GPDL").await;

    world.product().launch();
    world.gone("PathShare", &scene.share).await;
    scene.bob.expect(&shared, "").await;
    world.ready("MinioGroup", &scene.team).await;
    scene.bob.expect(&team_file, "GPDL").await;
    scene.alice.expect(&team_file, "").await;
    world.person(&newcomer).await;
    world.eventually("the Secret is back", async || world.secret(&scene.alice.secret).await.is_some()).await;
}

#[tokio::test]
async fn an_account_that_vanished_is_made_again() {
    let world = World::own(Setup::default()).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    world.product().kill();
    world.minio().remove_user(&alice.name).await.unwrap();
    world.product().launch();
    world.eventually("the account is back", async || world.account(&alice.name).await.is_some()).await;
    let old = alice.credentials().access_key.as_str();
    world.observed("MinioUser", &alice.name, "it has another key", |v| v.status("/credentials/accessKey") != old).await;
    let again = world.person(&alice.name).await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    again.expect(&file, "GPDL").await;
    bob.expect(&file, "").await;
    assert_ne!(again.credentials(), &Credentials::new(old, again.credentials().secret.clone()));
}

#[tokio::test]
async fn a_share_that_was_deleted_meanwhile_waits_for_a_paused_grantee() {
    let world = World::own(Setup::default()).await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let (name, later) = (unique("share"), unique("later"));
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world.ready("PathShare", &name).await;
    bob.expect(&file, "GL").await;
    world.product().kill();
    world.delete("PathShare", &name).await;
    world.annotate("MinioUser", &bob.name, "reconcile", Some("paused")).await;
    world.product().launch();
    let planned = |view: &View| view.says("Ready", "Unknown") && view.message("Ready").contains("planned");
    world.observed("MinioUser", &bob.name, "it says what is held back", planned).await;
    // Everything else has been looked at once a change after the start is in force.
    world.eventually("the queue is empty", async || world.product().metrics().sum(QUEUE, &[]) == 0.0).await;
    world.apply(&share(&later, &alice.home("later"), &format!("grants: [{}]", grant(&carol.name, "Read")))).await;
    world.ready("PathShare", &later).await;
    assert!(world.find("PathShare", &name).await.is_some(), "what it gave is still on the server");
    bob.expect(&file, "GL").await;
    world.annotate("MinioUser", &bob.name, "reconcile", None).await;
    world.gone("PathShare", &name).await;
    bob.expect(&file, "").await;
}
