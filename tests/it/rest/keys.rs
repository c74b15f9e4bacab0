//! The key of a user: who gets none, when a new one is made, and what is said when it cannot be.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

use crate::support::identity::RestIdentity;
use crate::support::kube::Cluster;
use crate::support::rest::{Answer, Person, Service, ServiceSetup, with_layout};
use crate::support::s3::Try;
use crate::support::world::{World, user};

const KEY: &str = "/credentials/";
const ROTATE: &str = "/credentials/rotate";

/// A finalizer with which a test keeps an object from going.
const HOLD: &str = "tests.minio-manager.io/hold";

fn message(answer: &Answer) -> &str {
    answer.body["message"].as_str().unwrap_or_default()
}

/// Locks a user, and waits until a login is refused.
async fn lock_out(world: &World, person: &Person) {
    world.annotate("MinioUser", &person.name, "lock", Some("under investigation")).await;
    let refused = || async { person.get(KEY).await.code() == (403, Some(20030)) };
    world.eventually(&format!("{} gets no key", person.name), refused).await;
    for path in ["/credentials/process", KEY] {
        assert!(message(&person.get(path).await).contains("disabled"));
    }
    assert_eq!(person.post(ROTATE).await.code(), (403, Some(20030)));
}

async fn unlock(world: &World, person: &Person) {
    world.annotate("MinioUser", &person.name, "lock", None).await;
    let let_in = || async { person.get(KEY).await.status == 200 };
    world.eventually(&format!("{} gets its key again", person.name), let_in).await;
}

#[tokio::test]
async fn who_is_locked_gets_no_key_whatever_else_there_is_to_say() {
    let setup = ServiceSetup::default().person("alice", false).person("bob", false);
    let (world, service) = with_layout("berdl", setup).await;
    let (alice, bob) = (service.person("alice"), service.person("bob"));
    for person in [&alice, &bob] {
        person.get(KEY).await.expect(200);
    }
    // A policy that is refused takes no key away, and hides no lock.
    world.patch("MinioUser", "alice", json!({"spec": {"policies": ["consoleAdmin"]}})).await;
    world.stalled("MinioUser", "alice", "NotPermitted").await;
    alice.get(KEY).await.expect(200);
    lock_out(&world, &alice).await;
    world.stalled("MinioUser", "alice", "NotPermitted").await;
    assert_eq!(alice.get(KEY).await.status, 403);
    // While MinIO is away, nothing can be said of the lock but that it is declared.
    world.product().minio().stop();
    lock_out(&world, &bob).await;
    unlock(&world, &bob).await;
    world.product().minio().start_again();
    world.ready("MinioUser", "bob").await;
    // Nor while the controller is.
    world.product().kill();
    lock_out(&world, &bob).await;
    world.patch("MinioUser", "bob", json!({"spec": {"enabled": false}})).await;
    world.annotate("MinioUser", "bob", "lock", None).await;
    assert_eq!(bob.get(KEY).await.code(), (403, Some(20030)));
}

#[tokio::test]
async fn all_who_rotate_at_once_get_a_new_key() {
    let (world, service) = with_layout("berdl", ServiceSetup::default().person("alice", false)).await;
    let alice = service.person("alice");
    let first = alice.at_s3(&world).await;
    // Only the last of several requests is there to be seen when the controller looks.
    world.annotate("MinioUser", "alice", "reconcile", Some("paused")).await;
    world.ready_is("MinioUser", "alice", "Unknown", "Paused").await;
    let all = join_all((0..5).map(|_| alice.post(ROTATE)));
    let let_go = async {
        let asked = || async {
            !world.view("MinioUser", "alice").await.0["metadata"]["annotations"]["minio-manager.io/rotate"].is_null()
        };
        world.eventually("somebody has asked", asked).await;
        world.annotate("MinioUser", "alice", "reconcile", None).await;
    };
    let (answers, ()) = tokio::join!(all, let_go);
    for answer in answers {
        assert_ne!(answer.expect(200)["access_key"], json!(first.credentials().access_key));
    }
    world.ready("MinioUser", "alice").await;
    let now = alice.get(KEY).await.expect(200)["access_key"].clone();
    let held: BTreeSet<String> = world.access_keys("alice").await.into_iter().map(|key| key.access_key).collect();
    assert!(held.len() <= 2 && held.contains(now.as_str().unwrap()), "{held:?} with {now}");
}

#[tokio::test]
async fn a_login_while_the_former_user_goes_waits_for_its_end() {
    let (world, service) = with_layout("berdl", ServiceSetup::default().person("alice", false)).await;
    let alice = service.person("alice");
    let former = alice.at_s3(&world).await;
    world.patch("MinioUser", "alice", json!({"metadata": {"finalizers": ["minio-manager.io/finalizer", HOLD]}})).await;
    world.delete("MinioUser", "alice").await;
    let going = || async { alice.get("/workspaces/me").await.status == 400 };
    world.eventually("the service knows that the user goes", going).await;
    let waiting = alice.get(KEY).await;
    assert_eq!(waiting.code(), (503, Some(20050)));
    assert!(message(&waiting).contains("still being deleted"), "{}", waiting.text);
    assert_eq!(alice.post(ROTATE).await.code(), (400, Some(20030)), "there is nobody to rotate for");
    let let_go = async { world.patch("MinioUser", "alice", json!({"metadata": {"finalizers": []}})).await };
    let (answer, ()) = tokio::join!(alice.get(KEY), let_go);
    let key = answer.expect(200);
    assert_ne!(key["access_key"], json!(former.credentials().access_key));
    assert_eq!(world.objects("MinioUser").await.len(), 1);
    assert!(alice.at_s3(&world).await.may(Try::Put, "cdm-lake/users-general-warehouse/alice/file").await);
}

#[tokio::test]
async fn a_key_in_another_namespace_is_named_and_not_taken_for_missing() {
    let (world, _) = with_layout("berdl", ServiceSetup::default()).await;
    let (elsewhere, home) = (world.namespace(), Cluster::shared().namespace("rest-home").await);
    world.apply(&user("alice", "")).await;
    let before = world.person("alice").await;
    let directory = std::env::temp_dir().join(&home);
    std::fs::create_dir_all(&directory).unwrap();
    let config = directory.join("config.yaml");
    std::fs::write(&config, format!("layout: berdl\nnamespaces: {{{elsewhere}: {{usernames: ['*']}}}}\n")).unwrap();
    let watched = format!("{home},{elsewhere}");
    let identity = RestIdentity::install(Cluster::shared(), &home).await;
    identity.watch(elsewhere).await;
    let setup = ServiceSetup {
        kubeconfig: Some(identity.kubeconfig().to_owned()),
        ..ServiceSetup::default().person("alice", false).with(&[
            "--watch-namespaces",
            &watched,
            "--config",
            config.to_str().unwrap(),
        ])
    };
    let service = Service::start_in(&home, setup).await;
    let alice = service.person("alice");
    for answer in [alice.get(KEY).await, alice.post(ROTATE).await, alice.post("/credentials/rotate?revoke=true").await]
    {
        assert_eq!(answer.code(), (400, Some(20030)), "{}", answer.text);
        for word in [elsewhere, &before.secret] {
            assert!(message(&answer).contains(word), "{word} is not in {}", answer.text);
        }
    }
    let after = world.view("MinioUser", "alice").await;
    assert!(after.0["metadata"]["annotations"]["minio-manager.io/rotate"].is_null());
    std::fs::remove_dir_all(directory).unwrap();
}
