use std::collections::BTreeSet;

use minio_manager::minio::{Credentials, Holder};

use crate::support::{
    minio::unique,
    s3::Try,
    world::{World, group, user},
};

/// A policy that allows these actions on `other-bucket/FOLDER/*`.
fn policy(name: &str, actions: &str, folder: &str) -> String {
    format!(
        "kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    Statement:\n    \
         - {{Effect: Allow, Action: [{actions}], Resource: ['arn:aws:s3:::other-bucket/{folder}/*']}}\n"
    )
}

#[tokio::test]
async fn a_policy_gives_its_holders_what_it_says() {
    let world = World::shared().await;
    let (name, direct, member, team) = (unique("policy"), unique("direct"), unique("member"), unique("team"));
    let path = format!("other-bucket/{name}/file");
    world.seed(&[&path]).await;
    world.apply(&policy(&name, "'s3:GetObject'", &name)).await;
    world.apply(&user(&direct, &format!("policies: [{name}]"))).await;
    world.apply(&user(&member, "")).await;
    world.apply(&group(&team, &format!("members: [{member}], policies: [{name}]"))).await;
    world.ready("MinioPolicy", &name).await;
    let (direct, member) = (world.person(&direct).await, world.person(&member).await);
    world.ready("MinioGroup", &team).await;
    for person in [&direct, &member] {
        assert_eq!(person.rights(&path).await, "G", "{}", person.name);
    }
    // An edit reaches both at once.
    world.apply(&policy(&name, "'s3:GetObject', 's3:PutObject'", &name)).await;
    world.ready("MinioPolicy", &name).await;
    for person in [&direct, &member] {
        assert_eq!(person.rights(&path).await, "GP", "{}", person.name);
    }
}

#[tokio::test]
async fn a_variable_stands_for_each_user() {
    let world = World::shared().await;
    let (name, one, two) = (unique("policy"), unique("one"), unique("two"));
    world.apply(&policy(&name, "'s3:PutObject'", &format!("{name}/${{aws:username}}"))).await;
    world
        .apply(&format!(
            "{}---\n{}",
            user(&one, &format!("policies: [{name}]")),
            user(&two, &format!("policies: [{name}]"))
        ))
        .await;
    let (one, two) = (world.person(&one).await, world.person(&two).await);
    world.minio().create_bucket("other-bucket").await.unwrap();
    let path = format!("other-bucket/{name}/{}/file", one.name);
    assert_eq!(one.status(Try::Put, &path).await, 200);
    assert_eq!(two.status(Try::Put, &path).await, 403);
}

#[tokio::test]
async fn a_policy_that_does_not_exist_yet_is_attached_when_it_does() {
    let world = World::shared().await;
    let (name, early) = (unique("policy"), unique("early"));
    let path = format!("other-bucket/{name}/file");
    world.seed(&[&path]).await;
    world.apply(&user(&early, &format!("policies: [{name}]"))).await;
    let person = world.person(&early).await;
    let view = world.view("MinioUser", &early).await;
    assert_eq!(view.status("/pending/0/reason"), "PolicyNotFound", "{:#}", view.0["status"]);
    assert_eq!(view.status("/pending/0/name"), &name);
    assert_eq!(person.rights(&path).await, "");
    world.apply(&policy(&name, "'s3:GetObject'", &name)).await;
    world.ready("MinioPolicy", &name).await;
    world.observed("MinioUser", &early, "nothing is pending", |view| view.status("/pending/0").is_null()).await;
    assert_eq!(person.rights(&path).await, "G");
}

#[tokio::test]
async fn a_refused_edit_leaves_the_last_good_document_in_force() {
    let world = World::shared().await;
    let (name, holder) = (unique("policy"), unique("holder"));
    let path = format!("other-bucket/{name}/file");
    world.seed(&[&path]).await;
    world.apply(&policy(&name, "'s3:GetObject'", &name)).await;
    world.ready("MinioPolicy", &name).await;
    world.apply(&user(&holder, &format!("policies: [{name}]"))).await;
    let holder = world.person(&holder).await;
    world.apply(&policy(&name, "'s3:GetObjekt'", &name)).await;
    let message = world.stalled("MinioPolicy", &name, "InvalidDocument").await;
    assert!(message.contains("s3:GetObjekt") && message.contains("s3:GetObject"), "{message}");
    assert_eq!(holder.rights(&path).await, "G");
    world.apply(&policy(&name, "'s3:GetObject', 's3:DeleteObject'", &name)).await;
    world.ready("MinioPolicy", &name).await;
    assert_eq!(holder.rights(&path).await, "GD");
}

#[tokio::test]
async fn a_policy_that_a_stranger_holds_waits_with_its_end_and_says_who() {
    let world = World::shared().await;
    let (name, stranger) = (unique("policy"), unique("stranger"));
    world.apply(&policy(&name, "'s3:GetObject'", &name)).await;
    world.ready("MinioPolicy", &name).await;
    world.minio().add_user(&stranger, &Credentials::generate().secret, true).await.unwrap();
    let holder = Holder::User(stranger.clone());
    world.minio().set_mapping(&holder, &BTreeSet::from([name.clone()])).await.unwrap();
    world.delete("MinioPolicy", &name).await;
    let view = world
        .observed("MinioPolicy", &name, "it says who holds it", |view| view.message("Ready").contains(&stranger))
        .await;
    assert!(!view.0["metadata"]["deletionTimestamp"].is_null());
    assert!(world.document(&name).await.is_some());
    world.minio().set_mapping(&holder, &BTreeSet::new()).await.unwrap();
    world.gone("MinioPolicy", &name).await;
    assert_eq!(world.document(&name).await, None);
}

#[tokio::test]
async fn a_deleted_policy_is_taken_from_its_managed_holders() {
    let world = World::shared().await;
    let (name, holder) = (unique("policy"), unique("holder"));
    let path = format!("other-bucket/{name}/file");
    world.seed(&[&path]).await;
    world.apply(&policy(&name, "'s3:GetObject'", &name)).await;
    world.apply(&user(&holder, &format!("policies: [{name}]"))).await;
    let person = world.person(&holder).await;
    assert_eq!(person.rights(&path).await, "G");
    world.delete_and_wait("MinioPolicy", &name).await;
    assert_eq!(world.document(&name).await, None);
    assert_eq!(person.rights(&path).await, "");
    let view = world
        .observed("MinioUser", &holder, "the policy is pending", |view| view.status("/pending/0/name") == name.as_str())
        .await;
    assert_eq!(view.status("/pending/0/reason"), "PolicyNotFound");
}
