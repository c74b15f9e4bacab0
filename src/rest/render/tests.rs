//! Objects as manifests, and what is shown of them.

use kube::core::DynamicObject;
use serde_json::json;

use super::*;
use crate::iam::index::{Index, IndexConfig};
use crate::iam::layout::{BerdlParameters, Layout, LayoutSpec};
use crate::iam::subject::Kind;
use crate::kubernetes::decode_dynamic;
use crate::kubernetes::watch::Sink;
use crate::rest::view::View;

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

/// A view of these objects: kind, name, spec.
fn view(layout: &LayoutSpec, objects: &[(Kind, &str, Value)]) -> View {
    let layout = Layout::new(layout, &BerdlParameters::default()).unwrap();
    let view = View::new(Index::new(IndexConfig::new(layout, "lake")));
    for (kind, name, spec) in objects {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "minio-manager.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "lake", "uid": format!("uid-{name}"), "generation": 1},
            "spec": spec,
            "status": {"origin": "Created", "conditions": []},
        }))
        .unwrap();
        view.upsert(decode_dynamic(*kind, object));
    }
    view
}

fn user(name: &str) -> (Kind, &str, Value) {
    (Kind::MinioUser, name, json!({}))
}

fn share(name: &'static str, path: &str, more: Value) -> (Kind, &'static str, Value) {
    let mut spec = json!({"path": path});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    (Kind::PathShare, name, spec)
}

fn model(view: &View, user: &str) -> UserModel {
    view.read(|known| Picture::new(known).user(&name(user)))
}

fn group_policy(view: &View, group: &str) -> Arc<PolicyModel> {
    view.read(|known| Picture::new(known).policy_of(&Holder::Group(group.to_owned())))
}

/// The statements in short: action, resources without `arn:aws:s3:::`, and listed prefixes.
fn short(policy: &PolicyModel) -> Vec<String> {
    let texts =
        |list: &[String]| list.iter().map(|text| text.replace("arn:aws:s3:::", "")).collect::<Vec<_>>().join(" ");
    let statements = policy.policy_document.statement.iter();
    let line = |statement: &PolicyStatement| {
        let shown = serde_json::to_value(statement).unwrap();
        let prefixes = shown["condition"]["StringLike"]["s3:prefix"].as_array();
        let prefixes =
            prefixes.map(|list| list.iter().map(|prefix| prefix.as_str().unwrap().to_owned()).collect::<Vec<_>>());
        let prefixes = prefixes.map(|list| format!(" [{}]", list.join(" "))).unwrap_or_default();
        format!("{} {}{prefixes}", shown["action"].as_str().unwrap(), texts(&statement.resource))
    };
    statements.map(line).collect()
}

#[test]
fn a_fresh_user_of_berdl_has_the_nine_folders_and_the_statements_of_the_legacy_service() {
    let view = view(&LayoutSpec::Berdl, &[user("alice")]);
    let alice = model(&view, "alice");
    assert_eq!(
        alice.accessible_paths,
        [
            "s3a://cdm-lake/tenant-general-warehouse/globalusers/",
            "s3a://cdm-lake/tenant-sql-warehouse/globalusers/",
            "s3a://cdm-lake/tenant-sql-warehouse/globalusers/globalusers_*/",
            "s3a://cdm-lake/users-general-warehouse/alice/",
            "s3a://cdm-lake/users-sql-warehouse/alice/",
            "s3a://cdm-lake/users-sql-warehouse/alice/u_alice__*/",
            "s3a://cdm-spark-job-logs/spark-job-logs/alice/",
            "s3a://cts/io/",
            "s3a://cts/logs/",
        ]
    );
    assert_eq!(
        alice.home_paths,
        ["s3a://cdm-lake/users-general-warehouse/alice/", "s3a://cdm-lake/users-sql-warehouse/alice/"]
    );
    let names = |policies: &[Arc<PolicyModel>]| policies.iter().map(|p| p.policy_name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&alice.user_policies), ["user-home-policy-alice", "user-system-policy-alice"]);
    assert_eq!(names(&alice.group_policies), ["group-policy-globalusers"]);
    assert_eq!((alice.total_policies, alice.groups), (3, vec!["globalusers".to_owned()]));
    assert_eq!((alice.access_key.as_str(), alice.secret_key.as_deref()), ("alice", Some("<redacted>")));

    let (general, sql) = ("users-general-warehouse/alice", "users-sql-warehouse/alice");
    let tables = format!("{sql}/u_alice__*");
    let objects = |folders: &[&str]| -> String {
        folders.iter().map(|folder| format!("cdm-lake/{folder} cdm-lake/{folder}/*")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        short(&alice.user_policies[0]),
        [
            "s3:GetBucketLocation cdm-lake".to_owned(),
            format!("s3:ListBucket cdm-lake [{general}/* {sql}/* {tables}/*]"),
            format!("s3:GetObject {}", objects(&[general, sql, &tables])),
            format!("s3:PutObject {}", objects(&[general, &tables])),
            format!("s3:DeleteObject {}", objects(&[general, &tables])),
        ]
    );
    let logs = "cdm-spark-job-logs/spark-job-logs/alice cdm-spark-job-logs/spark-job-logs/alice/*";
    assert_eq!(
        short(&alice.user_policies[1]),
        [
            "s3:GetBucketLocation cdm-spark-job-logs".to_owned(),
            "s3:GetBucketLocation cts".to_owned(),
            "s3:ListBucket cdm-spark-job-logs [spark-job-logs/alice/*]".to_owned(),
            "s3:ListBucket cts [io/* logs/*]".to_owned(),
            format!("s3:GetObject {logs} cts/io cts/io/* cts/logs cts/logs/*"),
            format!("s3:PutObject {logs} cts/io cts/io/*"),
            format!("s3:DeleteObject {logs} cts/io cts/io/*"),
        ]
    );
}

#[test]
fn documents_have_the_shape_that_generated_clients_read() {
    let view = view(&LayoutSpec::Simple, &[user("alice")]);
    let shown = view.read(|known| Picture::new(known).policy_of(&Holder::Home(name("alice"))));
    assert_eq!(
        serde_json::to_value(&shown).unwrap(),
        json!({"policy_name": "user-home-policy-alice", "policy_document": {"version": "2012-10-17", "statement": [
            {"effect": "Allow", "action": "s3:GetBucketLocation", "resource": ["arn:aws:s3:::lake"],
             "condition": null, "principal": null},
            {"effect": "Allow", "action": "s3:ListBucket", "resource": ["arn:aws:s3:::lake"],
             "condition": {"StringLike": {"s3:prefix": ["homes/alice/*"]}}, "principal": null},
            {"effect": "Allow", "action": "s3:GetObject",
             "resource": ["arn:aws:s3:::lake/homes/alice", "arn:aws:s3:::lake/homes/alice/*"],
             "condition": null, "principal": null},
            {"effect": "Allow", "action": "s3:PutObject",
             "resource": ["arn:aws:s3:::lake/homes/alice", "arn:aws:s3:::lake/homes/alice/*"],
             "condition": null, "principal": null},
            {"effect": "Allow", "action": "s3:DeleteObject",
             "resource": ["arn:aws:s3:::lake/homes/alice", "arn:aws:s3:::lake/homes/alice/*"],
             "condition": null, "principal": null},
        ]}})
    );
    let system = view.read(|known| Picture::new(known).policy_of(&Holder::System(name("alice"))));
    assert_eq!((system.policy_name.as_str(), short(&system)), ("user-system-policy-alice", vec![]));
}

#[test]
fn shares_show_in_the_documents_and_folders_of_those_who_get_them() {
    let to = |kind: &str, name: &str, access: &str| json!({"kind": kind, "name": name, "access": access});
    let grants = [to("User", "bob", "Read"), to("Group", "kbase", "ReadWrite"), to("Group", "kbasero", "Read")];
    let objects = [
        user("alice"),
        user("bob"),
        user("carol"),
        user("dave"),
        (Kind::MinioGroup, "kbase", json!({"members": ["carol"], "readOnlyMembers": ["dave"]})),
        share("some", "s3a://cdm-lake/users-general-warehouse/alice/data/exp1/", json!({"grants": grants})),
        share("all", "s3a://cdm-lake/users-general-warehouse/alice/open", json!({"everyone": "Read"})),
    ];
    let view = view(&LayoutSpec::Berdl, &objects);
    let (exp, open) = ("users-general-warehouse/alice/data/exp1", "users-general-warehouse/alice/open");
    let sees =
        |user: &str, folder: &str| model(&view, user).accessible_paths.contains(&format!("s3a://cdm-lake/{folder}/"));
    for person in ["bob", "carol", "dave"] {
        assert!(sees(person, exp) && sees(person, open), "{person}");
    }
    assert!(!sees("alice", exp), "what is below the own home is not listed again");

    let bob = short(&model(&view, "bob").user_policies[0]);
    assert!(bob[1].contains(&format!("[{exp}/* ")) && bob[2].contains(&format!("cdm-lake/{exp} cdm-lake/{exp}/*")));
    assert!(!bob[3].contains(exp) && !bob[4].contains(exp), "{bob:?}");
    assert_eq!(bob.len(), 5, "{bob:?}");

    let kbase = short(&group_policy(&view, "kbase"));
    assert!((1..5).all(|statement| kbase[statement].contains(exp)), "{kbase:?}");
    let twin = short(&group_policy(&view, "kbasero"));
    assert!(twin.len() == 3 && twin[2].starts_with("s3:GetObject") && twin[2].contains(exp), "{twin:?}");
    assert!(twin[2].contains("tenant-sql-warehouse/kbase/kbase_*/*"), "{twin:?}");
    assert_eq!(group_policy(&view, "kbasero").policy_name, "group-policy-kbasero");
    let everyone = short(&group_policy(&view, "globalusers"));
    assert!(everyone[2].contains(open) && !everyone[3].contains(open), "{everyone:?}");
    assert_eq!(model(&view, "carol").groups, ["globalusers", "kbase"]);
    assert_eq!(model(&view, "dave").groups, ["globalusers", "kbasero"]);
}

#[test]
fn many_documents_are_shown_as_one() {
    let mut objects = vec![user("alice"), user("bob")];
    let names: Vec<String> = (0..300).map(|number| format!("share-{number}")).collect();
    for name in &names {
        let path = format!("s3a://cdm-lake/users-general-warehouse/alice/{name}-{}", "x".repeat(80));
        let grants = json!([{"kind": "User", "name": "bob", "access": "Read"}]);
        objects.push((Kind::PathShare, name, json!({"path": path, "grants": grants})));
    }
    let view = view(&LayoutSpec::Berdl, &objects);
    let bob = model(&view, "bob");
    let home = &bob.user_policies[0];
    assert!(serde_json::to_string(home).unwrap().len() > 20_480, "more than one document holds");
    assert_eq!((home.policy_name.as_str(), short(home).len(), bob.user_policies.len()), ("user-home-policy-bob", 5, 2));
    assert_eq!(bob.accessible_paths.len(), 309);
}

#[test]
fn simple_shows_no_group_of_everyone_but_what_everyone_may_read() {
    let objects =
        [user("alice"), user("bob"), share("all", "s3a://lake/homes/alice/open", json!({"everyone": "Read"}))];
    let view = view(&LayoutSpec::Simple, &objects);
    let bob = model(&view, "bob");
    assert_eq!(bob.accessible_paths, ["s3a://lake/homes/alice/open/", "s3a://lake/homes/bob/"]);
    assert_eq!((bob.home_paths, bob.groups), (vec!["s3a://lake/homes/bob/".to_owned()], vec![]));
    assert_eq!((bob.total_policies, bob.user_policies.len(), bob.group_policies.len()), (1, 1, 0));
}

#[test]
fn users_without_workspace_disabled_and_unknown_ones() {
    let objects = [
        (Kind::MinioUser, "bare", json!({"workspace": "None"})),
        (Kind::MinioUser, "off", json!({"enabled": false})),
        (Kind::MinioGroup, "shut", json!({"members": ["bare"], "enabled": false})),
    ];
    let view = view(&LayoutSpec::Berdl, &objects);
    let bare = model(&view, "bare");
    assert_eq!((bare.home_paths.len(), bare.accessible_paths.len()), (0, 3), "{:?}", bare.accessible_paths);
    assert_eq!(bare.groups, ["globalusers", "shut"]);
    assert!(bare.user_policies.iter().all(|policy| short(policy).is_empty()) && bare.user_policies.len() == 2);
    assert!(short(&bare.group_policies[1]).is_empty(), "a disabled group gives nothing");
    assert_eq!(model(&view, "off").accessible_paths.len(), 9, "what it would have");
    let groups = |user: &str| view.read(|known| groups_of(known, &name(user), Timestamp::now()));
    assert_eq!((groups("nobody").len(), groups("off").len()), (0, 1));
}

#[test]
fn document_names_tell_their_holders() {
    let of = |text: &str| Holder::of(&DocumentName::from_server(text));
    assert_eq!(of("user-home-policy-alice"), Some(Holder::Home(name("alice"))));
    assert_eq!(of("user-home-policy-alice--12"), Some(Holder::Home(name("alice"))));
    assert_eq!(of("user-system-policy-a.b-c"), Some(Holder::System(name("a.b-c"))));
    assert_eq!(of("group-policy-kbasero--2"), Some(Holder::Group("kbasero".to_owned())));
    assert_eq!(of("group-policy-globalusers"), Some(Holder::Group(EVERYONE_GROUP.to_owned())));
    for nobody in ["readonly", "user-home-policy-alice--x", "user-home-policy-", "user-home-policy-alice-shadow-1--0"] {
        assert_eq!(of(nobody), None, "{nobody}");
    }
}
