//! A kube-apiserver with our CRDs: the one of `KUBECONFIG`, or one of our own, started once a process.
//!
//! Our own ends with the test process, however that ends: a shell waits for the end of its input and then stops the
//! servers and removes their data.

use std::{
    env, fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use minio_manager::api::schema;
use serde_json::{Value, json};

use super::minio::unique;

const START_TIMEOUT: Duration = Duration::from_secs(90);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const FIELD_MANAGER: &str = "minio-manager-tests";

/// Stops and starts the API server as it is told, stops both servers as soon as the standard input ends, and removes the data.
const SUPERVISE: &str = r#"
trap '' INT
data=$1 etcd=$2 apiserver=$3
. "$data/flags"
# A third of the time of the API server goes into collecting garbage, unless it may use more memory.
start() {
    GOGC=400 GOMEMLIMIT=8GiB "$apiserver" $apiserver_flags >> "$data/apiserver.log" 2>&1 < /dev/null & apiserver_process=$!
}
"$etcd" $etcd_flags > "$data/etcd.log" 2>&1 < /dev/null & etcd_process=$!
start
while read -r order; do
    case $order in
        stop) kill -9 "$apiserver_process"; wait "$apiserver_process" ;;
        start) start ;;
    esac
done
kill -9 $apiserver_process $etcd_process
wait
rm -rf "$data"
"#;

/// Runs a program until the standard input ends.
const RUN: &str =
    r#"trap '' INT; log=$1; shift; "$@" > "$log" 2>&1 < /dev/null & program=$!; cat > /dev/null; kill -9 $program"#;

/// Removes the files of the tests as soon as the standard input ends.
const TIDY: &str = r#"trap '' INT; cat > /dev/null; rm -rf "$1""#;

/// The namespace whose service accounts are watched by the API servers that tests start, see [`Cluster::requests`].
pub const AUDITED: &str = "audited";

/// A cluster with our CRDs installed.
pub struct Cluster {
    kubeconfig: PathBuf,
    context: String,
    /// Goes with the test process, however that ends.
    files: PathBuf,
    is_own: bool,
    supervisor: Child,
}

impl Cluster {
    /// The cluster of this test process.
    pub fn shared() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| {
            // Each test has a runtime of its own, which must neither be blocked into nor outlived.
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(Self::start())
            })
            .join()
            .expect("the API server for the tests did not start")
        })
    }

    /// A cluster of a test's own, for what would disturb others: it ends when it is dropped.
    pub async fn own() -> Self {
        let cluster = Self::empty().await;
        cluster.install_crds().await;
        cluster
    }

    /// As [`Cluster::own`], without our CRDs.
    pub async fn empty() -> Self {
        let cluster = start_own(new_directory(&unique("minio-manager-cluster")));
        cluster.wait_until_ready().await;
        cluster
    }

    /// A new client. A client works in the runtime that it was made in only, so that each test needs its own.
    pub async fn client(&self) -> Client {
        self.client_as(&self.kubeconfig).await
    }

    /// A new client as whoever another kubeconfig file of this cluster names.
    pub async fn client_as(&self, kubeconfig: &Path) -> Client {
        install_crypto();
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions { context: Some(self.context.clone()), ..KubeConfigOptions::default() };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.connect_timeout = Some(REQUEST_TIMEOUT);
        minio_manager::kubernetes::client(config).unwrap()
    }

    /// The kubeconfig file, for programs that a test starts.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Writes a kubeconfig file for the holder of a token. It goes with the test process.
    pub fn kubeconfig_with(&self, token: &str) -> PathBuf {
        let mut own = serde_json::to_value(Kubeconfig::read_from(&self.kubeconfig).unwrap()).unwrap();
        let contexts = own["contexts"].as_array_mut().unwrap();
        contexts.retain(|context| context["name"] == json!(self.context));
        contexts[0]["context"]["user"] = json!("token");
        own["users"] = json!([{"name": "token", "user": {"token": token}}]);
        let path = self.files.join(unique("kubeconfig"));
        // JSON is YAML.
        fs::write(&path, own.to_string()).unwrap();
        path
    }

    /// Sees to it that a namespace that is deleted goes, as in every real cluster. Nothing else of the controller manager runs:
    /// its garbage collector would take away what tests leave without its owner.
    pub fn with_namespace_controller(&self) {
        static CONTROLLER: OnceLock<Child> = OnceLock::new();
        if self.is_own {
            CONTROLLER.get_or_init(|| self.controller_manager(&["namespace-controller"]));
        }
    }

    /// Starts some of Kubernetes' own controllers, for a cluster of a test's own. They end when their standard input does.
    pub fn controller_manager(&self, controllers: &[&str]) -> Child {
        Command::new("sh")
            .args(["-c", RUN, "controller-manager"])
            .arg(self.files.join("controller-manager.log"))
            .arg(tool("kube-controller-manager", "MINIO_MANAGER_KCM_BIN"))
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .arg(format!("--cert-dir={}", self.files.display()))
            .arg(format!("--service-account-private-key-file={}/sa.key", self.files.display()))
            .arg(format!("--root-ca-file={}/apiserver.crt", self.files.display()))
            .args(["--secure-port=0", "--leader-elect=false"])
            .arg(format!("--controllers={}", controllers.join(",")))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Ends the API server as a crash would, until [`Cluster::start_again`]; what it stored stays. False where the cluster is not
    /// ours to stop.
    pub fn stop(&self) -> bool {
        if self.is_own {
            self.order("stop");
        }
        self.is_own
    }

    /// Starts the stopped API server, and waits until it is ready.
    pub async fn start_again(&self) {
        self.order("start");
        self.wait_until_ready().await;
    }

    fn order(&self, order: &str) {
        let mut orders = self.supervisor.stdin.as_ref().expect("the supervisor is told by its input");
        writeln!(orders, "{order}").expect("the supervisor of the API server lives");
    }

    /// Whether it is one that tests have started.
    pub fn is_own(&self) -> bool {
        self.is_own
    }

    /// What the service accounts of the namespace [`AUDITED`] have asked for and were answered so far, as the API server of a
    /// cluster of our own keeps it.
    pub fn requests(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.files.join("audit.log")).unwrap_or_default();
        // The last line may be half written at this moment.
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// A new namespace whose name starts with the prefix.
    pub async fn namespace(&self, prefix: &str) -> String {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let name = format!("{prefix}-{since_epoch:x}-{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        self.create_namespace(&name).await;
        name
    }

    /// A new namespace of this name.
    pub async fn create_namespace(&self, name: &str) {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(self.client().await).create(&PostParams::default(), &namespace).await.unwrap();
    }

    async fn start() -> Self {
        let cluster = match env::var_os("KUBECONFIG") {
            Some(path) if !path.is_empty() => Self::existing(path.into()),
            _ => start_own(new_directory(&own_name())),
        };
        cluster.wait_until_ready().await;
        cluster.install_crds().await;
        cluster
    }

    fn existing(kubeconfig: PathBuf) -> Self {
        let context = Kubeconfig::read_from(&kubeconfig).unwrap().current_context.unwrap();
        let files = new_directory(&own_name());
        let tidy = Command::new("sh").args(["-c", TIDY, "tidy"]).arg(&files).stdin(Stdio::piped()).spawn().unwrap();
        Self { kubeconfig, context, files, is_own: false, supervisor: tidy }
    }

    async fn wait_until_ready(&self) {
        let started = Instant::now();
        let mut last = String::new();
        while started.elapsed() < START_TIMEOUT {
            match self.try_ready().await {
                Ok(()) => return,
                Err(error) => last = error,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = self.kubeconfig.with_file_name("apiserver.log");
        panic!("no API server after {START_TIMEOUT:?}: {last}\n{}", fs::read_to_string(log).unwrap_or_default());
    }

    async fn try_ready(&self) -> Result<(), String> {
        let authority = self.kubeconfig.with_file_name("apiserver.crt");
        if self.is_own && !authority.exists() {
            return Err(format!("{} is not there", authority.display()));
        }
        let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
        self.client().await.request_text(request).await.map(drop).map_err(|error| error.to_string())
    }

    /// Installs our CRDs, and waits until they are in force.
    pub async fn install_crds(&self) {
        let api: Api<CustomResourceDefinition> = Api::all(self.client().await);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        for crd in schema::crds() {
            api.patch(&crd.name_any(), &params, &Patch::Apply(&crd)).await.unwrap_or_else(|error| {
                panic!("the API server does not accept the CRD {}: {error}", crd.name_any());
            });
        }
        for crd in schema::crds() {
            let name = crd.name_any();
            let established = await_condition(api.clone(), &name, is_crd_established());
            tokio::time::timeout(REQUEST_TIMEOUT, established).await.unwrap().unwrap();
        }
    }
}

/// Makes TLS work in this process.
pub fn install_crypto() {
    // It fails when another test was first, with the same provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn start_own(data: PathBuf) -> Cluster {
    let (etcd, etcd_peer, secure) = (free_port(), free_port(), free_port());
    write_flags(&data, etcd, etcd_peer, secure);
    write_service_account_keys(&data);
    write_audit_policy(&data);
    fs::write(data.join("tokens.csv"), "tests,admin,admin,system:masters\n").unwrap();
    write_kubeconfig(&data, secure);
    let servers = Command::new("sh")
        .args(["-c", SUPERVISE, "servers"])
        .arg(&data)
        .arg(tool("etcd", "MINIO_MANAGER_ETCD_BIN"))
        .arg(tool("kube-apiserver", "MINIO_MANAGER_APISERVER_BIN"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let kubeconfig = data.join("kubeconfig");
    Cluster { kubeconfig, context: "tests".to_owned(), files: data, is_own: true, supervisor: servers }
}

/// The name of everything that belongs to this test process.
fn own_name() -> String {
    format!("minio-manager-tests-{}", std::process::id())
}

fn new_directory(name: &str) -> PathBuf {
    let directory = env::temp_dir().join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// How often kubectl is asked for differences at most, before it reads an object twice without a write between.
const ASKED_AGAIN: usize = 10;

/// What `kubectl diff` says. It reads each object twice: where the status of one was written between, it is asked again.
pub fn difference<T>(ask: impl Fn() -> T, output: impl Fn(&T) -> &str) -> T {
    let is_between = |said: &T| output(said).lines().any(|line| line.starts_with("-  resourceVersion:"));
    (0..ASKED_AGAIN).map(|_| ask()).find(|said| !is_between(said)).expect("nothing is written for a moment")
}

/// A program: that of the variable, or the newest of those that `deploy/dev/stack tools` has built.
pub fn tool(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
        return path.into();
    }
    let newest = fs::read_dir(tools_cache())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .filter(|path| path.is_file())
        .max_by_key(|path| path.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH));
    newest.unwrap_or_else(|| panic!("no {name}: run deploy/dev/stack tools, or set {variable}"))
}

/// How people declare objects with kubectl, and the field manager that each way leaves behind.
pub const WAYS: [(&[&str], &str); 3] = [
    (&["apply"], "kubectl-client-side-apply"),
    (&["apply", "--server-side", "--field-manager=argocd-controller"], "argocd-controller"),
    (&["replace"], "kubectl-replace"),
];

/// Runs kubectl with a manifest on its standard input.
pub fn kubectl(namespace: &str, arguments: &[&str], manifest: &str) {
    let mut child = Command::new(tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN"))
        .arg("--kubeconfig")
        .arg(Cluster::shared().kubeconfig())
        .args(["--namespace", namespace])
        .args(arguments)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("kubectl is installed");
    child.stdin.take().expect("kubectl reads").write_all(manifest.as_bytes()).expect("kubectl reads");
    assert!(child.wait().expect("kubectl ends").success(), "{arguments:?}\n{manifest}");
}

/// Where programs that were built or installed for tests are kept, for all checkouts.
pub fn tools_cache() -> PathBuf {
    let cache = env::var_os("MINIO_MANAGER_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let home = PathBuf::from(env::var_os("HOME").expect("HOME is set"));
        env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from).join("minio-manager")
    });
    cache.join("tools")
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn write_flags(data: &Path, etcd: u16, etcd_peer: u16, secure: u16) {
    let shown = data.display();
    let etcd_flags = format!(
        "--data-dir {shown}/etcd --listen-client-urls http://127.0.0.1:{etcd} \
         --advertise-client-urls http://127.0.0.1:{etcd} --listen-peer-urls http://127.0.0.1:{etcd_peer} \
         --unsafe-no-fsync --log-level error"
    );
    // Every five minutes the API server would compare all that it holds with etcd, whoever uses it: for 50,000 objects of one kind
    // that takes a core for eight seconds, and a MinIO on the same machine goes without it.
    let apiserver_flags = format!(
        "--etcd-servers=http://127.0.0.1:{etcd} --secure-port={secure} --bind-address=127.0.0.1 \
         --cert-dir={shown} --service-account-key-file={shown}/sa.pub \
         --service-account-signing-key-file={shown}/sa.key \
         --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=10.0.0.0/24 \
         --authorization-mode=RBAC --token-auth-file={shown}/tokens.csv --disable-admission-plugins=ServiceAccount \
         --enable-admission-plugins=OwnerReferencesPermissionEnforcement \
         --audit-policy-file={shown}/audit.json --audit-log-path={shown}/audit.log \
         --feature-gates=DetectCacheInconsistency=false"
    );
    fs::write(data.join("flags"), format!("etcd_flags='{etcd_flags}'\napiserver_flags='{apiserver_flags}'\n")).unwrap();
}

fn write_service_account_keys(data: &Path) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    fs::write(data.join("sa.key"), pem("PRIVATE KEY", private.as_ref())).unwrap();
    fs::write(data.join("sa.pub"), pem("PUBLIC KEY", public.as_ref())).unwrap();
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Only what a test asks for is kept: the rest would be most of what these servers write.
fn write_audit_policy(data: &Path) {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
            {"level": "Metadata", "userGroups": [format!("system:serviceaccounts:{AUDITED}")]}, {"level": "None"},
        ],
    });
    fs::write(data.join("audit.json"), policy.to_string()).unwrap();
}

fn write_kubeconfig(data: &Path, secure: u16) {
    let text = format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: tests\n  cluster: {{server: 'https://127.0.0.1:{secure}', certificate-authority: '{}/apiserver.crt'}}\n\
         users:\n\
         - name: tests\n  user: {{token: tests}}\n\
         contexts:\n\
         - name: tests\n  context: {{cluster: tests, user: tests}}\n\
         current-context: tests\n",
        data.display()
    );
    fs::write(data.join("kubeconfig"), text).unwrap();
}
