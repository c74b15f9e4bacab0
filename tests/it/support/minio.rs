//! A MinIO of the tests' own: the binary of `MINIO_MANAGER_MINIO_BIN`, or the newest that `deploy/dev/stack tools` has built.
//!
//! It ends with the test process, however that ends: a shell waits for the end of its input, then stops the server and
//! removes its data.

use std::{
    env, fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use minio_manager::minio::{Client, Config, Credentials, Endpoint};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const ATTEMPTS: usize = 3;
const ROOT_USER: &str = "test-root";
const ROOT_SECRET: &str = "test-root-secret-of-its-own";

/// Stops the server as soon as the standard input ends, and removes the data.
const SUPERVISE: &str = r#"
trap '' INT
data=$1 minio=$2 address=$3
"$minio" server "$data/drive" --address "$address" --quiet > "$data/log" 2>&1 < /dev/null &
server=$!
cat > /dev/null
kill -9 "$server" 2> /dev/null
wait
rm -rf "$data"
"#;

/// A running MinIO; stopped when dropped.
#[derive(Debug)]
pub struct Server {
    address: String,
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
        // Somebody else may take a free port before the server does.
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::try_start() {
                Ok(server) => return server,
                Err(log) => last = Some(log),
            }
        }
        panic!("MinIO did not start: {}", last.unwrap_or_default());
    }

    /// The address, as `MINIO_ENDPOINT` wants it.
    pub fn endpoint(&self) -> Endpoint {
        format!("http://{}", self.address).parse().expect("an address is an endpoint")
    }

    /// The root user's credentials.
    pub fn root(&self) -> Credentials {
        Credentials::new(ROOT_USER, ROOT_SECRET)
    }

    /// A new client as root. A client works in the runtime that it was first used in only, so that each test needs its own.
    pub fn client(&self) -> Client {
        Client::new(self.config()).expect("a client without TLS can be built")
    }

    /// What [`Server::client`] is made of, to be changed.
    pub fn config(&self) -> Config {
        Config::new(self.endpoint(), self.root())
    }

    /// Ends the server as a crash would; its data stays.
    pub fn stop(&self) {
        self.order("stop");
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(&self.address).is_ok() {
            assert!(Instant::now() < deadline, "MinIO does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the stopped server again, on the same address and data, and waits until it is ready.
    pub fn start_again(&self) {
        self.order("start");
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.is_ready() {
            assert!(Instant::now() < deadline, "MinIO does not start again: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.wait_for_iam();
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

    fn try_start() -> Result<Self, String> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let data = env::temp_dir().join(unique("minio-manager-minio"));
        fs::create_dir_all(&data).unwrap();
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISE, "supervise"])
            .args([data.as_os_str(), binary().as_os_str(), address.as_ref()])
            .env("MINIO_ROOT_USER", ROOT_USER)
            .env("MINIO_ROOT_PASSWORD", ROOT_SECRET)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Self { address, data, supervisor };
        let deadline = Instant::now() + START_TIMEOUT;
        while !server.is_ready() {
            if Instant::now() > deadline {
                return Err(server.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server.wait_for_iam();
        Ok(server)
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET /minio/health/ready HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Until the IAM is loaded, policies that exist are answered as missing; the list of users waits for it.
    fn wait_for_iam(&self) {
        let config = self.config();
        // The caller may be in a runtime, which must not be blocked into.
        let waiting = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Client::new(config).unwrap();
                let deadline = Instant::now() + START_TIMEOUT;
                while let Err(error) = client.list_users().await {
                    assert!(Instant::now() < deadline, "the IAM of MinIO does not load: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        });
        waiting.join().expect("the IAM of MinIO loads");
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
