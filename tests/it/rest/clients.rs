//! The programs that call the service in a platform like BERDL: each test makes the calls of one of them, in its order and
//! with its bodies, and reads what it reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use minio_manager::minio::Credentials;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::minio::unique;
use crate::support::rest::{Answer, Person, Service, ServiceSetup, with_layout};
use crate::support::s3::{Caller, Try};
use crate::support::world::World;

async fn platform(people: &[&str]) -> (World, Arc<Service>) {
    let setup =
        people.iter().fold(ServiceSetup::default().person("boss", true), |setup, name| setup.person(name, false));
    let (world, service) = with_layout("berdl", setup.with(&["--rest-writes-per-second", "0"])).await;
    service.person("boss").get("/credentials/").await.expect(200);
    (world, service)
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    let text = body[name].as_str().unwrap_or_else(|| panic!("no text {name} in {body}"));
    assert!(!text.is_empty(), "{name} is empty");
    text
}

fn caller(world: &World, key: &Value) -> Caller {
    Caller::new(world.minio().clone(), Credentials::new(text(key, "access_key"), text(key, "secret_key")))
}

/// As `curl -sf -m 10` and HTTP clients with this limit: no redirects, no second try.
async fn within_ten_seconds(person: &Person, path: &str) -> Value {
    Person::send(person.request(Method::GET, path).timeout(Duration::from_secs(10))).await.expect(200)
}

/// Three processes of one notebook server ask for the key in turn; a database listing asks for all the groups at once.
#[tokio::test]
async fn a_notebook_starts() {
    let (world, service) = platform(&["alice"]).await;
    let (boss, alice) = (service.person("boss"), service.person("alice"));
    // The entry point, the server and the kernel.
    let first = within_ten_seconds(&alice, "/credentials/").await;
    let s3 = caller(&world, &first);
    for _ in 0..2 {
        assert_eq!(within_ten_seconds(&alice, "/credentials/").await, first, "each of them gets the same key");
    }
    assert_eq!(alice.get("/health").await.expect(200)["status"], "healthy");
    boss.post("/management/groups/kbase").await.expect(201);
    boss.post("/management/groups/kbase/members/alice").await.expect(200);
    boss.post("/management/groups/cohort").await.expect(201);
    boss.post("/management/groups/cohortro/members/alice").await.expect(200);

    // The server mounts every listed group: writable when the group itself is listed, readable when only its twin is.
    let workspace = alice.get("/workspaces/me").await.expect(200);
    assert_eq!(text(&workspace, "username"), "alice");
    let groups = alice.get("/workspaces/me/groups").await.expect(200);
    assert_eq!(groups["group_count"], texts(&groups["groups"]).len());
    let mut mounts: BTreeMap<&str, bool> = BTreeMap::new();
    for group in texts(&groups["groups"]) {
        let base = group.strip_suffix("ro").unwrap_or(group);
        *mounts.entry(base).or_default() |= base == group;
    }
    assert_eq!(mounts, BTreeMap::from([("cohort", false), ("globalusers", true), ("kbase", true)]));
    for (group, writable) in mounts {
        for place in [format!("tenant-general-warehouse/{group}"), format!("tenant-sql-warehouse/{group}/{group}_x.db")]
        {
            let file = format!("cdm-lake/{place}/file");
            world.seed(&[&file]).await;
            s3.expect(&file, if writable { "GPDL" } else { "GL" }).await;
        }
    }

    // The listing of databases: one failure fails it all.
    let prefix = |group: Option<&str>| {
        let query = group.map(|group| format!("?tenant={group}")).unwrap_or_default();
        let alice = alice.clone();
        async move { alice.get(&format!("/workspaces/me/namespace-prefix{query}")).await.expect(200) }
    };
    assert_eq!(text(&prefix(None).await, "user_namespace_prefix"), "u_alice__");
    let prefixes = join_all(texts(&groups["groups"]).into_iter().map(|group| prefix(Some(group)))).await;
    let tenants: Vec<&str> = prefixes.iter().map(|answer| text(answer, "tenant_namespace_prefix")).collect();
    assert_eq!(tenants, ["cohort_", "globalusers_", "kbase_"]);

    // Spark: where tables are, and where it logs.
    let warehouse = alice.get("/workspaces/me/sql-warehouse-prefix").await.expect(200);
    let tables = text(&warehouse, "sql_warehouse_prefix").strip_prefix("s3a://").expect("s3a");
    assert_eq!(tables.trim_end_matches('/').rsplit('/').next(), Some("alice"));
    assert!(tables.contains("users-sql-warehouse"));
    let of_group = alice.get("/workspaces/me/groups/kbase/sql-warehouse-prefix").await.expect(200);
    assert!(text(&of_group, "sql_warehouse_prefix").contains("tenant-sql-warehouse/kbase/"));
    for file in [format!("{tables}u_alice__x.db/t/part"), "cdm-spark-job-logs/spark-job-logs/alice/app".to_owned()] {
        assert!(s3.may(Try::Put, &file).await && s3.may(Try::Get, &file).await, "{file}");
    }
    let rotated = alice.post("/credentials/rotate").await.expect(200);
    assert!(caller(&world, &rotated).may(Try::List, "cdm-lake/users-general-warehouse/alice/").await);
}

/// The sharing functions of the notebook library; a body is what its generated client sends.
#[tokio::test]
async fn a_notebook_shares_tables() {
    let (world, service) = platform(&["alice", "bob"]).await;
    let alice = service.person("alice");
    alice.get("/credentials/").await.expect(200);
    let bob = service.person("bob").at_s3(&world).await;
    let table = "cdm-lake/users-sql-warehouse/alice/u_alice__sales.db/orders";
    let (path, file) = (format!("s3a://{table}"), format!("{table}/part"));
    world.seed(&[&file]).await;
    let share = |users: &[&str]| json!({"path": path, "with_users": users, "with_groups": [], "permission": "write"});
    let shared = alice.post_json("/sharing/share", share(&["bob"])).await.expect(200);
    bob.expect(&file, "GPDL").await;
    assert_eq!(shared["errors"], json!([]));
    let info = alice.post_json("/sharing/get_path_access_info", json!({"path": path})).await.expect(200);
    assert_eq!(
        (&info["users"], &info["groups"], &info["public"]),
        (&json!(["alice", "bob"]), &json!([]), &json!(false))
    );
    // The databases that others share are found by the first segment that ends in `.db`.
    let paths = service.person("bob").get("/workspaces/me/accessible-paths").await.expect(200);
    let is_of_others = |path: &&str| path.contains("/users-sql-warehouse/") && !path.contains("/bob/");
    let found = texts(&paths["accessible_paths"]).into_iter().find(is_of_others).expect("what alice shares");
    assert_eq!(found.split('/').find(|segment| segment.ends_with(".db")), Some("u_alice__sales.db"));

    // Partial failures must say what failed, with all that a success says.
    let partial = alice.post_json("/sharing/share", share(&["bob", "nobody"])).await.expect(207);
    assert_eq!((texts(&partial["errors"]).len(), &partial["success_count"]), (1, &json!(1)));
    let unshare = json!({"path": path, "from_users": ["bob"], "from_groups": []});
    assert_eq!(alice.post_json("/sharing/unshare", unshare).await.expect(200)["errors"], json!([]));
    bob.expect(&file, "").await;
    for (call, public, rights) in [("make-public", true, "GL"), ("make-private", false, "")] {
        let answer = alice.post_json(&format!("/sharing/{call}"), json!({"path": path})).await.expect(200);
        bob.expect(&file, rights).await;
        assert_eq!(answer["is_public"], public);
    }
    let policies = alice.get("/workspaces/me/policies").await.expect(200);
    assert!(policies["user_home_policy"]["policy_document"]["statement"].is_array());
}

/// What administrators do in notebooks: groups with their twins, lists of everything.
#[tokio::test]
async fn a_notebook_manages_tenants() {
    let (_world, service) = platform(&["alice", "bob"]).await;
    let (boss, alice) = (service.person("boss"), service.person("alice"));
    for name in ["alice", "bob"] {
        service.person(name).get("/credentials/").await.expect(200);
    }
    let made = boss.post("/management/groups/kbase").await.expect(201);
    assert_eq!((text(&made, "group_name"), text(&made, "ro_group_name")), ("kbase", "kbasero"));
    for (group, user) in [("kbase", "alice"), ("kbasero", "bob")] {
        let member = boss.post(&format!("/management/groups/{group}/members/{user}")).await.expect(200);
        assert_eq!(text(&member, "operation"), "add_member");
    }
    let names = alice.get("/management/groups/names").await.expect(200);
    let base = |name: &&str| !name.ends_with("ro");
    let available: Vec<&str> = texts(&names["group_names"]).into_iter().filter(base).collect();
    assert_eq!(available, ["globalusers", "kbase"]);
    let groups = boss.get("/management/groups").await.expect(200);
    let member_of = |name: &str| {
        let found = groups["groups"].as_array().unwrap().iter().find(|group| group["group_name"] == name);
        texts(&found.expect("it is listed")["members"])
    };
    assert_eq!((member_of("kbase"), member_of("kbasero")), (vec!["alice", "boss"], vec!["bob"]));
    assert_eq!(groups["total_count"], 3);
    let users = boss.get("/management/users?page=1&page_size=500").await.expect(200);
    assert_eq!(users["retrieved_count"], 3);
    let bob = users["users"].as_array().unwrap().iter().find(|user| user["username"] == "bob").expect("bob is listed");
    assert_eq!(texts(&bob["groups"]), ["globalusers", "kbasero"]);
    assert_eq!(boss.get("/management/users/names").await.expect(200)["usernames"], json!(["alice", "bob", "boss"]));
    for (group, user) in [("kbase", "alice"), ("kbasero", "bob")] {
        let member = boss.delete(&format!("/management/groups/{group}/members/{user}")).await.expect(200);
        assert_eq!(text(&member, "operation"), "remove_member");
    }
    assert_eq!(text(&alice.post("/management/groups/other").await.expect(403), "message"), NOT_ADMIN);
}

const NOT_ADMIN: &str = "Administrator privileges required for this operation";

/// A server for language models asks for the key with every request that it gets, while a notebook of the same user runs.
#[tokio::test]
async fn a_server_that_asks_for_the_key_with_every_request_disturbs_no_notebook() {
    let (world, service) = platform(&["alice"]).await;
    let (boss, alice) = (service.person("boss"), service.person("alice"));
    let notebook = alice.at_s3(&world).await;
    boss.post("/management/groups/kbase").await.expect(201);
    boss.post("/management/groups/kbasero/members/alice").await.expect(200);
    let file = "cdm-lake/users-general-warehouse/alice/file";
    world.seed(&[file]).await;
    let request = async || {
        let key = within_ten_seconds(&alice, "/credentials/").await;
        assert_eq!(text(&key, "username"), "alice");
        assert!(caller(&world, &key).may(Try::Get, file).await);
        assert!(notebook.may(Try::Get, file).await, "the notebook's key goes on");
    };
    join_all((0..20).map(|_| request())).await;
    let own = alice.get("/workspaces/me/namespace-prefix").await.expect(200);
    let groups = alice.get("/workspaces/me/groups").await.expect(200);
    let mut prefixes = vec![text(&own, "user_namespace_prefix").to_owned()];
    for group in texts(&groups["groups"]) {
        let answer = alice.get(&format!("/workspaces/me/namespace-prefix?tenant={group}")).await.expect(200);
        prefixes.push(text(&answer, "tenant_namespace_prefix").to_owned());
    }
    assert_eq!(prefixes, ["u_alice__", "globalusers_", "kbase_"]);
    let paths = alice.get("/workspaces/me/accessible-paths").await.expect(200);
    assert!(texts(&paths["accessible_paths"]).iter().all(|path| path.starts_with("s3a://") && path.ends_with('/')));
}

/// What a chat bot shows of an error: `detail` if it is there, else `message`.
fn shown(answer: &Answer) -> String {
    let detail = answer.body.get("detail").and_then(Value::as_str);
    detail.or_else(|| answer.body["message"].as_str()).expect("words for a person").to_owned()
}

/// A bot adds members with the token of the administrator who approves, without a body.
#[tokio::test]
async fn a_bot_grants_access_to_tenants() {
    let (world, service) = platform(&["alice"]).await;
    let boss = service.person("boss");
    let alice = service.person("alice").at_s3(&world).await;
    boss.post("/management/groups/kbase").await.expect(201);
    let file = "cdm-lake/tenant-general-warehouse/kbase/file";
    world.seed(&[file]).await;
    let grant = async |who: &Person, group: &str, user: &str| {
        let path = format!("/management/groups/{group}/members/{user}");
        Person::send(who.request(Method::POST, &path).timeout(Duration::from_secs(30))).await
    };
    for (group, rights) in [("kbasero", "GL"), ("kbase", "GPDL")] {
        grant(&boss, group, "alice").await.expect(200);
        alice.expect(file, rights).await;
    }
    let refused = grant(&boss, "kbase", "nobody").await;
    assert_eq!((refused.status, shown(&refused).as_str()), (400, "User nobody does not exist"));
    let refused = grant(&boss, "unknown", "alice").await;
    assert_eq!((refused.status, shown(&refused).as_str()), (400, "Group unknown not found"));
    let refused = grant(&service.person("alice"), "kbase", "alice").await;
    assert_eq!((refused.status, shown(&refused).as_str()), (403, NOT_ADMIN));
    let refused = grant(&boss.clone().with_token("an-old-token"), "kbase", "alice").await;
    assert_eq!((refused.status, shown(&refused).is_empty()), (401, false));
}

/// A hand-written client, which spawners and notebooks use: it takes every 2xx for the body of a success and reads three
/// fields of every error.
#[tokio::test]
async fn a_spawner_with_a_client_of_its_own() {
    let (world, service) = platform(&["alice", "bob"]).await;
    let alice = service.person("alice");
    // Before the spawn; the same call also makes the user.
    let key = within_ten_seconds(&alice, "/credentials/").await;
    assert!(caller(&world, &key).may(Try::Put, "cdm-lake/users-general-warehouse/alice/file").await);
    service.person("bob").get("/credentials/").await.expect(200);
    let path = "s3a://cdm-lake/users-general-warehouse/alice/data/";
    let share = json!({"path": path, "with_users": ["bob", "nobody"], "with_groups": [], "permission": "read"});
    let unshare = json!({"path": path, "from_users": ["bob", "nobody"], "from_groups": []});
    for (call, body, word) in [("share", share, "shared"), ("unshare", unshare, "unshared")] {
        let answer = alice.post_json(&format!("/sharing/{call}"), body).await.expect(207);
        let preposition = if call == "share" { "with" } else { "from" };
        let users = format!("{word}_{preposition}_users");
        assert_eq!(text(&answer, "path"), path);
        assert_eq!(texts(&answer[&users]), ["bob"]);
        assert_eq!(answer[format!("{word}_{preposition}_groups")], json!([]));
        assert_eq!((texts(&answer["errors"]).len(), &answer["success_count"]), (1, &json!(1)));
        assert_eq!(text(&answer, &format!("{word}_by")), "alice");
        // Python reads times with `fromisoformat`.
        let at: jiff::Timestamp = text(&answer, &format!("{word}_at")).parse().expect("a time with an offset");
        assert!(at <= jiff::Timestamp::now());
    }
    let me = alice.get("/workspaces/me").await.expect(200);
    for name in ["home_paths", "groups", "user_policies", "group_policies", "accessible_paths"] {
        assert!(me[name].is_array(), "{name}");
    }
    assert!(me["total_policies"].is_u64() && me["username"].is_string() && me["access_key"].is_string());
    let policies = alice.get("/workspaces/me/policies").await.expect(200);
    assert!(policies["user_home_policy"]["policy_document"].is_object());
    for (answer, code) in [
        (alice.post_json("/sharing/make-public", json!({"path": "s3a://cdm-lake/x/"})).await, json!(20042)),
        (alice.post_json("/sharing/share", json!({"path": "x"})).await, json!(20015)),
        (alice.get("/workspaces/me/groups/nogroup/sql-warehouse-prefix").await, json!(20040)),
        (service.nobody().get("/credentials/").await, json!(10010)),
        (alice.get("/management/users").await, json!(null)),
    ] {
        assert_eq!(answer.body["error"], code, "{}", answer.text);
        assert_eq!(answer.body["error_type"].is_string(), !code.is_null(), "{}", answer.text);
        text(&answer.body, "message");
    }
}

/// A suite of black-box tests on real storage: whatever was answered is looked at once, without waiting.
#[tokio::test]
async fn a_suite_that_looks_at_storage_right_after_each_answer() {
    let (world, service) = platform(&["alice", "bob"]).await;
    let (boss, nobody) = (service.person("boss"), service.nobody());
    let alice = service.person("alice").at_s3(&world).await;
    let bob = service.person("bob").at_s3(&world).await;
    let paths = service.person("alice").get("/workspaces/me/accessible-paths").await.expect(200);
    assert_eq!(paths["total_paths"], 9, "of a fresh user");
    let me = service.person("alice").get("/workspaces/me").await.expect(200);
    assert_eq!(me["total_policies"], 3);
    let group = unique("suite").replace('-', "");
    let (tenant, member) =
        (format!("/management/groups/{group}"), |user: &str| format!("/management/groups/{group}/members/{user}"));
    boss.post_json(&tenant, json!({"members": []})).await.expect(201);
    let file = format!("cdm-lake/tenant-general-warehouse/{group}/file");
    world.seed(&[&file]).await;
    for (who, s3) in [("alice", &alice), ("bob", &bob)] {
        let answer = boss.post(&member(who)).await.expect(200);
        s3.expect(&file, "GPDL").await;
        assert!(texts(&answer["members"]).contains(&who) && answer["ro_group_name"].is_null());
    }
    boss.delete(&member("bob")).await.expect(200);
    bob.expect(&file, "").await;
    let own = "cdm-lake/users-general-warehouse/alice/data/file";
    assert!(alice.may(Try::Put, own).await);
    let folder = "s3a://cdm-lake/users-general-warehouse/alice/data";
    let sharer = service.person("alice");
    for (permission, rights) in [("read", "GL"), ("write", "GPDL"), ("read", "GL")] {
        let body = json!({"path": folder, "with_users": ["bob"], "permission": permission});
        sharer.post_json("/sharing/share", body).await.expect(200);
        bob.expect(own, rights).await;
    }
    let info = sharer.post_json("/sharing/get_path_access_info", json!({"path": folder})).await.expect(200);
    assert!(texts(&info["users"]).contains(&"alice"), "the owner is among them");
    sharer.post_json("/sharing/unshare", json!({"path": folder, "from_users": ["bob"]})).await.expect(200);
    bob.expect(own, "").await;
    for member_left in ["alice", "boss"] {
        boss.delete(&member(member_left)).await.expect(200);
    }
    alice.expect(&file, "").await;
    boss.delete(&tenant).await.expect(200);
    assert!([400, 404].contains(&boss.delete(&tenant).await.status), "it is gone");
    for path in ["/credentials/", "/workspaces/me", "/management/users"] {
        assert_eq!(nobody.get(path).await.status, 401, "{path}");
    }
}
