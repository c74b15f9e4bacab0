//! Objects whose deletion waits go when somebody insists, and what they leave behind is said.

use std::{collections::BTreeSet, sync::Arc};

use minio_manager::minio::{Credentials, Holder};

use crate::support::{
    minio::{Server, unique},
    product::Setup,
    s3::Try,
    world::{World, grant, group, share, user},
};

fn policy(name: &str) -> String {
    format!(
        "kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
         Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::x/*']}}]\n"
    )
}

async fn insist(world: &World, kind: &str, name: &str) {
    world.annotate(kind, name, "force-delete", Some("true")).await;
    world.gone(kind, name).await;
}

#[tokio::test]
async fn objects_of_every_kind_go_while_minio_is_away() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let [team, left, exp, rule, key, members] = ["team", "left", "exp", "rule", "key", "members"].map(unique);
    let (file, shared) = (alice.home("exp/file"), format!("lake/teams/{team}/file"));
    world.seed(&[&file, &shared]).await;
    let documents = [
        group(&team, ""),
        group(&left, &format!("members: [{}]", bob.name)),
        share(&exp, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read"))),
        policy(&rule),
        format!("kind: MinioAccessKey\nmetadata: {{name: {key}}}\nspec: {{user: {}}}\n", bob.name),
        format!(
            "kind: GroupMembership\nmetadata: {{name: {members}}}\nspec: {{group: {team}, members: [{{name: {}, \
             access: ReadWrite}}]}}\n",
            bob.name
        ),
    ];
    world.apply(&documents.join("---\n")).await;
    let doomed = [
        ("PathShare", &exp),
        ("GroupMembership", &members),
        ("MinioGroup", &left),
        ("MinioPolicy", &rule),
        ("MinioAccessKey", &key),
        ("MinioUser", &alice.name),
    ];
    for (kind, name) in doomed {
        world.ready(kind, name).await;
    }
    bob.expect(&file, "GL").await;
    bob.expect(&shared, "GPDL").await;
    let keys = world.access_keys(&bob.name).await;
    world.product().minio().stop();
    for (kind, name) in doomed {
        world.delete(kind, name).await;
        world.ready_is(kind, name, "Unknown", "MinioUnavailable").await;
    }
    for (kind, name) in doomed {
        insist(&world, kind, name).await;
        let told = async || world.event_reasons(kind, name).await.contains("ForceDeleted");
        world.eventually("an event tells of it", told).await;
    }
    world.product().minio().start_again();
    // What shares and memberships gave ends, for the objects that are left do not say it.
    world.eventually("bob has lost the share", async || !bob.may(Try::Get, &file).await).await;
    world.eventually("bob has lost the team", async || !bob.may(Try::Get, &shared).await).await;
    world.ready("MinioUser", &bob.name).await;
    // What has a name stays.
    world.expect_account(&alice.name).await;
    assert!(world.document(&rule).await.is_some());
    assert_eq!(world.members(&left).await, Some(BTreeSet::from([bob.name.clone()])));
    assert_eq!(world.access_keys(&bob.name).await, keys);
    let log = world.product().stderr();
    assert!(log.contains(&format!("user {} with its policies, memberships and keys", alice.name)), "{log}");
    // Declared again, it is known to be ours.
    world.apply(&user(&alice.name, "")).await;
    let view = world.ready("MinioUser", &alice.name).await;
    assert_eq!(view.status("/origin"), "Created");
    world.delete_and_wait("MinioUser", &alice.name).await;
    assert_eq!(world.account(&alice.name).await, None);
}

#[tokio::test]
async fn a_policy_that_somebody_holds_stays_with_its_holder() {
    let world = World::shared().await;
    let (name, rule) = (unique("stranger"), unique("rule"));
    world.apply(&policy(&rule)).await;
    world.ready("MinioPolicy", &rule).await;
    world.minio().add_user(&name, &Credentials::generate().secret, true).await.unwrap();
    let attached = BTreeSet::from([rule.clone()]);
    world.minio().set_mapping(&Holder::User(name.clone()), &attached).await.unwrap();
    world.delete("MinioPolicy", &rule).await;
    world.observed("MinioPolicy", &rule, "it waits", |view| view.message("Ready").contains(&name)).await;
    insist(&world, "MinioPolicy", &rule).await;
    assert!(world.document(&rule).await.is_some());
    assert_eq!(world.expect_account(&name).await.policies, attached);
}

#[tokio::test]
async fn a_paused_object_goes_with_nothing_done_for_it() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    world.annotate("MinioUser", &alice.name, "reconcile", Some("paused")).await;
    world.ready_is("MinioUser", &alice.name, "Unknown", "Paused").await;
    world.delete("MinioUser", &alice.name).await;
    insist(&world, "MinioUser", &alice.name).await;
    alice.expect(&file, "GPDL").await;
    assert_eq!(world.access_keys(&alice.name).await.len(), 1);
}

#[tokio::test]
async fn beside_a_server_that_another_installation_looks_after_objects_go_too() {
    let minio = Arc::new(Server::start());
    let first = World::own(Setup { minio: Some(minio.clone()), ..Setup::default() }).await;
    let alice = first.user("alice").await;
    let second = World::own(Setup { minio: Some(minio.clone()), ..Setup::default() }).await;
    let exp = unique("exp");
    let bob = unique("bob");
    second.apply(&user(&bob, "")).await;
    second.apply(&share(&exp, &alice.home("exp"), &format!("grants: [{}]", grant(&bob, "Read")))).await;
    second.ready_is("PathShare", &exp, "Unknown", "ForeignClaim").await;
    second.delete("PathShare", &exp).await;
    let waits = |view: &crate::support::world::View| !view.0["metadata"]["deletionTimestamp"].is_null();
    second.observed("PathShare", &exp, "it waits", waits).await;
    insist(&second, "PathShare", &exp).await;
    assert_eq!(second.product().metrics().writes(), 0);
}
