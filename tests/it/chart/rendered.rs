//! What the chart renders, and what it refuses, without installing it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};

use minio_manager::{api::schema, commands::crds};
use serde_json::{Value, json};

use super::{chart, committed, fail, helm, kustomize, objects, repository, succeed, template, value_sets};
use crate::support::{
    kube::{Cluster, tool},
    minio::unique,
};

/// What every installation needs.
const NEEDED: &str = "minio.endpoint=https://minio.minio.svc:9000,minio.existingSecret=minio-credentials";

/// Files whose objects are proven elsewhere, and must be what the chart makes.
const PROVEN: [&str; 6] = [
    "rbac.yaml",
    "watched-namespace.yaml",
    "rest/rbac.yaml",
    "rest/admission.yaml",
    "rest/tokenreviews.yaml",
    "rest/watched-namespaces.yaml",
];

#[test]
fn one_version_for_program_chart_and_image() {
    let chart: Value = serde_saphyr::from_str(&fs::read_to_string(chart().join("Chart.yaml")).unwrap()).unwrap();
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
    let rendered = objects(&succeed(&mut template(&["--set", NEEDED])));
    let deployment = rendered.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let image = deployment.pointer("/spec/template/spec/containers/0/image").unwrap().as_str().unwrap();
    assert_eq!(image.rsplit_once(':').unwrap().1, env!("CARGO_PKG_VERSION"), "{image}");
}

#[test]
fn lint_finds_nothing() {
    succeed(helm(None).args(["lint", "--strict"]).arg(chart()));
    for (_, values) in value_sets() {
        succeed(helm(None).args(["lint", "--strict"]).arg(chart()).arg("--values").arg(values));
    }
}

#[test]
fn what_is_rendered_is_what_was_looked_at() {
    let sets = value_sets();
    assert!(sets.len() >= 3);
    for (name, values) in sets {
        let values = ["--values", values.to_str().unwrap(), "--set", "crds.install=false"];
        let rendered = succeed(&mut template(&values));
        committed(&repository().join(format!("tests/it/chart/snapshots/{name}.yaml")), &rendered);
    }
}

#[test]
fn the_crds_are_those_of_the_program_and_stay() {
    let rendered = objects(&succeed(&mut template(&["--set", NEEDED])));
    let of_kind = |object: &&Value| object["kind"] == "CustomResourceDefinition";
    let rendered: BTreeMap<&str, &Value> = rendered.iter().filter(of_kind).map(|crd| (name(crd), crd)).collect();
    let expected: Vec<Value> = schema::crds().iter().map(|crd| serde_json::to_value(crd).unwrap()).collect();
    assert_eq!(rendered, expected.iter().map(|crd| (name(crd), crd)).collect());
    for crd in rendered.values() {
        assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
    assert_eq!(rendered.len(), crds::render().unwrap().len());
}

#[test]
fn wrong_values_are_refused_by_name() {
    let rest = "rest.mode=deployment,homeNamespace=lake";
    let table = [
        ("minio.endpont=http://minio:9000", "endpont"),
        ("minio.endpoint=minio:9000", "/minio/endpoint"),
        ("minio.endpoint=", "minio.endpoint"),
        ("minio.existingSecret=", "minio.existingSecret"),
        ("minio.existingSecret=My_Secret", "/minio/existingSecret"),
        ("replicas=2", "'replicas'"),
        ("controller.replicas=two", "/controller/replicas"),
        ("controller.extraArgs={take-over}", "/controller/extraArgs/0"),
        ("lease=etcd", "/lease"),
        ("lease=none", "controller.replicas"),
        ("lease=redis", "redis.existingSecret"),
        ("minio.ca.existingSecret=a,minio.ca.existingConfigMap=b", "minio.ca"),
        ("createHomeNamespace=true", "createHomeNamespace"),
        ("image.digest=latest", "/image/digest"),
        ("converge.mode=dry-run", "/converge/mode"),
        ("converge.auditInterval=1d", "/converge/auditInterval"),
        ("converge.largeChangeLimit=20", "/converge/largeChangeLimit"),
        ("credentials.secretFiles={passwd}", "/credentials/secretFiles/0"),
        ("config.layout=complex", "/config/layout"),
        ("config.layout.name=own", "/config/layout"),
        ("config.namespaces.spark.keyFor={alice}", "'keyFor'"),
        ("config.namespaces.Spark.keysFor={alice}", "'Spark'"),
        ("rest.mode=on", "/rest/mode"),
        ("rest.mode=deployment", "homeNamespace"),
        (rest, "rest.auth.backends"),
        (&format!("{rest},rest.auth.backends={{ldap}}"), "/rest/auth/backends/0"),
        (&format!("{rest},rest.auth.backends={{oidc}}"), "rest.auth.oidc.issuer"),
        (&format!("{rest},rest.auth.backends={{jupyterhub}}"), "rest.auth.jupyterhub.url"),
        (&format!("{rest},rest.auth.backends={{static}}"), "rest.auth.static.existingSecret"),
        (&format!("{rest},rest.auth.backends={{kbase}},rest.ingress.enabled=true"), "rest.ingress.host"),
    ];
    for (wrong, named) in table {
        let said = fail(&mut template(&["--set", NEEDED, "--set", wrong]));
        assert!(said.contains(named), "{wrong}: {said}");
    }
    for right in ["rest.mode=off", "rest.mode=false", "converge.largeChangeLimit=0", "config.layout=berdl"] {
        succeed(&mut template(&["--set", NEEDED, "--set", right]));
    }
}

#[test]
fn the_program_knows_every_flag_and_port() {
    let mut flags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, values) in value_sets() {
        for object in objects(&succeed(&mut template(&["--values", values.to_str().unwrap()]))) {
            let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array).cloned();
            for container in containers.into_iter().flatten() {
                let said = help(container["args"][0].as_str().unwrap());
                for argument in container["args"].as_array().unwrap().iter().skip(1) {
                    let flag = argument.as_str().unwrap().split('=').next().unwrap();
                    assert!(
                        said.contains(&format!("{flag} <")) || said.contains(&format!("{flag}[")),
                        "{flag}:\n{said}"
                    );
                    flags.entry(container["name"].as_str().unwrap().to_owned()).or_default().insert(flag.to_owned());
                }
                for port in container["ports"].as_array().unwrap() {
                    assert!(said.contains(&format!("0.0.0.0:{}", port["containerPort"])), "{port}");
                }
            }
        }
    }
    assert!(flags["controller"].len() > 20 && flags["rest"].len() > 15, "{flags:#?}");
}

#[test]
fn identities_are_those_that_tests_prove() {
    let values = chart().join("ci/deployment-values.yaml");
    let rendered = objects(&succeed(&mut template(&["--values", values.to_str().unwrap()])));
    let mut rendered: BTreeMap<String, Value> =
        rendered.into_iter().map(|object| (identity(&object), object)).collect();
    for file in PROVEN {
        let text = fs::read_to_string(repository().join("deploy/kubernetes").join(file)).unwrap();
        for proven in objects(&text) {
            let key = identity(&proven);
            let mut ours = rendered.remove(&key).unwrap_or_else(|| panic!("{file}: the chart has no {key}"));
            ours["metadata"].as_object_mut().unwrap().remove("labels");
            assert_eq!(in_order(ours), in_order(proven), "{file}: {key}");
        }
    }
    let left = rendered.keys().filter(|key| key.contains("Role") || key.contains("Admission"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new(), "these are proven nowhere");
}

#[test]
fn nothing_runs_with_more_rights_than_it_needs() {
    for (name, values) in value_sets() {
        for object in objects(&succeed(&mut template(&["--values", values.to_str().unwrap()]))) {
            let Some(pod) = object.pointer("/spec/template/spec") else { continue };
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
            for container in pod["containers"].as_array().unwrap() {
                let expected = json!({
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                });
                assert_eq!(container["securityContext"], expected, "{name}");
                for probe in ["livenessProbe", "readinessProbe"] {
                    assert!(container[probe].is_object(), "{name}: {probe}");
                }
                assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
                // The REST service sees neither MinIO's credentials nor the controller's identity.
                let mounts = container["volumeMounts"].to_string();
                assert_eq!(container["name"] == "controller", mounts.contains("\"credentials\""), "{name}: {mounts}");
            }
        }
    }
}

/// Schemas come from the API server that the tests run, so that nothing is fetched from anywhere.
#[tokio::test]
async fn the_api_server_knows_every_field() {
    let folder = env::temp_dir().join(unique("minio-manager-schemas"));
    fs::create_dir_all(&folder).unwrap();
    let request = http::Request::get("/openapi/v2").body(Vec::new()).unwrap();
    let text = Cluster::shared().client().await.request_text(request).await.unwrap();
    let kinds = write_schemas(serde_json::from_str(&text).unwrap(), &folder);
    assert!(kinds > 50, "{kinds} kinds");
    let sets = value_sets().into_iter();
    let mut manifests: Vec<String> =
        sets.map(|(_, values)| succeed(&mut template(&["--values", values.to_str().unwrap()]))).collect();
    manifests.extend(["deploy/kustomize/example", "deploy/proxy"].map(|folder| kustomize(&repository().join(folder))));
    for manifest in manifests {
        let file = folder.join("manifest.txt");
        fs::write(&file, manifest).unwrap();
        let said = succeed(
            Command::new(tool("kubeconform", "MINIO_MANAGER_KUBECONFORM_BIN"))
                .args(["-strict", "-summary", "-output", "json"])
                .args(["-skip", "monitoring.coreos.com/v1/ServiceMonitor,monitoring.coreos.com/v1/PrometheusRule"])
                .arg("-schema-location")
                .arg(format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", folder.display()))
                .stdin(fs::File::open(&file).unwrap()),
        );
        let summary: Value = serde_json::from_str(&said).unwrap();
        assert!(summary["summary"]["valid"].as_u64().unwrap() > 5, "{said}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// One file a kind, all of which point into one with the definitions.
fn write_schemas(mut api: Value, folder: &Path) -> usize {
    let definitions = api["definitions"].as_object_mut().unwrap();
    let mut kinds = 0;
    for (name, definition) in definitions.iter_mut() {
        for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |field: &str| kind[field].as_str().unwrap().to_lowercase();
            let group = text("group").split('.').next().unwrap_or_default().to_owned();
            let parts: Vec<String> =
                [text("kind"), group, text("version")].into_iter().filter(|part| !part.is_empty()).collect();
            let reference = json!({"$ref": format!("definitions.json#/definitions/{name}")});
            fs::write(folder.join(format!("{}.json", parts.join("-"))), reference.to_string()).unwrap();
            kinds += 1;
        }
        be_strict(definition);
    }
    fs::write(folder.join("definitions.json"), api.to_string()).unwrap();
    kinds
}

/// No field but those that are named, and numbers where they may stand for text.
fn be_strict(schema: &mut Value) {
    if schema["format"] == "int-or-string" {
        *schema = json!({"type": ["string", "integer"]});
    }
    if let Some(fields) = schema.as_object_mut() {
        if fields.get("properties").is_some_and(Value::is_object)
            && !fields.contains_key("x-kubernetes-preserve-unknown-fields")
        {
            fields.entry("additionalProperties").or_insert(json!(false));
        }
        fields.values_mut().for_each(be_strict);
    } else if let Some(items) = schema.as_array_mut() {
        items.iter_mut().for_each(be_strict);
    }
}

fn help(command: &str) -> String {
    succeed(Command::new(env!("CARGO_BIN_EXE_minio-manager")).args([command, "--help"]))
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// An object whose rules of access, if any, are sorted.
fn in_order(mut object: Value) -> Value {
    if let Some(rules) = object["rules"].as_array_mut() {
        rules.sort_by_key(Value::to_string);
    }
    object
}

/// `Kind namespace/name`
pub fn identity(object: &Value) -> String {
    let place = object["metadata"]["namespace"].as_str().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{} {place}{}", object["kind"].as_str().unwrap(), name(object))
}
