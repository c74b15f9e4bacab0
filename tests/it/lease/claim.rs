use std::sync::Arc;

use crate::support::{
    minio::{Server, unique},
    product::Setup,
    world::{View, World, user},
};

/// An installation of its own beside a MinIO.
async fn installation(minio: &Arc<Server>, arguments: &[&str]) -> World {
    let setup = Setup { minio: Some(minio.clone()), ..Setup::default() };
    World::own(setup.with(&["--audit-interval", "1s"]).with(arguments)).await
}

/// The installation that the claim on the server names.
async fn claimed_by(world: &World) -> String {
    let document = world.document("minio-manager--claim").await.unwrap_or_default();
    let (_, label) = document.split_once("minio-manager:").unwrap_or_default();
    label.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn two_installations_never_look_after_one_minio() {
    let minio = Arc::new(Server::start());
    let first = installation(&minio, &[]).await;
    let alice = first.user("alice").await;
    assert_eq!(claimed_by(&first).await, first.namespace());
    let is_ours =
        |view: &View| view.status("/claim/instance") == first.namespace() && view.status("/claim/state") == "Ours";
    first.observed("MinioInstance", "default", "it shows the claim", is_ours).await;
    let policies = first.minio().policy_entities(&Default::default(), &Default::default(), &Default::default()).await;
    assert!(!format!("{:?}", policies.unwrap()).contains("minio-manager--claim"), "nobody has it attached");

    let second = installation(&minio, &[]).await;
    // Both declare it, differently.
    second.apply(&user(&alice.name, "enabled: false, adoptionPolicy: Adopt")).await;
    let view = second.ready_is("MinioUser", &alice.name, "Unknown", "ForeignClaim").await;
    assert!(view.message("Ready").contains("--take-over") && !view.says("Stalled", "True"), "{:#}", view.0["status"]);
    assert!(view.message("Ready").contains(first.namespace()));
    let instance = second.ready_is("MinioInstance", "default", "Unknown", "ForeignClaim").await;
    assert_eq!(instance.status("/claim/state"), "Foreign");
    assert_eq!(second.product().metrics().writes(), 0, "{}", second.product().log_tail());
    assert_eq!(second.secret_names().await.len(), 0);
    first.user("bob").await;
    let file = alice.home("file");
    first.seed(&[&file]).await;
    alice.expect(&file, "GPDL").await;
    assert_eq!(claimed_by(&first).await, first.namespace());

    second.product().terminate();
    let namespace = Some(second.namespace().to_owned());
    let setup = Setup { minio: Some(minio.clone()), namespace, ..Setup::default() };
    let second = World::own(setup.with(&["--audit-interval", "1s", "--take-over"])).await;
    first.ready_is("MinioInstance", "default", "Unknown", "ForeignClaim").await;
    assert_eq!(claimed_by(&first).await, second.namespace());
    second.ready_is("MinioUser", &alice.name, "True", "Disabled").await;
    let writes = first.product().metrics().writes();
    let carol = unique("carol");
    first.apply(&user(&carol, "")).await;
    first.ready_is("MinioUser", &carol, "Unknown", "ForeignClaim").await;
    assert_eq!(first.product().metrics().writes(), writes);
    second.ready("MinioInstance", "default").await;
}

#[tokio::test]
async fn the_claim_is_written_before_everything_else_and_again_when_it_is_lost() {
    let world = installation(&Arc::new(Server::start()), &[]).await;
    world.user("alice").await;
    let audit = world.product().audit();
    assert_eq!(audit[0]["subject"], "claim", "{}", audit[0]);
    world.minio().remove_policy("minio-manager--claim").await.unwrap();
    world.eventually("it is back", async || claimed_by(&world).await == world.namespace()).await;
    world.user("bob").await;
}

#[tokio::test]
async fn who_watches_only_claims_nothing() {
    let minio = Arc::new(Server::start());
    let setup = Setup { minio: Some(minio), ..Setup::default() }.with(&["--mode", "observe"]);
    let world = World::own(setup).await;
    world.apply(&user(&unique("alice"), "")).await;
    world.eventually("it has planned", async || world.product().metrics().requests(&["user-info"]) > 0).await;
    assert_eq!(world.product().metrics().writes(), 0);
    assert_eq!(world.document("minio-manager--claim").await, None);
}
