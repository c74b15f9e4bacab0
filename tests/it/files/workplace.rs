//! Where Bob works: the clients, a volume with his Secret, and a folder that Alice lets him read and write.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use minio_manager::controller::credentials::SecretFile;
use serde_json::json;
use tokio::process::Command;

use super::volume::{Data, Volume};
use crate::support::kube::tool;
use crate::support::minio::{Server, unique};
use crate::support::product::Setup;
use crate::support::python::programs;
use crate::support::world::{Person, World, grant, share, user};

/// Which programs of PyPI; they do not fit into one environment.
#[derive(Clone, Copy)]
pub enum Programs {
    /// boto3 and aws-cli, the newest ones.
    Boto,
    /// What reads and writes tables.
    Data,
    /// DuckDB with its extension for S3.
    Httpfs,
}

impl Programs {
    /// The folder with them.
    pub fn folder(self) -> PathBuf {
        let name = match self {
            Self::Boto => "boto",
            Self::Data => "data",
            Self::Httpfs => "httpfs",
        };
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/files/requirements/{name}.txt"));
        programs(&format!("clients-{name}"), &list)
    }
}

/// Bob has no home and no group: a grant to read and write `lake/homes/alice/results` is all that he has.
pub struct Workplace {
    /// The product, with the namespace and the MinIO all to itself.
    pub world: World,
    /// Bob, with his first key.
    pub bob: Person,
    /// Bob's Secret, as a pod of his has it.
    pub volume: Volume,
    directory: PathBuf,
}

impl Workplace {
    /// The folder that is shared with Bob.
    pub const SHARED: &str = "lake/homes/alice/results";

    /// Starts everything; the volume is still empty.
    pub async fn start() -> Self {
        let directory = env::temp_dir().join(unique("minio-manager-files"));
        let volume = Volume::new(directory.join("minio"));
        fs::create_dir(directory.join("home")).unwrap();
        let files = SecretFile::ALL.map(SecretFile::name).join(",");
        let path = volume.path().to_str().expect("a path of text");
        let minio = Arc::new(Server::start());
        // A name, because clients take an address for a reason to put the bucket into the path.
        let endpoint = minio.endpoint().to_string().replace("127.0.0.1", "localhost");
        let setup = Setup { minio: Some(minio), ..Setup::default() };
        let setup = setup.with(&["--minio-public-endpoint", &endpoint]);
        let setup = setup.with(&["--secret-files", &files, "--secret-mount-path", path]);
        let world = World::own(setup).await;
        world.apply(&[user("alice", ""), user("bob", "workspace: None")].join("---\n")).await;
        let grants = format!("owner: {{kind: User, name: alice}}, grants: [{}]", grant("bob", "ReadWrite"));
        world.apply(&share("results", Self::SHARED, &grants)).await;
        world.ready("PathShare", "results").await;
        let bob = world.person("bob").await;
        Self { world, bob, volume, directory }
    }

    /// What is in Bob's Secret now.
    pub async fn secret(&self) -> Data {
        let data = self.world.secret(&self.bob.secret).await.expect("Bob has a Secret").data.unwrap();
        data.into_iter().map(|(name, value)| (name, String::from_utf8(value.0).unwrap())).collect()
    }

    /// A program with these variables, and nothing else that could tell it of a server or a key.
    pub fn command(&self, program: &str, folders: &[PathBuf], variables: &Data) -> Command {
        let mc = tool("mc", "MINIO_MANAGER_MC_BIN").parent().expect("a program has a folder").to_owned();
        let system = env::var_os("PATH").unwrap_or_default();
        let system: Vec<PathBuf> = env::split_paths(&system).collect();
        let path: OsString = env::join_paths(folders.iter().chain([&mc]).chain(&system)).unwrap();
        // Found in the folders of this test, not in those of this process.
        let program = folders.iter().map(|folder| folder.join(program)).find(|found| found.is_file());
        let mut command = Command::new(program.unwrap_or_else(|| "sh".into()));
        command.env_clear().env("PATH", path).env("HOME", self.directory.join("home")).envs(variables);
        command.kill_on_drop(true);
        command
    }

    /// Removes what Bob has written.
    pub async fn tidy(&self) {
        let keys = self.world.keys_below(&format!("{}/", Self::SHARED)).await;
        let (bucket, _) = Self::SHARED.split_once('/').unwrap();
        let failures = self.world.minio().delete_objects(bucket, &keys).await.unwrap();
        assert!(failures.is_empty(), "{failures:?}");
    }

    /// Gives Bob a new key, as the clock would at the end of the interval. The key that he had works on.
    pub async fn rotate(&self) {
        let old = self.bob.credentials().access_key.as_str();
        self.world.annotate("MinioUser", "bob", "rotate", Some("now")).await;
        self.world
            .observed("MinioUser", "bob", "the rotation is acknowledged", |view| {
                view.status("/credentials/lastHandledRotate") == &json!("now")
                    && view.status("/credentials/accessKey") != old
            })
            .await;
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
