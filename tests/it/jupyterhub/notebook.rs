//! A Python process in the place of a notebook: it has nothing but what its Pod has.

use std::{path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::support::{python::programs, world::PATIENCE};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/jupyterhub/notebook-requirements.txt");
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/jupyterhub/notebook.py");

/// The process. Ends when dropped.
pub struct Notebook {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Notebook {
    pub fn start(environment: &[(String, String)]) -> Self {
        let python = programs("notebook", Path::new(REQUIREMENTS)).join("python");
        let mut process = Command::new(python)
            .arg(PROGRAM)
            .env_clear()
            // What every image has.
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { _process: process, input, output }
    }

    /// Writes an object and lists its folder, and answers the id of the key that it did so with.
    pub async fn write(&mut self, url: &str) -> String {
        self.ask(&format!("write {url}")).await
    }

    /// Has it believe that its key ends in a few minutes.
    pub async fn be_near_the_end(&mut self) {
        assert_eq!(self.ask("near-the-end").await, "done");
    }

    async fn ask(&mut self, line: &str) -> String {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("the notebook runs");
        let answer = timeout(PATIENCE, self.output.next_line()).await;
        let answer = answer.unwrap_or_else(|_| panic!("the notebook does not answer to {line}"));
        answer.unwrap().unwrap_or_else(|| panic!("the notebook ended at {line}; standard error says why"))
    }
}
