use std::collections::BTreeSet;

use minio_manager::minio::{Class, Credentials, NewAccessKey};

use crate::support::{
    minio::unique,
    s3::Try,
    world::{World, user},
};

#[tokio::test]
async fn a_home_is_its_users_and_nobody_elses() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let own = alice.home("data/file");
    world.seed(&[&own, "lake/elsewhere/file", "lake/homes/file", "other-bucket/file"]).await;
    alice.expect(&own, "GPDL").await;
    bob.expect(&own, "").await;
    for foreign in ["lake/elsewhere/file", "lake/homes/file", "other-bucket/file"] {
        alice.expect(foreign, "").await;
    }
    assert!(!alice.may(Try::List, "lake/").await, "nobody lists the whole bucket");
    assert!(!alice.may(Try::List, alice.home("").trim_end_matches('/')).await, "nor what only starts alike");
    assert!(
        world.keys_below(&alice.home("")).await.contains(&format!("homes/{}/", alice.name)),
        "the home has a marker"
    );
}

#[tokio::test]
async fn a_user_whose_name_continues_anothers_has_another_home() {
    let world = World::shared().await;
    let short = unique("ann");
    let long = format!("{short}2");
    world.apply(&format!("{}---\n{}", user(&short, ""), user(&long, ""))).await;
    let (ann, ann2) = (world.person(&short).await, world.person(&long).await);
    let path = ann2.home("file");
    world.seed(&[&path]).await;
    ann.expect(&path, "").await;
    ann2.expect(&path, "GPDL").await;
}

#[tokio::test]
async fn the_server_holds_a_user_with_its_documents() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let account = world.expect_account(&alice.name).await;
    let documents = [format!("user-home-policy-{}", alice.name), "group-policy-globalusers".to_owned()];
    assert_eq!(account.policies, BTreeSet::from(documents));
    assert!(account.enabled);
    let home = world.document(&format!("user-home-policy-{}", alice.name)).await.unwrap();
    assert!(
        home.contains(&format!("minio-manager:{}", world.namespace())),
        "a document carries its installation: {home}"
    );
    let view = world.view("MinioUser", &alice.name).await;
    assert_eq!(view.status("/origin"), "Created");
    assert_eq!(view.status("/documents/count"), 1);
    assert!(view.0["metadata"]["finalizers"].as_array().unwrap().iter().any(|f| f == "minio-manager.io/finalizer"));
}

#[tokio::test]
async fn a_key_cannot_make_further_keys_or_users() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let key = NewAccessKey {
        parent: alice.name.clone(),
        credentials: Credentials::generate(),
        name: String::new(),
        description: String::new(),
        expiration: None,
        session_policy: None,
    };
    let refused = alice.client().add_access_key(&key).await.unwrap_err();
    assert_eq!(refused.class(), Class::Refused, "{refused}");
    let refused = alice.client().add_user(&unique("mallory"), &key.credentials.secret, true).await.unwrap_err();
    assert_eq!(refused.class(), Class::Refused, "{refused}");
    let refused = alice.client().add_user(&alice.name, &key.credentials.secret, true).await.unwrap_err();
    assert_eq!(refused.class(), Class::Refused, "nor give the user a secret that outlives it: {refused}");
    assert_eq!(world.access_keys(&alice.name).await.len(), 1);
}

#[tokio::test]
async fn a_service_without_workspace_has_no_home_but_the_guard() {
    let world = World::shared().await;
    let name = unique("service");
    world.apply(&user(&name, "workspace: None")).await;
    let service = world.person(&name).await;
    let path = service.home("file");
    world.seed(&[&path]).await;
    service.expect(&path, "").await;
    let document = world.document(&format!("user-home-policy-{name}")).await.unwrap();
    assert!(document.contains("admin:CreateServiceAccount") && document.contains("Deny"), "{document}");
}

#[tokio::test]
async fn a_name_may_differ_from_the_objects() {
    let world = World::shared().await;
    let (object, name) = (unique("object"), unique("Jo.Doe_X"));
    world.apply(&user(&object, &format!("username: {name}"))).await;
    let person = world.person(&object).await;
    assert_eq!(person.name, name);
    let path = person.home("file");
    person.may(Try::Put, &path).await;
    person.expect(&path, "GPDL").await;
    assert_eq!(world.account(&object).await, None);
}

#[tokio::test]
async fn further_policies_are_attached() {
    let world = World::shared().await;
    let name = unique("reader");
    world.seed(&["other-bucket/public"]).await;
    world.apply(&user(&name, "policies: [readonly]")).await;
    let reader = world.person(&name).await;
    assert_eq!(reader.status(Try::Get, "other-bucket/public").await, 200);
    assert_eq!(reader.status(Try::Put, "other-bucket/public").await, 403);
    world.apply(&user(&name, "policies: []")).await;
    world.ready("MinioUser", &name).await;
    assert_eq!(reader.status(Try::Get, "other-bucket/public").await, 403);
}
