//! The health checks: of Argo CD by the interpreter that it runs them with, of Flux by its own code.

use std::{fmt::Write as _, fs, process::Command};

use serde_json::{Map, Value, json};

use super::{examples, kubectl_says, run};
use crate::support::{
    kube::tool,
    minio::unique,
    product::Setup,
    world::{Person, View, World, grant, group, share, user},
};

/// The libraries that Argo CD does not open for a health check. `os` is there, with the time only.
const ABSENT: &str = "string, io, os, math, coroutine, debug, channel = nil\ngetmetatable('').__index = nil\n";

/// The data of `argocd-cm` in a namespace, once our file was applied to it.
pub fn configured(namespace: &str) -> Map<String, Value> {
    let text = fs::read_to_string(examples().join("gitops/argocd/argocd-cm.yaml")).unwrap();
    let text = text.replace("namespace: argocd\n", &format!("namespace: {namespace}\n"));
    kubectl_says(&["apply", "--server-side", "--field-manager=minio-manager-health", "-f", "-"], &text);
    let held = kubectl_says(&["get", "configmap", "argocd-cm", "--namespace", namespace, "--output=json"], "");
    serde_json::from_str::<Value>(&held).unwrap()["data"].as_object().unwrap().clone()
}

/// What Argo CD and Flux would show of objects.
struct Health {
    scripts: Map<String, Value>,
    /// The expressions of the sample's Kustomization, each for a kind.
    expressions: Vec<Value>,
}

/// A status and its message.
type Shown = (String, String);

impl Health {
    fn new(namespace: &str) -> Self {
        let flux = fs::read_to_string(examples().join("gitops/flux/lake-access.yaml")).unwrap();
        let flux: Vec<Value> = serde_saphyr::from_multiple(&flux).unwrap();
        let kustomization = flux.iter().find(|document| document["kind"] == "Kustomization").unwrap();
        let expressions = kustomization["spec"]["healthCheckExprs"].as_array().unwrap().clone();
        Self { scripts: configured(namespace), expressions }
    }

    /// What Flux makes of an object with the expressions of the sample.
    fn in_flux(&self, object: &Value) -> String {
        let are_for = |expressions: &&Value| {
            expressions["kind"] == object["kind"] && expressions["apiVersion"] == "minio-manager.io/v1alpha1"
        };
        ask_flux(object, self.expressions.iter().find(are_for).expect("there are some for each kind"))
    }

    /// Runs the script of the object's kind over the object.
    fn of(&self, object: &Value) -> Shown {
        let kind = object["kind"].as_str().expect("an object has a kind");
        let script = self.scripts[&format!("resource.customizations.health.minio-manager.io_{kind}")].as_str().unwrap();
        let program = format!(
            "{ABSENT}obj = {}\nlocal shown = (function()\n{script}\nend)()\nprint(shown.status)\nprint(shown.message)\n",
            in_lua(object)
        );
        let file = std::env::temp_dir().join(unique("health"));
        fs::write(&file, &program).unwrap();
        let output = Command::new(tool("glua", "MINIO_MANAGER_GLUA_BIN")).arg(&file).output().unwrap();
        fs::remove_file(&file).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}\n{program}", String::from_utf8_lossy(&output.stderr));
        let (status, message) = text.split_once('\n').expect("a status, and a message");
        (status.to_owned(), message.trim_end().to_owned())
    }

    /// The object as the API server has it now must be shown so.
    #[track_caller]
    fn expect(&self, world: &World, kind: &str, name: &str, status: &str, message: &str) {
        let arguments = ["get", kind, name, "--namespace", world.namespace(), "--output=json"];
        let object: Value = serde_json::from_str(&kubectl_says(&arguments, "")).unwrap();
        let shown = self.of(&object);
        assert!(shown.0 == status && shown.1.contains(message), "{kind} {name}: {shown:?}\n{object:#}");
        let in_flux: &[&str] = match status {
            "Healthy" | "Suspended" => &["Current"],
            "Degraded" => &["Failed"],
            _ => &["InProgress", "Unknown"],
        };
        let shown = self.in_flux(&object);
        assert!(in_flux.contains(&shown.as_str()), "{kind} {name}: {shown} in Flux\n{object:#}");
    }
}

/// What Flux makes of an object, with expressions or, without, by kstatus.
fn ask_flux(object: &Value, expressions: &Value) -> String {
    let asked = json!({"object": object, "expressions": expressions}).to_string();
    let output = run(&mut Command::new(tool("flux-health", "MINIO_MANAGER_FLUX_HEALTH_BIN")), &asked);
    assert!(output.status.success(), "{}\n{asked}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// What Flux makes of an object without expressions.
fn by_kstatus(world: &World, kind: &str, name: &str) -> String {
    let arguments = ["get", kind, name, "--namespace", world.namespace(), "--output=json"];
    ask_flux(&serde_json::from_str(&kubectl_says(&arguments, "")).unwrap(), &Value::Null)
}

/// A value as Argo CD hands it to Lua.
fn in_lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => {
            text.bytes().fold("\"".to_owned(), |mut literal, byte| {
                write!(literal, "\\{byte:03}").unwrap();
                literal
            }) + "\""
        }
        Value::Array(items) => format!("{{{}}}", items.iter().map(in_lua).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("[{}]={}", in_lua(&json!(name)), in_lua(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}

const SIX: [&str; 6] = ["MinioUser", "MinioGroup", "GroupMembership", "PathShare", "MinioPolicy", "MinioAccessKey"];

/// An object of every kind that people declare, all of the same name.
fn one_of_each(name: &str, owner: &Person) -> String {
    let documents = [
        user(name, ""),
        group(name, ""),
        format!("kind: GroupMembership\nmetadata: {{name: {name}}}\nspec: {{group: {name}, members: []}}\n"),
        share(name, &owner.home(name), "grants: []"),
        policy(name, "s3:GetObject"),
        key(name, &owner.name, ""),
    ];
    documents.join("---\n")
}

fn policy(name: &str, action: &str) -> String {
    let statement = format!("{{Effect: Allow, Action: ['{action}'], Resource: ['arn:aws:s3:::lake/{name}/*']}}");
    format!(
        "kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec: {{document: {{Version: '2012-10-17', Statement: [{statement}]}}}}\n"
    )
}

fn key(name: &str, user: &str, more: &str) -> String {
    format!("kind: MinioAccessKey\nmetadata: {{name: {name}}}\nspec: {{user: {user}{more}}}\n")
}

#[tokio::test]
async fn what_is_in_force_is_healthy_and_what_gives_nothing_is_suspended() {
    let world = World::own(Setup::default()).await;
    let health = Health::new(world.namespace());
    let owner = world.user("owner").await;
    let name = unique("each");
    world.apply(&one_of_each(&name, &owner)).await;
    for kind in SIX {
        world.ready(kind, &name).await;
        health.expect(&world, kind, &name, "Healthy", "Converged: ");
        assert_eq!(by_kstatus(&world, kind, &name), "Current");
    }
    world.ready("MinioInstance", "default").await;
    health.expect(&world, "MinioInstance", "default", "Healthy", "Converged: ");
    // A grant to somebody who does not exist yet does not make a share less healthy.
    world.apply(&share(&name, &owner.home(&name), &format!("grants: [{}]", grant("who-comes-later", "Read")))).await;
    world.ready("PathShare", &name).await;
    health.expect(&world, "PathShare", &name, "Healthy", "who-comes-later");

    for kind in ["MinioUser", "MinioGroup", "PathShare", "MinioAccessKey"] {
        world.annotate(kind, &name, "lock", Some("under review")).await;
        world.ready_is(kind, &name, "True", "Locked").await;
        health.expect(&world, kind, &name, "Suspended", "under review");
        world.annotate(kind, &name, "lock", None).await;
    }
    for kind in ["MinioUser", "MinioGroup", "MinioPolicy"] {
        world.annotate(kind, &name, "reconcile", Some("paused")).await;
        world.ready_is(kind, &name, "Unknown", "Paused").await;
        health.expect(&world, kind, &name, "Suspended", "Paused: ");
        assert_eq!(by_kstatus(&world, kind, &name), "InProgress");
        world.annotate(kind, &name, "reconcile", None).await;
    }
    for (kind, reason, manifest) in [
        ("MinioUser", "Disabled", user(&name, "enabled: false")),
        ("MinioGroup", "Disabled", group(&name, "enabled: false")),
        ("PathShare", "Suspended", share(&name, &owner.home(&name), "grants: [], suspended: true")),
    ] {
        world.apply(&manifest).await;
        world.ready_is(kind, &name, "True", reason).await;
        health.expect(&world, kind, &name, "Suspended", reason);
    }
}

#[tokio::test]
async fn what_only_a_person_can_end_is_degraded_and_says_why() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "2,1%"])).await;
    let health = Health::new(world.namespace());
    let [owner, other] = world.users(["owner", "other"]).await;
    let (name, team) = (unique("each"), unique("team"));
    world.apply(&group(&team, "")).await;
    world.ready("MinioGroup", &team).await;
    let owned_by_other = format!("owner: {{kind: User, name: {}}}, grants: []", other.name);
    let taken_secret = format!(", secretName: minio-{}", owner.name);
    for (kind, reason, manifest) in [
        ("MinioUser", "Conflict", user(&name, &format!("username: {}", owner.name))),
        ("MinioGroup", "Conflict", group(&name, &format!("groupName: {team}"))),
        ("PathShare", "OwnerMismatch", share(&name, &owner.home("exp"), &owned_by_other)),
        ("MinioPolicy", "InvalidDocument", policy(&name, "s3:GetObjekt")),
        ("MinioAccessKey", "SecretConflict", key(&name, &owner.name, &taken_secret)),
    ] {
        world.apply(&manifest).await;
        let message = world.stalled(kind, &name, reason).await;
        health.expect(&world, kind, &name, "Degraded", &format!("{reason}: {message}"));
        assert_eq!(by_kstatus(&world, kind, &name), "Failed");
    }
    let people = world.users(["one", "two", "three", "four"]).await;
    let with = |members: String| {
        format!("kind: GroupMembership\nmetadata: {{name: {name}}}\nspec: {{group: {team}, members: [{members}]}}\n")
    };
    let members = people.iter().map(|person| format!("{{name: {}, access: ReadWrite}}", person.name));
    world.apply(&with(members.collect::<Vec<_>>().join(", "))).await;
    world.ready("GroupMembership", &name).await;
    world.apply(&with(String::new())).await;
    for (kind, name) in [("GroupMembership", name.as_str()), ("MinioInstance", "default")] {
        let tells = |view: &View| view.message("Stalled").contains("acknowledge-large-change=");
        world.observed(kind, name, "it says how to let it go", tells).await;
        health.expect(&world, kind, name, "Degraded", "acknowledge-large-change=");
    }
}

#[tokio::test]
async fn what_is_under_way_is_progressing() {
    let world = World::own(Setup::default()).await;
    let health = Health::new(world.namespace());
    let owner = world.user("owner").await;
    let (name, late, missing) = (unique("each"), unique("late"), unique("missing"));
    world.apply(&one_of_each(&name, &owner)).await;
    for kind in SIX {
        world.ready(kind, &name).await;
    }
    let nobody = format!("owner: {{kind: User, name: {missing}}}, grants: []");
    world.apply(&share(&missing, &format!("lake/homes/{missing}/exp"), &nobody)).await;
    world.ready_is("PathShare", &missing, "False", "OwnerNotFound").await;
    health.expect(&world, "PathShare", &missing, "Progressing", "OwnerNotFound: ");

    // Nobody looks: neither at changes, nor at what is new, nor at what goes.
    world.product().kill();
    let unseen = "The controller has not looked at this version yet";
    for (kind, spec) in [
        ("MinioUser", json!({"enabled": true})),
        ("MinioGroup", json!({"members": [owner.name]})),
        ("GroupMembership", json!({"members": [{"name": owner.name, "access": "Read"}]})),
        ("PathShare", json!({"everyone": "Read"})),
        ("MinioPolicy", json!({"allowUnsafeVariables": true})),
        ("MinioAccessKey", json!({"overlap": "2h"})),
    ] {
        health.expect(&world, kind, &name, "Healthy", "");
        world.patch(kind, &name, json!({"spec": spec})).await;
        health.expect(&world, kind, &name, "Progressing", unseen);
    }
    world.apply(&one_of_each(&late, &owner)).await;
    for kind in SIX {
        assert!(world.view(kind, &late).await.0["status"].is_null(), "it has no status");
        health.expect(&world, kind, &late, "Progressing", unseen);
        assert_eq!(by_kstatus(&world, kind, &late), "Current", "for kstatus nothing is missing");
        world.delete(kind, &name).await;
        health.expect(&world, kind, &name, "Progressing", "Being deleted; ");
    }

    // Without MinIO nothing gets further.
    world.product().minio().stop();
    world.product().launch();
    world.ready_is("MinioUser", &late, "Unknown", "MinioUnavailable").await;
    health.expect(&world, "MinioUser", &late, "Progressing", "MinioUnavailable: ");
    world.ready_is("MinioInstance", "default", "Unknown", "MinioUnavailable").await;
    health.expect(&world, "MinioInstance", "default", "Progressing", "MinioUnavailable: ");
}

#[tokio::test]
async fn a_strange_status_is_never_healthy_and_breaks_nothing() {
    let health = Health::new(World::shared().await.namespace());
    let ready = json!({"type": "Ready", "status": "True", "reason": "Converged", "message": "in \"force\"\n"});
    let with = |conditions: Value| json!({"observedGeneration": 3, "conditions": conditions});
    let mut strange = vec![
        json!(null),
        json!("Ready"),
        json!({}),
        json!({"observedGeneration": 3}),
        json!({"conditions": [ready]}),
        json!({"observedGeneration": "3", "conditions": [ready]}),
        json!({"observedGeneration": 4, "conditions": [ready]}),
        with(json!(null)),
        with(json!("Ready")),
        with(json!([])),
        with(json!(["Ready", 3, {}, {"type": 7}])),
        with(json!([{"type": "Ready"}])),
        with(json!([{"type": "Ready", "status": true, "reason": "Converged"}])),
        with(json!([{"type": "Ready", "status": "Maybe", "reason": 5, "message": {}}])),
        with(json!([ready, {"type": "Reconciling", "status": "True"}])),
    ];
    let object = |kind: &str, status: &Value| json!({"kind": kind, "metadata": {"generation": 3}, "status": status});
    strange.push(with(json!({"type": "Ready", "status": "True"})));
    for status in &strange {
        assert_eq!(health.of(&object("MinioUser", status)).0, "Progressing", "{status}");
    }
    let stalled = with(json!([ready, {"type": "Stalled", "status": "True"}]));
    let claimed = with(json!([{"type": "Ready", "status": "Unknown", "reason": "ForeignClaim", "message": "theirs"}]));
    for kind in SIX.into_iter().chain(["MinioInstance"]) {
        assert_eq!(health.of(&object(kind, &with(json!([ready])))), shown("Healthy", "Converged: in \"force\""));
        assert_eq!(health.of(&object(kind, &stalled)).0, "Degraded");
        assert_eq!(health.of(&object(kind, &claimed)), shown("Degraded", "ForeignClaim: theirs"));
        assert_eq!(health.in_flux(&object(kind, &claimed)), "Failed");
    }
}

fn shown(status: &str, message: &str) -> Shown {
    (status.to_owned(), message.to_owned())
}
