//! GET /credentials/: the first login makes the user, every login gets a key that works.

use std::collections::{BTreeSet, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use minio_manager::minio::{Credentials, Holder, generate_secret};
use serde_json::{Value, json};

use crate::support::identity::rest_kubeconfig;
use crate::support::kube::Cluster;
use crate::support::minio::unique;
use crate::support::product::Setup;
use crate::support::random::Random;
use crate::support::rest::{Person, Service, ServiceSetup, token, with_layout};
use crate::support::s3::{Caller, Try};
use crate::support::world::{World, user};

/// How many callers come at once.
const CROWD: usize = 100;

const GENERAL: &str = "cdm-lake/users-general-warehouse";

fn people(names: &[&str]) -> ServiceSetup {
    names.iter().fold(ServiceSetup::default().person("boss", true), |setup, name| setup.person(name, false))
}

#[tokio::test]
async fn the_first_login_makes_the_user_and_gives_a_key_that_works() {
    let (alice, setup) = (unique("alice"), ServiceSetup::default());
    let (world, service) = with_layout("berdl", setup.person(&alice, false)).await;
    let person = service.person(&alice);
    let key = person.get("/credentials/").await.expect(200);
    assert_eq!(key["username"], alice.as_str());
    assert_eq!((&key["access_key"], &key["secret_key"]), (&key["s3_access_key"], &key["s3_secret_key"]));
    assert_eq!(key["secret_key"].as_str().unwrap().len(), 40);
    let s3 = person.at_s3(&world).await;
    assert!(s3.may(Try::Put, &format!("{GENERAL}/{alice}/data/a.txt")).await);
    assert!(!s3.may(Try::Get, &format!("{GENERAL}/somebody/data/a.txt")).await);
    let held = world.access_keys(&alice).await;
    let instant = |text: &Value| -> jiff::Timestamp { text.as_str().unwrap().parse().unwrap() };
    let end = instant(&key["expires_at"]);
    assert_eq!((held.len(), held[0].expiration), (1, Some(end)), "the server ends the key by itself");
    assert_eq!(person.get("/credentials").await.expect(200), key, "the key stays, whatever the spelling of the path");
    let process = person.get("/credentials/process").await.expect(200);
    assert_eq!((&process["AccessKeyId"], &process["Version"]), (&key["access_key"], &1.into()));
    assert_eq!(process["SecretAccessKey"], key["secret_key"]);
    assert_eq!(instant(&process["Expiration"]), end);
}

#[tokio::test]
async fn everybody_in_a_crowd_gets_a_key_that_works_at_once() {
    let names: Vec<String> = (0..CROWD).map(|number| format!("crowd{number}")).collect();
    let setup = names.iter().fold(ServiceSetup::default(), |setup, name| setup.person(name, false));
    let (world, service) = with_layout("berdl", setup.person("one", false)).await;
    let one = service.person("one");
    let same = join_all((0..CROWD).map(|_| one.at_s3(&world))).await;
    let keys: BTreeSet<String> = same.iter().map(|caller| caller.credentials().access_key.clone()).collect();
    assert_eq!(keys.len(), 1, "one user, one key");
    let works = async |caller: &Caller, name: &str| {
        let path = format!("{GENERAL}/{name}/data/a.txt");
        assert!(caller.may(Try::Put, &path).await, "the key of {name} works when it arrives");
    };
    join_all(same.iter().map(|caller| works(caller, "one"))).await;
    let first_login = async |name: &String| {
        let person = service.person(name);
        logged_in(&person).await;
        works(&person.at_s3(&world).await, name).await;
    };
    join_all(names.iter().map(first_login)).await;
}

/// A busy machine takes longer than a call may; then the answer says so, and the next call finds the user.
async fn logged_in(person: &Person) -> Value {
    loop {
        let answer = person.get("/credentials/").await;
        if answer.code() != (503, Some(20050)) {
            return answer.expect(200);
        }
    }
}

#[tokio::test]
async fn a_login_that_the_controller_does_not_survive_ends_with_a_complete_user() {
    const LOGINS: usize = 8;
    let mut random = Random::from_environment("login");
    let names: Vec<String> = (0..LOGINS).map(|number| format!("user{number}")).collect();
    let (world, service) = with_layout("berdl", people(&names.iter().map(String::as_str).collect::<Vec<_>>())).await;
    let open = "cdm-lake/tenant-general-warehouse/globalusers/file";
    world.seed(&[open]).await;
    for name in &names {
        let person = service.person(name);
        let first = tokio::spawn({
            let person = person.clone();
            async move { person.get("/credentials/").await.status }
        });
        tokio::time::sleep(std::time::Duration::from_millis(random.below(150) as u64)).await;
        world.product().kill();
        world.product().launch();
        let status = first.await.unwrap();
        assert!([200, 503].contains(&status), "{name}: {status}");
        logged_in(&person).await;
        // A user as it has to be: home, tables, system folders, what is everybody's, and the texts.
        let s3 = person.at_s3(&world).await;
        let tables = format!("cdm-lake/users-sql-warehouse/{name}/u_{name}__x.db/t");
        for path in [&format!("{GENERAL}/{name}/data/file"), &tables, &format!("cts/io/{name}"), open] {
            assert!(s3.may(Try::Put, path).await, "{name}: {path}");
        }
        assert_eq!(world.keys_below(&format!("{GENERAL}/{name}/README.txt")).await.len(), 1);
        let me = person.get("/workspaces/me").await.expect(200);
        assert_eq!((&me["groups"], &me["total_policies"]), (&json!(["globalusers"]), &json!(3)));
        assert_eq!(world.access_keys(name).await.len(), 1, "{name} has one key and no orphan");
    }
}

/// An account as the legacy service left it, with the documents of its own that it had.
async fn legacy_account(world: &World, name: &str) -> Credentials {
    let credentials = Credentials::new(name, generate_secret());
    world.minio().add_user(name, &credentials.secret, true).await.unwrap();
    let home = format!("arn:aws:s3:::{GENERAL}/{name}/*");
    let document =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": [home]}]});
    let policies = ["home", "system"].map(|kind| format!("user-{kind}-policy-{name}"));
    for policy in &policies {
        world.minio().put_policy(policy, document.to_string()).await.unwrap();
    }
    world.minio().set_mapping(&Holder::User(name.to_owned()), &BTreeSet::from(policies)).await.unwrap();
    credentials
}

#[tokio::test]
async fn who_was_there_before_is_taken_over_only_from_the_legacy_service() {
    let (world, service) = with_layout("berdl", people(&["veteran", "stranger"])).await;
    let old = legacy_account(&world, "veteran").await;
    world.minio().add_user("stranger", &generate_secret(), true).await.unwrap();
    let readwrite = BTreeSet::from(["readwrite".to_owned()]);
    world.minio().set_mapping(&Holder::User("stranger".to_owned()), &readwrite).await.unwrap();
    let before = world.account("stranger").await;

    let veteran = service.person("veteran").at_s3(&world).await;
    let file = format!("{GENERAL}/veteran/data/file");
    world.seed(&[&file]).await;
    veteran.expect(&file, "GPDL").await;
    assert_eq!(world.view("MinioUser", "veteran").await.status("/origin"), "Adopted");
    let old = Caller::new(world.minio().clone(), old);
    assert!(old.may(Try::Get, &file).await, "jobs that run go on with the old secret");

    for _ in 0..2 {
        let answer = service.person("stranger").get("/credentials/").await;
        assert_eq!(answer.code(), (400, Some(20030)), "{}", answer.text);
        assert!(answer.body["message"].as_str().unwrap().contains("exists on MinIO already"), "{}", answer.text);
    }
    assert_eq!(world.account("stranger").await, before, "and nothing was done to it");
    assert!(world.access_keys("stranger").await.is_empty());
}

#[tokio::test]
async fn who_is_disabled_or_locked_stays_so_and_gets_no_key() {
    let (world, service) = with_layout("berdl", people(&["alice", "bob", "veteran"])).await;
    let file = |name: &str| format!("{GENERAL}/{name}/file");
    let (alice, bob) = (service.person("alice").at_s3(&world).await, service.person("bob").at_s3(&world).await);
    world.patch("MinioUser", "alice", json!({"spec": {"enabled": false}})).await;
    world.ready_is("MinioUser", "alice", "True", "Disabled").await;
    world.annotate("MinioUser", "bob", "lock", Some("under investigation")).await;
    world.ready_is("MinioUser", "bob", "True", "Locked").await;
    // Somebody of before whom an administrator has disabled by hand.
    let old = Caller::new(world.minio().clone(), legacy_account(&world, "veteran").await);
    world.minio().set_user_status("veteran", false).await.unwrap();
    for (name, s3) in [("alice", &alice), ("bob", &bob), ("veteran", &old)] {
        let person = service.person(name);
        // The service has a watch of its own, which may be behind that of the test.
        let refused = async || person.get("/credentials/").await.code() == (403, Some(20030));
        world.eventually("the service knows of it", refused).await;
        for answer in [
            person.get("/credentials/process").await,
            person.post("/credentials/rotate").await,
            person.post("/credentials/rotate?revoke=true").await,
            service.person("boss").post(&format!("/management/users/{name}")).await,
            service.person("boss").post(&format!("/management/users/{name}/rotate-credentials")).await,
        ] {
            assert_eq!(answer.code(), (403, Some(20030)), "{name}: {}", answer.text);
            assert!(!answer.text.contains("secret_key"));
        }
        world.seed(&[&file(name)]).await;
        assert!(!world.expect_account(name).await.enabled, "{name}");
        assert!(!s3.may(Try::Get, &file(name)).await, "{name}");
    }
    world.patch("MinioUser", "alice", json!({"spec": {"enabled": true}})).await;
    let back = async || service.person("alice").get("/credentials/").await.status == 200;
    world.eventually("alice is back", back).await;
    alice.expect(&file("alice"), "GPDL").await;
}

#[tokio::test]
async fn where_that_is_configured_a_login_makes_nobody() {
    let (world, service) = with_layout("berdl", people(&["alice"]).with(&["--auto-create=false"])).await;
    let (boss, alice) = (service.person("boss"), service.person("alice"));
    for answer in [alice.get("/credentials/").await, alice.post("/credentials/rotate").await] {
        assert_eq!(answer.code(), (400, Some(20030)), "{}", answer.text);
    }
    assert!(world.objects("MinioUser").await.is_empty());
    boss.post("/management/users/alice").await.expect(201);
    assert!(alice.at_s3(&world).await.may(Try::Put, &format!("{GENERAL}/alice/file")).await);
}

#[tokio::test]
async fn whose_name_is_taken_by_the_object_of_another_gets_an_object_all_the_same() {
    let (world, service) = with_layout("berdl", people(&["alice", "another"])).await;
    world.apply(&user("alice", "username: another")).await;
    world.ready("MinioUser", "alice").await;
    let (alice, another) = (service.person("alice").at_s3(&world).await, service.person("another").at_s3(&world).await);
    let file = format!("{GENERAL}/alice/file");
    assert!(alice.may(Try::Put, &file).await && !another.may(Try::Get, &file).await);
    let objects = world.objects("MinioUser").await;
    let made = objects.iter().find(|view| view.0["spec"]["username"] == "alice").expect("alice has an object");
    let name = made.0["metadata"]["name"].as_str().unwrap();
    let hash = name.strip_prefix("alice-").unwrap_or_default();
    assert!(hash.len() == 10 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    assert_eq!(service.person("alice").get("/credentials/").await.expect(200)["username"], "alice");
    assert_eq!(world.objects("MinioUser").await.len(), 2);
}

#[tokio::test]
async fn names_that_are_no_names_of_databases_have_homes_all_the_same() {
    let names = ["John.Doe", "john.doe", "j-doe_2"];
    let (world, service) = with_layout("berdl", people(&names)).await;
    for name in names {
        let person = service.person(name);
        let s3 = person.at_s3(&world).await;
        let prefix = person.get("/workspaces/me/namespace-prefix").await.expect(200);
        assert_eq!(prefix["user_namespace_prefix"], format!("u_{name}__"));
        let tables = format!("cdm-lake/users-sql-warehouse/{name}/u_{name}__sales.db/orders/part");
        world.seed(&[&tables]).await;
        s3.expect(&tables, "GPDL").await;
        for other in names.iter().filter(|other| **other != name) {
            assert!(!s3.may(Try::List, &format!("{GENERAL}/{other}/")).await, "{name} is not {other}");
        }
    }
}

#[tokio::test]
async fn nothing_of_keys_and_tokens_is_logged() {
    let layout = ["--layout", "berdl"];
    let world = World::own(Setup::default().with(&layout)).await;
    let kubeconfig = rest_kubeconfig(Cluster::shared(), world.namespace()).await;
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    let own: Value = serde_json::from_str(&text).unwrap();
    let own = own["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    let setup = ServiceSetup { kubeconfig: Some(kubeconfig), ..people(&["alice", "bob"]) };
    let service = Service::start(&world, setup.with(&layout).with(&["--log-level", "trace"])).await;
    let (boss, alice, bob) = (service.person("boss"), service.person("alice"), service.person("bob"));
    let mut secrets =
        HashSet::from([own, token("boss"), token("alice"), token("bob"), "unknown-token-0123".to_owned()]);
    let mut note = |body: Value| {
        secrets
            .extend(["secret_key", "SecretAccessKey"].iter().filter_map(|name| body[name].as_str().map(str::to_owned)));
    };
    note(alice.get("/credentials/").await.expect(200));
    note(alice.get("/credentials/process").await.expect(200));
    note(alice.post("/credentials/rotate").await.expect(200));
    note(boss.post("/management/users/bob").await.expect(201));
    note(boss.post("/management/users/bob/rotate-credentials").await.expect(200));
    note(bob.post("/credentials/rotate?revoke=true").await.expect(200));
    let body = json!({"path": format!("s3a://{GENERAL}/alice/data/"), "with_users": ["bob"]});
    alice.post_json("/sharing/share", body).await.expect(200);
    alice.clone().with_token("unknown-token-0123").get("/credentials/").await.expect(401);
    assert!(service.terminate().success());
    let output = service.output();
    assert!(output.len() > 50_000, "this log is too quiet to prove anything: {} bytes", output.len());
    assert_eq!(secrets.len(), 5 + 5, "all of them were noted");
    for secret in &secrets {
        for spelling in [secret.clone(), STANDARD.encode(secret)] {
            let line = output.lines().find(|line| line.contains(&spelling));
            assert!(line.is_none(), "a secret is in the log: {line:?}");
        }
    }
}
