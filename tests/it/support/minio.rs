//! A MinIO of the tests' own: the binary of `MINIO_MANAGER_MINIO_BIN`, or the newest that `deploy/dev/stack tools` has built.
//!
//! It ends with the test process, however that ends: a shell waits for the end of its input, then stops the server and
//! removes its data.

use std::{
    env, fs,
    io::Write,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use minio_manager::minio::{Client, Config, Credentials, Endpoint, Error, generate_secret};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const ATTEMPTS: usize = 3;
const ROOT_USER: &str = "test-root";

/// Stops and starts the server as it is told, stops it for good as soon as the standard input ends, and removes the data.
const SUPERVISE: &str = r#"
trap '' INT
data=$1 minio=$2 address=$3
start() {
    "$minio" server "$data/drive" --address "$address" --certs-dir "$data/certs" --quiet >> "$data/log" 2>&1 < /dev/null &
    server=$!
}
start
while read -r order; do
    case $order in
        stop) kill -9 "$server"; wait "$server" ;;
        start) start ;;
        freeze) kill -STOP "$server" ;;
        thaw) kill -CONT "$server" ;;
    esac
done
kill -9 "$server" 2> /dev/null
wait
rm -rf "$data"
"#;

#[derive(Clone, Copy)]
enum Encryption {
    None,
    OwnCertificate,
}

/// A running MinIO; stopped when dropped.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    root: Credentials,
    certificate: Option<Vec<u8>>,
    data: PathBuf,
    supervisor: Child,
}

impl Server {
    /// The server of this test process. Tests that use it keep to names of their own: see [`unique`].
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// A server of one's own, ready and with its IAM loaded.
    pub fn start() -> Self {
        Self::start_with(Encryption::None, &[])
    }

    /// As [`Server::start`], with a certificate of its own that no system trusts. Needs `openssl`.
    pub fn start_with_tls() -> Self {
        Self::start_with(Encryption::OwnCertificate, &[])
    }

    /// As [`Server::start`], with more variables in its environment.
    pub fn start_with_variables(variables: &[(&str, &str)]) -> Self {
        Self::start_with(Encryption::None, variables)
    }

    /// The certificate of a server that has one.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// The address, as `MINIO_ENDPOINT` wants it.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The root user's credentials.
    pub fn root(&self) -> Credentials {
        self.root.clone()
    }

    /// A new client as root. A client works in the runtime that it was first used in only, so that each test needs its own.
    pub fn client(&self) -> Client {
        Client::new(self.config()).expect("a client of a test server can be built")
    }

    /// What [`Server::client`] is made of, to be changed.
    pub fn config(&self) -> Config {
        let mut config = Config::new(self.endpoint(), self.root());
        config.ca_bundle = self.certificate.clone();
        config
    }

    /// Ends the server as a crash would; its data stays.
    pub fn stop(&self) {
        self.order("stop");
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(self.endpoint.authority()).is_ok() {
            assert!(Instant::now() < deadline, "MinIO does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the stopped server again, on the same address and data, and waits until it is ready.
    pub fn start_again(&self) {
        self.order("start");
        self.wait_for_iam().unwrap_or_else(|error| panic!("MinIO does not start again: {error}\n{}", self.log()));
    }

    /// Copies everything that the stopped server holds.
    pub fn back_up(&self, to: &Path) {
        copy_folder(&self.drive(), to);
    }

    /// Puts what [`Server::back_up`] copied in the place of everything that the stopped server holds.
    pub fn restore(&self, from: &Path) {
        self.wipe();
        copy_folder(from, &self.drive());
    }

    /// Takes everything from the stopped server.
    pub fn wipe(&self) {
        fs::remove_dir_all(self.drive()).unwrap();
    }

    fn drive(&self) -> PathBuf {
        self.data.join("drive")
    }

    /// Makes the server accept connections and answer nothing, until [`Server::thaw`].
    pub fn freeze(&self) {
        self.order("freeze");
    }

    /// Ends [`Server::freeze`].
    pub fn thaw(&self) {
        self.order("thaw");
    }

    fn order(&self, order: &str) {
        let mut orders = self.supervisor.stdin.as_ref().expect("the supervisor is told by its input");
        writeln!(orders, "{order}").expect("the supervisor of MinIO lives");
    }

    fn start_with(encryption: Encryption, variables: &[(&str, &str)]) -> Self {
        // Somebody else may take a free port before the server does.
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::try_start(encryption, variables) {
                Ok(server) => return server,
                Err(log) => last = Some(log),
            }
        }
        panic!("MinIO did not start: {}", last.unwrap_or_default());
    }

    fn try_start(encryption: Encryption, variables: &[(&str, &str)]) -> Result<Self, String> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let data = env::temp_dir().join(unique("minio-manager-minio"));
        fs::create_dir_all(data.join("certs")).unwrap();
        let (scheme, certificate) = match encryption {
            Encryption::None => ("http", None),
            Encryption::OwnCertificate => ("https", Some(make_certificate(&data.join("certs")))),
        };
        // A secret of its own, so that nobody takes another test's server on the same port for this one.
        let root = Credentials::new(ROOT_USER, generate_secret());
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISE, "supervise"])
            .args([data.as_os_str(), binary().as_os_str(), address.as_ref()])
            .env("MINIO_ROOT_USER", &root.access_key)
            .env("MINIO_ROOT_PASSWORD", root.secret.expose())
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let endpoint = format!("{scheme}://{address}").parse().expect("an address is an endpoint");
        let server = Self { endpoint, root, certificate, data, supervisor };
        match server.wait_for_iam() {
            Ok(()) => Ok(server),
            Err(error) => Err(format!("{error}\n{}", server.log())),
        }
    }

    /// Until the IAM is loaded, policies that exist are answered as missing; the list of groups waits for it, and unlike that of
    /// users it is not sealed.
    fn wait_for_iam(&self) -> Result<(), Error> {
        let config = self.config();
        // The caller may be in a runtime, which must not be blocked into.
        let waiting = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Client::new(config).unwrap();
                let deadline = Instant::now() + START_TIMEOUT;
                loop {
                    match client.list_all_groups().await {
                        Ok(_) => return Ok(()),
                        Err(error) if Instant::now() > deadline => return Err(error),
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            })
        });
        waiting.join().expect("waiting does not panic")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.data.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The supervisor stops the server when its input ends.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// `prefix` with a suffix that no other call of this or another process gets.
pub fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    format!("{prefix}-{now:x}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "-T"]).args([from, to]).status().expect("cp is installed");
    assert!(copied.success(), "{} cannot be copied to {}", from.display(), to.display());
}

/// Writes `private.key` and a `public.crt` for 127.0.0.1, as MinIO looks for them; the certificate.
pub fn make_certificate(folder: &Path) -> Vec<u8> {
    let certificate = folder.join("public.crt");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=minio-manager-test"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("private.key"))
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(certificate).unwrap()
}

fn binary() -> PathBuf {
    if let Some(path) = env::var_os("MINIO_MANAGER_MINIO_BIN") {
        return path.into();
    }
    let tools = Path::new(&env::var_os("HOME").expect("HOME is set")).join(".cache/minio-manager/tools");
    let built = fs::read_dir(&tools).into_iter().flatten().flatten();
    let binaries = built.filter(|entry| entry.file_name().to_string_lossy().starts_with("minio-"));
    let binaries = binaries.map(|entry| entry.path().join("bin/minio")).filter(|path| path.is_file());
    let modified = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    binaries.max_by_key(modified).expect("no MinIO: run deploy/dev/stack tools, or set MINIO_MANAGER_MINIO_BIN")
}
