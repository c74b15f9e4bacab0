//! What the documents show as YAML, JSON and Python: taken by whom it is for, or parsed.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    process::{Command, Stdio},
};

use minio_manager::iam::index::NamespaceRules;
use serde_json::{Value, json};

use super::{
    blocks::{Block, blocks, documents},
    repository,
    story::{Story, programs},
};
use crate::support::kube::Cluster;

/// What every installation needs beside the values that are shown.
const NEEDED: &str = "minio.endpoint=https://minio.minio.svc:9000,minio.existingSecret=minio-credentials";

/// Whom a block of YAML is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reader {
    ApiServer,
    /// The part of a Pod that speaks of its containers.
    Kubelet,
    /// The configuration file.
    Configuration,
    /// A part of a kustomization that is built on `deploy/kustomize`.
    Kustomize,
    /// Values of the chart.
    Helm,
}

fn reader(shown: &Value, values: &Value) -> Option<Reader> {
    let fields: Vec<&str> = shown.as_object()?.keys().map(String::as_str).collect();
    let has = |field: &str| fields.contains(&field);
    if has("apiVersion") && has("kind") {
        Some(Reader::ApiServer)
    } else if has("containers") {
        Some(Reader::Kubelet)
    } else if fields == ["namespaces"] {
        Some(Reader::Configuration)
    } else if fields == ["patches"] {
        Some(Reader::Kustomize)
    } else if fields.iter().all(|field| values.get(field).is_some()) {
        Some(Reader::Helm)
    } else {
        None
    }
}

fn all(language: &str) -> Vec<Block> {
    let blocks = documents().into_iter().flat_map(|document| blocks(&document));
    blocks.filter(|block| block.language == language).collect()
}

#[tokio::test]
async fn who_is_to_read_yaml_takes_it() {
    let text = fs::read_to_string(repository().join("charts/minio-manager/values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let namespace = Cluster::shared().namespace("documents").await;
    let mut found: BTreeMap<Reader, usize> = BTreeMap::new();
    for block in all("yaml") {
        let place = format!("{}:{}", block.document, block.line);
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&block.text).unwrap_or_else(|error| panic!("{place}: {error}"));
        for shown in documents {
            let reader = reader(&shown, &values).unwrap_or_else(|| panic!("{place}: no test knows whom this is for"));
            let refused = match reader {
                Reader::ApiServer => dry_run(shown, &namespace),
                Reader::Kubelet => dry_run(pod(shown), &namespace),
                Reader::Configuration => configuration(&shown),
                Reader::Kustomize => kustomize(&block.text),
                Reader::Helm => helm(&shown),
            };
            assert_eq!(refused.err(), None, "{place}\n{}", block.text);
            *found.entry(reader).or_default() += 1;
        }
    }
    assert_eq!(found.len(), 5, "there is something for everybody: {found:?}");
    // Nobody takes everything.
    let user = json!({"apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser", "metadata": {"name": "alice"}});
    let with = |field: &str| {
        let mut wrong = user.clone();
        wrong["spec"] = json!({ field: "x" });
        wrong
    };
    assert!(dry_run(with("secretNam"), &namespace).unwrap_err().contains("secretNam"));
    assert!(dry_run(pod(json!({"containers": [{"name": "a", "envFron": []}]})), &namespace).is_err());
    assert!(helm(&json!({"homeNamespaces": "lake"})).is_err() && helm(&json!({"rest": {"mode": "no"}})).is_err());
    assert!(configuration(&json!({"namespaces": {"spark": {"keyFor": []}}})).is_err());
    assert!(kustomize("patches:\n  - target: {kind: Deployment, name: minio-manager}\n    patch: |-\n      - {op: test, path: /a, value: b}\n").is_err());
}

#[test]
fn json_can_be_parsed() {
    for block in all("json") {
        let parsed = serde_json::from_str::<Value>(&block.text);
        assert!(parsed.is_ok(), "{}:{}: {}", block.document, block.line, parsed.unwrap_err());
    }
    assert!(serde_json::from_str::<Value>("{a: 1}").is_err());
}

#[test]
fn python_can_be_parsed() {
    let parse = ["-c", "import ast, sys; ast.parse(sys.stdin.read())"];
    for block in all("python") {
        let parsed = reading(Command::new("python3").args(parse), &block.text);
        assert_eq!(parsed.err(), None, "{}:{}", block.document, block.line);
    }
    assert!(reading(Command::new("python3").args(parse), "import import").is_err());
}

/// What a program says that fails, with a text on its standard input.
fn reading(command: &mut Command, text: &str) -> Result<String, String> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program is installed");
    child.stdin.take().expect("it reads").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn dry_run(mut object: Value, namespace: &str) -> Result<(), String> {
    object["metadata"]["namespace"] = json!(namespace);
    let mut kubectl = Command::new("kubectl");
    kubectl.env("PATH", programs()).env("KUBECONFIG", Cluster::shared().kubeconfig());
    kubectl.args(["create", "--dry-run=server", "--validate=strict", "-f", "-"]);
    reading(&mut kubectl, &object.to_string()).map(drop)
}

/// A Pod with these containers, which say nothing of their image.
fn pod(mut spec: Value) -> Value {
    for container in spec["containers"].as_array_mut().unwrap() {
        container["image"] = json!("registry.example.com/image");
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "documented"}, "spec": spec})
}

fn configuration(shown: &Value) -> Result<(), String> {
    let rules = serde_json::from_value::<BTreeMap<String, NamespaceRules>>(shown["namespaces"].clone());
    rules.map_err(|error| error.to_string())?;
    // The chart writes this file from values of the same form.
    helm(&json!({ "config": shown }))
}

fn helm(values: &Value) -> Result<(), String> {
    let mut helm = Command::new("helm");
    helm.env("PATH", programs()).args(["template", "minio-manager"]).arg(repository().join("charts/minio-manager"));
    helm.args(["--namespace", "minio-manager", "--set", NEEDED, "--values", "-"]);
    reading(&mut helm, &values.to_string()).map(drop)
}

fn kustomize(shown: &str) -> Result<(), String> {
    let story = Story::aside();
    let folder = story.path("deploy/kustomize/shown");
    fs::create_dir(&folder).unwrap();
    let above = "resources: [../base]\ncomponents: [../rest]\n";
    fs::write(folder.join("kustomization.yaml"), format!("{above}{shown}")).unwrap();
    reading(Command::new("kubectl").env("PATH", programs()).arg("kustomize").arg(folder), "").map(drop)
}
