//! Walks through the documents: the commands of each, in the order in which people come to them.

use std::{env, path::PathBuf, process::Command as Process, sync::Arc};

use serde_json::Value;

use super::{
    blocks::blocks,
    coverage::{COMMANDS, FROM_A_SHELL, STACK, WITH_KUSTOMIZE},
    repository,
    story::Story,
};
use crate::support::{
    identity::rest_kubeconfig,
    kube::Cluster,
    minio::Server,
    rest::{Service, ServiceSetup, token},
};

const README: &str = "README.md";
const ACCESS: &str = "docs/access.md";
/// An end in the documents, which some day is over.
const END: &str = "2027-01-31T00:00:00Z";
const LATER: &str = "2099-01-31T00:00:00Z";

#[tokio::test]
async fn who_starts_it_from_a_shell_gets_all_that_is_promised() {
    let (cluster, minio) = (Arc::new(Cluster::empty().await), Server::start());
    let mut story = Story::begin(FROM_A_SHELL, Some(cluster.kubeconfig()));
    let root = minio.root();
    story.means("MINIO_ACCESS_KEY=...", &format!("MINIO_ACCESS_KEY={}", root.access_key));
    story.means("MINIO_SECRET_KEY=...", &format!("MINIO_SECRET_KEY={}", root.secret.expose()));
    story.means("https://minio.example.com", &minio.endpoint().to_string());
    story.means(END, LATER);
    let said = story.run(README, "Use it with your MinIO");
    assert!(said.iter().any(|said| said.contains("AWS_SECRET_ACCESS_KEY")), "the Secret is shown: {said:#?}");
    plan_is_as_shown(&story);
    access_is_as_shown(&mut story);

    // REST, from its page and as the README calls it.
    story.run("docs/rest.md", "Start it");
    story.end("rest");
    let setup = ServiceSetup { kubeconfig: Some(rest_kubeconfig(&cluster, "lake").await), ..ServiceSetup::default() };
    let service = Service::start_in("lake", setup.person("alice", false)).await;
    story.means("curl ", "curl --fail-with-body --silent --show-error ");
    story.means("localhost:8000", service.url().strip_prefix("http://").unwrap());
    story.set("TOKEN", &token("alice"));
    let said = story.run(README, "The REST API");
    let answers: Vec<Value> = said.iter().map(|said| serde_json::from_str(said).unwrap()).collect();
    assert_eq!(answers[0]["username"], "alice", "{said:#?}");
    assert!(said[2].contains("carol") && answers.len() == 3, "{said:#?}");

    // JupyterHub's page starts a service of its own, and replaces a key.
    story.run("examples/jupyterhub/README.md", "Try it");
    story.end("rest");
    let rotated =
        "kubectl -n lake get miniouser alice -o jsonpath='{.status.credentials.lastHandledRotate}' | grep -c .";
    story.until(rotated, "1");

    git_takes_over(&mut story);

    // Last, alice is let go although MinIO is away.
    minio.stop();
    story.shell("kubectl -n lake delete miniouser alice --wait=false");
    story.until(
        "kubectl -n lake get miniouser alice -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].reason}'",
        "MinioUnavailable",
    );
    story.run("docs/deletion.md", "When MinIO is away, or something is in the way");
    story.shell("kubectl -n lake wait miniouser/alice --for=delete --timeout=60s");
    story.end("controller");

    // Who goes on in the cluster says so.
    let install = r#"helm install minio-manager charts/minio-manager --namespace minio-manager --create-namespace --take-ownership \
        --set minio.endpoint=http://minio.minio:9000,minio.existingSecret=minio-credentials \
        --set homeNamespace=lake,createHomeNamespace=true"#;
    assert!(story.shell(install).contains("STATUS: deployed"));
    story.finish();
}

/// What the README shows of a plan is what a plan says.
fn plan_is_as_shown(story: &Story) {
    let plan = "minio-manager plan --home-namespace lake -f examples/service-without-home.yaml || test $? -eq 2";
    let said = story.shell(plan);
    let shown =
        blocks(README).into_iter().find(|block| block.heading == "Use it with your MinIO" && block.language == "text");
    let shown = shown.expect("the README shows a plan").text;
    let mut lines = said.lines();
    for line in shown.lines().filter(|line| *line != "...") {
        assert!(lines.any(|said| said == line), "the plan does not say {line:?}:\n{said}");
    }
}

/// What the page about access shows is what is answered, and the server holds nothing more.
fn access_is_as_shown(story: &mut Story) {
    for heading in ["Who can", "Why, and why not"] {
        let said = story.run(ACCESS, heading).concat();
        let shown = blocks(ACCESS).into_iter().find(|block| block.heading == heading && block.language == "text");
        for line in shown.expect("the page shows an answer").text.lines() {
            assert!(said.lines().any(|said| said == line), "not answered: {line:?}\n{said}");
        }
    }
    let said = story.run(ACCESS, "What is on the server beside");
    assert!(said[0].contains("by objects") && said[0].contains("This is everything but the root user"), "{}", said[0]);
    let of_carol: Value = serde_json::from_str(&said[1]).unwrap();
    assert_eq!((&of_carol["complete"], &of_carol["live"]["unread"]), (&Value::Bool(true), &Value::Array(Vec::new())));
    assert!(said[2].starts_with("ALLOWED"), "{}", said[2]);
}

/// The settings of Argo CD, an acknowledgement, and what is let go with all that it has.
fn git_takes_over(story: &mut Story) {
    story.shell("kubectl create namespace argocd");
    story.run("docs/gitops.md", "Argo CD");
    let user = r#"{"apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser", "spec": {},
        "metadata": {"name": "waiting", "namespace": "lake", "finalizers": ["tests.example.com/held"]}}"#;
    story.shell(&format!("echo '{user}' | kubectl apply -f -"));
    story.shell("kubectl -n lake delete miniouser waiting --wait=false");
    story.run("docs/gitops.md", "What pruning does");
    let of = |name: &str| format!("kubectl -n lake get miniouser {name} -o jsonpath='{{.spec.deletionPolicy}}'");
    story.until(&of("waiting"), "Retain");
    assert_eq!(story.shell(&of("bob")), "", "who does not wait is left as it was");
    story.shell(r#"kubectl -n lake patch miniouser waiting --type=json -p '[{"op": "remove", "path": "/metadata/finalizers"}]'"#);
    story.shell("kubectl -n lake wait miniouser/waiting --for=delete --timeout=60s");
}

/// Who is locked, and whose key is replaced, on the page of the commands.
const PEOPLE: &str = r#"
{apiVersion: minio-manager.io/v1alpha1, kind: MinioUser, metadata: {name: alice}, spec: {}}
---
{apiVersion: minio-manager.io/v1alpha1, kind: MinioUser, metadata: {name: bob}, spec: {}}
---
apiVersion: minio-manager.io/v1alpha1
kind: PathShare
metadata: {name: results}
spec: {path: s3a://lake/homes/alice/results/, grants: [{kind: User, name: bob, access: Read}]}
"#;

#[tokio::test]
async fn every_command_does_what_its_page_says() {
    let page = "docs/commands.md";
    let (cluster, minio) = (Cluster::shared(), Server::start());
    let namespace = cluster.namespace("commands").await;
    let mut story = Story::begin(COMMANDS, Some(cluster.kubeconfig()));
    let root = minio.root();
    story.set("MINIO_ENDPOINT", &minio.endpoint().to_string());
    story.set("MINIO_ACCESS_KEY", &root.access_key);
    story.set("MINIO_SECRET_KEY", root.secret.expose());
    story.means("-n lake", &format!("-n {namespace}"));
    story.means("--home-namespace lake", &format!("--home-namespace {namespace}"));
    story.run(page, "controller");
    story.shell(&format!("kubectl -n {namespace} apply -f - <<'END'{PEOPLE}END"));
    story.shell(&format!("kubectl -n {namespace} wait miniouser,pathshare --all --for=condition=Ready --timeout=60s"));

    let version = story.run(page, "Commands").pop().unwrap();
    assert!(version.starts_with("minio-manager "), "{version}");
    let said = story.run(page, "status");
    assert!(said[0].contains("all is well") && said[1] == "[]\n", "{said:#?}");
    let locked = story.run(page, "lock");
    assert!(locked[0].contains("user alice is disabled") && locked[1].contains("personal data"), "{locked:#?}");
    story.run(page, "unlock");
    let rotated = story.run(page, "rotate");
    assert!(rotated[0].contains("works until"), "{rotated:#?}");
    let revoked = story.run(page, "revoke");
    assert!(revoked[0].contains("has ended"), "{revoked:#?}");
    let access = story.run(page, "access");
    assert!(access.iter().all(|said| said.contains("PathShare")), "{access:#?}");
    for heading in ["check", "plan", "import", "completions", "crds", "openapi", "vocabulary"] {
        story.run(page, heading);
    }
    story.run(page, "rest");
    story.end("rest");
    story.end("controller");
    let released = story.run(page, "release");
    assert!(released[0].contains("3 released"), "{released:#?}");
    story.run(page, "all");
    story.end("all");
    story.finish();
}

#[tokio::test]
async fn kustomize_installs_identities_that_are_in_force() {
    let cluster = Arc::new(Cluster::empty().await);
    let mut story = Story::begin(WITH_KUSTOMIZE, Some(cluster.kubeconfig()));
    story.means("access-key=...", "access-key=some");
    story.means("secret-key=...", "secret-key=thing");
    story.run("deploy/kustomize/README.md", "Kustomize");
    assert_eq!(story.shell("kubectl -n lake get miniousers -o name"), "");
    let (page, refused) = ("deploy/kubernetes/README.md", "the REST service creates objects with the label");
    story.run_in_vain(page, "Is it in force?", refused);
    let user = r#"{"apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser", "spec": {}, "metadata": {"name": "alice",
        "namespace": "lake", "labels": {"minio-manager.io/origin": "rest"}, "finalizers": ["minio-manager.io/finalizer"]}}"#;
    story.shell(&format!("echo '{user}' | kubectl apply -f -"));
    let said = story.run(page, "What a stolen token of the service is worth");
    assert!(said[1].contains("miniouser.minio-manager.io/alice"), "{said:#?}");
    let revoked =
        "kubectl -n lake get miniouser alice -o json | jq '.metadata.annotations | has(\"minio-manager.io/revoke\")'";
    assert_eq!(story.shell(revoked).trim(), "true");
    story.run("docs/deletion.md", "Uninstall");
    story.until("kubectl get crd -o name", "");
    story.finish();
}

/// Ends the servers of a stack, whatever comes. It holds the state directory.
struct Stack(PathBuf);

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut down = Process::new(repository().join("deploy/dev/stack"));
            let _ = down.args(["down", "--wipe"]).env("MINIO_MANAGER_STACK", &self.0).status();
        }
    }
}

#[tokio::test]
async fn the_development_stack_does_what_its_page_says() {
    let page = "deploy/dev/README.md";
    let mut story = Story::begin(STACK, None);
    let stack = Stack(story.path("stack"));
    // The tools that are built already.
    for name in ["HOME", "XDG_CACHE_HOME", "MINIO_MANAGER_CACHE", "PATH"] {
        env::var(name).into_iter().for_each(|value| story.set(name, &value));
    }
    story.set("MINIO_MANAGER_STACK", stack.0.to_str().unwrap());
    let said = story.run(page, "Development stack");
    assert!(said.iter().any(|said| said.contains("kube-system")), "{said:#?}");
    story.run(page, "Cleaning up");
    assert!(!stack.0.join("minio/data").exists(), "something is left in {}", stack.0.display());
    story.finish();
}
