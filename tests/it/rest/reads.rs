//! What callers are shown, compared with what S3 lets them do.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::rest::{Person, Service, ServiceSetup, with_layout};
use crate::support::s3::{Caller, Try};
use crate::support::world::{World, grant, group, share, user};

const GENERAL: &str = "cdm-lake/users-general-warehouse";

/// People and groups, shares and a public folder, all declared by manifests.
async fn berdl() -> (World, Arc<Service>) {
    let people = ServiceSetup::default().person("boss", true).person("nobody", false);
    let people = ["alice", "bob", "carol", "dave"].into_iter().fold(people, |setup, name| setup.person(name, false));
    let (world, service) = with_layout("berdl", people).await;
    let to_group = |name: &str, access: &str| format!("{{kind: Group, name: {name}, access: {access}}}");
    let objects = [
        user("alice", ""),
        user("bob", "policies: [getonly]"),
        user("carol", ""),
        user("dave", "enabled: false"),
        "kind: MinioPolicy
metadata: {name: getonly}
spec:
  document: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: 'arn:aws:s3:::other/*'}]}
"
        .to_owned(),
        group("kbase", "members: [alice], readOnlyMembers: [bob]"),
        group("metro", "members: [bob], readOnlyTwin: Disabled"),
        group("data-team", "members: [alice, dave]"),
        "kind: GroupMembership
metadata: {name: more}
spec: {group: kbase, members: [{name: carol, access: ReadWrite}]}
"
        .to_owned(),
        share("exp", &format!("{GENERAL}/alice/data/exp1/"), &format!("grants: [{}]", grant("bob", "Read"))),
        share("team", &format!("{GENERAL}/alice/team"), &format!("grants: [{}]", to_group("kbase", "ReadWrite"))),
        share("open", &format!("{GENERAL}/alice/open"), "everyone: Read"),
    ];
    world.seed(&[&format!("{GENERAL}/alice/data/exp1/x"), &format!("{GENERAL}/alice/data/other")]).await;
    world.apply(&objects.join("---\n")).await;
    for (kind, names) in [
        ("MinioUser", &["alice", "bob", "carol", "dave"][..]),
        ("MinioGroup", &["kbase", "metro", "data-team"]),
        ("GroupMembership", &["more"]),
        ("PathShare", &["exp", "team", "open"]),
    ] {
        for name in names {
            world.ready(kind, name).await;
        }
    }
    let boss = service.person("boss");
    world.eventually("the service has seen everything", || sees_all(&boss)).await;
    (world, service)
}

/// The service has a watch of its own, which may be behind that of the test: so the last word on each object is awaited.
async fn sees_all(boss: &Person) -> bool {
    let users = boss.get("/management/users").await.expect(200);
    let with_key = |user: &&Value| user["access_key"] != user["username"];
    let policies = boss.get("/management/policies?page_size=500").await.expect(200).to_string();
    let groups = boss.get("/management/groups").await.expect(200);
    let members: u64 = groups["groups"].as_array().unwrap().iter().map(|g| g["member_count"].as_u64().unwrap()).sum();
    let shared = ["alice/data/exp1", "alice/team", "alice/open"].iter().all(|folder| policies.contains(folder));
    users["users"].as_array().unwrap().iter().filter(with_key).count() == 3 && shared && members == 9
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

fn names_of(policies: &Value) -> Vec<&str> {
    policies.as_array().expect("a list").iter().map(|policy| policy["policy_name"].as_str().unwrap()).collect()
}

/// The folder as S3 knows it; where any text may follow, some.
fn listed(path: &str) -> String {
    path.strip_prefix("s3a://").expect("a path with scheme").replace('*', "some")
}

async fn assert_each_can_be_listed(caller: &Caller, paths: &Value) {
    for path in texts(paths) {
        assert!(caller.may(Try::List, &listed(path)).await, "{path}");
    }
}

#[tokio::test]
async fn berdl_shows_people_what_they_can_reach() {
    let (world, service) = berdl().await;
    people_see_their_own(&world, &service).await;
    documents_say_what_s3_does(&world, &service).await;
    groups_are_shown_to_members(&service).await;
    administrators_see_lists(&service).await;
    policies_stay_with_their_objects(&service).await;
    paths_and_queries_are_read_as_ever(&service).await;
    service_forgets_who_goes(&world, &service).await;
}

async fn people_see_their_own(world: &World, service: &Arc<Service>) {
    let bob = service.person("bob");
    let me = bob.get("/workspaces/me").await.expect(200);
    let key = world.view("MinioUser", "bob").await.status("/credentials/accessKey").clone();
    assert_eq!((&me["username"], &me["access_key"], &me["secret_key"]), (&json!("bob"), &key, &json!("<redacted>")));
    assert_eq!(
        me["home_paths"],
        json!(["s3a://cdm-lake/users-general-warehouse/bob/", "s3a://cdm-lake/users-sql-warehouse/bob/"])
    );
    assert_eq!(me["groups"], json!(["globalusers", "kbasero", "metro"]));
    assert_eq!(me["total_policies"], 5);
    assert_eq!(names_of(&me["user_policies"]), ["user-home-policy-bob", "user-system-policy-bob"]);
    let of_groups = ["group-policy-globalusers", "group-policy-kbasero", "group-policy-metro"];
    assert_eq!(names_of(&me["group_policies"]), of_groups);

    let groups = bob.get("/workspaces/me/groups").await.expect(200);
    assert_eq!(groups, json!({"username": "bob", "groups": me["groups"], "group_count": 3}));
    let policies = bob.get("/workspaces/me/policies").await.expect(200);
    assert_eq!(
        (&policies["user_home_policy"], &policies["group_policies"]),
        (&me["user_policies"][0], &me["group_policies"])
    );
    assert_eq!((&policies["user_system_policy"], &policies["total_policies"]), (&me["user_policies"][1], &json!(5)));
    let paths = bob.get("/workspaces/me/accessible-paths").await.expect(200);
    assert_eq!(
        paths["accessible_paths"],
        json!([
            "s3a://cdm-lake/tenant-general-warehouse/globalusers/",
            "s3a://cdm-lake/tenant-general-warehouse/kbase/",
            "s3a://cdm-lake/tenant-general-warehouse/metro/",
            "s3a://cdm-lake/tenant-sql-warehouse/globalusers/",
            "s3a://cdm-lake/tenant-sql-warehouse/globalusers/globalusers_*/",
            "s3a://cdm-lake/tenant-sql-warehouse/kbase/",
            "s3a://cdm-lake/tenant-sql-warehouse/kbase/kbase_*/",
            "s3a://cdm-lake/tenant-sql-warehouse/metro/",
            "s3a://cdm-lake/tenant-sql-warehouse/metro/metro_*/",
            "s3a://cdm-lake/users-general-warehouse/alice/data/exp1/",
            "s3a://cdm-lake/users-general-warehouse/alice/open/",
            "s3a://cdm-lake/users-general-warehouse/bob/",
            "s3a://cdm-lake/users-sql-warehouse/bob/",
            "s3a://cdm-lake/users-sql-warehouse/bob/u_bob__*/",
            "s3a://cdm-spark-job-logs/spark-job-logs/bob/",
            "s3a://cts/io/",
            "s3a://cts/logs/",
        ])
    );
    assert_eq!((&paths["username"], &paths["total_paths"]), (&json!("bob"), &json!(17)));
    assert_eq!(paths["accessible_paths"], me["accessible_paths"]);

    // Disabled: what it would have.
    let dave = service.person("dave").get("/workspaces/me").await.expect(200);
    assert_eq!((&dave["groups"], &dave["access_key"]), (&json!(["data-team", "globalusers"]), &json!("dave")));

    // Who is none yet has no folders; where they will be is known nevertheless.
    let nobody = service.person("nobody");
    for path in ["", "/policies", "/accessible-paths"] {
        let answer = nobody.get(&format!("/workspaces/me{path}")).await;
        assert_eq!(answer.code(), (400, Some(20030)));
        assert_eq!(answer.body["message"], "User nobody not found");
    }
    let none = json!({"username": "nobody", "groups": [], "group_count": 0});
    assert_eq!(nobody.get("/workspaces/me/groups").await.expect(200), none);
    let sql = nobody.get("/workspaces/me/sql-warehouse-prefix").await.expect(200);
    let expected = json!({"username": "nobody", "sql_warehouse_prefix": "s3a://cdm-lake/users-sql-warehouse/nobody/"});
    assert_eq!(sql, expected);
}

async fn documents_say_what_s3_does(world: &World, service: &Arc<Service>) {
    let (bob, carol) = (service.person("bob"), service.person("carol"));
    let (bob_s3, carol_s3) = (bob.at_s3(world).await, carol.at_s3(world).await);
    for (person, s3) in [(&bob, &bob_s3), (&carol, &carol_s3)] {
        let paths = person.get("/workspaces/me/accessible-paths").await.expect(200);
        assert_each_can_be_listed(s3, &paths["accessible_paths"]).await;
        for foreign in ["alice/", "alice/data/", "alice/data/exp", "alice/data/exp10/", "dave/"] {
            assert!(!s3.may(Try::List, &format!("{GENERAL}/{foreign}")).await, "{foreign}");
        }
    }
    assert!(bob_s3.may(Try::Get, &format!("{GENERAL}/alice/data/exp1/x")).await);
    assert!(!bob_s3.may(Try::Get, &format!("{GENERAL}/alice/data/other")).await);
    assert!(
        !bob_s3.may(Try::List, &format!("{GENERAL}/alice/team/")).await,
        "the twin does not get what its group gets"
    );

    // A statement a folder, tried in both directions: what it names is done, and what it does not name is refused.
    let me = bob.get("/workspaces/me").await.expect(200);
    let all = me["user_policies"].as_array().unwrap().iter().chain(me["group_policies"].as_array().unwrap());
    let statements: Vec<&Value> = all.flat_map(|p| p["policy_document"]["statement"].as_array().unwrap()).collect();
    let of = |action: &str| -> BTreeSet<&str> {
        let held = statements.iter().filter(|statement| statement["action"] == action);
        held.flat_map(|statement| texts(&statement["resource"])).collect()
    };
    let folders =
        ["tenant-general-warehouse/kbase", "tenant-general-warehouse/metro", "users-general-warehouse/alice/open"];
    for folder in folders {
        let shown = format!("arn:aws:s3:::cdm-lake/{folder}/*");
        assert!(of("s3:GetObject").contains(shown.as_str()), "{folder}");
        let writes = of("s3:PutObject").contains(shown.as_str());
        assert_eq!(writes, folder.ends_with("metro"));
        assert_eq!(bob_s3.may(Try::Put, &format!("cdm-lake/{folder}/new")).await, writes, "{folder}");
    }
    let actions: BTreeSet<&str> = statements.iter().map(|statement| statement["action"].as_str().unwrap()).collect();
    let known = ["s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:PutObject"];
    assert_eq!(actions, known.into());
    assert!(statements.iter().all(|statement| statement["effect"] == "Allow" && statement["principal"].is_null()));
}

async fn groups_are_shown_to_members(service: &Arc<Service>) {
    let [alice, bob, carol, nobody] = ["alice", "bob", "carol", "nobody"].map(|name| service.person(name));
    let of_kbase = [
        "s3a://cdm-lake/tenant-general-warehouse/kbase/",
        "s3a://cdm-lake/tenant-sql-warehouse/kbase/",
        "s3a://cdm-lake/tenant-sql-warehouse/kbase/kbase_*/",
        "s3a://cdm-lake/users-general-warehouse/alice/team/",
    ];
    let kbase =
        json!({"group_name": "kbase", "members": ["alice", "carol"], "member_count": 2, "accessible_paths": of_kbase});
    for (person, asked) in
        [(&alice, "kbase"), (&alice, "kbasero"), (&bob, "kbase"), (&bob, "kbasero"), (&carol, "kbase")]
    {
        assert_eq!(person.get(&format!("/workspaces/me/groups/{asked}")).await.expect(200), kbase);
        let sql = person.get(&format!("/workspaces/me/groups/{asked}/sql-warehouse-prefix")).await.expect(200);
        let prefix = "s3a://cdm-lake/tenant-sql-warehouse/kbase/";
        assert_eq!(sql, json!({"group_name": "kbase", "sql_warehouse_prefix": prefix}));
        let namespace = person.get(&format!("/workspaces/me/namespace-prefix?tenant={asked}")).await.expect(200);
        assert_eq!((&namespace["tenant"], &namespace["tenant_namespace_prefix"]), (&json!(asked), &json!("kbase_")));
    }
    let own =
        json!({"username": "bob", "user_namespace_prefix": "u_bob__", "tenant": null, "tenant_namespace_prefix": null});
    assert_eq!(bob.get("/workspaces/me/namespace-prefix").await.expect(200), own);

    // Clients ask for every group that they are listed in, whatever its name looks like.
    for person in [&alice, &bob, &carol] {
        let groups = person.get("/workspaces/me/groups").await.expect(200);
        for listed in texts(&groups["groups"]) {
            let answer = person.get(&format!("/workspaces/me/namespace-prefix?tenant={listed}")).await.expect(200);
            let base = if listed == "kbasero" { "kbase" } else { listed };
            assert_eq!(answer["tenant_namespace_prefix"], format!("{base}_"));
            let workspace = person.get(&format!("/workspaces/me/groups/{listed}")).await.expect(200);
            assert_eq!(workspace["group_name"], base);
        }
    }
    let everyone = nobody.get("/workspaces/me/namespace-prefix?tenant=globalusers").await.expect(200);
    assert_eq!(everyone["tenant_namespace_prefix"], "globalusers_");
    let everyone = bob.get("/workspaces/me/groups/globalusers").await.expect(200);
    assert_eq!(everyone["members"], json!(["alice", "bob", "carol"]), "dave is disabled");
    let open = "s3a://cdm-lake/users-general-warehouse/alice/open/";
    assert!(texts(&everyone["accessible_paths"]).contains(&open) && everyone["member_count"] == 3);
    let sql = bob.get("/workspaces/me/groups/globalusers/sql-warehouse-prefix").await.expect(200);
    assert_eq!(sql["sql_warehouse_prefix"], "s3a://cdm-lake/tenant-sql-warehouse/globalusers/");

    for asked in ["metro", "metroro"] {
        let refused = alice.get(&format!("/workspaces/me/groups/{asked}")).await;
        assert_eq!(
            (refused.code(), &refused.body["message"]),
            ((403, Some(20042)), &json!("User is not a member of the group"))
        );
        let refused = alice.get(&format!("/workspaces/me/groups/{asked}/sql-warehouse-prefix")).await;
        assert_eq!(refused.code(), (403, Some(20042)));
        let refused = alice.get(&format!("/workspaces/me/namespace-prefix?tenant={asked}")).await;
        let message = json!("User alice is not a member of the group metro");
        assert_eq!((refused.code(), &refused.body["message"]), ((403, Some(20042)), &message));
    }
    for asked in ["nogroup", "nogroupro"] {
        let refused = alice.get(&format!("/workspaces/me/groups/{asked}")).await;
        let message = json!("Failed to check if user alice is in group nogroup");
        assert_eq!((refused.code(), &refused.body["message"]), ((400, Some(20040)), &message));
        let refused = alice.get(&format!("/workspaces/me/namespace-prefix?tenant={asked}")).await;
        assert_eq!((refused.code(), &refused.body["message"]), ((400, Some(20040)), &json!("Group nogroup not found")));
    }
    for asked in ["globalusersro", "No-Group", "%20"] {
        assert_eq!(alice.get(&format!("/workspaces/me/groups/{asked}")).await.code(), (400, Some(20040)), "{asked}");
    }
}

async fn administrators_see_lists(service: &Arc<Service>) {
    let (boss, bob) = (service.person("boss"), service.person("bob"));
    let people = json!(["alice", "bob", "carol", "dave"]);
    let names = boss.get("/management/users/names").await.expect(200);
    assert_eq!(names, json!({"usernames": people, "total_count": 4}));
    let page = boss.get("/management/users?page=2&page_size=1").await.expect(200);
    assert_eq!(page["users"], json!([bob.get("/workspaces/me").await.expect(200)]));
    let rest = json!({"total_count": 4, "retrieved_count": 1, "page": 2, "page_size": 1, "total_pages": 4,
        "has_next": true, "has_prev": true});
    assert!(rest.as_object().unwrap().iter().all(|(field, value)| page[field] == *value), "{page}");
    let beyond = boss.get("/management/users?page=9").await.expect(200);
    assert_eq!((&beyond["users"], &beyond["has_next"], &beyond["has_prev"]), (&json!([]), &json!(false), &json!(true)));

    let listed = ["data-team", "data-teamro", "globalusers", "kbase", "kbasero", "metro"];
    let groups = boss.get("/management/groups").await.expect(200);
    let summary = |name: &str, members: &[&str]| json!({"group_name": name, "members": members, "member_count": members.len(), "policy_name": format!("group-policy-{name}")});
    let expected = [
        summary(listed[0], &["alice", "dave"]),
        summary(listed[1], &[]),
        summary(listed[2], &["alice", "bob", "carol"]),
        summary(listed[3], &["alice", "carol"]),
        summary(listed[4], &["bob"]),
        summary(listed[5], &["bob"]),
    ];
    assert_eq!(groups, json!({"groups": expected, "total_count": 6}));
    let names = bob.get("/management/groups/names").await.expect(200);
    assert_eq!(names, json!({"group_names": listed, "total_count": 6}), "for everybody with a token");

    let policies = boss.get("/management/policies?page_size=500").await.expect(200);
    let of_groups = listed.map(|group| format!("group-policy-{group}"));
    let of_users = ["home", "system"]
        .map(|kind| ["alice", "bob", "carol", "dave"].map(|user| format!("user-{kind}-policy-{user}")));
    let all: Vec<&str> = of_groups.iter().chain(of_users.as_flattened()).map(String::as_str).collect();
    assert_eq!(names_of(&policies["policies"]), all);
    assert_eq!((&policies["total_count"], &policies["total_pages"]), (&json!(14), &json!(1)));
    let part = boss.get("/management/policies?page=2&page_size=3").await.expect(200);
    assert_eq!(part["policies"].as_array().unwrap()[..], policies["policies"].as_array().unwrap()[3..6]);

    for path in ["/management/users", "/management/users/names", "/management/groups", "/management/policies"] {
        let refused = bob.get(path).await;
        assert_eq!(
            (refused.status, &refused.body["detail"]),
            (403, &json!("Administrator privileges required for this operation"))
        );
    }
}

async fn policies_stay_with_their_objects(service: &Arc<Service>) {
    let boss = service.person("boss");
    for (policy, object) in [
        ("user-home-policy-alice", "MinioUser"),
        ("user-home-policy-alice--2", "MinioUser"),
        ("user-system-policy-dave", "MinioUser"),
        ("group-policy-kbase", "MinioGroup"),
        ("group-policy-kbasero", "MinioGroup"),
        ("group-policy-globalusers", "PathShares"),
        ("getonly", "MinioPolicy"),
    ] {
        let refused = boss.delete(&format!("/management/policies/{policy}")).await;
        assert_eq!(refused.code(), (400, Some(20015)), "{policy}");
        let message = refused.body["message"].as_str().unwrap().to_owned();
        assert!(message.contains(object), "{message}");
    }
    for policy in
        ["readonly", "elsewhere", "user-home-policy-nobody", "group-policy-metroro", "group-policy-globalusersro"]
    {
        let message = format!("Policy {policy} was already deleted or does not exist");
        let expected = json!({"resource_type": "policy", "resource_name": policy, "message": message});
        assert_eq!(boss.delete(&format!("/management/policies/{policy}")).await.expect(200), expected);
    }
    let refused = service.person("bob").delete("/management/policies/elsewhere").await;
    assert_eq!(refused.status, 403);
}

async fn paths_and_queries_are_read_as_ever(service: &Arc<Service>) {
    let (boss, bob) = (service.person("boss"), service.person("bob"));
    let me = bob.get("/workspaces/me").await;
    assert!(me.headers["content-type"].starts_with("application/json"));
    assert_eq!(bob.get("/workspaces/me/").await.expect(200), me.body, "both spellings of the last slash");
    let own = bob.get("/workspaces/me/groups").await.expect(200);
    assert_eq!(bob.get("/workspaces/me/groups/").await.expect(200), own);
    assert_eq!(service.nobody().get("/workspaces/me").await.code(), (401, Some(10010)));
    for method in [Method::HEAD, Method::OPTIONS, Method::PUT] {
        let refused = Person::send(bob.request(method.clone(), "/workspaces/me/groups/kbase")).await;
        assert_eq!((refused.status, refused.headers["allow"].as_str()), (405, "GET"), "{method}");
    }
    for path in ["kb%2Fase", "kbase%2fsql-warehouse-prefix", "kb%252Fase/more"] {
        assert_eq!(bob.get(&format!("/workspaces/me/groups/{path}")).await.status, 404, "{path}");
    }
    assert_eq!(boss.delete("/management/policies/a%2Fb").await.status, 404);
    assert_eq!(bob.get("/workspaces/me/groups/%ff").await.status, 404);
    assert_eq!(bob.get("/workspaces/me/groups/%6Bbase").await.expect(200)["group_name"], "kbase", "decoded once");

    let namespace = bob.get("/workspaces/me/namespace-prefix?tenant=metro&x=y&tenant=kbasero").await.expect(200);
    assert_eq!(namespace["tenant"], "kbasero", "the last one wins, and unknown ones do not count");
    let empty = bob.get("/workspaces/me/namespace-prefix?tenant=").await;
    assert_eq!((empty.status, &empty.body["detail"][0]["loc"]), (422, &json!(["query", "tenant"])));
    for query in ["page=0", "page=x", "page_size=501", "page_size=0"] {
        for list in ["users", "policies"] {
            let refused = boss.get(&format!("/management/{list}?{query}")).await;
            let place = json!(["query", query.split('=').next().unwrap()]);
            assert_eq!((refused.status, &refused.body["detail"][0]["loc"]), (422, &place), "{list} {query}");
        }
    }
}

async fn service_forgets_who_goes(world: &World, service: &Arc<Service>) {
    let (boss, bob) = (service.person("boss"), service.person("bob"));
    world.delete_and_wait("MinioUser", "carol").await;
    world.delete_and_wait("MinioGroup", "metro").await;
    world
        .eventually("carol and metro are shown no more", || async {
            let names = boss.get("/management/users/names").await.expect(200);
            let groups = bob.get("/workspaces/me/groups").await.expect(200);
            names["usernames"] == json!(["alice", "bob", "dave"])
                && groups["groups"] == json!(["globalusers", "kbasero"])
        })
        .await;
    assert_eq!(service.person("carol").get("/workspaces/me").await.code(), (400, Some(20030)));
    let kbase = bob.get("/workspaces/me/groups/kbase").await.expect(200);
    assert_eq!(kbase["members"], json!(["alice"]));
    assert_eq!(bob.get("/workspaces/me/namespace-prefix?tenant=metro").await.code(), (400, Some(20040)));
}

#[tokio::test]
async fn simple_shows_the_same_in_its_own_folders() {
    let people = ServiceSetup::default().person("boss", true).person("alice", false).person("bob@x.org", false);
    let (world, service) = with_layout("simple", people).await;
    let objects = [
        user("alice", ""),
        user("bob", "username: bob@x.org"),
        group("team", "groupName: My.Team, readOnlyMembers: ['bob@x.org'], members: [alice]"),
        share("exp", "lake/homes/alice/exp", &format!("grants: [{}]", grant("bob@x.org", "ReadWrite"))),
        share("open", "lake/homes/alice/open", "everyone: Read"),
    ];
    world.apply(&objects.join("---\n")).await;
    for (kind, name) in [
        ("MinioUser", "alice"),
        ("MinioUser", "bob"),
        ("MinioGroup", "team"),
        ("PathShare", "exp"),
        ("PathShare", "open"),
    ] {
        world.ready(kind, name).await;
    }
    let (boss, bob) = (service.person("boss"), service.person("bob@x.org"));
    let paths = [
        "s3a://lake/homes/alice/exp/",
        "s3a://lake/homes/alice/open/",
        "s3a://lake/homes/bob@x.org/",
        "s3a://lake/teams/My.Team/",
    ];
    world
        .eventually("the service has seen everything", || async {
            let me = bob.get("/workspaces/me").await;
            me.body["accessible_paths"] == json!(paths) && me.body["access_key"] != "bob@x.org"
        })
        .await;

    let me = bob.get("/workspaces/me").await.expect(200);
    assert_eq!((&me["home_paths"], &me["groups"]), (&json!(["s3a://lake/homes/bob@x.org/"]), &json!(["My.Team-ro"])));
    assert_eq!(names_of(&me["user_policies"]), ["user-home-policy-bob@x.org"]);
    assert_eq!((names_of(&me["group_policies"]), &me["total_policies"]), (vec!["group-policy-My.Team-ro"], &json!(2)));
    let policies = bob.get("/workspaces/me/policies").await.expect(200);
    let system = json!({"policy_name": "user-system-policy-bob@x.org",
        "policy_document": {"version": "2012-10-17", "statement": []}});
    assert_eq!((&policies["user_system_policy"], &policies["total_policies"]), (&system, &json!(2)));
    let sql = bob.get("/workspaces/me/sql-warehouse-prefix").await.expect(200);
    assert_eq!(sql["sql_warehouse_prefix"], "s3a://lake/homes/bob@x.org/");
    for asked in ["My.Team", "My.Team-ro"] {
        let team = bob.get(&format!("/workspaces/me/groups/{asked}")).await.expect(200);
        let expected = json!({"group_name": "My.Team", "members": ["alice"], "member_count": 1,
            "accessible_paths": ["s3a://lake/teams/My.Team/"]});
        assert_eq!(team, expected);
        let sql = bob.get(&format!("/workspaces/me/groups/{asked}/sql-warehouse-prefix")).await.expect(200);
        assert_eq!(sql["sql_warehouse_prefix"], "s3a://lake/teams/My.Team/");
        let prefix = bob.get(&format!("/workspaces/me/namespace-prefix?tenant={asked}")).await.expect(200);
        assert_eq!(
            (&prefix["tenant_namespace_prefix"], &prefix["user_namespace_prefix"]),
            (&json!("My.Team_"), &json!("u_bob@x.org__"))
        );
    }
    assert_eq!(bob.get("/workspaces/me/groups/globalusers").await.code(), (400, Some(20040)));
    let names = bob.get("/management/groups/names").await.expect(200);
    assert_eq!(names, json!({"group_names": ["My.Team", "My.Team-ro"], "total_count": 2}));
    let policies = boss.get("/management/policies").await.expect(200);
    let all = [
        "group-policy-My.Team",
        "group-policy-My.Team-ro",
        "group-policy-globalusers",
        "user-home-policy-alice",
        "user-home-policy-bob@x.org",
    ];
    assert_eq!(names_of(&policies["policies"]), all);

    let s3 = bob.at_s3(&world).await;
    assert_each_can_be_listed(&s3, &me["accessible_paths"]).await;
    for unlisted in
        ["lake/homes/alice/", "lake/homes/alice/ex", "lake/homes/alice/other/", "lake/teams/Other/", "lake/"]
    {
        assert!(!s3.may(Try::List, unlisted).await, "{unlisted}");
    }
    assert!(s3.may(Try::Put, "lake/homes/alice/exp/new").await && !s3.may(Try::Put, "lake/homes/alice/open/new").await);
    assert!(!s3.may(Try::Put, "lake/teams/My.Team/new").await);
}
