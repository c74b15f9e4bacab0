//! What Argo CD and Flux see: the sample repository, the health of objects, and that nothing of them differs from git.

mod health;
mod merge_request;
mod recovery;
mod repository;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::support::{
    kube::{self, Cluster, tool},
    world::World,
};

/// The field managers of the two programs.
const MANAGERS: [&str; 2] = ["argocd-controller", "kustomize-controller"];

/// Where the sample repository and all other examples are.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Runs a program with a text on its standard input.
fn run(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program is installed");
    child.stdin.take().expect("it reads").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// Runs kubectl with a text on its standard input.
fn kubectl(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN"));
    run(command.arg("--kubeconfig").arg(Cluster::shared().kubeconfig()).args(arguments), input)
}

/// What kubectl writes when it does not fail.
fn kubectl_says(arguments: &[&str], input: &str) -> String {
    let output = kubectl(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("kubectl writes text")
}

/// The documents of a text, in the namespace of a test.
fn documents(world: &World, yaml: &str) -> Vec<Value> {
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    for document in &mut documents {
        document["metadata"]["namespace"] = world.namespace().into();
    }
    documents
}

/// Documents as one text.
fn manifest(documents: &[Value]) -> String {
    documents.iter().map(|document| format!("---\n{document}\n")).collect()
}

/// Applies documents as Argo CD or Flux does.
fn apply_as(manager: &str, documents: &[Value]) {
    let field_manager = format!("--field-manager={manager}");
    kubectl_says(&["apply", "--server-side", "--force-conflicts", &field_manager, "-f", "-"], &manifest(documents));
}

/// What such an apply would change.
fn difference(manager: &str, documents: &[Value]) -> String {
    kube::difference(|| difference_once(manager, documents), String::as_str)
}

fn difference_once(manager: &str, documents: &[Value]) -> String {
    let field_manager = format!("--field-manager={manager}");
    let arguments = ["diff", "--server-side", "--force-conflicts", &field_manager, "-f", "-"];
    let output = kubectl(&arguments, &manifest(documents));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    // 1 is a difference, everything else a failure.
    let code = output.status.code();
    assert!(code == Some(i32::from(!shown.is_empty())), "{code:?}: {}", String::from_utf8_lossy(&output.stderr));
    shown
}

/// Waits until every object is Ready.
async fn all_ready(world: &World, documents: &[Value]) {
    for document in documents {
        let text = |value: &Value| value.as_str().expect("a document has a kind and a name").to_owned();
        world.ready(&text(&document["kind"]), &text(&document["metadata"]["name"])).await;
    }
}
