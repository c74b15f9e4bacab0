//! A JupyterHub under one of the examples, with no more rights in the cluster than `rbac.yaml` gives it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use http::Method;
use k8s_openapi::api::{authorization::v1::SelfSubjectAccessReview, core::v1::Pod};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use minio_manager::minio::generate_secret;
use serde_json::{Value, json};

use crate::support::{
    identity::{apply_moved, service_account_token},
    kube::{Cluster, free_port},
    minio::unique,
    program::{Program, tail},
    python::programs,
    world::PATIENCE,
};

const RBAC: &str = include_str!("../../../examples/jupyterhub/rbac.yaml");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PAUSE: Duration = Duration::from_millis(50);

/// How a hub is to be started.
pub struct HubSetup {
    /// The file in `examples/jupyterhub/`.
    pub example: &'static str,
    /// Where the Secrets are.
    pub namespace: String,
    /// Where the REST service is, and what else the example reads.
    pub variables: Vec<(&'static str, String)>,
    port: u16,
}

impl HubSetup {
    pub fn new(example: &'static str, namespace: &str) -> Self {
        Self { example, namespace: namespace.to_owned(), variables: Vec::new(), port: free_port() }
    }

    /// One more variable.
    pub fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.push((variable, value.to_owned()));
        self
    }

    /// Where the API of the hub will be.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}/hub/api", self.port)
    }
}

/// A running hub. Ends when dropped.
pub struct Hub {
    setup: HubSetup,
    python: PathBuf,
    directory: PathBuf,
    token: String,
    password: String,
    pods: Api<Pod>,
    _program: Program,
}

impl Hub {
    pub async fn start(setup: HubSetup) -> Self {
        let kubeconfig = identity(&setup.namespace).await;
        let requirements = Path::new(ROOT).join("tests/it/jupyterhub/requirements.txt");
        let python = tokio::task::spawn_blocking(move || programs("jupyterhub-kubespawner", &requirements));
        let python = python.await.unwrap().join("python");
        let directory = env::temp_dir().join(unique("minio-manager-kubespawner"));
        fs::create_dir_all(&directory).unwrap();
        let [token, password] = [(), ()].map(|()| generate_secret().expose().to_owned());
        let mut command = Command::new(&python);
        command
            .args(["-m", "jupyterhub", "-f"])
            .arg(Path::new(ROOT).join("tests/it/jupyterhub/jupyterhub_config.py"))
            .current_dir(&directory)
            .env("KUBECONFIG", &kubeconfig)
            .env("MINIO_MANAGER_NAMESPACE", &setup.namespace)
            .env("HUB_CONNECT_URL", format!("http://127.0.0.1:{}", setup.port))
            .env("HUB_PASSWORD", &password)
            .env("TEST_EXAMPLE", example(setup.example))
            .env("TEST_NO_PROXY_FOLDER", Path::new(ROOT).join("tests/it/rest/jupyterhub"))
            .env("TEST_PUBLIC_PORT", free_port().to_string())
            .env("TEST_SERVICE_TOKEN", &token)
            .envs(setup.variables.iter().cloned());
        let program = Program::start(command, &directory, &directory.join("stdout"), directory.join("stderr"));
        let pods = Api::namespaced(Cluster::shared().client().await, &setup.namespace);
        let hub = Self { setup, python, directory, token, password, pods, _program: program };
        let answers = || async { reqwest::get(format!("{}/", hub.setup.api())).await.is_ok() };
        hub.eventually("it answers", answers).await;
        hub
    }

    /// Makes a user and starts its server, without a login.
    pub async fn start_server(&self, user: &str) {
        self.expect(Method::POST, "users", json!({"usernames": [user]}), 201).await;
        self.expect(Method::POST, &format!("users/{user}/server"), json!({}), 202).await;
    }

    /// Stops somebody's server, and waits until its Pod is gone.
    pub async fn stop_server(&self, user: &str) {
        let (status, text) = self.request(Method::DELETE, &format!("users/{user}/server"), json!({})).await;
        assert!(matches!(status, 202 | 204), "{user}: {status}: {text}");
        self.eventually(&format!("{user} has no Pod"), || async { self.find_pod(user).await.is_none() }).await;
    }

    /// Whether somebody may have this name here.
    pub async fn accepts(&self, user: &str) -> bool {
        self.request(Method::POST, "users", json!({"usernames": [user]})).await.0 == 201
    }

    /// Logs in and starts a server; status and text of the page that a person is shown.
    pub async fn log_in(&self, user: &str) -> (u16, String) {
        self.browse(&[user, &self.password]).await
    }

    /// The same, where the start of the server fails.
    pub async fn log_in_until_failure(&self, user: &str) -> (u16, String) {
        self.browse(&[user, &self.password, "failure"]).await
    }

    /// The same with a wrong password.
    pub async fn log_in_as_stranger(&self, user: &str) -> (u16, String) {
        self.browse(&[user, "a wrong password"]).await
    }

    async fn browse(&self, arguments: &[&str]) -> (u16, String) {
        let mut login = tokio::process::Command::new(&self.python);
        login.arg(Path::new(ROOT).join("tests/it/jupyterhub/login.py")).kill_on_drop(true);
        login.arg(self.setup.api().trim_end_matches("/api")).args(arguments);
        let output = tokio::time::timeout(2 * PATIENCE, login.output()).await.expect("the hub shows a page").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let shown = String::from_utf8(output.stdout).unwrap();
        let (status, text) = shown.split_once(' ').expect("a status and a text");
        (status.parse().unwrap(), text.trim().to_owned())
    }

    /// The Pod of somebody's server, once there is one.
    pub async fn pod(&self, user: &str) -> Pod {
        self.eventually(&format!("{user} has a Pod"), || async { self.find_pod(user).await.is_some() }).await;
        self.find_pod(user).await.expect("the Pod stays")
    }

    /// The Pod of somebody's server, if there is one.
    pub async fn find_pod(&self, user: &str) -> Option<Pod> {
        let is_of = |pod: &Pod| {
            let annotations = pod.metadata.annotations.iter().flatten();
            annotations.into_iter().any(|(name, value)| name == "hub.jupyter.org/username" && value == user)
        };
        self.pods.list(&ListParams::default()).await.unwrap().into_iter().find(is_of)
    }

    /// What the hub said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("stderr")).unwrap_or_default()
    }

    /// Waits until something holds.
    pub async fn eventually<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < 3 * PATIENCE, "not so: {what}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn expect(&self, method: Method, path: &str, body: Value, status: u16) {
        let (answered, text) = self.request(method, path, body).await;
        assert_eq!(answered, status, "{path}: {text}");
    }

    async fn request(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let request = reqwest::Client::new()
            .request(method, format!("{}/{path}", self.setup.api()))
            .header("Authorization", format!("token {}", self.token))
            .timeout(PATIENCE)
            .body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the hub in namespace {}:\n{}", self.setup.namespace, tail(&self.log()));
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// A file of the example.
pub fn example(name: &str) -> PathBuf {
    Path::new(ROOT).join("examples/jupyterhub").join(name)
}

/// A kubeconfig file of the ServiceAccount in `rbac.yaml`, once it may start Pods.
async fn identity(namespace: &str) -> PathBuf {
    let cluster = Cluster::shared();
    let own = cluster.namespace("jupyterhub").await;
    let places = BTreeMap::from([("lake", namespace), ("jupyterhub", own.as_str())]);
    apply_moved(&cluster.client().await, RBAC, &places).await;
    let kubeconfig = cluster.kubeconfig_with(&service_account_token(cluster, &own, "hub").await);
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client_as(&kubeconfig).await);
    let may = async |verb: &str, resource: &str| {
        let attributes = json!({"namespace": namespace, "resource": resource, "verb": verb});
        let review = json!({"metadata": {}, "spec": {"resourceAttributes": attributes}});
        let review = serde_json::from_value(review).unwrap();
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        answer.status.is_some_and(|status| status.allowed)
    };
    let started = Instant::now();
    while !may("create", "pods").await {
        assert!(started.elapsed() < PATIENCE, "the Role is not in force");
        tokio::time::sleep(PAUSE).await;
    }
    assert!(!may("get", "secrets").await, "the hub reads no keys");
    kubeconfig
}
