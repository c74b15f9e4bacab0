//! A key is replaced while programs run: they go on with the new one, without being told.
//!
//! What is simulated is the passing of hours. A program asks `config` for the key again when the `Expiration` that it was told
//! comes near; the files are first laid out as they would read then, with the real key and an `Expiration` that is near. The old key
//! is ended with a call once that time is over, which the controller does by the clock. All else is as it is: the rotation, the new
//! Secret, the swap of the files, the programs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::document::{environment, pods};
use super::volume::Data;
use super::workplace::{Programs, Workplace};
use crate::support::s3::Try;

/// Generous, because tests share a small machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A program that has one client of S3 and uses it for as long as it runs.
struct Running {
    client: &'static str,
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Running {
    fn start(work: &Workplace, client: &'static str, variables: &Data) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/files/go_on.py");
        let mut command = work.command("python", &[Programs::Data.folder()], variables);
        command.arg(script).arg(client).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { client, input, answers: BufReader::new(output).lines(), _child: child }
    }

    /// Writes and reads once; the answer is `ok`, or what went wrong.
    async fn round(&mut self) -> String {
        let round = async {
            self.input.write_all(b"again\n").await.ok()?;
            self.answers.next_line().await.unwrap()
        };
        let answer = tokio::time::timeout(PATIENCE, round).await;
        answer.unwrap_or_else(|_| panic!("{} does not answer", self.client)).unwrap_or_else(|| "it has ended".into())
    }

    async fn goes_on(&mut self, when: &str) {
        assert_eq!(self.round().await, "ok", "{} {when}", self.client);
    }
}

async fn all_go_on(programs: &mut [Running], when: &str) {
    join_all(programs.iter_mut().map(|program| program.goes_on(when))).await;
}

/// The Secret as it reads when its key has so long to live.
pub fn near_its_end(mut secret: Data, end: Timestamp) -> Data {
    let mut credential: Value = serde_json::from_str(&secret["credential.json"]).unwrap();
    credential["Expiration"] = json!(end.to_string());
    secret.insert("credential.json".to_owned(), credential.to_string());
    secret
}

/// Programs that ask again when the key has `left` to live at most; `is_late` where they ask only once it has ended.
async fn go_on_across_a_rotation(clients: &[&'static str], left: Duration, is_late: bool) {
    let work = Workplace::start().await;
    let former = work.secret().await;
    let pods = pods(work.volume.path());
    let [with_volume, with_environment] = pods.each_ref().map(|pod| environment(pod, &former));
    let end = Timestamp::from_second((Timestamp::now() + left).as_second()).unwrap();
    work.volume.lay_out(&near_its_end(former, end));
    let start = |client: &&'static str| Running::start(&work, client, &with_volume);
    let mut programs: Vec<Running> = clients.iter().map(start).collect();
    let mut untold = Running::start(&work, "boto3", &with_environment);
    all_go_on(&mut programs, "with the first key").await;
    untold.goes_on("with the first key").await;

    work.rotate().await;
    work.volume.lay_out(&work.secret().await);
    all_go_on(&mut programs, "when the files are new").await;
    while is_late && Timestamp::now() <= end {
        all_go_on(&mut programs, "until the former key ends").await;
    }
    let ended = work.bob.credentials().access_key.as_str();
    assert!(work.world.minio().delete_access_key(ended).await.unwrap());
    assert!(!work.bob.may(Try::List, &format!("{}/", Workplace::SHARED)).await, "the former key has ended");
    for _ in 0..3 {
        all_go_on(&mut programs, "with the new key").await;
    }
    // Had they not asked again, they would have fared as this one does.
    let refusal = untold.round().await;
    assert!(refusal.contains("InvalidAccessKeyId"), "{refusal}");
}

#[tokio::test]
async fn programs_that_look_ahead_go_on_with_the_new_key() {
    // boto3 and s3fs ask from 15 minutes before the end, pyarrow from 5; Polars also when it is refused.
    go_on_across_a_rotation(&["boto3", "s3fs", "pandas", "polars", "pyarrow"], Duration::from_secs(4 * 60), false)
        .await;
}

#[tokio::test]
async fn programs_that_wait_for_the_end_go_on_with_the_new_key() {
    go_on_across_a_rotation(&["delta", "polars_delta"], Duration::from_secs(15), true).await;
}
