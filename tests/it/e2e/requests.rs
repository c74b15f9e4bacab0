//! A new key on request, and the end of all others.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use minio_manager::api::PathShare;
use minio_manager::minio::Credentials;
use serde_json::json;

use crate::support::{
    kube::Cluster,
    minio::unique,
    product::Setup,
    random::Random,
    s3::{Caller, Try},
    world::{Person, View, World, grant, share, user},
};

const HANDLED_ROTATE: &str = "/credentials/lastHandledRotate";
const HANDLED_REVOKE: &str = "/credentials/lastHandledRevoke";

/// Asks for a rotation and waits as the REST service does; the user with the key that the Secret holds then.
async fn rotate(world: &World, name: &str, value: &str) -> Person {
    world.annotate("MinioUser", name, "rotate", Some(value)).await;
    rotated(world, name, value).await
}

async fn rotated(world: &World, name: &str, value: &str) -> Person {
    acknowledged(world, name, HANDLED_ROTATE, value).await;
    world.person(name).await
}

async fn revoke(world: &World, name: &str, value: &str) -> View {
    world.annotate("MinioUser", name, "revoke", Some(value)).await;
    acknowledged(world, name, HANDLED_REVOKE, value).await
}

async fn acknowledged(world: &World, name: &str, field: &str, value: &str) -> View {
    let what = format!("{field} is {value}, and it is Ready");
    let is_so = |view: &View| view.status(field) == value && view.says("Ready", "True");
    world.observed("MinioUser", name, &what, is_so).await
}

fn id(caller: &Caller) -> String {
    caller.credentials().access_key.clone()
}

async fn key_ids(world: &World, user: &str) -> BTreeSet<String> {
    world.access_keys(user).await.into_iter().map(|key| key.access_key).collect()
}

fn instant(view: &View, field: &str) -> Timestamp {
    view.status(field).as_str().unwrap_or_else(|| panic!("no {field}")).parse().unwrap()
}

#[tokio::test]
async fn a_rotation_gives_a_new_key_and_leaves_the_former_one_its_overlap() {
    let world = World::shared().await;
    let first = world.user("alice").await;
    let file = first.home("file");
    world.seed(&[&file]).await;
    let before = world.view("MinioUser", &first.name).await;

    let second = rotate(&world, &first.name, "monday").await;
    assert_ne!(id(&second), id(&first));
    first.expect(&file, "GPDL").await;
    second.expect(&file, "GPDL").await;
    let after = world.view("MinioUser", &first.name).await;
    assert_eq!(after.status("/credentials/accessKey"), &id(&second));
    assert_eq!(after.0["metadata"]["generation"], before.0["metadata"]["generation"]);
    let (issued, end) = (instant(&after, "/credentials/issuedAt"), instant(&after, "/credentials/previousExpiresAt"));
    let life = end.duration_since(issued).as_secs() - 24 * 3600;
    assert!((-1..=60).contains(&life), "{end} is the overlap after {issued}");
    assert!(end <= instant(&before, "/credentials/expiresAt"));
    assert!(!world.secret_names().await.contains(&format!("{}.pending", first.secret)));

    // Another annotation is no new value.
    world.patch("MinioUser", &first.name, json!({"metadata": {"annotations": {"note": "unrelated"}}})).await;
    world.annotate("MinioUser", &first.name, "rotate", None).await;
    world.annotate("MinioUser", &first.name, "rotate", Some("monday")).await;

    let third = rotate(&world, &first.name, "tuesday").await;
    assert_eq!(first.status(Try::Get, &file).await, 403, "the oldest of three goes");
    second.expect(&file, "GPDL").await;
    third.expect(&file, "GPDL").await;
    assert_eq!(key_ids(&world, &first.name).await, BTreeSet::from([id(&second), id(&third)]));
}

#[tokio::test]
async fn the_former_key_ends_when_the_overlap_is_over() {
    let world = World::shared().await;
    let name = unique("alice");
    world.apply(&user(&name, "credentials: {rotationInterval: 24h, overlap: 5s}")).await;
    let first = world.person(&name).await;
    let file = first.home("file");
    world.seed(&[&file]).await;
    let second = rotate(&world, &name, "1").await;
    let works = first.may(Try::Get, &file).await;
    let end = instant(&world.view("MinioUser", &name).await, "/credentials/issuedAt") + Duration::from_secs(4);
    assert!(works || Timestamp::now() >= end, "the former key ended before the overlap was over");
    world.eventually("the former key ends", async || !first.may(Try::Get, &file).await).await;
    assert!(Timestamp::now() >= end);
    second.expect(&file, "GPDL").await;
    world
        .observed("MinioUser", &name, "no former key is shown", |view| {
            view.says("Ready", "True") && view.status("/credentials/previousExpiresAt").is_null()
        })
        .await;
    assert_eq!(key_ids(&world, &name).await, BTreeSet::from([id(&second)]));
}

#[tokio::test]
async fn a_revocation_ends_every_other_key_and_session() {
    let world = World::shared().await;
    let [first, bob] = world.users(["alice", "bob"]).await;
    let name = first.name.as_str();
    let (file, of_bob) = (first.home("file"), bob.home("file"));
    world.seed(&[&file, &of_bob]).await;
    let second = rotate(&world, name, "1").await;
    let (foreign, bobs_foreign) = (world.foreign_key(name).await, world.foreign_key(&bob.name).await);
    let (session, bobs_session) = (world.session(name).await, world.session(&bob.name).await);
    for caller in [&first.caller, &second.caller, &foreign] {
        assert!(caller.may(Try::Get, &file).await);
    }
    assert_eq!(session.get(&file).await.0, 200);

    let view = revoke(&world, name, "stolen laptop").await;
    for caller in [&first.caller, &second.caller, &foreign] {
        assert_eq!(caller.status(Try::Get, &file).await, 403, "{} is dead when that is acknowledged", id(caller));
    }
    assert_eq!(session.get(&file).await.0, 403);
    let third = world.person(name).await;
    third.expect(&file, "GPDL").await;
    assert_eq!(key_ids(&world, name).await, BTreeSet::from([id(&third)]));
    assert_eq!(view.status("/credentials/accessKey"), &id(&third));
    assert!(view.status("/credentials/previousExpiresAt").is_null());
    assert_eq!(view.status(HANDLED_ROTATE), "1");

    assert!(bob.may(Try::Get, &of_bob).await && bobs_foreign.may(Try::Get, &of_bob).await);
    assert_eq!(bobs_session.get(&of_bob).await.0, 200, "others keep what they have");
}

#[tokio::test]
async fn a_value_at_the_creation_is_no_request() {
    let world = World::shared().await;
    let name = unique("alice");
    world
        .apply(&format!(
            "kind: MinioUser\nmetadata:\n  name: {name}\n  annotations: {{minio-manager.io/rotate: a, \
             minio-manager.io/revoke: b}}\nspec: {{adoptionPolicy: Adopt}}"
        ))
        .await;
    let first = world.person(&name).await;
    let view = world.view("MinioUser", &name).await;
    assert_eq!((view.status(HANDLED_ROTATE), view.status(HANDLED_REVOKE)), (&json!("a"), &json!("b")));
    assert_eq!(key_ids(&world, &name).await, BTreeSet::from([id(&first)]));
    assert!(view.status("/credentials/previousExpiresAt").is_null());
    let second = rotate(&world, &name, "c").await;
    assert_eq!(key_ids(&world, &name).await, BTreeSet::from([id(&first), id(&second)]));
}

#[tokio::test]
async fn an_adopted_account_keeps_its_keys_although_it_comes_with_a_value() {
    let world = World::shared().await;
    let name = unique("alice");
    world.minio().add_user(&name, &Credentials::generate().secret, true).await.unwrap();
    let foreign = world.foreign_key(&name).await;
    world
        .apply(&format!(
            "kind: MinioUser\nmetadata: {{name: {name}, annotations: {{minio-manager.io/revoke: x}}}}\n\
             spec: {{adoptionPolicy: Adopt}}"
        ))
        .await;
    let alice = world.person(&name).await;
    assert_eq!(key_ids(&world, &name).await, BTreeSet::from([id(&alice), id(&foreign)]));
}

#[tokio::test]
async fn a_disabled_user_is_revoked_at_once_and_rotated_when_it_is_enabled() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    let foreign = world.foreign_key(&alice.name).await;
    world.apply(&user(&alice.name, "enabled: false")).await;
    world.ready_is("MinioUser", &alice.name, "True", "Disabled").await;
    world.annotate("MinioUser", &alice.name, "rotate", Some("1")).await;
    let view = revoke(&world, &alice.name, "1").await;
    assert_eq!(key_ids(&world, &alice.name).await, BTreeSet::new());
    assert!(view.status(HANDLED_ROTATE).is_null() && view.status("/credentials/accessKey").is_null());
    assert!(view.says("CredentialsReady", "False"), "{}", view.message("CredentialsReady"));

    world.apply(&user(&alice.name, "enabled: true")).await;
    let again = rotated(&world, &alice.name, "1").await;
    again.expect(&file, "GPDL").await;
    for caller in [&alice.caller, &foreign] {
        assert_eq!(caller.status(Try::Get, &file).await, 403);
    }
    assert_eq!(key_ids(&world, &alice.name).await, BTreeSet::from([id(&again)]));
}

#[tokio::test]
async fn a_disabled_user_that_never_had_a_key_is_revoked_too() {
    let world = World::shared().await;
    let name = unique("alice");
    world.apply(&user(&name, "enabled: false")).await;
    world.ready_is("MinioUser", &name, "True", "Disabled").await;
    let view = revoke(&world, &name, "1").await;
    assert!(view.status("/credentials/accessKey").is_null());
    assert!(!world.secret_names().await.iter().any(|secret| secret.contains(&name)), "nothing is issued");
}

#[tokio::test]
async fn requests_wait_for_the_end_of_a_pause() {
    let world = World::shared().await;
    let alice = world.user("alice").await;
    world.annotate("MinioUser", &alice.name, "reconcile", Some("paused")).await;
    world.annotate("MinioUser", &alice.name, "rotate", Some("1")).await;
    world.ready_is("MinioUser", &alice.name, "Unknown", "Paused").await;
    assert_eq!(key_ids(&world, &alice.name).await, BTreeSet::from([id(&alice)]));
    world.annotate("MinioUser", &alice.name, "reconcile", None).await;
    let again = rotated(&world, &alice.name, "1").await;
    assert_eq!(key_ids(&world, &alice.name).await, BTreeSet::from([id(&alice), id(&again)]));
}

#[tokio::test]
async fn requests_survive_a_crash_at_any_moment() {
    const ROUNDS: usize = 8;
    let mut random = Random::from_environment("requests");
    let world = World::own(Setup::default()).await;
    let [first, bob] = world.users(["alice", "bob"]).await;
    let (file, of_bob) = (first.home("file"), bob.home("file"));
    world.seed(&[&file, &of_bob]).await;
    let mut alice = first;
    for round in 0..ROUNDS {
        let value = round.to_string();
        let foreign = world.foreign_key(&bob.name).await;
        world.annotate("MinioUser", &alice.name, "rotate", Some(&value)).await;
        world.annotate("MinioUser", &bob.name, "revoke", Some(&value)).await;
        tokio::time::sleep(Duration::from_millis(random.below(120) as u64)).await;
        world.product().kill();
        let held = world.caller(&alice.secret).await;
        assert!(held.may(Try::Get, &file).await, "what the Secret holds after a crash works");
        world.product().launch();
        let again = rotated(&world, &alice.name, &value).await;
        let keys = BTreeSet::from([id(&alice), id(&again)]);
        assert_eq!(key_ids(&world, &alice.name).await, keys, "round {round}: the new key and the one before it");
        again.expect(&file, "GPDL").await;
        alice = again;

        acknowledged(&world, &bob.name, HANDLED_REVOKE, &value).await;
        let again = world.person(&bob.name).await;
        assert_eq!(key_ids(&world, &bob.name).await, BTreeSet::from([id(&again)]), "round {round}");
        assert_eq!(foreign.status(Try::Get, &of_bob).await, 403);
        again.expect(&of_bob, "GPDL").await;
    }
    let expected = BTreeSet::from([alice.secret, bob.secret]);
    assert_eq!(world.secret_names().await, expected, "no pending Secret is left");
}

#[tokio::test]
async fn a_request_is_answered_in_about_the_time_of_a_new_key() {
    let world = World::own(Setup::default().with(&["--audit-interval", "1h"])).await;
    let mut costs = Vec::new();
    for person in world.users(["alice", "bob", "carol"]).await {
        let before = world.product().metrics();
        let again = rotate(&world, &person.name, "1").await;
        let metrics = world.product().metrics();
        assert_ne!(id(&again), id(&person));
        let asked = |call: &str| metrics.requests(&[call]) - before.requests(&[call]);
        assert_eq!(metrics.writes() - before.writes(), 1, "nothing else is written to MinIO");
        costs.push([asked("add-service-account"), asked("list-service-accounts"), asked("probe")]);
    }
    // On a busy machine the news of a Secret may come late enough to be looked at beside a rotation.
    assert!(costs.contains(&[1, 1, 1]), "keys made, lists of keys, proofs: {costs:?}");
}

#[tokio::test]
async fn what_must_not_be_taken_away_yet_holds_up_nobodys_key() {
    let world = World::own(Setup::default()).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (given, unread) = (unique("given"), unique("unread"));
    world.apply(&share(&given, &bob.home("exp"), &format!("grants: [{}]", grant(&alice.name, "Read")))).await;
    world.ready("PathShare", &given).await;
    // The API server takes a time that this program cannot hold, so that nobody knows what the share gives.
    world.product().kill();
    let grants = format!("grants: [{}]", grant(&alice.name, "Read"));
    world.apply(&share(&unread, &bob.home("other"), &grants)).await;
    let shares = ApiResource::erase::<PathShare>(&());
    let shares = Api::<DynamicObject>::namespaced_with(Cluster::shared().client().await, world.namespace(), &shares);
    let status = Patch::Merge(json!({"status": {"nextExpiry": "9999-12-31T23:59:59Z"}}));
    shares.patch_status(&unread, &PatchParams::default(), &status).await.unwrap();
    world.product().launch();
    world.stalled("PathShare", &unread, "InvalidDocument").await;
    world.delete("PathShare", &given).await;
    world.annotate("MinioUser", &alice.name, "revoke", Some("1")).await;
    world.observed("MinioUser", &alice.name, "it is revoked", |view| view.status(HANDLED_REVOKE) == "1").await;
    let file = bob.home("exp/file");
    world.seed(&[&file]).await;
    assert_eq!(alice.status(Try::Get, &file).await, 403, "the former key is dead");
    assert!(world.caller(&alice.secret).await.may(Try::Get, &file).await, "and the share is still in force");
    world.delete_and_wait("PathShare", &unread).await;
    world.gone("PathShare", &given).await;
    world.person(&alice.name).await.expect(&file, "").await;
}
