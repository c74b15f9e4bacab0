//! The Kubernetes objects in `deploy/proxy/`: they run the very file that the other tests try, with as few rights as a pod can
//! have. What fields they have, `chart::rendered::the_api_server_knows_every_field` looks at.

use std::{path::Path, process::Command};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::nginx::FILE;
use crate::support::kube::{Cluster, tool};

/// What Kustomize makes of the folder.
fn objects() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/proxy");
    let output = Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN")).arg("kustomize").arg(folder).output();
    let output = output.expect("kubectl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("there is no {kind}"))
}

#[test]
fn its_pods_read_the_file_that_is_tested_from_where_nginx_looks() {
    let objects = objects();
    let (map, deployment) = (of_kind(&objects, "ConfigMap"), of_kind(&objects, "Deployment"));
    assert_eq!(map["data"]["minio.conf"], FILE);
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let place = |volume: &str| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        mounts.iter().find(|mount| mount["name"] == volume).unwrap()["mountPath"].as_str().unwrap()
    };
    assert_eq!(pod["volumes"][0]["configMap"]["name"], map["metadata"]["name"]);
    assert_eq!(place("configuration"), "/etc/nginx/conf.d");
    for file in ["tls.crt", "tls.key"] {
        assert!(FILE.contains(&format!("{}/{file};", place("tls"))), "{file}");
    }
    let port = &container["ports"][0]["containerPort"];
    assert!(FILE.contains(&format!("listen {port} ssl")));
    // Who may reach MinIO is who is there.
    let policies: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "NetworkPolicy").collect();
    assert_eq!(policies.len(), 2);
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(policies[0]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"], *labels);
    assert_eq!(policies[1]["spec"]["podSelector"]["matchLabels"], *labels);
    assert_eq!(of_kind(&objects, "Service")["spec"]["selector"], *labels);
}

#[tokio::test]
async fn a_namespace_for_restricted_pods_takes_its_pods() {
    let cluster = Cluster::shared();
    let (client, namespace) = (cluster.client().await, cluster.namespace("proxy").await);
    let restricted = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.patch(&namespace, &PatchParams::default(), &Patch::Merge(restricted)).await.unwrap();
    let spec = of_kind(&objects(), "Deployment")["spec"]["template"]["spec"].clone();
    let pod = |spec: &Value| -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "proxy"}, "spec": spec}))
            .expect("a template is one of a pod")
    };
    let (pods, dry_run) = (Api::namespaced(client, &namespace), PostParams { dry_run: true, ..PostParams::default() });
    pods.create(&dry_run, &pod(&spec)).await.unwrap();
    assert_eq!(spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    let mut more = spec;
    more["containers"][0]["securityContext"]["capabilities"] = json!({"add": ["NET_ADMIN"]});
    let refused = pods.create(&dry_run, &pod(&more)).await.unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity"), "{refused}");
}
