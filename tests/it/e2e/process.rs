use std::process::Command;

use crate::support::{
    minio::unique,
    product::Setup,
    world::{World, grant, group, share, user},
};

/// Every metric with its type.
const METRICS: [(&str, &str); 18] = [
    ("minio_manager_converge", "counter"),
    ("minio_manager_converge_duration_seconds", "histogram"),
    ("minio_manager_convergence_seconds", "histogram"),
    ("minio_manager_revocation_seconds", "histogram"),
    ("minio_manager_minio_requests", "counter"),
    ("minio_manager_minio_request_duration_seconds", "histogram"),
    ("minio_manager_drift_repairs", "counter"),
    ("minio_manager_unmanaged", "gauge"),
    ("minio_manager_audit_duration_seconds", "histogram"),
    ("minio_manager_queue_depth", "gauge"),
    ("minio_manager_documents_bytes", "gauge"),
    ("minio_manager_held_removals", "gauge"),
    ("minio_manager_credentials_expiring", "gauge"),
    ("minio_manager_credentials_issued", "counter"),
    ("minio_manager_leader", "gauge"),
    ("minio_manager_objects", "gauge"),
    ("minio_manager_http_requests", "counter"),
    ("minio_manager_http_request_duration_seconds", "histogram"),
];

#[tokio::test]
async fn every_metric_is_there_from_the_start() {
    let world = World::own(Setup::default()).await;
    let metrics = world.product().metrics();
    for (name, kind) in METRICS {
        assert_eq!(metrics.family(name), Some(kind), "{name}");
        let suffix = match kind {
            "counter" => "_total",
            "histogram" => "_count",
            _ => "",
        };
        assert!(metrics.has(&format!("{name}{suffix}")), "{name} has a series before anything has happened");
    }
    let alice = world.user("alice").await;
    world
        .eventually("the user is counted", async || {
            let metrics = world.product().metrics();
            metrics.sum("minio_manager_objects", &["kind=\"MinioUser\"", "ready=\"True\""]) == 1.0
        })
        .await;
    let metrics = world.product().metrics();
    assert_eq!(metrics.sum("minio_manager_leader", &[]), 1.0);
    assert!(metrics.requests(&["add-user"]) >= 1 && metrics.writes() >= 4);
    assert!(metrics.sum("minio_manager_convergence_seconds_count", &["kind=\"MinioUser\""]) >= 1.0);
    let (_, exposition) = world.product().get("/metrics");
    assert!(!exposition.contains(&alice.name), "labels hold no names of objects");
}

#[tokio::test]
async fn sigterm_ends_it_in_order_whatever_it_is_doing() {
    let world = World::own(Setup::default()).await;
    let yaml: Vec<String> = (0..20).map(|_| user(&unique("user"), "")).collect();
    world.apply(&yaml.join("---\n")).await;
    let status = world.product().terminate();
    assert_eq!(status.code(), Some(0), "{}", world.product().log_tail());
    world.product().launch();
    world.product().minio().stop();
    world.apply(&user(&unique("late"), "")).await;
    let status = world.product().terminate();
    assert_eq!(status.code(), Some(0), "{}", world.product().log_tail());
}

#[tokio::test]
async fn a_wrong_value_ends_the_start_with_one_line_that_names_it() {
    for (variable, value) in [("MINIO_ENDPOINT", "localhost:9000"), ("ROTATION_INTERVAL", "5m"), ("LEASE", "zookeeper")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_minio-manager"))
            .arg("controller")
            .env_clear()
            .env("MINIO_ENDPOINT", "http://127.0.0.1:1")
            .env("MINIO_ACCESS_KEY", "key")
            .env("MINIO_SECRET_KEY", "some-secret")
            .env(variable, value)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{variable}: {stderr}");
        assert_eq!(stderr.trim().lines().count(), 1, "{variable}: {stderr}");
        assert!(stderr.contains(variable), "{stderr}");
        assert!(!stderr.contains("some-secret"));
    }
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let world = World::own(Setup::default().with(&["--log-level", "trace"])).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (name, team) = (unique("share"), unique("team"));
    world.apply(&share(&name, &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world.apply(&group(&team, &format!("members: [{}]", bob.name))).await;
    world.ready("PathShare", &name).await;
    world.ready("MinioGroup", &team).await;
    world.delete("Secret", &alice.secret).await;
    let old = alice.credentials().access_key.as_str();
    world.observed("MinioUser", &alice.name, "it has another key", |v| v.status("/credentials/accessKey") != old).await;
    let again = world.person(&alice.name).await;
    world.product().minio().stop();
    let late = unique("late");
    world.apply(&user(&late, "")).await;
    world.ready_is("MinioUser", &late, "Unknown", "MinioUnavailable").await;
    world.product().minio().start_again();
    let late = world.person(&late).await;
    world.delete_and_wait("MinioUser", &bob.name).await;
    assert!(world.product().terminate().success());
    let output = world.product().stdout() + &world.product().stderr();
    assert!(output.len() > 10_000, "this log is too quiet to prove anything: {} bytes", output.len());
    let root = world.product().minio().root();
    let secrets = [&alice, &bob, &again, &late].map(|person| person.credentials().secret.clone());
    for secret in secrets.iter().chain([&root.secret]) {
        assert!(!output.contains(secret.expose()), "a secret is in the log");
    }
}

#[tokio::test]
async fn the_instance_says_how_the_server_is() {
    let world = World::own(Setup::default()).await;
    let view = world.ready("MinioInstance", "default").await;
    assert_eq!(view.status("/endpoint"), &world.product().minio().endpoint().to_string());
    world
        .observed("MinioInstance", "default", "it names the version", |view| view.status("/version").is_string())
        .await;
}
