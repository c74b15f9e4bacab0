//! A real JupyterHub, from PyPI, installed once into the cache of tools and started once a process.
//!
//! It ends with the test process, however that ends: a shell waits for the end of its input and then stops it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Instant,
};

use http::{Method, StatusCode};
use minio_manager::minio::generate_secret;
use serde_json::{Value, json};

use crate::support::{kube::free_port, python::programs, world::PATIENCE};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rest/jupyterhub/requirements.txt");
const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rest/jupyterhub/jupyterhub_config.py");
const VISIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rest/jupyterhub/visit.py");

const SUPERVISE: &str = r#"
trap '' INT
data=$1 python=$2 configuration=$3
cd "$data"
"$python" -m jupyterhub -f "$configuration" > log 2>&1 < /dev/null & hub=$!
cat > /dev/null
kill -9 $hub
wait
rm -rf "$data"
"#;

/// A running JupyterHub.
pub struct Hub {
    /// Of its API.
    pub url: String,
    /// The token of a service that may make users and tokens.
    pub service_token: String,
    python: PathBuf,
    data: PathBuf,
    _supervisor: Child,
}

impl Hub {
    /// The hub of this test process, once it answers.
    pub async fn shared() -> &'static Self {
        static HUB: OnceLock<Hub> = OnceLock::new();
        let hub = tokio::task::spawn_blocking(|| HUB.get_or_init(Self::start)).await.unwrap();
        hub.wait_until_ready().await;
        hub
    }

    fn start() -> Self {
        let python = programs("jupyterhub", Path::new(REQUIREMENTS)).join("python");
        let data = env::temp_dir().join(format!("minio-manager-hub-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        let (port, public_port) = (free_port(), free_port());
        let service_token = generate_secret().expose().to_owned();
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISE, "hub"])
            .args([data.as_path(), &python, Path::new(CONFIGURATION)])
            .env("TEST_HUB_PORT", port.to_string())
            .env("TEST_PUBLIC_PORT", public_port.to_string())
            .env("TEST_SERVICE_TOKEN", &service_token)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { url: format!("http://127.0.0.1:{port}/hub/api"), service_token, python, data, _supervisor: supervisor }
    }

    async fn wait_until_ready(&self) {
        let started = Instant::now();
        while reqwest::get(format!("{}/", self.url)).await.is_err() {
            let log = || fs::read_to_string(self.data.join("log")).unwrap_or_default();
            assert!(started.elapsed() < 3 * PATIENCE, "JupyterHub does not start\n{}", log());
            tokio::time::sleep(PATIENCE / 300).await;
        }
    }

    /// A new user.
    pub async fn create_user(&self, name: &str, admin: bool) {
        let body = json!({"usernames": [name], "admin": admin});
        let (status, answer) = self.request(Method::POST, "users", body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }

    /// A new token of a user, and its id.
    pub async fn create_token(&self, user: &str, wanted: Value) -> (String, String) {
        let (status, answer) = self.request(Method::POST, &format!("users/{user}/tokens"), wanted).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let text = |field: &str| answer[field].as_str().unwrap().to_owned();
        (text("token"), text("id"))
    }

    pub async fn delete_token(&self, user: &str, id: &str) {
        let (status, answer) = self.request(Method::DELETE, &format!("users/{user}/tokens/{id}"), Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    }

    /// Starts somebody's server, and answers the token that it gets.
    pub async fn start_server(&self, user: &str) -> String {
        let (status, answer) = self.request(Method::POST, &format!("users/{user}/server"), json!({})).await;
        assert!(status.is_success(), "{answer}");
        let file = self.data.join(format!("server-of-{user}"));
        let started = Instant::now();
        loop {
            match fs::read_to_string(&file) {
                Ok(token) if !token.is_empty() => return token,
                _ => assert!(started.elapsed() < PATIENCE, "the server of {user} does not start"),
            }
            tokio::time::sleep(PATIENCE / 300).await;
        }
    }

    /// The token that somebody's server gets of a visitor who opens it.
    pub async fn visit(&self, owner: &str, server_token: &str, visitor: &str) -> String {
        let mut visit = tokio::process::Command::new(&self.python);
        visit.args([VISIT, &self.url, owner, visitor, server_token]).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, visit.output()).await.expect("the hub answers").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    async fn request(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = reqwest::Client::new()
            .request(method, format!("{}/{path}", self.url))
            .header("Authorization", format!("token {}", self.service_token))
            .body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }
}
