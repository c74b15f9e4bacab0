//! The OpenAPI document, the page that shows it, and clients that are generated from it.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::support::python;
use crate::support::rest::{Person, Service, ServiceSetup, token, with_layout};
use crate::support::world::World;

/// How long a program of PyPI may take; it is ended then.
const PROGRAM_DEADLINE: Duration = Duration::from_secs(480);
/// How many calls of each operation are made up at random. More find more.
const EXAMPLES_VARIABLE: &str = "MINIO_MANAGER_FUZZ_EXAMPLES";
const EXAMPLES: &str = "15";

async fn world() -> (World, Arc<Service>) {
    let setup = ServiceSetup::default().person("driver", true).person("passenger", false);
    // Programs are faster than people.
    with_layout("berdl", setup.with(&["--rest-writes-per-second", "0"])).await
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rest/python")
}

/// A program of the environment, about to be started.
fn program(name: &str) -> Command {
    let programs = python::programs("rest-clients", &folder().join("requirements.txt"));
    let mut command = Command::new(programs.join(name));
    command.kill_on_drop(true).current_dir(env::temp_dir()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a program to its end and gives what it said.
async fn run(mut command: Command) -> String {
    let output = tokio::time::timeout(PROGRAM_DEADLINE, command.output()).await.expect("the program ends").unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test]
async fn a_generated_client_makes_every_call_and_understands_every_answer() {
    let (_world, service) = world().await;
    let mut command = program("python");
    let legacy = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rest/openapi/legacy.json");
    command.arg(folder().join("drive.py")).arg(service.url()).arg(legacy);
    command.args(["driver", &token("driver"), "passenger", &token("passenger")]);
    let said = run(command).await;
    let count: usize = said.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a count");
    let document = service.nobody().get("/openapi.json").await.expect(200);
    let paths = document["paths"].as_object().unwrap().values();
    assert_eq!(count, paths.map(|methods| methods.as_object().unwrap().len()).sum::<usize>());
}

/// Property-based testing of the running service by its document: calls that fit the document and calls that do not.
#[tokio::test]
async fn made_up_calls_get_documented_answers() {
    let (_world, service) = world().await;
    for person in ["driver", "passenger"] {
        service.person(person).get("/credentials/").await.expect(200);
    }
    let examples = env::var(EXAMPLES_VARIABLE).unwrap_or_else(|_| EXAMPLES.to_owned());
    for person in ["driver", "passenger"] {
        let mut command = program("st");
        command.arg("run").arg(format!("{}/openapi.json", service.url()));
        command.args(["--header", &format!("Authorization: Bearer {}", token(person))]);
        command.args(["--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", &examples]);
        command.args(["--generation-deterministic", "--continue-on-failure"]);
        command.args(["--suppress-health-check", "all", "--request-timeout", "20", "--no-color"]);
        run(command).await;
    }
    service.nobody().get("/health").await.expect(200);
    assert_silent(&service);
}

/// What each answer is held to. Whether input that does not fit is refused has tests of its own: the contract lets the service
/// ignore unknown parameters, and bodies where it expects none.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      unsupported_method,allow_header_conformance,ignored_auth";

/// Fails where the log has a panic, a token or a secret.
pub fn assert_silent(service: &Service) {
    let output = service.output();
    for forbidden in ["panicked", "token-of-", "secret_key\":", "SecretAccessKey"] {
        let line = output.lines().find(|line| line.contains(forbidden));
        assert!(line.is_none(), "{forbidden}: {line:?}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_come_from_here_alone() {
    let (_world, service) = world().await;
    let nobody = service.nobody();
    let document = nobody.get("/openapi.json").await;
    assert_eq!(document.headers["content-type"], "application/json");
    assert_eq!(document.clone().expect(200)["openapi"], "3.1.0");
    for (page, prefix) in [("/docs", ""), ("/docs/", "../")] {
        let page = nobody.get(page).await;
        assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
        let policy = &page.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(page.text.contains(&format!("data-document=\"{prefix}openapi.json\"")), "{}", page.text);
        assert!(!page.text.contains("//"), "the page names no other place: {}", page.text);
    }
    for part in ["swagger-ui.css", "swagger-ui.js", "start.js"] {
        let part = nobody.get(&format!("/docs/{part}")).await;
        assert_eq!((part.status, part.headers["x-content-type-options"].as_str()), (200, "nosniff"));
    }
    assert_eq!(nobody.clone().with_token("no such token").get("/docs").await.status, 401);
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_accept_it() {
    let (_world, service) = world().await;
    let nobody = service.nobody();
    let accepting = |path: &str| nobody.request(reqwest::Method::GET, path).header("Accept-Encoding", "gzip");
    let long = accepting("/openapi.json").send().await.unwrap();
    assert_eq!(long.headers()["content-encoding"], "gzip");
    let packed = long.bytes().await.unwrap();
    assert_eq!(packed[..2], [0x1f, 0x8b], "the magic number of gzip");
    let plain = nobody.get("/openapi.json").await;
    assert!(!plain.headers.contains_key("content-encoding"));
    assert!(serde_json::from_str::<Value>(&plain.text).is_ok() && packed.len() < plain.text.len() / 4);
    let short = Person::send(accepting("/health")).await;
    assert!(!short.headers.contains_key("content-encoding"), "{short:?}");
}
