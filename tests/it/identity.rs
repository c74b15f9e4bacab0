//! What the API server lets the identity of the REST service do, with the files of `deploy/kubernetes/rest/`.
//!
//! The requests that it may make and those that it may not are in `identity/requests.yaml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use http::Request;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    core::v1::Secret,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use minio_manager::api::{MinioUser, meta, schema};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{
    identity::{ADMISSION, NAME, RestIdentity, own_rules, rest_kubeconfig, service_account_token},
    kube::{Cluster, tool},
    minio::unique,
    world::World,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    objects: BTreeMap<String, Value>,
    requests: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: String,
    made_by: Option<Maker>,
    #[serde(default)]
    then: Option<Value>,
    #[serde(default)]
    deleted: bool,
    does: Does,
    says: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Maker {
    Rest,
    Git,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Does {
    Create(Value),
    Apply(Value),
    Patch(Value),
    Delete,
}

impl Table {
    fn read() -> Self {
        serde_saphyr::from_str(include_str!("identity/requests.yaml")).unwrap()
    }

    /// An object as the service makes it, with something merged into it.
    fn object(&self, kind: &str, name: &str, patch: &Value) -> DynamicObject {
        let mut object = self.objects[kind].clone();
        merge(&mut object, patch);
        object["metadata"]["name"] = json!(name);
        object["apiVersion"] = json!("minio-manager.io/v1alpha1");
        object["kind"] = json!(kind);
        serde_json::from_value(object).unwrap()
    }
}

/// One namespace, seen by an administrator and by the REST service.
struct Scene {
    table: Table,
    namespace: String,
    admin: Client,
    rest: Client,
}

impl Scene {
    async fn of(identity: &RestIdentity<'_>, namespace: &str) -> Self {
        let admin = Cluster::shared().client().await;
        Self { table: Table::read(), namespace: namespace.to_owned(), admin, rest: identity.client().await }
    }

    fn api(&self, client: &Client, kind: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("minio-manager.io", "v1alpha1", kind);
        Api::namespaced_with(client.clone(), &self.namespace, &ApiResource::from_gvk(&gvk))
    }

    /// What the API server says when the request is refused.
    async fn play(&self, name: &str, row: &Row) -> Option<String> {
        self.prepare(name, row).await;
        let rest = self.api(&self.rest, &row.kind);
        let done = match &row.does {
            Does::Create(patch) => {
                rest.create(&PostParams::default(), &self.table.object(&row.kind, name, patch)).await.map(drop)
            }
            Does::Apply(patch) => {
                let params = PatchParams::apply(meta::field_manager::REST).force();
                let object = self.table.object(&row.kind, name, patch);
                rest.patch(name, &params, &Patch::Apply(object)).await.map(drop)
            }
            Does::Patch(patch) => rest.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop),
            Does::Delete => rest.delete(name, &DeleteParams::default()).await.map(drop),
        };
        done.err().map(|error| error.to_string())
    }

    async fn prepare(&self, name: &str, row: &Row) {
        let admin = self.api(&self.admin, &row.kind);
        let made = match row.made_by {
            None => return,
            Some(Maker::Rest) => {
                let object = self.table.object(&row.kind, name, &json!({}));
                self.api(&self.rest, &row.kind).create(&PostParams::default(), &object).await
            }
            Some(Maker::Git) => {
                let object = self.table.object(&row.kind, name, &json!({"metadata": {"labels": null}}));
                admin.create(&PostParams::default(), &object).await
            }
        };
        made.unwrap_or_else(|error| panic!("{row:?}: {error}"));
        if let Some(then) = &row.then {
            admin.patch(name, &PatchParams::default(), &Patch::Merge(then)).await.unwrap();
        }
        if row.deleted {
            admin.delete(name, &DeleteParams::default()).await.unwrap();
            assert!(admin.get(name).await.unwrap().metadata.deletion_timestamp.is_some(), "{row:?}");
        }
    }
}

#[tokio::test]
async fn it_may_write_what_its_callers_ask_for_and_nothing_else() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("identity").await;
    let identity = RestIdentity::install(cluster, &namespace).await;
    let scene = Scene::of(&identity, &namespace).await;
    let mut wrong = Vec::new();
    let mut refusals = Vec::new();
    for (number, row) in scene.table.requests.iter().enumerate() {
        let refusal = scene.play(&format!("row-{number}"), row).await;
        match (&refusal, &row.says) {
            (None, None) => {}
            (Some(refusal), Some(says)) if refusal.contains(says.as_str()) => refusals.push(refusal.clone()),
            _ => wrong.push(format!("{row:?}\n  got {refusal:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    check_that_every_rule_refuses(&refusals);
    check_that_every_field_is_decided(&scene.table, &refusals);
}

/// A rule that no row of the table meets could be missing unseen.
fn check_that_every_rule_refuses(refusals: &[String]) {
    let documents: Vec<Value> = serde_saphyr::from_multiple(ADMISSION).unwrap();
    let rules = documents[0]["spec"]["validations"].as_array().unwrap();
    for rule in rules.iter().filter(|rule| rule.get("messageExpression").is_none()) {
        let message = rule["message"].as_str().unwrap();
        assert!(refusals.iter().any(|refusal| refusal.contains(message)), "no row for the rule {message:?}");
    }
}

/// A field that is new in a kind needs a row, too: either the service sets it, or it is refused.
fn check_that_every_field_is_decided(table: &Table, refusals: &[String]) {
    for crd in schema::crds() {
        let kind = crd.spec.names.kind.clone();
        if !table.objects.contains_key(&kind) {
            continue;
        }
        let crd = serde_json::to_value(crd).unwrap();
        let spec = crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();
        let accepted = table.requests.iter().filter(|row| row.kind == kind && row.says.is_none());
        let set: BTreeSet<&String> = accepted
            .filter_map(|row| match &row.does {
                Does::Create(patch) | Does::Apply(patch) | Does::Patch(patch) => patch.get("spec")?.as_object(),
                Does::Delete => None,
            })
            .chain([table.objects[&kind]["spec"].as_object().unwrap()])
            .flat_map(|spec| spec.keys())
            .collect();
        for field in spec.as_object().unwrap().keys() {
            let refused =
                refusals.iter().any(|refusal| refusal.contains(&format!("may not set spec.{field} of a {kind}")));
            assert!(set.contains(field) || refused, "no row sets spec.{field} of a {kind}");
        }
    }
}

/// The kinds that it writes.
const WRITTEN: [&str; 4] = ["miniousers", "miniogroups", "groupmemberships", "pathshares"];

#[tokio::test]
async fn it_is_granted_nothing_else() {
    let cluster = Cluster::shared();
    let home = cluster.namespace("identity").await;
    let identity = RestIdentity::install(cluster, &home).await;
    let client = identity.client().await;
    let mut expected = each(&["create", "update", "patch", "delete"], &WRITTEN);
    expected.extend(each(&["get", "list", "watch"], &WRITTEN));
    expected.extend(each(&["get", "list", "watch"], &["miniopolicies", "minioinstances"]));
    expected.insert("get secrets.".to_owned());
    assert_eq!(own_rules(&client, &home).await, expected);
    for elsewhere in [identity.pods(), &cluster.namespace("identity").await] {
        assert_eq!(own_rules(&client, elsewhere).await, BTreeSet::new(), "in {elsewhere}");
    }
}

/// Requests beside those for which there are rules of admission.
#[tokio::test]
async fn it_reads_one_secret_at_a_time_and_reports_nothing() {
    let cluster = Cluster::shared();
    let home = cluster.namespace("identity").await;
    let identity = RestIdentity::install(cluster, &home).await;
    let admin = cluster.client().await;
    for namespace in [home.as_str(), identity.pods()] {
        let metadata = ObjectMeta { name: Some("minio-alice".to_owned()), ..ObjectMeta::default() };
        let secret = Secret { metadata, ..Secret::default() };
        Api::namespaced(admin.clone(), namespace).create(&PostParams::default(), &secret).await.unwrap();
    }
    let scene = Scene::of(&identity, &home).await;
    for kind in scene.table.objects.keys() {
        let object = scene.table.object(kind, "alice", &json!({}));
        scene.api(&scene.rest, kind).create(&PostParams::default(), &object).await.unwrap();
    }

    let (secrets, pods) = (format!("/api/v1/namespaces/{home}/secrets"), identity.pods());
    let ours = format!("/apis/minio-manager.io/v1alpha1/namespaces/{home}");
    let elsewhere = format!("/apis/minio-manager.io/v1alpha1/namespaces/{pods}");
    let requests = [
        (true, "GET", format!("{secrets}/minio-alice")),
        (false, "GET", secrets.clone()),
        (false, "GET", format!("{secrets}?watch=1&timeoutSeconds=1")),
        (false, "GET", format!("{secrets}?fieldSelector=metadata.name%3Dminio-alice")),
        (false, "GET", format!("/api/v1/namespaces/{pods}/secrets/minio-alice")),
        (false, "POST", secrets.clone()),
        (false, "PATCH", format!("{secrets}/minio-alice")),
        (false, "DELETE", format!("{secrets}/minio-alice")),
        (true, "GET", format!("{ours}/miniousers/alice")),
        (true, "GET", format!("{ours}/minioinstances")),
        (true, "GET", format!("{ours}/miniopolicies?watch=1&timeoutSeconds=1")),
        (false, "GET", format!("{elsewhere}/miniousers")),
        (false, "POST", format!("{elsewhere}/miniousers")),
        (false, "GET", "/apis/minio-manager.io/v1alpha1/miniousers".to_owned()),
        (false, "DELETE", format!("{ours}/miniousers")),
        (false, "PATCH", format!("{ours}/miniousers/alice/status")),
        (false, "PATCH", format!("{ours}/miniogroups/alice/status")),
        (false, "PATCH", format!("{ours}/groupmemberships/alice/status")),
        (false, "PATCH", format!("{ours}/pathshares/alice/status")),
        (false, "POST", format!("{ours}/miniopolicies")),
        (false, "PATCH", format!("{ours}/miniopolicies/alice")),
        (false, "DELETE", format!("{ours}/miniopolicies/alice")),
        (false, "POST", format!("{ours}/minioinstances")),
        (false, "PATCH", format!("{ours}/minioinstances/default")),
        (false, "GET", format!("/api/v1/namespaces/{home}")),
        (false, "GET", format!("/api/v1/namespaces/{home}/configmaps/any")),
        (false, "POST", format!("/api/v1/namespaces/{pods}/serviceaccounts/{NAME}/token")),
        (false, "POST", "/apis/authentication.k8s.io/v1/tokenreviews".to_owned()),
        (false, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned()),
        (false, "GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies".to_owned()),
    ];
    for (allowed, method, path) in requests {
        let answer = ask(&scene.rest, method, &path).await;
        match (allowed, &answer) {
            (true, Ok(_)) => {}
            // The API server looks at what is asked only after it has looked at who asks.
            (false, Err(error)) if error.contains("cannot") && error.contains(&identity.username()) => {}
            _ => panic!("{method} {path}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn it_asks_whose_a_token_is_only_where_it_may() {
    let cluster = Cluster::shared();
    let home = cluster.namespace("identity").await;
    let identity = RestIdentity::install(cluster, &home).await;
    let rest = identity.client().await;
    let token = service_account_token(cluster, identity.pods(), NAME).await;
    let spec = TokenReviewSpec { token: Some(token), ..TokenReviewSpec::default() };
    let review = TokenReview { spec, ..TokenReview::default() };
    let reviews: Api<TokenReview> = Api::all(rest.clone());

    let refused = reviews.create(&PostParams::default(), &review).await.unwrap_err().to_string();
    assert!(refused.contains("cannot create resource \"tokenreviews\""), "{refused}");

    identity.review_tokens().await;
    let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
    let status = answer.status.unwrap();
    assert_eq!(status.user.unwrap().username, Some(identity.username()));
    assert_eq!(status.authenticated, Some(true));
    let own = own_rules(&rest, identity.pods()).await;
    assert_eq!(own, BTreeSet::from(["create tokenreviews.authentication.k8s.io".to_owned()]));
}

#[tokio::test]
async fn it_only_reads_in_a_further_namespace() {
    let cluster = Cluster::shared();
    let home = cluster.namespace("identity").await;
    let identity = RestIdentity::install(cluster, &home).await;
    let watched = cluster.namespace("identity").await;
    identity.watch(&watched).await;
    let rest = identity.client().await;
    let path = format!("/apis/minio-manager.io/v1alpha1/namespaces/{watched}/pathshares");
    ask(&rest, "GET", &path).await.unwrap();
    let mut expected = each(&["get", "list", "watch"], &WRITTEN);
    expected.extend(each(&["get", "list", "watch"], &["miniopolicies"]));
    assert_eq!(own_rules(&rest, &watched).await, expected);
    for (method, path) in [("POST", path.clone()), ("DELETE", format!("{path}/any"))] {
        let refused = ask(&rest, method, &path).await.unwrap_err();
        assert!(refused.contains("cannot"), "{method}: {refused}");
    }
}

/// The one thing that an installation may switch on.
#[tokio::test]
async fn it_has_data_deleted_only_where_the_installation_says_so() {
    let cluster = Cluster::shared();
    let home = cluster.namespace("identity").await;
    let identity = RestIdentity::install(cluster, &home).await;
    let scene = Scene::of(&identity, &home).await;
    let row = |kind: &str, made_by, patch: Value| Row {
        kind: kind.to_owned(),
        made_by: Some(made_by),
        then: None,
        deleted: false,
        does: Does::Patch(patch),
        says: None,
    };
    let delete_data = json!({"spec": {"dataDeletionPolicy": "Delete"}});
    let before = scene.play("before", &row("MinioUser", Maker::Rest, delete_data.clone())).await;
    assert!(before.is_some_and(|refusal| refusal.contains("may not set spec.dataDeletionPolicy of a MinioUser")));

    identity.permit_deletion_of_data().await;
    let users: Api<DynamicObject> = scene.api(&scene.rest, "MinioUser");
    users.patch("before", &PatchParams::default(), &Patch::Merge(&delete_data)).await.unwrap();
    assert_eq!(users.get("before").await.unwrap().data["spec"]["dataDeletionPolicy"], "Delete");
    let group = scene.play("group", &row("MinioGroup", Maker::Rest, delete_data.clone())).await;
    assert_eq!(group, None);
    // Not of what others declare, and nothing else.
    let of_git = scene.play("git", &row("MinioUser", Maker::Git, delete_data)).await;
    assert!(of_git.as_ref().is_some_and(|refusal| refusal.contains("edits only objects that it made")), "{of_git:?}");
    let policies = json!({"spec": {"policies": ["readwrite"], "dataDeletionPolicy": "Delete"}});
    let policies = scene.play("policies", &row("MinioUser", Maker::Rest, policies)).await;
    assert!(
        policies.as_ref().is_some_and(|refusal| refusal.contains("may not set spec.policies of a")),
        "{policies:?}"
    );
}

/// The controller puts finalizers, status and Secrets beside what the service writes, and both get along.
#[tokio::test]
async fn what_it_writes_comes_into_force_and_ends() {
    let world = World::shared().await;
    let identity = RestIdentity::install(Cluster::shared(), world.namespace()).await;
    let scene = Scene::of(&identity, world.namespace()).await;
    let (alice, group) = (unique("alice"), unique("climate"));
    let written = [
        ("MinioUser", alice.clone(), json!({"username": alice})),
        ("MinioGroup", group.clone(), json!({"groupName": group, "members": [alice]})),
        ("GroupMembership", format!("rest-{group}"), json!({"group": group, "members": []})),
        (
            "PathShare",
            format!("share-{alice}"),
            json!({
                "path": format!("s3a://lake/homes/{alice}/data"), "owner": {"kind": "User", "name": alice}, "grants": [],
            }),
        ),
    ];
    for (kind, name, spec) in &written {
        let object = scene.table.object(kind, name, &json!({"spec": null}));
        let object = DynamicObject { data: json!({"spec": spec}), ..object };
        scene.api(&scene.rest, kind).create(&PostParams::default(), &object).await.unwrap();
        world.ready(kind, name).await;
    }
    let secrets: Api<Secret> = Api::namespaced(scene.rest.clone(), world.namespace());
    let view = world.view("MinioUser", &alice).await;
    let secret = secrets.get(view.status("/credentials/secretName").as_str().unwrap()).await.unwrap();
    assert!(secret.data.unwrap().contains_key("AWS_SECRET_ACCESS_KEY"));

    // What was read is written back whole, as programs with types do.
    let shares = scene.api(&scene.rest, "PathShare");
    let share = &written[3].1;
    loop {
        let mut found = shares.get(share).await.unwrap();
        assert!(!found.finalizers().is_empty());
        found.data["spec"]["grants"] = json!([{"kind": "Group", "name": group, "access": "Read"}]);
        match shares.replace(share, &PostParams::default(), &found).await {
            // The controller wrote a status in between.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            written => break drop(written.unwrap()),
        }
    }
    assert_eq!(world.ready("PathShare", share).await.status("/grants/active"), 1);
    for (kind, name, _) in written.iter().rev() {
        scene.api(&scene.rest, kind).delete(name, &DeleteParams::default()).await.unwrap();
        world.gone(kind, name).await;
    }
    assert!(world.account(&alice).await.is_none());
}

/// Two installations in one cluster, and programs that get nothing but the file.
#[tokio::test]
async fn a_kubeconfig_file_is_all_that_a_program_needs() {
    let cluster = Cluster::shared();
    let (one, two) = (cluster.namespace("identity").await, cluster.namespace("identity").await);
    let file = rest_kubeconfig(cluster, &one).await;
    rest_kubeconfig(cluster, &two).await;
    let kubectl = |namespace: &str, arguments: &[&str]| {
        let mut command = Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN"));
        command.args(["--kubeconfig", file.to_str().unwrap(), "--namespace", namespace]).args(arguments);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr))
    };
    let (works, said) = kubectl(&one, &["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    assert!(works && said.ends_with(&format!(":{NAME}")), "{said}");
    let (works, said) = kubectl(&one, &["get", "miniousers"]);
    assert!(works, "{said}");
    let (works, said) = kubectl(&two, &["get", "miniousers"]);
    assert!(!works && said.contains("forbidden"), "{said}");
    // The rules of the one are not for the other, nor for anybody else.
    let users: Api<MinioUser> = Api::namespaced(cluster.client().await, &one);
    let user: MinioUser = serde_json::from_value(json!({
        "apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser",
        "metadata": {"name": "admins", "finalizers": ["minio-manager.io/finalizer"]}, "spec": {"policies": ["readonly"]},
    }))
    .unwrap();
    assert_eq!(users.create(&PostParams::default(), &user).await.unwrap().name_any(), "admins");
}

/// Every one of these verbs on every one of our resources.
fn each(verbs: &[&str], resources: &[&str]) -> BTreeSet<String> {
    let all = verbs.iter().flat_map(|verb| resources.iter().map(move |resource| (verb, resource)));
    all.map(|(verb, resource)| format!("{verb} {resource}.minio-manager.io")).collect()
}

async fn ask(client: &Client, method: &str, path: &str) -> Result<String, String> {
    let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let body = if ["POST", "PATCH"].contains(&method) { b"{}".to_vec() } else { Vec::new() };
    let request = Request::builder().method(method).uri(path).header("Content-Type", content).body(body).unwrap();
    client.request_text(request).await.map_err(|error| error.to_string())
}

/// JSON merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, change) in changes {
        if change.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], change);
        }
    }
}
