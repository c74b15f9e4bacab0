//! The secret that an adopted user had before.

use std::collections::BTreeSet;

use minio_manager::minio::{Credentials, Holder, KeyState};
use serde_json::json;

use crate::support::{
    minio::unique,
    product::Setup,
    s3::{Caller, Try},
    sts::Session,
    world::{View, World, user},
};

const CONDITION: &str = "AdoptedSecretKept";
const RESET_AT: &str = "/credentials/adoptedSecretResetAt";
const FILE: &str = "other-bucket/public";

/// A user that was there before us and may read everything, with its own secret.
async fn veteran(world: &World) -> Caller {
    let name = unique("veteran");
    let credentials = Credentials::new(&*name, Credentials::generate().secret);
    world.minio().add_user(&name, &credentials.secret, true).await.unwrap();
    world.minio().set_mapping(&Holder::User(name), &BTreeSet::from(["readonly".to_owned()])).await.unwrap();
    world.seed(&[FILE]).await;
    Caller::new(world.minio().clone(), credentials)
}

fn spec(policy: &str, overlap: &str) -> String {
    format!("adoptionPolicy: Adopt, adoptedSecret: {policy}, credentials: {{rotationInterval: 1h, overlap: {overlap}}}")
}

async fn works(world: &World, caller: &Caller) -> bool {
    match world.minio().probe(caller.credentials()).await.unwrap() {
        KeyState::Works => true,
        KeyState::WrongSecret | KeyState::Disabled => false,
        KeyState::Unknown => panic!("the account is gone"),
    }
}

fn is_reset(view: &View) -> bool {
    view.status(RESET_AT).is_string() && view.condition(CONDITION).is_none() && view.says("Ready", "True")
}

fn resets(world: &World, name: &str) -> usize {
    let of_user = format!("user {name}");
    let is_reset = |line: &&serde_json::Value| line["subject"] == of_user && line["change"] == "replace the secret";
    world.product().audit().iter().filter(is_reset).count()
}

#[tokio::test]
async fn a_secret_is_replaced_once_the_overlap_is_over_and_only_once() {
    let world = World::own(Setup::default().with(&["--audit-interval", "1s"])).await;
    let veteran = veteran(&world).await;
    let name = veteran.credentials().access_key.clone();
    let laptop = world.foreign_key(&name).await;
    let session = Session::begin(world.product().minio().endpoint(), veteran.credentials()).await;
    assert_eq!(session.get(FILE).await.0, 200);
    // Longer than any key is issued in, and shorter than a test may wait.
    world.apply(&user(&name, &spec("Reset", "8s"))).await;
    let adopted = world.person(&name).await;
    let view = world.view("MinioUser", &name).await;
    let due: jiff::Timestamp = view.message(CONDITION).split("replaced at ").nth(1).expect("when").parse().unwrap();
    let early = works(&world, &veteran).await;
    assert!(early || jiff::Timestamp::now() >= due, "the secret is replaced before the overlap is over");
    world
        .observed("MinioUser", &name, "foreign keys of who was adopted are told of", |view| {
            view.message("ForeignKeys").contains(&laptop.credentials().access_key)
        })
        .await;

    let view = world.observed("MinioUser", &name, "the secret is replaced", is_reset).await;
    assert!(view.status(RESET_AT).as_str().unwrap().parse::<jiff::Timestamp>().unwrap() >= due);
    assert!(!works(&world, &veteran).await, "the old secret is of no use");
    assert_eq!(session.get(FILE).await.0, 403, "nor is what was made with it");
    assert!(adopted.may(Try::Get, FILE).await && laptop.may(Try::Get, FILE).await, "keys stay, and memberships");
    assert_eq!(adopted.credentials(), world.person(&name).await.credentials());

    // A restart, or another mind, changes nothing any more.
    assert!(world.product().terminate().success());
    world.product().launch();
    for policy in ["Keep", "Reset"] {
        world.apply(&user(&name, &spec(policy, "8s"))).await;
        world.observed("MinioUser", &name, "it stays replaced", is_reset).await;
    }
    assert_eq!(resets(&world, &name), 1);
}

#[tokio::test]
async fn a_secret_that_was_kept_is_replaced_when_that_is_wanted_later() {
    let world = World::shared().await;
    let veteran = veteran(&world).await;
    let name = veteran.credentials().access_key.clone();
    world.apply(&user(&name, &spec("Keep", "0s"))).await;
    let adopted = world.person(&name).await;
    assert!(world.view("MinioUser", &name).await.says(CONDITION, "True"));
    assert!(works(&world, &veteran).await);
    // Whoever disabled the account by hand finds it disabled afterwards.
    world.minio().set_user_status(&name, false).await.unwrap();
    world.apply(&user(&name, &spec("Reset", "0s"))).await;
    world.observed("MinioUser", &name, "the secret is replaced", is_reset).await;
    assert!(!world.expect_account(&name).await.enabled);
    world.minio().set_user_status(&name, true).await.unwrap();
    assert!(!works(&world, &veteran).await);
    assert!(adopted.may(Try::Get, FILE).await);
    assert_eq!(resets(&world, &name), 1);
}

#[tokio::test]
async fn a_rotation_does_not_put_the_end_of_a_secret_off() {
    let world = World::shared().await;
    let veteran = veteran(&world).await;
    let name = veteran.credentials().access_key.clone();
    world.apply(&user(&name, &spec("Reset", "30m"))).await;
    world.person(&name).await;
    let before = world.view("MinioUser", &name).await;
    world.annotate("MinioUser", &name, "rotate", Some("1")).await;
    let after = world
        .observed("MinioUser", &name, "it is rotated", |view| view.status("/credentials/lastHandledRotate") == "1")
        .await;
    assert_eq!(after.message(CONDITION), before.message(CONDITION));
    assert_eq!(after.status("/credentials/firstIssuedAt"), before.status("/credentials/issuedAt"));
    assert!(works(&world, &veteran).await);
}

#[tokio::test]
async fn foreign_keys_of_who_was_adopted_are_deleted_after_the_overlap_only() {
    let world = World::own(Setup::default().with(&["--audit-interval", "1s", "--foreign-keys", "Prune"])).await;
    let veteran = veteran(&world).await;
    let name = veteran.credentials().access_key.clone();
    let laptop = world.foreign_key(&name).await;
    world.apply(&user(&name, &spec("Keep", "30m"))).await;
    let adopted = world.person(&name).await;
    let id = &laptop.credentials().access_key;
    let is_told = |view: &View| view.message("ForeignKeys").contains(id);
    world.observed("MinioUser", &name, "it is told of", is_told).await;
    assert!(laptop.may(Try::Get, FILE).await);
    world.apply(&user(&name, &spec("Keep", "0s"))).await;
    world.eventually("it is deleted", async || laptop.status(Try::Get, FILE).await == 403).await;
    let view = world.observed("MinioUser", &name, "nothing is said", |view| !is_told(view)).await;
    assert_eq!(view.status(RESET_AT), &json!(null));
    assert!(adopted.may(Try::Get, FILE).await && works(&world, &veteran).await);
}
