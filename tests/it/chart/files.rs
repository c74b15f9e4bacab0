//! Files that follow from others: copies in the chart, the table of values, the manifests for Kustomize. `make chart` writes them.

use std::{fs, path::Path};

use minio_manager::commands::crds;
use serde_json::Value;

use super::{chart, committed, kustomize, objects, rendered::identity, repository, succeed, template};

/// Where the generated part of the chart's README begins.
const VALUES: &str = "<!-- From here on generated from values.yaml by `make chart`. -->\n";

/// What stands in the manifests for Kustomize, to be patched in overlays.
const BASE: &str = "minio.endpoint=https://minio.minio.svc:9000,minio.existingSecret=minio-credentials,homeNamespace=lake,\
                    createHomeNamespace=true,crds.install=false";
const REST: &str = "rest.mode=deployment,rest.auth.backends={oidc},rest.auth.oidc.issuer=https://login.example.org/,\
                    rest.auth.oidc.audience=minio-manager";

#[test]
fn the_chart_brings_what_the_repository_has() {
    for (name, yaml) in crds::render().unwrap() {
        committed(&chart().join("files/crds").join(name), &yaml);
    }
    let alerts = fs::read_to_string(repository().join("examples/monitoring/alerts.yaml")).unwrap();
    committed(&chart().join("files/alerts.yaml"), &alerts);
}

#[test]
fn every_value_is_described() {
    let path = chart().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (written, _) = readme.split_once(VALUES).expect("the README has a place for the values");
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let defaults: Value = serde_saphyr::from_str(&text).unwrap();
    let described = descriptions(&text);
    for leaf in leaves("", &defaults) {
        let covered = |(key, _): &(String, String)| leaf == *key || leaf.starts_with(&format!("{key}."));
        assert!(described.iter().any(covered), "values.yaml: {leaf} has no description (# --)");
    }
    let mut table = "| value | default | what it is |\n| --- | --- | --- |\n".to_owned();
    for (key, description) in &described {
        let default = defaults.pointer(&format!("/{}", key.replace('.', "/"))).unwrap();
        let default = if default.is_null() { "\"\"".to_owned() } else { default.to_string() };
        table.push_str(&format!("| `{key}` | `{default}` | {} |\n", description.replace('|', "\\|")));
    }
    committed(&path, &format!("{written}{VALUES}\n{table}"));
}

/// The values with a comment `# --` above them, and what it says.
fn descriptions(values: &str) -> Vec<(String, String)> {
    let mut described = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut pending = None;
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(description) = text.strip_prefix("# -- ") {
            pending = Some(description.to_owned());
        } else if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with('#')) {
            path.retain(|(depth, _)| *depth < indent);
            path.push((indent, key.to_owned()));
            if let Some(description) = pending.take() {
                let key: Vec<&str> = path.iter().map(|(_, key)| key.as_str()).collect();
                described.push((key.join("."), description));
            }
        }
    }
    described
}

fn leaves(path: &str, value: &Value) -> Vec<String> {
    let Some(fields) = value.as_object().filter(|fields| !fields.is_empty()) else { return vec![path.to_owned()] };
    let below = |(key, value): (&String, &Value)| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        leaves(&path, value)
    };
    fields.iter().flat_map(below).collect()
}

#[test]
fn kustomize_has_what_the_chart_makes() {
    let folder = repository().join("deploy/kustomize");
    let base = documents(&["--set", BASE]);
    let with_rest = documents(&["--set", BASE, "--set", REST]);
    let (shared, added): (Vec<_>, Vec<_>) = with_rest.into_iter().partition(|document| base.contains(document));
    assert_eq!(shared, base, "REST changes nothing of the controller");
    committed(&folder.join("base/controller.yaml"), &manifest(&base));
    committed(&folder.join("rest/rest.yaml"), &manifest(&added));

    let names = |folder: &Path| -> Vec<String> { objects(&kustomize(folder)).iter().map(identity).collect() };
    let example = names(&folder.join("example"));
    for document in base.iter().chain(&added) {
        let name = identity(&objects(document)[0]);
        assert!(example.contains(&name), "the example has no {name}");
    }
    assert!(example.iter().any(|name| name == "CustomResourceDefinition miniousers.minio-manager.io"));
    assert!(names(&folder.join("base")).iter().all(|name| !name.contains("-rest")));
}

/// What the chart renders, object by object, without what only Helm understands.
fn documents(arguments: &[&str]) -> Vec<String> {
    let helms = ["# Source:", "helm.sh/chart:", "app.kubernetes.io/managed-by:", "checksum/config:"];
    let rendered = succeed(&mut template(arguments));
    let documents = rendered.split("\n---\n").map(|document| {
        let lines = document.trim_start_matches("---\n").lines();
        let kept: Vec<&str> =
            lines.filter(|line| !helms.iter().any(|helm| line.trim_start().starts_with(helm))).collect();
        let text = format!("{}\n", kept.join("\n").trim());
        text.replace("      annotations:\n    spec:\n", "    spec:\n")
    });
    documents.filter(|document| !objects(document).is_empty()).collect()
}

fn manifest(documents: &[String]) -> String {
    format!("# Rendered from charts/minio-manager by `make chart`.\n{}", documents.join("---\n"))
}
