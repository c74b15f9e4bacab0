//! The end of shares: it is said only of what has ended, whatever is away, behind or in the way.

use serde_json::json;

use super::*;
use crate::support::identity::{RestIdentity, rest_kubeconfig};
use crate::support::kube::Cluster;
use crate::support::proxy::Proxy;
use crate::support::s3::Try;
use crate::support::world::{grant, share, user};

fn path(name: &str) -> String {
    format!("s3a://lake/homes/alice/{name}")
}

fn file(name: &str) -> String {
    format!("lake/homes/alice/{name}/file")
}

#[tokio::test]
async fn asked_twice_or_by_two_at_once_nobody_is_told_of_an_end_that_has_not_come() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    for name in ["a", "b"] {
        stage.world.seed(&[&file(name)]).await;
        stage.share("alice", &path(name), &["bob"], "read").await;
    }
    let private = || stage.post("alice", PRIVATE, json!({"path": path("a")}));
    let unshare = || stage.post("alice", UNSHARE, json!({"path": path("b"), "from_users": ["bob"]}));
    stage.world.product().minio().stop();
    for _ in 0..2 {
        let (one, two, three, four) = futures::join!(private(), private(), unshare(), unshare());
        for answer in [one, two] {
            assert_eq!(answer.code(), (503, Some(20050)), "{}", answer.text);
        }
        for answer in [three, four] {
            let body = answer.expect(207);
            assert_eq!(body["success_count"], 0, "{body}");
            assert!(error_of(&body, 0).contains("still in force"), "{body}");
        }
    }
    stage.world.product().minio().start_again();
    stage.world.eventually("private", async || private().await.status == 200).await;
    bob.expect(&file("a"), "").await;
    stage.world.eventually("unshared", async || unshare().await.status == 200).await;
    bob.expect(&file("b"), "").await;
}

#[tokio::test]
async fn a_replica_ends_what_it_has_not_seen() {
    let stage = Stage::start("simple", &["alice", "bob", "carol"]).await;
    let (bob, carol) = (stage.s3("bob").await, stage.s3("carol").await);
    stage.world.seed(&[&file("x"), &file("y"), &file("y/deep"), &file("z")]).await;
    let identity = RestIdentity::install(Cluster::shared(), stage.world.namespace()).await;
    let (proxy, kubeconfig) = Proxy::before_api_server(identity.kubeconfig());
    let setup = ServiceSetup::default().with(&["--layout", "simple"]).person("alice", false);
    let setup = ServiceSetup { kubeconfig: Some(kubeconfig.clone()), ..setup };
    let other = Service::start(&stage.world, setup).await.person("alice");
    std::fs::remove_file(kubeconfig).unwrap();
    // From now on it sees no share come or go, but can write.
    identity.forbid_watching("pathshares").await;
    proxy.cut();
    proxy.mend();

    stage.share("alice", &path("x"), &["bob"], "write").await;
    assert_eq!(other.get("/sharing/mine").await.expect(200)["total_count"], 0, "the other replica sees nothing");
    bob.expect(&file("x"), "GPDL").await;
    let unshare = |name: &str| json!({"path": path(name), "from_users": ["bob"]});
    assert_eq!(other.post_json(UNSHARE, unshare("x")).await.expect(200)["unshared_from_users"], json!(["bob"]));
    bob.expect(&file("x"), "").await;

    for name in ["y", "y/deep"] {
        stage.share("alice", &path(name), &["bob"], "write").await;
    }
    other.post_json(PRIVATE, json!({"path": path("y")})).await.expect(200);
    for name in ["y", "y/deep"] {
        bob.expect(&file(name), "").await;
    }

    // It cannot see that a change is in force, and does not say so.
    stage.share("alice", &path("z"), &["bob", "carol"], "read").await;
    let body = other.post_json(UNSHARE, unshare("z")).await.expect(207);
    assert!(error_of(&body, 0).contains("will end by itself"), "{body}");
    stage.world.eventually("it has ended", async || !bob.may(Try::Get, &file("z")).await).await;
    carol.expect(&file("z"), "GL").await;
}

#[tokio::test]
async fn who_owns_a_locked_or_suspended_share_does_not_get_rid_of_the_lock() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    // Beside the service under the admission policy one that may write everything.
    let setup = ServiceSetup::default().with(&["--layout", "simple"]).person("alice", false);
    let setup = ServiceSetup { kubeconfig: Some(Cluster::shared().kubeconfig().to_owned()), ..setup };
    let free = Service::start(&stage.world, setup).await;
    for (number, service) in [&stage.service, &free].into_iter().enumerate() {
        let alice = service.person("alice");
        for (way, word) in [("locked", "under investigation"), ("suspended", "spec.suspended is true")] {
            let name = format!("{way}{number}");
            stage.world.seed(&[&file(&name), &file(&format!("{name}/open"))]).await;
            stage.share("alice", &path(&name), &["bob"], "read").await;
            let object = object_of(&stage, &path(&name)).await;
            if way == "locked" {
                stage.world.annotate("PathShare", &object, "lock", Some(word)).await;
                stage.world.ready_is("PathShare", &object, "True", "Locked").await;
            } else {
                stage.world.patch("PathShare", &object, json!({"spec": {"suspended": true}})).await;
                stage.world.ready_is("PathShare", &object, "True", "Suspended").await;
            }
            let uid = stage.world.view("PathShare", &object).await.0["metadata"]["uid"].clone();
            let share = json!({"path": path(&name), "with_users": ["bob"], "permission": "read"});

            alice.post_json(UNSHARE, json!({"path": path(&name), "from_users": ["bob"]})).await.expect(200);
            let body = alice.post_json(SHARE, share.clone()).await.expect(207);
            assert!(error_of(&body, 0).contains(word), "{body}");
            bob.expect(&file(&name), "").await;

            // What is below it ends all the same.
            stage.share("alice", &path(&format!("{name}/open")), &["bob"], "read").await;
            let body = alice.post_json(PRIVATE, json!({"path": path(&name)})).await.expect(207);
            assert_eq!((&body["is_public"], body["errors"].as_array().unwrap().len()), (&json!(false), 1), "{body}");
            assert!(error_of(&body, 0).contains(&object), "{body}");
            bob.expect(&file(&format!("{name}/open")), "").await;
            let body = alice.post_json(SHARE, share).await.expect(207);
            assert!(error_of(&body, 0).contains(word), "{body}");
            bob.expect(&file(&name), "").await;
            assert_eq!(stage.world.view("PathShare", &object).await.0["metadata"]["uid"], uid);
        }
    }
}

async fn object_of(stage: &Stage, path: &str) -> String {
    let shares = stage.shares().await;
    let share = shares.iter().find(|share| share["spec"]["path"].as_str().unwrap().trim_end_matches('/') == path);
    share.unwrap_or_else(|| panic!("no share of {path} in {shares:?}"))["metadata"]["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_another_object_gives_is_waited_for_too() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    stage.world.seed(&[&file("g")]).await;
    stage.world.product().minio().stop();
    let owner = "owner: {kind: User, name: alice}";
    let spec = format!("{owner}, everyone: Read, grants: [{}]", grant("bob", "ReadWrite"));
    stage.world.apply(&share("from-git", "lake/homes/alice/g", &spec)).await;
    let is_known = async || stage.get("alice", "/sharing/mine").await["total_count"] == 1;
    stage.world.eventually("the service knows of it", is_known).await;
    let give = || stage.post("alice", SHARE, json!({"path": path("g"), "with_users": ["bob"]}));
    let public = || stage.post("alice", PUBLIC, json!({"path": path("g")}));
    let (given, made_public) = futures::join!(give(), public());
    let body = given.expect(207);
    assert!(error_of(&body, 0).contains("it is not in force yet and will be by itself"), "{body}");
    assert_eq!(made_public.code(), (503, Some(20050)), "{}", made_public.text);
    stage.world.product().minio().start_again();
    stage.world.eventually("it is in force", async || give().await.status == 200).await;
    bob.expect(&file("g"), "GPDL").await;
    stage.world.eventually("it is public", async || public().await.status == 200).await;
    assert_eq!(stage.shares().await.len(), 1, "nothing had to be written");
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_holds_nobody_up() {
    let stage = Stage::start("simple", &["alice"]).await;
    let names: Vec<String> = (0..20).map(|number| format!("guest{number}")).collect();
    let guests: Vec<String> = names.iter().map(|name| user(name, "")).collect();
    stage.world.apply(&guests.join("---\n")).await;
    let owner = "owner: {kind: User, name: alice}";
    for (object, access) in [("enough", "Read"), ("more", "ReadWrite")] {
        let grants: Vec<String> = names.iter().map(|name| grant(name, access)).collect();
        let spec = format!("{owner}, grants: [{}]", grants.join(", "));
        stage.world.apply(&share(object, "lake/homes/alice/g", &spec)).await;
        stage.world.ready("PathShare", object).await;
    }
    let (proxy, kubeconfig) =
        Proxy::before_api_server(&rest_kubeconfig(Cluster::shared(), stage.world.namespace()).await);
    let setup = ServiceSetup::default().with(&["--layout", "simple"]).person("alice", false);
    let setup = ServiceSetup { kubeconfig: Some(kubeconfig.clone()), ..setup };
    let alice = Service::start(&stage.world, setup).await.person("alice");
    std::fs::remove_file(kubeconfig).unwrap();
    let give = || alice.post_json(SHARE, json!({"path": path("g"), "with_users": names, "permission": "read"}));
    let body = give().await.expect(207);
    assert_eq!(body["errors"].as_array().unwrap().len(), names.len(), "{body}");
    assert!(error_of(&body, 7).contains("/more (managed by"), "{body}");
    // The client of the tests waits longer than any call may take, and shorter than twenty calls in a row.
    proxy.stall();
    let body = give().await.expect(207);
    assert_eq!(body["errors"].as_array().unwrap().len(), names.len(), "{body}");
    assert!(error_of(&body, 7).contains("/more gives"), "{body}");
    let refused = alice.post_json(UNSHARE, json!({"path": path("h"), "from_users": names})).await;
    assert_eq!(refused.code(), (503, Some(20050)), "{}", refused.text);
    proxy.mend();
}
