//! Real installations: Helm installs into a real API server, and the containers that come of it run under their own identities.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::{Namespace, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, ObjectMeta, PostParams},
    runtime::wait::{Condition, await_condition},
};
use minio_manager::{
    api::{MinioAccessKey, MinioUser, schema},
    minio::Credentials,
};
use serde_json::{Value, json};

use super::{RELEASE, chart, fail, helm, repository, succeed};
use crate::support::{
    kube::{Cluster, tool},
    kubelet::{Node, Running},
    minio::Server,
    redis::Redis,
    rest::token,
    s3::{Caller, Try},
    world::PATIENCE,
};

const HOME: &str = "lake";
const SPARK: &str = "spark";
const PAUSE: Duration = Duration::from_millis(50);

/// A cluster with nothing of ours, a MinIO, and a Secret with its credentials.
struct Scene {
    node: Node,
    minio: Server,
    client: Client,
    cluster: Arc<Cluster>,
}

impl Scene {
    async fn set(minio: Server) -> Self {
        let cluster = Arc::new(Cluster::empty().await);
        let client = cluster.client().await;
        let scene = Self { node: Node::start(&cluster, RELEASE), minio, client, cluster };
        scene.namespace(RELEASE).await;
        let root = scene.minio.root();
        let credentials = [("access-key", root.access_key.as_str()), ("secret-key", root.secret.expose())];
        scene.create_secret("minio-credentials", &credentials).await;
        scene
    }

    /// A namespace whose pods may do as little as Kubernetes can ask for.
    async fn namespace(&self, name: &str) {
        let restricted = [("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())];
        let metadata = ObjectMeta { labels: Some(restricted.into()), ..named(name) };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }

    async fn create_secret(&self, name: &str, data: &[(&str, &str)]) {
        let text = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let secret = Secret { metadata: named(name), string_data: Some(text), ..Secret::default() };
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), RELEASE);
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }

    /// `helm` with a release and what every installation needs.
    fn helm(&self, action: &str, arguments: &[&str]) -> Command {
        let mut command = helm(Some(&self.cluster));
        command.args([action, RELEASE]).arg(chart()).args(["--namespace", RELEASE, "--wait", "--timeout", "600s"]);
        command.args(["--set", &format!("minio.endpoint={}", self.minio.endpoint())]);
        command.args(["--set", "minio.existingSecret=minio-credentials"]).args(arguments);
        command
    }

    fn uninstall(&self) {
        let arguments = ["uninstall", RELEASE, "--namespace", RELEASE, "--wait", "--timeout", "600s"];
        succeed(helm(Some(&self.cluster)).args(arguments));
    }

    /// Commands as a text tells people to type them; `kubectl` is the one of the tests, in this cluster.
    fn type_in(&self, script: &str) -> String {
        let kubectl = tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN");
        let path = format!("{}:{}", kubectl.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", script]).env("PATH", path).env("KUBECONFIG", self.cluster.kubeconfig());
        succeed(shell.stdin(Stdio::null()))
    }

    fn container(&self, name: &str) -> Running {
        self.node.containers(name).pop().unwrap_or_else(|| panic!("no container {name} runs"))
    }

    async fn observed<K>(&self, namespace: &str, name: &str, condition: impl Condition<K>) -> K
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let observing = tokio::time::timeout(PATIENCE, await_condition(api, name, condition)).await;
        let missing = || {
            panic!(
                "{namespace}/{name}:\n{}",
                self.type_in(&format!("kubectl -n {namespace} get minio-manager -o yaml"))
            )
        };
        observing.unwrap_or_else(|_| missing()).unwrap().unwrap()
    }

    /// Whoever has the key in a Secret.
    async fn caller(&self, namespace: &str, secret: &str) -> Caller {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let data = secrets.get(secret).await.unwrap().data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        let credentials = Credentials::new(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"));
        Caller::new(self.minio.client(), credentials)
    }

    /// Fails unless somebody may do everything in a home folder.
    async fn works(&self, caller: &Caller) {
        let file = "lake/homes/alice/file";
        assert!(caller.may(Try::Put, file).await);
        caller.expect(file, "GPDL").await;
    }

    /// The user once it is Ready for its generation.
    async fn ready(&self, name: &str) -> MinioUser {
        self.observed(HOME, name, |user: Option<&MinioUser>| user.is_some_and(is_ready)).await
    }

    /// What the REST service answers to somebody, once the controller has done what it takes.
    async fn rest(&self, path: &str, person: &str) -> Value {
        let url = format!("http://{}{path}", self.container("rest").addresses[&8000]);
        let http = reqwest::Client::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = http.get(&url).bearer_auth(token(person)).timeout(PATIENCE).send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            if status.is_success() {
                return serde_json::from_str(&text).unwrap();
            }
            assert!(status.as_u16() == 503 && Instant::now() < deadline, "{path}: {status} {text}");
        }
    }

    /// Waits until no container runs.
    async fn stopped(&self) {
        let stopping = async {
            while ["controller", "rest"].iter().any(|name| !self.node.containers(name).is_empty()) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, stopping).await.expect("the containers stop");
    }

    async fn crds(&self) -> Vec<String> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        api.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect()
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn is_ready(user: &MinioUser) -> bool {
    let value = serde_json::to_value(user).unwrap();
    let conditions = value["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Ready"
            && condition["status"] == "True"
            && condition["observedGeneration"] == value["metadata"]["generation"]
    })
}

/// The commands in a text: what stands behind two blanks.
fn commands(text: &str) -> String {
    text.lines().filter_map(|line| line.strip_prefix("  ")).map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn two_values_are_enough_for_a_first_user() {
    let scene = Scene::set(Server::start()).await;
    succeed(&mut scene.helm("install", &[]));
    assert_eq!(scene.node.containers("controller").len(), 2);
    let notes = succeed(helm(Some(&scene.cluster)).args(["get", "notes", RELEASE, "--namespace", RELEASE]));
    let said = scene.type_in(&commands(&notes));
    let alice = scene.caller(RELEASE, "minio-alice").await;
    assert!(said.ends_with(&alice.credentials().access_key), "the last command shows the key: {said}");
    scene.works(&alice).await;

    // One replica acts, and each has an identity that may do its work and nothing else.
    let as_it = format!("kubectl --kubeconfig {}", scene.container("controller").kubeconfig.display());
    let identity = scene.type_in(&format!("{as_it} auth whoami -o jsonpath='{{.status.userInfo.username}}'"));
    assert_eq!(identity, format!("system:serviceaccount:{RELEASE}:{RELEASE}"));
    let everywhere = scene.type_in(&format!("{as_it} auth can-i list secrets --all-namespaces || true"));
    assert_eq!(everywhere.trim(), "no");

    // A wrong upgrade changes nothing; one that needs no REST does not bring it.
    let refused = fail(&mut scene.helm("upgrade", &["--set", "rest.mode=sidecar"]));
    assert!(refused.contains("homeNamespace"), "{refused}");
    succeed(&mut scene.helm("upgrade", &["--set", "controller.replicas=1,lease=none,converge.auditInterval=5s"]));
    scene.type_in(&format!("kubectl -n {RELEASE} wait miniouser/alice --for=condition=Ready --timeout=120s"));
    assert_eq!(scene.node.containers("controller").len(), 1);
    scene.works(&alice).await;
    assert!(scene.node.containers("rest").is_empty());
}

#[tokio::test]
async fn rest_moves_into_the_controllers_pods_and_everything_survives_an_uninstall() {
    let (scene, redis) = (Scene::set(Server::start_with_tls()).await, Redis::start());
    let authority = String::from_utf8(scene.minio.config().ca_bundle.unwrap()).unwrap();
    scene.create_secret("minio-ca", &[("ca.crt", &authority)]).await;
    scene.create_secret("redis", &[("url", &redis.url())]).await;
    scene.namespace(SPARK).await;
    let tokens = json!({"tokens": [{"token": token("alice"), "user": "alice"}]}).to_string();
    scene.create_secret("rest-tokens", &[("tokens.yaml", &tokens)]).await;
    let values = [
        "--set=homeNamespace=lake,createHomeNamespace=true,config.namespaces.spark.keysFor={alice}",
        "--set=minio.ca.existingSecret=minio-ca,redis.existingSecret=redis",
        "--set=rest.auth.backends={static},rest.auth.static.existingSecret=rest-tokens",
    ];
    let install = || scene.helm("upgrade", &["--install", values[0], values[1], values[2]]);
    succeed(install().args(["--set", "rest.mode=deployment"]));
    let key = scene.rest("/credentials/", "alice").await;
    scene.ready("alice").await;
    let alice = scene.caller(HOME, "minio-alice").await;
    assert_eq!(key["access_key"], json!(alice.credentials().access_key));
    scene.works(&alice).await;
    assert_identity(&scene, "rest");
    let leases = scene.type_in(&format!("kubectl -n {HOME} get leases -o name"));
    assert_eq!(leases, "", "who leads is known to Redis");

    // A watched namespace holds a key; the controller has its rights there from the chart.
    scene.type_in(&format!(
        "echo '{{\"apiVersion\": \"minio-manager.io/v1alpha1\", \"kind\": \"MinioAccessKey\", \"metadata\": {{\"name\": \
         \"etl\"}}, \"spec\": {{\"user\": \"alice\"}}}}' | kubectl -n {SPARK} apply -f -"
    ));
    let issued = |key: Option<&MinioAccessKey>| {
        key.is_some_and(|key| serde_json::to_value(key).unwrap()["status"]["credentials"]["accessKey"].is_string())
    };
    scene.observed::<MinioAccessKey>(SPARK, "etl", issued).await;
    scene.works(&scene.caller(SPARK, "miniokey-etl").await).await;

    // From a Deployment of its own into the controller's pods: same key, same identity, no other's.
    succeed(install().args(["--set", "rest.mode=sidecar"]));
    assert_eq!(scene.node.containers("rest").len(), 2);
    assert_eq!(scene.container("rest").pod, scene.container("controller").pod);
    assert_eq!(scene.rest("/credentials/", "alice").await["access_key"], key["access_key"]);
    assert_identity(&scene, "rest");
    let controller = scene.container("controller").kubeconfig;
    let who = format!(
        "kubectl --kubeconfig {} auth whoami -o jsonpath='{{.status.userInfo.username}}'",
        controller.display()
    );
    assert_eq!(scene.type_in(&who), format!("system:serviceaccount:{RELEASE}:{RELEASE}"));

    // Uninstalled, nothing is lost: not the kinds, not the objects, nor what they stand for.
    scene.uninstall();
    scene.stopped().await;
    let kept = scene.crds().await;
    assert!(schema::crds().iter().all(|crd| kept.contains(&crd.name_any())), "{kept:?}");
    scene.works(&alice).await;
    succeed(install().args(["--set", "rest.mode=off"]));
    scene.ready("alice").await;
    assert_eq!(scene.caller(HOME, "minio-alice").await.credentials().access_key, alice.credentials().access_key);

    // For good: released, the objects go without a controller, and MinIO stays as it is.
    scene.type_in(&format!("kubectl -n {RELEASE} scale deployment/minio-manager --replicas=0"));
    scene.stopped().await;
    let mut release = Command::new(env!("CARGO_BIN_EXE_minio-manager"));
    release.env_clear().env("KUBECONFIG", scene.cluster.kubeconfig()).env("REDIS_URL", redis.url());
    let said = succeed(release.args(["release", "--home-namespace", HOME, "--watch-namespaces", "lake,spark"]));
    assert!(said.contains("2 released"), "{said}");
    scene.uninstall();
    scene.type_in("kubectl get crd -o name | grep minio-manager.io | xargs kubectl delete --timeout=60s");
    assert_eq!(scene.crds().await, Vec::<String>::new());
    scene.works(&alice).await;

    // What Kustomize makes of the same objects is accepted, too, and runs.
    let example = repository().join("deploy/kustomize/example");
    scene.type_in(&format!("kubectl apply --server-side --force-conflicts -k {}", example.display()));
    for deployment in ["minio-manager", "minio-manager-rest"] {
        scene.type_in(&format!("kubectl -n {RELEASE} rollout status deployment/{deployment} --timeout=120s"));
    }
}

/// A container may do what the REST service may, under the admission policy.
fn assert_identity(scene: &Scene, container: &str) {
    let as_it = format!("kubectl --kubeconfig {}", scene.container(container).kubeconfig.display());
    let who = scene.type_in(&format!("{as_it} auth whoami -o jsonpath='{{.status.userInfo.username}}'"));
    assert_eq!(who, format!("system:serviceaccount:{RELEASE}:{RELEASE}-rest"));
    let may = |what: &str| scene.type_in(&format!("{as_it} auth can-i {what} || true")).trim().to_owned();
    assert_eq!(may("get secrets -n lake"), "yes");
    for what in ["list secrets -n lake", "get secrets -n minio-manager", "get secrets -n spark", "create pods -n lake"]
    {
        assert_eq!(may(what), "no", "{what}");
    }
    let probe = "{apiVersion: minio-manager.io/v1alpha1, kind: MinioUser, metadata: {name: probe}, spec: {}}";
    let refused = scene.type_in(&format!("echo '{probe}' | {as_it} -n lake create --dry-run=server -f - 2>&1 || true"));
    assert!(refused.contains("the REST service creates objects with the label"), "{refused}");
}
