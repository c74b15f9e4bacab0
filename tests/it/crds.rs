//! What a real API server accepts and refuses, and with which words.
//!
//! The examples are in `crds/`, one file a kind. Limits of the schemas (lengths, patterns, required fields, ...) are
//! tested one by one from the schemas themselves, so that a new limit is tested without a new example.

use std::{collections::BTreeSet, process::Command};

use kube::{
    Api, Client, CustomResourceExt,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use minio_manager::{
    api::{
        Declared, GroupMembership, MinioAccessKey, MinioGroup, MinioInstance, MinioPolicy, MinioUser, PathShare, schema,
    },
    iam::{
        names::{GroupName, PolicyName, UserName},
        path::S3Path,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::support::kube::{Cluster, tool};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    /// An object that says everything.
    full: Value,
    /// An object that says as little as possible.
    minimal: Option<Minimal>,
    accepted: Vec<Value>,
    refused: Vec<Refused>,
    updates: Vec<Update>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Minimal {
    object: Value,
    /// The spec with every default.
    spec: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    says: String,
    object: Value,
}

/// Two specs of an object called `example`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    before: Value,
    after: Value,
    says: Option<String>,
}

/// One kind, its examples, and an API for it in a namespace of its own.
struct Kind {
    name: &'static str,
    examples: Examples,
    spec_schema: Option<Value>,
    api: Api<DynamicObject>,
    resource: ApiResource,
}

impl Kind {
    async fn of<K: Declared + CustomResourceExt>(yaml: &str) -> Self {
        let cluster = Cluster::shared();
        let crd = serde_json::to_value(
            schema::crds().into_iter().find(|crd| crd.spec.names.kind == K::KIND).expect("the kind has a CRD"),
        )
        .unwrap();
        let plural = K::api_resource().plural;
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("minio-manager.io", "v1alpha1", K::KIND), &plural);
        let client: Client = cluster.client().await;
        Self {
            name: K::KIND,
            examples: serde_saphyr::from_str(yaml).unwrap(),
            spec_schema: crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").cloned(),
            api: Api::namespaced_with(client, &cluster.namespace(&plural).await, &resource),
            resource,
        }
    }

    /// An example as the API server takes it.
    fn object(&self, example: &Value) -> DynamicObject {
        let mut object = expand(example);
        object["apiVersion"] = json!(self.resource.api_version);
        object["kind"] = json!(self.resource.kind);
        if object.pointer("/metadata/name").is_none() {
            object["metadata"] = json!({"name": "example"});
        }
        serde_json::from_value(object).unwrap()
    }

    /// What the API server would store.
    async fn try_create(&self, example: &Value) -> Result<Value, String> {
        let params = PostParams { dry_run: true, ..PostParams::default() };
        answer(self.api.create(&params, &self.object(example)).await)
    }

    async fn accepts(&self, example: &Value) -> Value {
        self.try_create(example)
            .await
            .unwrap_or_else(|error| panic!("{}: refused {}: {error}", self.name, shown(example)))
    }

    async fn refuses(&self, example: &Value, says: &str) -> String {
        let error = match self.try_create(example).await {
            Ok(_) => panic!("{}: accepted {}, which should fail with {says:?}", self.name, shown(example)),
            Err(error) => error,
        };
        assert!(error.contains(says), "{}: {}\n says {error}\n  and not {says}", self.name, shown(example));
        error
    }

    /// Creates an object with the first spec, and answers what a change to the second meets.
    async fn update(&self, before: &Value, after: &Value) -> Result<Value, String> {
        let object = self.object(&json!({"metadata": {"generateName": "x"}, "spec": before}));
        let mut created = self.api.create(&PostParams::default(), &object).await.unwrap();
        created.data["spec"] = expand(after);
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let result = answer(self.api.replace("example", &params, &created).await);
        self.api.delete("example", &kube::api::DeleteParams::default()).await.unwrap();
        result
    }
}

fn answer(result: kube::Result<DynamicObject>) -> Result<Value, String> {
    match result {
        Ok(object) => Ok(serde_json::to_value(object).unwrap()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{error}"),
    }
}

/// Writes out `«3 x»` as `xxx`, everywhere in a value.
fn expand(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(expand_text(text)),
        Value::Array(items) => items.iter().map(expand).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), expand(field))).collect(),
        other => other.clone(),
    }
}

fn expand_text(text: &str) -> String {
    let Some((before, rest)) = text.split_once('«') else { return text.to_owned() };
    let (repetition, after) = rest.split_once('»').unwrap();
    let (times, what) = repetition.split_once(' ').unwrap();
    format!("{before}{}{}", what.repeat(times.parse().unwrap()), expand_text(after))
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(400).collect()
}

/// Every message of a CEL rule in a schema.
fn rule_messages(schema: &Value) -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    match schema {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "x-kubernetes-validations" {
                    let rules = field.as_array().unwrap();
                    messages.extend(rules.iter().map(|rule| rule["message"].as_str().unwrap().to_owned()));
                } else {
                    messages.extend(rule_messages(field));
                }
            }
        }
        Value::Array(items) => messages.extend(items.iter().flat_map(rule_messages)),
        _ => {}
    }
    messages
}

/// One limit of a schema: an object that breaks it, and the words that should follow.
struct Violation {
    object: Value,
    says: String,
}

/// Walks a schema along the object that has every field, and breaks each limit once.
fn violations(schema: &Value, full: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    walk(schema, full, "/spec", "spec", &mut found);
    found
}

fn walk(schema: &Value, full: &Value, pointer: &str, path: &str, found: &mut Vec<Violation>) {
    let here = full.pointer(pointer).unwrap_or_else(|| panic!("the full example has no {path}"));
    let mut broken = |value: Value, says: String| {
        let mut object = full.clone();
        *object.pointer_mut(pointer).unwrap() = value;
        found.push(Violation { object, says });
    };
    let number = |keyword: &str| schema[keyword].as_u64().map(|n| usize::try_from(n).unwrap());
    if let Some(least) = number("minLength") {
        broken(json!("a".repeat(least - 1)), format!("{path} in body should be at least {least} chars long"));
    }
    if let Some(most) = number("maxLength") {
        broken(json!("a".repeat(most + 1)), format!("{path}: Too long: may not be more than {most} bytes"));
    }
    if schema["pattern"].is_string() {
        broken(json!("!!!!!!!!!!"), format!("{path} in body should match"));
    }
    if schema["enum"].is_array() {
        broken(json!("Nonsense"), format!("{path}: Unsupported value: \"Nonsense\""));
    }
    if schema["format"] == "date-time" {
        broken(json!("yesterday"), format!("{path} in body must be of type date-time"));
    }
    if let Some(type_) = schema["type"].as_str().filter(|_| schema["format"] != "date-time") {
        let wrong = if type_ == "boolean" { json!("a") } else { json!(true) };
        broken(wrong, format!("{path} in body must be of type {type_}"));
    }
    if let Some(most) = number("maxItems") {
        broken(items(&here[0], most + 1), format!("{path}: Too many: {}: must have at most {most} items", most + 1));
    }
    if ["set", "map"].contains(&schema["x-kubernetes-list-type"].as_str().unwrap_or_default()) {
        broken(json!([here[0], here[0]]), format!("{path}[1]: Duplicate value"));
    }
    for field in schema["required"].as_array().into_iter().flatten() {
        let mut without = here.clone();
        let name = field.as_str().unwrap();
        without.as_object_mut().unwrap().remove(name);
        broken(without, format!("{path}.{name}: Required value"));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, full, &format!("{pointer}/{name}"), &format!("{path}.{name}"), found);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], full, &format!("{pointer}/0"), &format!("{path}[0]"), found);
    }
}

/// So many different items like this one.
fn items(like: &Value, count: usize) -> Value {
    let named = |number: usize| format!("item-{number}-{}", "x".repeat(60)).chars().take(62).collect::<String>();
    (1..=count)
        .map(|number| {
            let name = named(number).trim_end_matches('-').to_owned();
            let mut item = like.clone();
            match &mut item {
                Value::Object(fields) if fields.contains_key("path") => {
                    fields["path"] = json!(format!("s3a://lake/{name}"));
                }
                Value::Object(fields) => fields["name"] = json!(name),
                other => *other = json!(name),
            }
            item
        })
        .collect()
}

/// Pointers to every list of a full object that has a greatest length, with that length.
fn lists(schema: &Value, pointer: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    if let Some(most) = schema["maxItems"].as_u64() {
        found.push((pointer.to_owned(), usize::try_from(most).unwrap()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.extend(lists(property, &format!("{pointer}/{name}")));
    }
    found
}

/// Pointers to every optional field of a full object, with its default.
fn optional_fields(schema: &Value, pointer: &str) -> Vec<(String, Option<Value>)> {
    let mut found = Vec::new();
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let here = format!("{pointer}/{name}");
        if !required.contains(&name.as_str()) {
            found.push((here.clone(), property.get("default").cloned()));
        }
        found.extend(optional_fields(property, &here));
    }
    if schema["items"].is_object() {
        found.extend(optional_fields(&schema["items"], &format!("{pointer}/0")));
    }
    found
}

async fn check_examples<K: Declared + CustomResourceExt + DeserializeOwned + Serialize>(yaml: &str) {
    let kind = Kind::of::<K>(yaml).await;
    let mut refusals = Vec::new();
    for example in &kind.examples.accepted {
        let stored = kind.accepts(example).await;
        serde_json::from_value::<K>(stored).unwrap_or_else(|error| panic!("{}: {error}", shown(example)));
    }
    for example in &kind.examples.refused {
        refusals.push(kind.refuses(&example.object, &example.says).await);
    }
    for update in &kind.examples.updates {
        let change = format!("{}: {} -> {}", kind.name, shown(&update.before), shown(&update.after));
        match (kind.update(&update.before, &update.after).await, &update.says) {
            (Ok(_), None) => {}
            (Ok(_), Some(says)) => panic!("{change}: accepted, which should fail with {says:?}"),
            (Err(error), None) => panic!("{change}: {error}"),
            (Err(error), Some(says)) => {
                assert!(error.contains(says.as_str()), "{change}: {error}, and not {says}");
                refusals.push(error);
            }
        }
    }
    let crd = schema::crds().into_iter().find(|crd| crd.spec.names.kind == kind.name).unwrap();
    for message in rule_messages(&serde_json::to_value(crd).unwrap()) {
        assert!(
            refusals.iter().any(|error| error.contains(&message)),
            "{}: no refused example for the rule {message:?}",
            kind.name
        );
    }
}

async fn check_limits<K: Declared + CustomResourceExt>(yaml: &str) {
    let kind = Kind::of::<K>(yaml).await;
    let Some(schema) = &kind.spec_schema else { return };
    let full = &kind.examples.full;
    kind.accepts(full).await;
    for violation in violations(schema, full) {
        kind.refuses(&violation.object, &violation.says).await;
    }
    for (pointer, most) in lists(schema, "/spec") {
        let mut object = full.clone();
        let list = object.pointer_mut(&pointer).unwrap();
        *list = items(&list[0], most);
        kind.accepts(&object).await;
    }
}

async fn check_nulls_and_defaults<K: Declared + CustomResourceExt + DeserializeOwned>(yaml: &str) {
    let kind = Kind::of::<K>(yaml).await;
    let Some(schema) = &kind.spec_schema else { return };
    for (pointer, default) in optional_fields(schema, "/spec") {
        let mut object = kind.examples.full.clone();
        *object.pointer_mut(&pointer).unwrap() = Value::Null;
        let stored = kind.accepts(&object).await;
        assert_eq!(stored.pointer(&pointer), default.as_ref(), "{}: {pointer} set to null", kind.name);
        // Manifests that never saw an API server decode to the same.
        let mut file = serde_json::to_value(kind.object(&object)).unwrap();
        file.as_object_mut().unwrap().remove("status");
        serde_json::from_value::<K>(file).unwrap_or_else(|error| panic!("{}: {pointer}: {error}", kind.name));
    }
    let minimal = kind.examples.minimal.as_ref().unwrap();
    assert_eq!(kind.accepts(&minimal.object).await["spec"], minimal.spec, "{}: defaults", kind.name);
}

/// Everything that the API server keeps is in the Rust type, and the other way round.
async fn check_round_trip<K: Declared + CustomResourceExt + DeserializeOwned + Serialize>(yaml: &str) {
    let kind = Kind::of::<K>(yaml).await;
    let object = kind.object(&kind.examples.full);
    let mut created = kind.api.create(&PostParams::default(), &object).await.unwrap();
    let name = created.metadata.name.clone().unwrap();
    created.data["status"] = kind.examples.full["status"].clone();
    let stored =
        kind.api.replace_status(&name, &PostParams::default(), &created).await.map_err(|error| error.to_string());
    let stored = serde_json::to_value(stored.unwrap()).unwrap();
    let typed: K = serde_json::from_value(stored.clone()).unwrap();
    let again = serde_json::to_value(&typed).unwrap();
    for part in ["spec", "status"] {
        assert_eq!(stored[part], kind.examples.full[part], "{}: stored {part}", kind.name);
        assert_eq!(again[part], kind.examples.full[part], "{}: typed {part}", kind.name);
    }
    assert_eq!(typed.observed_generation(), Some(kind.examples.full["status"]["observedGeneration"].as_i64().unwrap()));
    assert!(!typed.conditions().is_empty());
    if let Some(schema) = &kind.spec_schema {
        for (pointer, _) in optional_fields(schema, "/spec") {
            assert!(kind.examples.full.pointer(&pointer).is_some(), "{}: the full example has no {pointer}", kind.name);
        }
    }
}

macro_rules! kinds {
    ($($module:ident: $kind:ty, $file:literal;)*) => {$(
        mod $module {
            use super::*;

            const YAML: &str = include_str!($file);

            #[tokio::test]
            async fn examples_are_accepted_and_refused() {
                check_examples::<$kind>(YAML).await;
            }

            #[tokio::test]
            async fn every_limit_holds() {
                check_limits::<$kind>(YAML).await;
            }

            #[tokio::test]
            async fn fields_round_trip() {
                check_round_trip::<$kind>(YAML).await;
            }
        }
    )*};
}

kinds! {
    minio_user: MinioUser, "crds/miniousers.yaml";
    minio_group: MinioGroup, "crds/miniogroups.yaml";
    group_membership: GroupMembership, "crds/groupmemberships.yaml";
    path_share: PathShare, "crds/pathshares.yaml";
    minio_policy: MinioPolicy, "crds/miniopolicies.yaml";
    minio_access_key: MinioAccessKey, "crds/minioaccesskeys.yaml";
    minio_instance: MinioInstance, "crds/minioinstances.yaml";
}

#[tokio::test]
async fn null_takes_the_default() {
    check_nulls_and_defaults::<MinioUser>(include_str!("crds/miniousers.yaml")).await;
    check_nulls_and_defaults::<MinioGroup>(include_str!("crds/miniogroups.yaml")).await;
    check_nulls_and_defaults::<GroupMembership>(include_str!("crds/groupmemberships.yaml")).await;
    check_nulls_and_defaults::<PathShare>(include_str!("crds/pathshares.yaml")).await;
    check_nulls_and_defaults::<MinioPolicy>(include_str!("crds/miniopolicies.yaml")).await;
    check_nulls_and_defaults::<MinioAccessKey>(include_str!("crds/minioaccesskeys.yaml")).await;
}

/// What people see without the manual.
#[tokio::test]
async fn kubectl_explains_and_lists() {
    let share = Kind::of::<PathShare>(include_str!("crds/pathshares.yaml")).await;
    let object = share.object(&share.examples.full);
    let mut created = share.api.create(&PostParams::default(), &object).await.unwrap();
    created.data["status"] = share.examples.full["status"].clone();
    created.data["status"]["conditions"][0]["message"] = json!("all in force");
    share.api.replace_status("exp1", &PostParams::default(), &created).await.unwrap();

    let explained = kubectl(&["explain", "pathshare.spec.grants.expiresAt"]);
    let words = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("Where absent it does not end."), "{explained}");
    let namespace = created.metadata.namespace.unwrap();
    let narrow = kubectl(&["get", "ps", "--namespace", &namespace]);
    let columns: Vec<&str> = narrow.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["NAME", "PATH", "OWNER", "EVERYONE", "ACTIVE", "READY", "REASON", "AGE"]);
    let cells: Vec<&str> = narrow.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        cells[..7],
        ["exp1", "s3a://lake/homes/alice/data/exp1/", "alice", "Read", "1", "True", "Converged"],
        "{narrow}"
    );
    let wide = kubectl(&["get", "ps", "--namespace", &namespace, "-o", "wide"]);
    assert!(wide.contains("all in force") && wide.contains("2027-01-31T00:00:00Z"), "{wide}");
    let category = kubectl(&["get", "minio-manager", "--namespace", &namespace]);
    assert!(category.contains("exp1"), "{category}");
}

fn kubectl(arguments: &[&str]) -> String {
    let output = Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN"))
        .arg("--kubeconfig")
        .arg(Cluster::shared().kubeconfig())
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Names and paths come from REST and import too, past the API server: both must judge alike.
#[tokio::test]
async fn the_api_server_and_the_core_judge_names_alike() {
    let words = [
        "abc",
        "ab",
        "a",
        "Alice",
        "a.b_c@d-e",
        "a.b_c-d",
        "a..b",
        "a._b",
        "-a",
        "abc-",
        "abc.",
        "a b",
        "äbc",
        "abc\n",
        "a/b",
        "root",
        "Root",
        "warehouse",
        "all",
        "All",
        "everyone",
        "globalusers",
        "globalusersro",
        "site-replicator-0",
        "user-home-policy-x",
        "user-system-policy-x",
        "group-policy-x",
        "minio-manager--claim",
        "readonly",
        "ReadOnly",
        "consoleAdmin",
        "«62 x»",
        "«63 x»",
        "«64 x»",
        "«65 x»",
        "«128 x»",
        "«129 x»",
    ];
    let users = Kind::of::<MinioUser>(include_str!("crds/miniousers.yaml")).await;
    let groups = Kind::of::<MinioGroup>(include_str!("crds/miniogroups.yaml")).await;
    let policies = Kind::of::<MinioPolicy>(include_str!("crds/miniopolicies.yaml")).await;
    let document = json!({"Version": "2012-10-17", "Statement": []});
    for word in words.map(expand_text) {
        let user = users.try_create(&json!({"spec": {"username": word}})).await;
        assert_eq!(user.is_ok(), UserName::parse(&word).is_ok(), "username {word:?}: {user:?}");
        let group = groups.try_create(&json!({"spec": {"groupName": word}})).await;
        assert_eq!(group.is_ok(), GroupName::parse(&word).is_ok(), "groupName {word:?}: {group:?}");
        let policy = policies.try_create(&json!({"spec": {"policyName": word, "document": document}})).await;
        assert_eq!(policy.is_ok(), PolicyName::parse_declared(&word).is_ok(), "policyName {word:?}: {policy:?}");
        let attached = users.try_create(&json!({"spec": {"policies": [word]}})).await;
        assert_eq!(attached.is_ok(), PolicyName::parse(&word).is_ok(), "policies {word:?}: {attached:?}");
    }
}

#[tokio::test]
async fn the_api_server_and_the_core_judge_paths_alike() {
    let shares = Kind::of::<PathShare>(include_str!("crds/pathshares.yaml")).await;
    let examples = &shares.examples;
    let specs = examples.accepted.iter().chain(examples.refused.iter().map(|refused| &refused.object));
    let paths: BTreeSet<String> = specs.map(|object| expand_text(object["spec"]["path"].as_str().unwrap())).collect();
    assert!(paths.len() > 30);
    for path in paths {
        let admitted = shares.try_create(&json!({"spec": {"path": path}})).await;
        assert_eq!(admitted.is_ok(), S3Path::parse(&path).is_ok(), "{path:?}: {admitted:?}");
    }
    // Every character below the private ones that one of the two might see as invisible.
    for code in (0x01..0xa0).chain([0x61c, 0x180e, 0x200b, 0x200e, 0x200f, 0x2028, 0x2029]).chain(0x202a..0x2070) {
        let path = format!("s3a://lake/a{}b", char::from_u32(code).unwrap());
        let admitted = shares.try_create(&json!({"spec": {"path": path}})).await;
        assert_eq!(admitted.is_ok(), S3Path::parse(&path).is_ok(), "U+{code:04X}: {admitted:?}");
    }
}
