//! The product itself: the real program as a child process, in a namespace of its own and beside a MinIO.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use minio_manager::minio::{Credentials, Endpoint};
use serde_json::Value;

use super::{
    identity::controller_kubeconfig,
    kube::Cluster,
    minio::{Server, unique},
    program::{Program, tail},
    vitals::Vitals,
};

/// How often a product that many tests share looks at everything that they leave behind: more often it would do little else.
/// Whoever waits for a look waits so long at most; of most changes it is told.
pub const SELDOM: [&str; 2] = ["--audit-interval", "20s"];

/// How a product is to be started.
#[derive(Clone, Default)]
pub struct Setup {
    /// The MinIO; one of its own where none is given.
    pub minio: Option<Arc<Server>>,
    /// Where the product finds that MinIO; at its own address where nothing is given.
    pub endpoint: Option<Endpoint>,
    /// Arguments beside those that every product of the tests gets.
    pub arguments: Vec<String>,
    /// Who the product is on MinIO; root where nobody is given.
    pub credentials: Option<Credentials>,
    /// Namespaces that it watches beside its own.
    pub beside: Vec<String>,
    /// The kubeconfig; that of the identity in `deploy/kubernetes/` where none is given.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of the installation, for a further replica; a new one where none is given.
    pub namespace: Option<String>,
    /// Where the lease lives, as `--lease` wants it; in the process where nothing is given.
    pub lease: Option<String>,
    /// More variables.
    pub variables: Vec<(String, String)>,
}

impl Setup {
    /// More arguments.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }
}

/// The product with its namespace and its MinIO. Ends when dropped.
pub struct Product {
    namespace: String,
    minio: Arc<Server>,
    setup: Setup,
    /// The kubeconfig file of the program.
    kubeconfig: PathBuf,
    /// That of whoever looks after the cluster.
    administrator: PathBuf,
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// How often the program was started: each start has log files of its own.
    starts: usize,
}

struct Running {
    program: Program,
    address: SocketAddr,
}

impl Product {
    /// The product of this test process, started by whoever comes first. Tests that use it keep to names of their own, and
    /// neither stop it nor its MinIO.
    pub fn shared() -> &'static Self {
        static PRODUCT: OnceLock<Product> = OnceLock::new();
        PRODUCT.get_or_init(|| {
            // Each test has a runtime of its own, which must neither be blocked into nor outlived.
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                // Tests that know nothing of each other remove more than any limit would allow one installation.
                let setup = Setup::default().with(&["--large-change-limit", "0"]).with(&SELDOM);
                runtime.block_on(Self::start(setup))
            })
            .join()
            .expect("the shared product did not start")
        })
    }

    /// A product of one's own, alive but not necessarily ready.
    pub async fn start(setup: Setup) -> Self {
        Self::start_in(Cluster::shared(), setup).await
    }

    /// As [`Product::start`], in another cluster than all others.
    pub async fn start_in(cluster: &Cluster, setup: Setup) -> Self {
        let minio = setup.minio.clone().unwrap_or_else(|| Arc::new(Server::start()));
        let directory = env::temp_dir().join(unique("minio-manager-product"));
        fs::create_dir_all(&directory).unwrap();
        let namespace = match &setup.namespace {
            Some(namespace) => namespace.clone(),
            None => cluster.namespace("e2e").await,
        };
        let kubeconfig = match &setup.kubeconfig {
            Some(kubeconfig) => kubeconfig.clone(),
            None => controller_kubeconfig(cluster, &namespace, &setup.beside).await,
        };
        let administrator = cluster.kubeconfig().to_owned();
        let product = Self { namespace, minio, setup, kubeconfig, administrator, directory, state: Mutex::default() };
        product.launch();
        product
    }

    /// The namespace of the installation, which is the one it watches.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The kubeconfig file of the program.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The MinIO beside it.
    pub fn minio(&self) -> &Server {
        &self.minio
    }

    /// Starts the program and waits until its port for metrics and health is open.
    pub fn launch(&self) {
        let mut state = self.state();
        assert!(state.running.is_none(), "the product is running already");
        state.starts += 1;
        let (stdout, stderr) = (self.log_file("stdout", state.starts), self.log_file("stderr", state.starts));
        let mut program = Program::start(self.command(), &self.directory, &stdout, stderr);
        let address = program.says(listen_address);
        state.running = Some(Running { program, address });
    }

    fn command(&self) -> Command {
        let root = self.setup.credentials.clone().unwrap_or_else(|| self.minio.root());
        let endpoint = self.setup.endpoint.clone().unwrap_or_else(|| self.minio.endpoint());
        let mut watched = vec![self.namespace.clone()];
        watched.extend(self.setup.beside.iter().cloned());
        let mut command = Command::new(env!("CARGO_BIN_EXE_minio-manager"));
        command
            .arg("controller")
            .args(["--home-namespace", &self.namespace])
            .args(["--watch-namespaces", &watched.join(",")])
            .args(["--instance-id", &self.namespace])
            .args(["--minio-endpoint", &endpoint.to_string()])
            .args(["--lease", self.setup.lease.as_deref().unwrap_or("none"), "--log-format", "json"])
            .args(["--metrics-listen", "127.0.0.1:0"])
            .args(&self.setup.arguments)
            .env_clear()
            .env("KUBECONFIG", self.kubeconfig())
            .env("MINIO_ACCESS_KEY", &root.access_key)
            .env("MINIO_SECRET_KEY", root.secret.expose())
            .envs(self.setup.variables.iter().cloned());
        if let Some(level) = env::var_os("RUST_LOG") {
            command.env("RUST_LOG", level);
        }
        command
    }

    /// Ends the program as a crash would.
    pub fn kill(&self) {
        self.state().running = None;
    }

    /// What another command says about this installation to whoever looks after it: its exit code, standard output and standard
    /// error.
    pub fn run(&self, command: &str, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_minio-manager"))
            .arg(command)
            .args(["--home-namespace", &self.namespace, "--instance-id", &self.namespace])
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", &self.administrator)
            .envs(self.setup.variables.iter().cloned())
            .output()
            .unwrap();
        finished(output)
    }

    /// What an administrator is told who asks about this installation: exit code, standard output and standard error.
    pub fn ask(&self, question: &[&str]) -> (i32, String, String) {
        finished(self.question(question).output().expect("the program runs"))
    }

    /// As [`Product::ask`], where MinIO is asked too, as this identity.
    pub fn ask_server(&self, question: &[&str], identity: &Credentials) -> (i32, String, String) {
        let mut command = self.question(question);
        command
            .args(["--live", "--minio-endpoint", &self.minio.endpoint().to_string()])
            .env("MINIO_ACCESS_KEY", &identity.access_key)
            .env("MINIO_SECRET_KEY", identity.secret.expose());
        finished(command.output().expect("the program runs"))
    }

    fn question(&self, question: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minio-manager"));
        command
            .args(question)
            .args(["--home-namespace", &self.namespace, "--instance-id", &self.namespace])
            .env_clear()
            .env("KUBECONFIG", &self.administrator);
        command
    }

    /// What a command says to an administrator who has MinIO's credentials too: exit code, standard output and standard error.
    pub fn tell(&self, arguments: &[&str]) -> (i32, String, String) {
        finished(
            self.as_administrator(Command::new(env!("CARGO_BIN_EXE_minio-manager")).args(arguments)).output().unwrap(),
        )
    }

    /// The same environment for any program.
    pub fn as_administrator<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let root = self.minio.root();
        command
            .env_clear()
            .env("KUBECONFIG", &self.administrator)
            // kubectl keeps what it finds out there.
            .env("HOME", &self.directory)
            .env("HOME_NAMESPACE", &self.namespace)
            .env("INSTANCE_ID", &self.namespace)
            .env("MINIO_ENDPOINT", self.minio.endpoint().to_string())
            .env("MINIO_ACCESS_KEY", &root.access_key)
            .env("MINIO_SECRET_KEY", root.secret.expose())
            .stdin(Stdio::null())
    }

    /// What the product itself would change, after a full comparison: exit code, standard output and standard error.
    pub fn plan(&self) -> (i32, String, String) {
        self.tell(&["plan", "--watch-namespaces", &self.namespace])
    }

    /// Asks the program to end and waits until it has.
    pub fn terminate(&self) -> ExitStatus {
        let running = self.state().running.take().expect("the product is running");
        running.program.terminate()
    }

    /// Stops the program in the midst of whatever it does, until [`Product::thaw`].
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets a stopped program go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Sends the program a signal, such as `-TERM`.
    pub fn signal(&self, signal: &str) {
        self.state().running.as_ref().expect("the product is running").program.signal(signal);
    }

    /// What the program uses now.
    #[allow(dead_code, reason = "measured by the benchmarks")]
    pub fn vitals(&self) -> Vitals {
        self.state().running.as_ref().expect("the product is running").program.vitals()
    }

    /// Whether it leads.
    pub fn leads(&self) -> bool {
        self.metrics().sum("minio_manager_leader", &[]) == 1.0
    }

    /// Whether the program has not ended by itself.
    pub fn is_alive(&self) -> bool {
        self.state().running.as_mut().is_some_and(|running| running.program.is_alive())
    }

    /// Status and body of a GET to the port for metrics and health.
    pub fn get(&self, path: &str) -> (u16, String) {
        let address = self.state().running.as_ref().expect("the product is running").address;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no status in {head:?}")), body.to_owned())
    }

    /// All metrics now.
    pub fn metrics(&self) -> Metrics {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "{body}");
        Metrics::parse(&body)
    }

    /// Everything on standard output, of all starts.
    pub fn stdout(&self) -> String {
        self.output("stdout")
    }

    /// Everything on standard error, of all starts.
    pub fn stderr(&self) -> String {
        self.output("stderr")
    }

    /// The audit lines of all starts.
    pub fn audit(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str::<Value>(line).ok();
        let is_audit = |line: &Value| line["target"] == "audit";
        // A line may be half written at this moment.
        self.stdout().lines().filter_map(parse).filter(is_audit).collect()
    }

    /// The end of the log, for a test that fails.
    pub fn log_tail(&self) -> String {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        format!("--- audit\n{}\n--- log ({})\n{}", tail(&stdout), self.directory.display(), tail(&stderr))
    }

    fn output(&self, name: &str) -> String {
        let starts = self.state().starts;
        (1..=starts).map(|start| fs::read_to_string(self.log_file(name, start)).unwrap_or_default()).collect()
    }

    fn log_file(&self, name: &str, start: usize) -> PathBuf {
        self.directory.join(format!("{name}-{start}"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the product in namespace {}:\n{}", self.namespace, self.log_tail());
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Exit code, standard output and standard error.
fn finished(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().expect("it ended by itself"), text(output.stdout), text(output.stderr))
}

fn listen_address(log: &str) -> Option<SocketAddr> {
    let line = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    line.filter_map(|line| line["metrics"].as_str()?.parse().ok()).next()
}

/// The metrics at one moment: every series with its value.
#[derive(Clone, Debug)]
pub struct Metrics {
    series: BTreeMap<String, f64>,
    families: BTreeMap<String, String>,
}

impl Metrics {
    /// Those of an exposition.
    pub fn parse(exposition: &str) -> Self {
        let mut series = BTreeMap::new();
        let mut families = BTreeMap::new();
        for line in exposition.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').expect("a family has a type");
                families.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#')
                && let Some((name, value)) = line.rsplit_once(' ')
            {
                series.insert(name.to_owned(), value.parse().unwrap_or(f64::NAN));
            }
        }
        Self { series, families }
    }

    /// The type of a family, by its full name without the suffix of its series.
    pub fn family(&self, name: &str) -> Option<&str> {
        self.families.get(name).map(String::as_str)
    }

    /// The sum of all series of a name whose labels contain all of `labels`, such as `call="add-user"`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_name =
            |series: &str| series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        let wanted = |series: &&String| of_name(series) && labels.iter().all(|label| series.contains(label));
        self.series.iter().filter(|(name, _)| wanted(name)).map(|(_, value)| value).sum()
    }

    /// All series of a name: their labels as they are written, and their values.
    #[allow(dead_code, reason = "measured by the benchmarks")]
    pub fn series(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.series.iter().filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
            Some((labels, *value))
        })
    }

    /// Whether there is any series of a name.
    pub fn has(&self, name: &str) -> bool {
        self.series.keys().any(|series| series.split('{').next() == Some(name))
    }

    /// How many requests of these kinds MinIO was sent, whatever it answered.
    pub fn requests(&self, calls: &[&str]) -> u64 {
        let count = |call: &&str| self.sum("minio_manager_minio_requests_total", &[&format!("call=\"{call}\"")]);
        calls.iter().map(count).sum::<f64>() as u64
    }

    /// How many requests of all kinds MinIO was sent.
    pub fn all_requests(&self) -> u64 {
        self.sum("minio_manager_minio_requests_total", &[]) as u64
    }

    /// How many requests that change something MinIO was sent.
    pub fn writes(&self) -> u64 {
        let writes: Vec<&str> = minio_manager::minio::Call::ALL
            .iter()
            .filter(|call| call.is_mutation())
            .map(|call| call.as_str())
            .collect();
        self.requests(&writes)
    }
}
