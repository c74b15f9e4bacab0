//! With the cluster or MinIO away, and before anything is known: what is read goes on, what cannot be done is said, and nobody
//! is told what is not true.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::identity::rest_kubeconfig;
use crate::support::kube::Cluster;
use crate::support::product::Setup;
use crate::support::proxy::Proxy;
use crate::support::rest::{Answer, Service, ServiceSetup};
use crate::support::world::World;

const HOME: &str = "s3a://cdm-lake/users-general-warehouse/alice";

/// A time of which requests speak, so that the same is asked twice.
const AT_NOON: &str = "condition=aws:CurrentTime=2026-11-01T12:00:00Z&condition=aws:EpochTime=1793534400";

/// A world, and a proxy between its service, which is not started yet, and the cluster.
async fn apart(people: &[&str]) -> (World, Proxy, ServiceSetup) {
    let world = World::own(Setup::default().with(&["--layout", "berdl"])).await;
    let (proxy, path) = Proxy::before_api_server(&rest_kubeconfig(Cluster::shared(), world.namespace()).await);
    let setup =
        people.iter().fold(ServiceSetup::default().person("boss", true), |setup, name| setup.person(name, false));
    let setup = setup.with(&["--layout", "berdl", "--rest-writes-per-second", "0"]);
    (world, proxy, ServiceSetup { kubeconfig: Some(path), ..setup })
}

/// Everything that can be read.
async fn all_reads(service: &Arc<Service>) -> Vec<(String, Value)> {
    let of_alice = [
        "/workspaces/me",
        "/workspaces/me/groups",
        "/workspaces/me/policies",
        "/workspaces/me/accessible-paths",
        "/workspaces/me/sql-warehouse-prefix",
        "/workspaces/me/namespace-prefix?tenant=kbasero",
        "/workspaces/me/groups/kbase",
        "/workspaces/me/groups/kbase/sql-warehouse-prefix",
        "/management/groups/names",
        "/sharing/mine",
        "/sharing/with-me",
        "/access/of/alice",
        &format!("/access/who?path={HOME}/data/"),
        &format!("/access/explain?user=alice&action=read&path={HOME}/data/&{AT_NOON}"),
    ];
    let of_boss = ["/management/users", "/management/users/names", "/management/groups", "/management/policies"];
    let mut answers = Vec::new();
    for (name, path) in of_alice.map(|path| ("alice", path)).into_iter().chain(of_boss.map(|path| ("boss", path))) {
        answers.push((path.to_owned(), service.person(name).get(path).await.expect(200)));
    }
    let asked = json!({"path": format!("{HOME}/data/")});
    let info = service.person("bob").post_json("/sharing/get_path_access_info", asked).await;
    answers.push(("access info".to_owned(), info.expect(200)));
    answers
}

/// A 503 to be tried again, in words that tell nothing of what lies below.
#[track_caller]
fn assert_unavailable(what: &str, answer: &Answer) {
    assert_eq!(answer.code(), (503, Some(20050)), "{what}: {}", answer.text);
    assert!(answer.headers.contains_key("retry-after"), "{what}");
    for inner in ["127.0.0.1", "https://", "onnection re", "hyper", "tcp"] {
        assert!(!answer.text.contains(inner), "{what}: {}", answer.text);
    }
}

#[tokio::test]
async fn what_is_read_comes_from_memory_and_what_cannot_be_changed_is_said() {
    let (world, proxy, setup) = apart(&["alice", "bob"]).await;
    let kubeconfig = setup.kubeconfig.clone().unwrap();
    let service = Service::start_in(world.namespace(), setup).await;
    std::fs::remove_file(kubeconfig).unwrap();
    let (boss, alice) = (service.person("boss"), service.person("alice"));
    for name in ["boss", "alice", "bob"] {
        service.person(name).get("/credentials/").await.expect(200);
    }
    let bob = service.person("bob").at_s3(&world).await;
    boss.post("/management/groups/kbase").await.expect(201);
    boss.post("/management/groups/kbase/members/alice").await.expect(200);
    let file = "cdm-lake/users-general-warehouse/alice/data/file";
    world.seed(&[file]).await;
    let folder = json!({"path": format!("{HOME}/data/")});
    let share = json!({"path": format!("{HOME}/data/"), "with_users": ["bob"], "permission": "read"});
    alice.post_json("/sharing/share", share.clone()).await.expect(200);
    alice.post_json("/sharing/make-public", folder.clone()).await.expect(200);
    let before = all_reads(&service).await;

    proxy.cut();
    world.product().minio().stop();
    for (now, then) in all_reads(&service).await.into_iter().zip(&before) {
        assert_eq!(&now, then);
    }
    let (path, unshare) = (format!("{HOME}/other/"), json!({"path": format!("{HOME}/data/"), "from_users": ["bob"]}));
    let other = json!({"path": path, "with_users": ["bob"]});
    for (what, answer) in [
        ("share", alice.post_json("/sharing/share", other).await),
        ("unshare", alice.post_json("/sharing/unshare", unshare).await),
        ("make-public", alice.post_json("/sharing/make-public", json!({"path": path})).await),
        ("make-private", alice.post_json("/sharing/make-private", folder.clone()).await),
        ("rotate", alice.post("/credentials/rotate").await),
        ("create user", boss.post("/management/users/newcomer").await),
        ("rotate user", boss.post("/management/users/bob/rotate-credentials").await),
        ("delete user", boss.delete("/management/users/bob").await),
        ("create group", boss.post("/management/groups/newgroup").await),
        ("add member", boss.post("/management/groups/kbase/members/bob").await),
        ("remove member", boss.delete("/management/groups/kbase/members/alice").await),
        ("delete group", boss.delete("/management/groups/kbase").await),
    ] {
        assert_unavailable(what, &answer);
    }
    // A key that was read a moment ago is given out for that moment.
    let forgotten = async || alice.get("/credentials/").await.status != 200;
    world.eventually("the key is not known any more", forgotten).await;
    assert_unavailable("credentials", &alice.get("/credentials/").await);
    assert_eq!(service.nobody().get("/health/ready").await.status, 200, "it can answer, and does");

    proxy.mend();
    world.product().minio().start_again();
    bob.expect(file, "GL").await;
    assert_eq!(world.objects("PathShare").await.len(), 1, "what was refused has not happened");
    assert!(world.find("MinioUser", "newcomer").await.is_none());
    assert!(world.find("MinioGroup", "newgroup").await.is_none());
    // What is done again now holds with the answer.
    let back = async || alice.post_json("/sharing/make-private", folder.clone()).await.status == 200;
    world.eventually("the folder can be made private again", back).await;
    bob.expect(file, "").await;
}

#[tokio::test]
async fn health_is_true_from_the_first_moment_on() {
    let (world, proxy, setup) = apart(&["alice"]).await;
    let kubeconfig = setup.kubeconfig.clone().unwrap();
    world.apply(&crate::support::world::user("alice", "")).await;
    world.ready("MinioUser", "alice").await;
    proxy.cut();
    let service = Service::begin_in(world.namespace(), setup).await;
    std::fs::remove_file(kubeconfig).unwrap();
    let (nobody, alice) = (service.nobody(), service.person("alice"));
    let healthy = json!({"status": "healthy"});
    for path in ["/health", "/health/live"] {
        assert_eq!(nobody.get(path).await.expect(200), healthy, "{path}");
    }
    let ready = nobody.get("/health/ready").await;
    assert_eq!((ready.status, ready.body["detail"].is_string()), (503, true), "{}", ready.text);
    let machines = reqwest::get(format!("{}/ready", service.machines())).await.unwrap();
    assert_eq!(machines.status(), 503);
    assert_eq!(reqwest::get(format!("{}/live", service.machines())).await.unwrap().status(), 200);
    // Who exists is not known yet, so that nobody is told not to exist, or made.
    for path in ["/workspaces/me", "/workspaces/me/groups", "/credentials/", "/management/groups/names"] {
        assert_unavailable(path, &alice.get(path).await);
    }
    assert_eq!(nobody.get("/workspaces/me").await.code(), (401, Some(10010)));

    proxy.mend();
    service.ready().await;
    assert_eq!(nobody.get("/health/ready").await.expect(200), json!({"status": "ready"}));
    assert_eq!(alice.get("/workspaces/me").await.expect(200)["username"], "alice");
    proxy.cut();
    world.product().minio().stop();
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(nobody.get(path).await.status, 200, "{path}: what is known is known");
    }
    assert_eq!(nobody.clone().with_token("nobodys-token").get("/health").await.status, 401);
}
