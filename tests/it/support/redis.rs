//! A Redis of a test's own: the program of `MINIO_MANAGER_REDIS_BIN`, or that of the system. It keeps nothing over a stop.

use std::{
    env, fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::{kube::free_port, minio::unique, program::Program};

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A Redis that runs until it is dropped.
pub struct Redis {
    directory: PathBuf,
    port: u16,
    password: Option<String>,
    certificates: Option<Certificates>,
    running: Mutex<Option<Program>>,
}

/// A certificate for 127.0.0.1 and the authority that signed it.
struct Certificates {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Redis {
    /// Open to everybody.
    pub fn start() -> Self {
        Self::start_with(None, false)
    }

    /// With a password and a certificate that no system trusts. Needs `openssl`.
    pub fn start_with_tls(password: &str) -> Self {
        Self::start_with(Some(password), true)
    }

    fn start_with(password: Option<&str>, tls: bool) -> Self {
        let directory = env::temp_dir().join(unique("minio-manager-redis"));
        fs::create_dir_all(&directory).unwrap();
        let certificates = tls.then(|| make_certificates(&directory));
        let redis = Self {
            directory,
            port: free_port(),
            password: password.map(str::to_owned),
            certificates,
            running: Mutex::default(),
        };
        redis.start_again();
        redis
    }

    /// What `REDIS_URL` has to say, with this password where one is needed.
    pub fn url_with(&self, password: Option<&str>) -> String {
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        let login = password.map(|password| format!(":{password}@")).unwrap_or_default();
        format!("{scheme}://{login}127.0.0.1:{}/0", self.port)
    }

    /// What `REDIS_URL` has to say.
    pub fn url(&self) -> String {
        self.url_with(self.password.as_deref())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> &Path {
        &self.certificates.as_ref().expect("it has a certificate").authority
    }

    /// Ends it as a crash would; what it knew is lost.
    pub fn stop(&self) {
        drop(self.running.lock().unwrap().take().expect("Redis is running"));
    }

    /// Starts it, empty, and waits until it answers.
    pub fn start_again(&self) {
        let program = env::var_os("MINIO_MANAGER_REDIS_BIN").filter(|path| !path.is_empty());
        let mut command = Command::new(program.unwrap_or_else(|| "redis-server".into()));
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).arg("--dir").arg(&self.directory);
        let port = self.port.to_string();
        match &self.certificates {
            None => command.args(["--port", &port]),
            Some(certificates) => command
                .args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"])
                .arg("--tls-cert-file")
                .arg(&certificates.certificate)
                .arg("--tls-key-file")
                .arg(&certificates.key)
                .arg("--tls-ca-cert-file")
                .arg(&certificates.authority),
        };
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        let log = self.directory.join("log");
        let mut program = Program::start(command, &self.directory, &log, self.directory.join("errors"));
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(self.address()).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(program.is_alive() && Instant::now() < deadline, "Redis does not start:\n{}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
        *self.running.lock().unwrap() = Some(program);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.running.lock().map(|mut running| running.take()));
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn make_certificates(folder: &Path) -> Certificates {
    let authority = folder.join("authority.crt");
    let (certificate, key) = (folder.join("server.crt"), folder.join("server.key"));
    let authority_key = folder.join("authority.key");
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    openssl(|command| {
        command.args(["req", "-x509", "-subj", "/CN=test authority"]).args(new_key);
        command.arg("-keyout").arg(&authority_key).arg("-out").arg(&authority);
    });
    openssl(|command| {
        command.args(["req", "-x509", "-subj", "/CN=redis"]).args(new_key);
        command.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
        command.arg("-CA").arg(&authority).arg("-CAkey").arg(&authority_key);
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    });
    Certificates { authority, certificate, key }
}

fn openssl(arguments: impl FnOnce(&mut Command)) {
    let mut command = Command::new("openssl");
    arguments(&mut command);
    let made = command.output().expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
