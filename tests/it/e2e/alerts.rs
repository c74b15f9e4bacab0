//! The example alerts: their metrics exist, and move when what they warn of happens.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    kube::tool,
    minio::unique,
    product::{Metrics, Setup},
    rest::{Service, ServiceSetup},
    world::{World, user},
};

const ALERTS: &str = include_str!("../../../examples/monitoring/alerts.yaml");

fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(ALERTS).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The names in an expression, and what it asks of a label, if anything: `label="value"`, or `label=` where it asks for a pattern.
fn series(expression: &str) -> BTreeSet<(String, String)> {
    let begins = expression.match_indices("minio_manager_").map(|(at, _)| &expression[at..]);
    begins
        .map(|rest| {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let labels = rest[name.len()..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let asked = labels.map_or("", |(labels, _)| labels);
            let pattern = asked.split_once("=~").or_else(|| asked.split_once("!~"));
            (name, pattern.map_or(asked.to_owned(), |(label, _)| format!("{label}=")))
        })
        .collect()
}

/// What Prometheus' own parser says of rules: how many there are, or what is wrong.
fn parsed(rules: &str) -> Result<usize, String> {
    let mut command = Command::new(tool("promrules", "MINIO_MANAGER_PROMRULES_BIN"));
    let mut parser =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    parser.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    let [count, wrong] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    if output.status.success() { Ok(count.trim().parse().unwrap()) } else { Err(wrong) }
}

#[test]
fn prometheus_takes_every_alert() {
    assert_eq!(parsed(ALERTS), Ok(rules().len()));
    let wrong = parsed(&ALERTS.replace("increase(", "incrase(")).unwrap_err();
    assert!(wrong.contains("unknown function") && wrong.contains("MinioManagerKeysNotIssued"), "{wrong}");
}

#[tokio::test]
async fn every_alert_asks_for_series_that_exist() {
    let world = World::shared().await;
    let service = Service::start(&world, ServiceSetup::default()).await;
    let of_service = reqwest::get(format!("{}/metrics", service.machines())).await.unwrap().text().await.unwrap();
    let exposition = world.product().get("/metrics").1 + &of_service;
    // The alerts on REST leave out what the controller answers, too.
    let metrics = world.product().metrics();
    for (labels, _) in metrics.series("minio_manager_http_requests_total") {
        let is_left_out = ["/live", "/metrics", "/ready"].iter().any(|route| labels.contains(&format!("\"{route}\"")));
        assert!(is_left_out, "{labels}");
    }
    let rules = rules();
    assert!(rules.len() >= 8);
    for rule in rules {
        let expression = rule["expr"].as_str().unwrap();
        let series = series(expression);
        assert!(!series.is_empty(), "{expression}");
        for (name, label) in series {
            let is_it = |line: &str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            let found = exposition.lines().any(|line| is_it(line) && line.contains(&label));
            assert!(found, "{}: there is no {name} with {label}", rule["alert"]);
        }
        for field in ["alert", "for"] {
            assert!(rule[field].is_string(), "{rule}");
        }
        assert!(rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string());
    }
}

#[tokio::test]
async fn keys_are_counted_when_they_are_published_and_when_that_fails() {
    let world = World::own(Setup::default()).await;
    let issued = |outcome: &str| {
        world.product().metrics().sum("minio_manager_credentials_issued_total", &[&format!("outcome=\"{outcome}\"")])
    };
    let alice = world.user("alice").await;
    assert_eq!((issued("published"), issued("failed")), (1.0, 0.0));
    world.annotate("MinioUser", &alice.name, "rotate", Some("1")).await;
    world
        .observed("MinioUser", &alice.name, "the key is rotated", |view| {
            view.status("/credentials/lastHandledRotate") == "1"
        })
        .await;
    assert_eq!(issued("published"), 2.0);

    let bob = unique("bob");
    world.apply(&format!("kind: Secret\nmetadata: {{name: taken-{bob}}}\n---\n")).await;
    world.apply(&user(&bob, &format!("credentials: {{secretName: taken-{bob}}}"))).await;
    world.stalled("MinioUser", &bob, "SecretConflict").await;
    assert!(issued("failed") >= 1.0);
    assert_eq!(issued("published"), 2.0);
}

/// How many requests to MinIO ended as one that is away lets them end, as the alert has it, and how many otherwise.
fn unanswered(metrics: &Metrics) -> (f64, f64) {
    let of_code = |code: &str| metrics.sum("minio_manager_minio_requests_total", &[&format!("code=\"{code}")]);
    let unanswered = ["connect\"", "timeout\"", "broken\"", "5"].map(of_code).iter().sum();
    (unanswered, metrics.sum("minio_manager_minio_requests_total", &[]) - unanswered)
}

#[tokio::test]
async fn a_minio_that_is_away_shows_in_its_requests_and_in_rests_answers() {
    let world = World::own(Setup::default()).await;
    let service = Service::start(&world, ServiceSetup::default().person("alice", false)).await;
    let failures = async || {
        let exposition = reqwest::get(format!("{}/metrics", service.machines())).await.unwrap().text().await.unwrap();
        let of_calls = ["code=\"5", "route=\"/credentials/rotate\""];
        Metrics::parse(&exposition).sum("minio_manager_http_requests_total", &of_calls)
    };
    let alice = service.person("alice");
    alice.get("/credentials/").await.expect(200);
    assert_eq!(failures().await, 0.0);
    // One that starts answers with 503 for a moment.
    let (at_first, _) = unanswered(&world.product().metrics());

    world.product().minio().stop();
    assert_eq!(alice.post("/credentials/rotate").await.status, 503);
    assert_eq!(failures().await, 1.0);
    world.eventually("it is noticed", async || unanswered(&world.product().metrics()).0 > at_first).await;
    let before = unanswered(&world.product().metrics());
    // It is asked again and again, and nothing comes back.
    world.eventually("it is asked", async || unanswered(&world.product().metrics()).0 > before.0 + 3.0).await;
    assert_eq!(unanswered(&world.product().metrics()).1, before.1);
}
