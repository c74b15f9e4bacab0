//! Policies that people write: the check against a real server, document by document, and the variables and keys of the
//! documentation with the requests that they decide about.

mod decisions;
mod differential;
mod examples;
#[allow(dead_code, reason = "what only the properties beside the code need")]
#[path = "../../src/iam/check/samples/mod.rs"]
mod samples;
mod vocabulary;
mod web_identity;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
    time::Instant,
};

use futures::future::join_all;
use minio_manager::{
    iam::{
        check::{CheckOptions, Finding, Stricter, check},
        document::Document,
    },
    minio::{Client, Error},
};
use serde_json::Value;

use crate::support::{
    minio::{Server, unique},
    world::PATIENCE,
};

/// How many documents are on their way at once.
const WORKERS: usize = 8;

/// What both say about many documents.
#[derive(Default)]
struct Verdicts {
    /// Both take it, and the server gives it back with its meaning.
    taken: usize,
    /// Both refuse it.
    refused: usize,
    /// Only the check refuses it, and says why.
    stricter: BTreeMap<Stricter, usize>,
    /// What must not be.
    wrong: Vec<String>,
}

impl Verdicts {
    fn count(&self) -> usize {
        self.taken + self.refused + self.only_we_refuse() + self.wrong.len()
    }

    fn only_we_refuse(&self) -> usize {
        self.stricter.values().sum()
    }

    #[track_caller]
    fn agree(&self) {
        let shown = &self.wrong[..self.wrong.len().min(10)];
        assert!(self.wrong.is_empty(), "{} of {} differ:\n{}", self.wrong.len(), self.count(), shown.join("\n"));
    }
}

/// The server of these tests: documents are stored there that no other test could live with.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// Puts documents before the check and before the server.
async fn compare(documents: Vec<Value>) -> Verdicts {
    let (queue, verdicts) = (Arc::new(Mutex::new(documents)), Arc::new(Mutex::new(Verdicts::default())));
    let workers = (0..WORKERS).map(|_| async {
        let (client, name) = (server().client(), unique("document"));
        loop {
            let next = queue.lock().unwrap().pop();
            let Some(document) = next else { break };
            let taken = answered(|| client.put_policy(&name, document.to_string())).await;
            let ours = check(&document, &CheckOptions::default());
            let found = match (ours, taken) {
                (Ok(checked), Ok(())) => match is_kept(&client, &name, &checked.document).await {
                    Ok(()) => Found::Taken,
                    Err(held) => Found::Wrong(format!("the server makes {held} of {document}")),
                },
                (Ok(_), Err(error)) => Found::Wrong(format!("the server refuses {document}: {error}")),
                (Err(findings), Ok(())) => match only_ours(&findings) {
                    Ok(case) => Found::Stricter(case),
                    Err(finding) => Found::Wrong(format!("the server takes {document}, but: {finding}")),
                },
                (Err(findings), Err(error)) => match only_ours(&findings) {
                    Ok(_) => Found::Wrong(format!("the server refuses {document}: {error}; not so {findings:?}")),
                    Err(_) => Found::Refused,
                },
            };
            let mut verdicts = verdicts.lock().unwrap();
            match found {
                Found::Taken => verdicts.taken += 1,
                Found::Refused => verdicts.refused += 1,
                Found::Stricter(case) => *verdicts.stricter.entry(case).or_default() += 1,
                Found::Wrong(text) => verdicts.wrong.push(text),
            }
        }
    });
    join_all(workers).await;
    Arc::into_inner(verdicts).unwrap().into_inner().unwrap()
}

/// What the server answers, once it does: on a busy machine it may take longer than a call has time.
async fn answered<T, F: Future<Output = Result<T, Error>>>(ask: impl Fn() -> F) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        match ask().await {
            Err(error) if error.status().is_none() && started.elapsed() < PATIENCE => {}
            answer => return answer,
        }
    }
}

enum Found {
    Taken,
    Refused,
    Stricter(Stricter),
    Wrong(String),
}

/// Why only the check refuses a document, where it says so of everything that it finds; else what the server should refuse.
fn only_ours(findings: &[Finding]) -> Result<Stricter, &Finding> {
    match findings.iter().find(|finding| finding.stricter.is_none()) {
        Some(finding) => Err(finding),
        None => Ok(findings[0].stricter.unwrap()),
    }
}

/// Whether the server holds what the check has read.
async fn is_kept(client: &Client, name: &str, document: &Document) -> Result<(), Value> {
    let held = answered(|| client.policy_info(name)).await.unwrap().unwrap().document;
    match Document::from_value(&held) {
        Ok(read) if read.same_meaning(document) => Ok(()),
        _ => Err(held),
    }
}
