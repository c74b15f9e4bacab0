use std::collections::BTreeSet;

use minio_manager::minio::{Credentials, Holder};

use crate::support::{
    minio::unique,
    s3::Caller,
    world::{World, group, user},
};

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A user that was there before us, who may read everything.
async fn veteran(world: &World, enabled: bool) -> (String, Caller) {
    let name = unique("veteran");
    let credentials = Credentials::new(&*name, Credentials::generate().secret);
    world.minio().add_user(&name, &credentials.secret, true).await.unwrap();
    world.minio().set_mapping(&Holder::User(name.clone()), &set(&["readonly"])).await.unwrap();
    world.minio().set_user_status(&name, enabled).await.unwrap();
    (name, Caller::new(world.minio().clone(), credentials))
}

#[tokio::test]
async fn what_exists_is_not_touched_unless_that_is_declared() {
    let world = World::shared().await;
    let (name, caller) = veteran(&world, true).await;
    let (team, policy) = (unique("team"), unique("policy"));
    world.minio().update_group_members(&team, &set(&[&name]), false).await.unwrap();
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::x/*"]}]}"#;
    world.minio().put_policy(&policy, document).await.unwrap();
    let before = (world.account(&name).await, world.members(&team).await, world.document(&policy).await);
    world.seed(&["other-bucket/public"]).await;
    world.apply(&user(&name, "")).await;
    world.apply(&group(&team, "")).await;
    world
        .apply(&format!(
            "kind: MinioPolicy\nmetadata: {{name: {policy}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
             Statement: [{{Effect: Allow, Action: ['s3:PutObject'], Resource: ['arn:aws:s3:::x/*']}}]"
        ))
        .await;
    for (kind, object) in [("MinioUser", &name), ("MinioGroup", &team), ("MinioPolicy", &policy)] {
        let message = world.stalled(kind, object, "AlreadyExists").await;
        assert!(message.contains(object.as_str()) && message.contains("Adopt"), "{message}");
    }
    let after = (world.account(&name).await, world.members(&team).await, world.document(&policy).await);
    assert_eq!(after, before);
    assert_eq!(world.access_keys(&name).await, []);
    caller.expect("other-bucket/public", "G").await;
    // The refused objects go without touching anything either.
    for (kind, object) in [("MinioUser", &name), ("MinioGroup", &team), ("MinioPolicy", &policy)] {
        world.delete_and_wait(kind, object).await;
    }
    let after = (world.account(&name).await, world.members(&team).await, world.document(&policy).await);
    assert_eq!(after, before);
}

#[tokio::test]
async fn an_adopted_user_keeps_what_it_has() {
    let world = World::shared().await;
    let (name, caller) = veteran(&world, true).await;
    world.seed(&["other-bucket/public"]).await;
    world.apply(&user(&name, "adoptionPolicy: Adopt")).await;
    let adopted = world.person(&name).await;
    assert_eq!(world.view("MinioUser", &name).await.status("/origin"), "Adopted");
    let account = world.expect_account(&name).await;
    let home = format!("user-home-policy-{name}");
    assert_eq!(account.policies, set(&["readonly", &home, "group-policy-globalusers"]));
    let file = adopted.home("file");
    world.seed(&[&file]).await;
    adopted.expect(&file, "GPDL").await;
    adopted.expect("other-bucket/public", "G").await;
    // Its old secret still works.
    caller.expect("other-bucket/public", "G").await;
    // And it stays when the object goes.
    world.delete_and_wait("MinioUser", &name).await;
    assert!(world.account(&name).await.is_some());
    caller.expect("other-bucket/public", "G").await;
}

#[tokio::test]
async fn an_adopted_user_that_is_disabled_stays_disabled() {
    let world = World::shared().await;
    let (name, caller) = veteran(&world, false).await;
    world.seed(&["other-bucket/public"]).await;
    world.apply(&user(&name, "adoptionPolicy: Adopt")).await;
    world.ready("MinioUser", &name).await;
    assert!(!world.expect_account(&name).await.enabled);
    caller.expect("other-bucket/public", "").await;
    world.apply(&user(&name, "adoptionPolicy: Adopt, enabled: true")).await;
    let adopted = world.person(&name).await;
    assert!(world.expect_account(&name).await.enabled);
    let file = adopted.home("file");
    world.seed(&[&file]).await;
    adopted.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn an_adopted_group_keeps_its_members_and_policies() {
    let world = World::shared().await;
    let (name, caller) = veteran(&world, true).await;
    let alice = world.user("alice").await;
    let team = unique("team");
    world.minio().update_group_members(&team, &set(&[&name]), false).await.unwrap();
    world.minio().set_mapping(&Holder::Group(team.clone()), &set(&["writeonly"])).await.unwrap();
    world.apply(&group(&team, &format!("adoptionPolicy: Adopt, members: [{}]", alice.name))).await;
    let view = world.ready("MinioGroup", &team).await;
    assert_eq!(view.status("/origin"), "Adopted");
    let on_server = world.minio().group_info(&team).await.unwrap().unwrap();
    assert_eq!(on_server.members, set(&[&name, &alice.name]));
    assert_eq!(on_server.policies, set(&["writeonly", &format!("group-policy-{team}")]));
    let file = format!("lake/teams/{team}/file");
    world.seed(&[&file]).await;
    alice.expect(&file, "GPDL").await;
    caller.expect(&file, "GPDL").await;
    world.delete_and_wait("MinioGroup", &team).await;
    assert!(world.members(&team).await.is_some_and(|members| members.contains(&name)), "an adopted group stays");
}
