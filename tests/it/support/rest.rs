//! The REST service beside a product: the real program, and people who call it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use minio_manager::minio::Credentials;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    identity::rest_kubeconfig,
    kube::Cluster,
    minio::unique,
    product::Setup,
    program::{Program, tail},
    s3::Caller,
    vitals::Vitals,
    world::World,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// How a service is to be started.
#[derive(Clone, Default)]
pub struct ServiceSetup {
    /// Arguments beside those that every service of the tests gets.
    pub arguments: Vec<String>,
    /// Who may call, beside those that [`Service::person`] knows by themselves: name and whether an administrator.
    pub people: Vec<(String, bool)>,
    /// What follows `--auth`; a file with tokens of these people where nothing is given.
    pub auth: Option<Vec<String>>,
    /// The kubeconfig; that of the identity in `deploy/kubernetes/rest/` where none is given.
    pub kubeconfig: Option<PathBuf>,
}

impl ServiceSetup {
    /// More arguments.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// One more person who may call.
    pub fn person(mut self, name: &str, admin: bool) -> Self {
        self.people.push((name.to_owned(), admin));
        self
    }
}

/// The service. Ends when dropped.
pub struct Service {
    program: Mutex<Option<Program>>,
    address: String,
    machines: String,
    directory: PathBuf,
    http: Client,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body; null where it is no JSON.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body, of an answer with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// Status and error code.
    pub fn code(&self) -> (u16, Option<i64>) {
        (self.status, self.body["error"].as_i64())
    }
}

impl Service {
    /// A service for a world, ready to answer.
    pub async fn start(world: &World, setup: ServiceSetup) -> Arc<Self> {
        Self::start_in(world.namespace(), setup).await
    }

    /// A service for a namespace, ready to answer, whether a controller looks after it or not.
    pub async fn start_in(namespace: &str, setup: ServiceSetup) -> Arc<Self> {
        let service = Self::begin_in(namespace, setup).await;
        service.ready().await;
        service
    }

    /// A service for a namespace that has opened its ports, ready or not.
    pub async fn begin_in(namespace: &str, setup: ServiceSetup) -> Arc<Self> {
        let directory = env::temp_dir().join(unique("minio-manager-rest"));
        fs::create_dir_all(&directory).unwrap();
        let tokens = directory.join("tokens.yaml");
        let entry = |(user, admin): &(String, bool)| json!({"token": token(user), "user": user, "admin": admin});
        let entries: Vec<Value> = setup.people.iter().map(entry).collect();
        fs::write(&tokens, json!({ "tokens": entries }).to_string()).unwrap();
        let kubeconfig = match &setup.kubeconfig {
            Some(kubeconfig) => kubeconfig.clone(),
            None => rest_kubeconfig(Cluster::shared(), namespace).await,
        };
        let file = || ["static".to_owned(), "--static-tokens".to_owned(), tokens.display().to_string()].to_vec();
        let mut command = Command::new(env!("CARGO_BIN_EXE_minio-manager"));
        command
            .arg("rest")
            .args(["--home-namespace", namespace])
            .args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--auth")
            .args(setup.auth.clone().unwrap_or_else(file))
            .args(&setup.arguments)
            .env_clear()
            .env("KUBECONFIG", kubeconfig);
        if let Some(level) = env::var_os("RUST_LOG") {
            command.env("RUST_LOG", level);
        }
        let stderr = directory.join("stderr");
        let mut program = Program::start(command, &directory, &directory.join("stdout"), stderr);
        let (address, machines) = program.says(addresses);
        let http = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Arc::new(Self { program: Mutex::new(Some(program)), address, machines, directory, http })
    }

    /// Waits until the service is ready.
    pub async fn ready(&self) {
        let ready = async {
            let url = format!("http://{}/ready", self.machines);
            while !self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the service becomes ready");
    }

    /// A person with the token of that name.
    pub fn person(self: &Arc<Self>, name: &str) -> Person {
        Person { service: self.clone(), name: name.to_owned(), token: Some(token(name)) }
    }

    /// Somebody without a token.
    pub fn nobody(self: &Arc<Self>) -> Person {
        Person { service: self.clone(), name: String::new(), token: None }
    }

    /// Where the API is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where metrics and health are.
    pub fn machines(&self) -> String {
        format!("http://{}", self.machines)
    }

    /// Everything on standard output and standard error.
    pub fn output(&self) -> String {
        ["stdout", "stderr"].map(|name| fs::read_to_string(self.directory.join(name)).unwrap_or_default()).concat()
    }

    /// The audit lines.
    pub fn audit(&self) -> Vec<Value> {
        let stdout = fs::read_to_string(self.directory.join("stdout")).unwrap_or_default();
        stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What the program uses now.
    #[allow(dead_code, reason = "measured by the benchmarks")]
    pub fn vitals(&self) -> Vitals {
        let program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        program.as_ref().expect("the service is running").vitals()
    }

    /// Ends the program as a crash would.
    pub fn kill(&self) {
        drop(self.program.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Ends the program in order.
    pub fn terminate(&self) -> std::process::ExitStatus {
        let program = self.program.lock().unwrap_or_else(PoisonError::into_inner).take();
        program.expect("the service is running").terminate()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the service at {}:\n{}", self.address, tail(&self.output()));
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Somebody who calls the service.
#[derive(Clone)]
pub struct Person {
    service: Arc<Service>,
    /// The user name.
    pub name: String,
    token: Option<String>,
}

impl Person {
    /// The same with another token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// A request that may be changed before it is sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.service.http.request(method, format!("{}{path}", self.service.url()));
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Sends a request.
    pub async fn send(request: RequestBuilder) -> Answer {
        Self::try_send(request).await.expect("the service answers")
    }

    /// As [`Person::send`]; that nobody answers is an answer.
    pub async fn try_send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        let headers = headers.collect();
        let text = answer.text().await?;
        Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }

    /// GET
    pub async fn get(&self, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path)).await
    }

    /// POST without a body
    pub async fn post(&self, path: &str) -> Answer {
        Self::send(self.request(Method::POST, path)).await
    }

    /// POST
    pub async fn post_json(&self, path: &str, body: Value) -> Answer {
        let request = self.request(Method::POST, path).header("Content-Type", "application/json");
        Self::send(request.body(body.to_string())).await
    }

    /// DELETE
    pub async fn delete(&self, path: &str) -> Answer {
        Self::send(self.request(Method::DELETE, path)).await
    }

    /// The person at S3, with the key that the service gives out.
    pub async fn at_s3(&self, world: &World) -> Caller {
        let key = self.get("/credentials/").await.expect(200);
        let text = |name: &str| key[name].as_str().expect("a key").to_owned();
        Caller::new(world.product().minio().client(), Credentials::new(text("access_key"), text("secret_key")))
    }
}

/// The token of a person.
pub fn token(user: &str) -> String {
    format!("token-of-{user}-0123456789abcdef")
}

/// A world and its service under one layout.
pub async fn with_layout(layout: &str, setup: ServiceSetup) -> (World, Arc<Service>) {
    let product = Setup::default().with(&["--layout", layout, "--large-change-limit", "0"]);
    let world = World::own(product).await;
    let service = Service::start(&world, setup.with(&["--layout", layout])).await;
    (world, service)
}

fn addresses(log: &str) -> Option<(String, String)> {
    let line = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    line.filter_map(|line| Some((text(&line, "rest")?, text(&line, "metrics")?))).next()
}
