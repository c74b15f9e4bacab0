//! Many requests while the key is replaced again and again: none of them fails.
//!
//! The program is a stock boto3 that reads the mounted files. It asks for the key again when the `Expiration` that it was told
//! is near; so that each rotation reaches it within the time of a test, the files always tell that the end is near.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

use super::document::{environment, pods};
use super::rotation::near_its_end;
use super::workplace::{Programs, Workplace};

/// So near that boto3 asks for the key before every request.
const LEFT: Duration = Duration::from_secs(4 * 60);

/// Generous, because tests share a small machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What became of the requests.
#[derive(Debug)]
pub struct Outcome {
    /// How many there were.
    pub requests: u64,
    /// How many failed.
    pub failed: u64,
    /// The first failures.
    pub failures: Value,
}

/// So many rotations in a row, and at least so many requests between one and the next.
pub async fn under_load(rotations: usize, requests: u64) -> Outcome {
    let work = Workplace::start().await;
    let variables = environment(&pods(work.volume.path())[0], &work.secret().await);
    lay_out(&work).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/files/load.py");
    let mut command = work.command("python", &[Programs::Boto.folder()], &variables);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let mut said = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut made = progress(&mut said, requests).await;
    for number in 0..rotations {
        let former = work.secret().await["AWS_ACCESS_KEY_ID"].clone();
        work.world.annotate("MinioUser", "bob", "rotate", Some(&number.to_string())).await;
        work.world
            .observed("MinioUser", "bob", "the rotation is acknowledged", |view| {
                view.status("/credentials/lastHandledRotate") == &json!(number.to_string())
            })
            .await;
        assert_ne!(work.secret().await["AWS_ACCESS_KEY_ID"], former);
        lay_out(&work).await;
        made = progress(&mut said, made + requests).await;
    }
    drop(program.stdin.take());
    let outcome = loop {
        let line = said.next_line().await.unwrap().expect("the program says what became of it");
        if line.starts_with('{') {
            break serde_json::from_str::<Value>(&line).unwrap();
        }
    };
    let count = |name: &str| outcome[name].as_u64().expect("a number");
    Outcome { requests: count("requests"), failed: count("failed"), failures: outcome["failures"].clone() }
}

async fn lay_out(work: &Workplace) {
    let end = Timestamp::from_second((Timestamp::now() + LEFT).as_second()).unwrap();
    work.volume.lay_out(&near_its_end(work.secret().await, end));
}

/// Waits until so many requests have been made, and answers how many there are.
async fn progress(said: &mut Lines<BufReader<ChildStdout>>, requests: u64) -> u64 {
    loop {
        let line = tokio::time::timeout(PATIENCE, said.next_line()).await.expect("the program goes on").unwrap();
        let made: u64 = line.expect("the program goes on").parse().unwrap();
        if made >= requests {
            return made;
        }
    }
}

#[tokio::test]
async fn no_request_fails_while_the_key_is_replaced_again_and_again() {
    let outcome = under_load(6, 300).await;
    assert!(outcome.requests >= 2_000, "{outcome:?}");
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);
}
