//! The Helm chart: what it renders, what it refuses, and installations of it whose containers run.

mod files;
mod image;
mod install;
mod rendered;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::support::kube::{Cluster, tool, tools_cache};

/// The release and the namespace that all texts take for granted.
const RELEASE: &str = "minio-manager";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn chart() -> PathBuf {
    repository().join("charts/minio-manager")
}

/// The sets of values that are rendered, linted and compared.
fn value_sets() -> Vec<(String, PathBuf)> {
    let name =
        |path: &Path| path.file_name().unwrap().to_str().unwrap().strip_suffix("-values.yaml").map(str::to_owned);
    let entries = fs::read_dir(chart().join("ci")).unwrap().map(|entry| entry.unwrap().path());
    let mut sets: Vec<_> = entries.filter_map(|path| Some((name(&path)?, path))).collect();
    sets.sort();
    sets
}

/// Helm, with its own files beside the other tools and nothing of the person who runs the tests.
fn helm(cluster: Option<&Cluster>) -> Command {
    let mut command = Command::new(tool("helm", "MINIO_MANAGER_HELM_BIN"));
    command.env_clear().env("HOME", tools_cache().join("helm-home"));
    match cluster {
        Some(cluster) => command.env("KUBECONFIG", cluster.kubeconfig()),
        None => command.env("KUBECONFIG", "/dev/null"),
    };
    command
}

/// What a command that has to succeed printed.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the program is installed");
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(status.success(), "{command:?} ended with {status}:\n{stdout}\n{stderr}");
    stdout
}

/// What a command said that has to fail.
#[track_caller]
fn fail(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{command:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
    said
}

/// `helm template` of the chart for the usual release.
fn template(arguments: &[&str]) -> Command {
    let mut command = helm(None);
    command.args(["template", RELEASE]).arg(chart()).args(["--namespace", RELEASE]).args(arguments);
    command
}

/// What Kustomize makes of a folder.
fn kustomize(folder: &Path) -> String {
    succeed(Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN")).arg("kustomize").arg(folder))
}

/// The objects of a YAML text.
fn objects(manifest: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// Compares a committed file with what it has to be, or writes it where `MINIO_MANAGER_BLESS` is set.
#[track_caller]
fn committed(path: &Path, expected: &str) {
    if std::env::var_os("MINIO_MANAGER_BLESS").is_some_and(|value| !value.is_empty()) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, expected).unwrap();
        return;
    }
    let file = fs::read_to_string(path).unwrap_or_default();
    if let Some((number, (now, then))) = expected.lines().zip(file.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("{}:{}: run `make chart`\nis:   {then}\nwant: {now}", path.display(), number + 1);
    }
    assert!(file == expected, "{} is longer or shorter than it has to be: run `make chart`", path.display());
}
