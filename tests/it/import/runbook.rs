//! The commands of the page, run as they stand there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::kube::{Cluster, tool};
use crate::support::minio::{Server, unique};
use crate::support::product::Setup;
use crate::support::world::World;

const PAGE: &str = "docs/migrate-from-mms.md";

struct Block {
    language: String,
    text: String,
}

/// The page, its working directory, and the controller as the page last had it.
pub struct Runbook {
    sections: BTreeMap<String, Vec<Block>>,
    directory: PathBuf,
    server: Arc<Server>,
    namespace: String,
    world: Option<World>,
    said: String,
}

impl Runbook {
    pub async fn start(server: Arc<Server>) -> Self {
        let directory = std::env::temp_dir().join(unique("minio-manager-import"));
        fs::create_dir_all(&directory).unwrap();
        let namespace = Cluster::shared().namespace("import").await;
        Self { sections: sections(), directory, server, namespace, world: None, said: String::new() }
    }

    /// The installation.
    pub fn world(&self) -> &World {
        self.world.as_ref().expect("a controller was started")
    }

    /// What the commands said on standard error, and that is forgotten.
    pub fn said(&mut self) -> String {
        std::mem::take(&mut self.said)
    }

    /// A file in the working directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs what stands below a heading.
    pub async fn section(&mut self, heading: &str) {
        let blocks = self.sections.remove(heading).unwrap_or_else(|| panic!("{PAGE} has no section {heading:?}"));
        assert!(!blocks.is_empty(), "{heading:?} has no commands");
        for Block { language, text } in blocks {
            match language.as_str() {
                "sh" => self.run(&text),
                "sh controller" => self.controller(&text).await,
                "sh stop" => {
                    self.world().product().terminate();
                }
                other => panic!("what is to be done with {other:?}?"),
            }
        }
    }

    /// Fails unless everything on the page was run.
    pub fn finish(&self) {
        assert!(self.sections.is_empty(), "{PAGE}: nobody ran {:?}", self.sections.keys());
    }

    async fn controller(&mut self, line: &str) {
        if let Some(world) = &self.world {
            assert!(world.product().terminate().success());
        }
        let arguments = line.trim().strip_prefix("minio-manager controller").expect("a controller is started");
        let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
        arguments.extend(["--layout", "berdl"]);
        let setup = Setup {
            minio: Some(self.server.clone()),
            namespace: Some(self.namespace.clone()),
            ..Setup::default().with(&arguments)
        };
        self.world = Some(World::own(setup).await);
    }

    fn run(&mut self, script: &str) {
        let folder = |path: &Path| path.parent().expect("a program has a folder").display().to_string();
        let programs = [
            folder(Path::new(env!("CARGO_BIN_EXE_minio-manager"))),
            folder(&tool("kubectl", "MINIO_MANAGER_KUBECTL_BIN")),
            folder(&tool("mc", "MINIO_MANAGER_MC_BIN")),
            "/usr/bin:/bin".to_owned(),
        ];
        let root = self.server.root();
        let output = Command::new("sh")
            .args(["-euc", script])
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", programs.join(":"))
            .env("HOME", &self.directory)
            .env("KUBECONFIG", Cluster::shared().kubeconfig())
            .env("HOME_NAMESPACE", &self.namespace)
            .env("INSTANCE_ID", &self.namespace)
            .env("LAYOUT", "berdl")
            .env("MINIO_ENDPOINT", self.server.endpoint().to_string())
            .env("MINIO_ROOT_USER", &root.access_key)
            .env("MINIO_ROOT_PASSWORD", root.secret.expose())
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}\n{script}\n{stdout}\n{stderr}", output.status);
        assert!(!stdout.contains(root.secret.expose()) && !stderr.contains(root.secret.expose()), "a secret is shown");
        self.said.push_str(&stderr);
    }
}

impl Drop for Runbook {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        } else {
            eprintln!("the files are in {}", self.directory.display());
        }
    }
}

/// The blocks of the page by the heading above them.
fn sections() -> BTreeMap<String, Vec<Block>> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let (mut heading, mut sections) = (String::new(), BTreeMap::<String, Vec<Block>>::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text.to_owned();
        } else if let Some(language) = line.strip_prefix("```") {
            let text =
                lines.by_ref().take_while(|line| *line != "```").fold(String::new(), |text, line| text + line + "\n");
            sections.entry(heading.clone()).or_default().push(Block { language: language.to_owned(), text });
        }
    }
    sections
}
