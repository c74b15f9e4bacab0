//! The service itself: when it answers, and what becomes of calls whose clients do not wait.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use minio_manager::api::MinioInstance;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::kube::Cluster;
use crate::support::rest::{Service, ServiceSetup, token, with_layout};

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn nobody_is_answered_from_another_layout_than_the_controllers() {
    let namespace = Cluster::shared().namespace("rest-layout").await;
    let service = Service::start_in(&namespace, ServiceSetup::default().person("alice", true)).await;
    let alice = service.person("alice");
    alice.get("/management/users").await.expect(200);
    let instances: Api<MinioInstance> = Api::namespaced(Cluster::shared().client().await, &namespace);
    let object: MinioInstance = serde_json::from_value(json!({
        "apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioInstance", "metadata": {"name": "default"}, "spec": {},
    }))
    .unwrap();
    instances.create(&PostParams::default(), &object).await.unwrap();
    let status = async |hash: Value| {
        let patch = Patch::Merge(json!({"status": {"layoutHash": hash}}));
        instances.patch_status("default", &PatchParams::default(), &patch).await.unwrap();
    };
    status(json!("another")).await;
    until("the layouts differ", async || alice.get("/management/users").await.status == 503).await;
    let refused = alice.post("/management/users/bob").await;
    assert_eq!(refused.code(), (503, Some(20050)));
    assert!(refused.text.contains("another layout"), "{}", refused.text);
    service.nobody().get("/health").await.expect(200);
    service.nobody().get("/health/ready").await.expect(503);
    service.nobody().get("/openapi.json").await.expect(200);
    status(Value::Null).await;
    until("the layouts agree", async || alice.get("/management/users").await.status == 200).await;
}

#[tokio::test]
async fn what_is_begun_is_done_and_recorded_whoever_waits() {
    let setup = ServiceSetup::default().person("boss", true).person("hasty", false).person("alice", false);
    let (world, service) = with_layout("berdl", setup).await;
    let boss = service.person("boss");
    boss.get("/credentials/").await.expect(200);
    boss.post("/management/groups/kbase").await.expect(201);
    service.person("alice").get("/credentials/").await.expect(200);
    // Each is sent, and the line is cut.
    for (person, call) in [("hasty", "GET /credentials/"), ("boss", "POST /management/groups/kbase/members/alice")] {
        let mut connection = TcpStream::connect(service.url().strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!(
            "{call} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n",
            token(person)
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        drop(connection);
    }
    world.ready("MinioUser", "hasty").await;
    world
        .eventually("alice is in", async || world.members("kbase").await.is_some_and(|all| all.contains("alice")))
        .await;
    let line = |caller: &str, call: &str, kind: &str| {
        service.audit().iter().any(|line| {
            let wrote = line["wrote"].as_array().into_iter().flatten();
            line["caller"] == caller && line["call"] == call && wrote.clone().any(|object| object["kind"] == kind)
        })
    };
    until("the first login is recorded", async || line("hasty", "GET /credentials/", "MinioUser")).await;
    let call = "POST /management/groups/{group_name}/members/{username}";
    until("the membership is recorded", async || line("boss", call, "GroupMembership")).await;
    // What changes nothing has no line, and every first login has one.
    let lines = service.audit().len();
    service.person("hasty").get("/credentials/").await.expect(200);
    service.person("hasty").get("/workspaces/me").await.expect(200);
    assert_eq!(service.audit().len(), lines);
}

#[tokio::test]
async fn calls_that_get_to_no_operation_are_counted() {
    let namespace = Cluster::shared().namespace("rest-counts").await;
    let service = Service::start_in(&namespace, ServiceSetup::default().person("alice", false)).await;
    service.nobody().with_token("unknown-to-all").get("/workspaces/me").await.expect(401);
    service.person("alice").get("/nothing/here").await.expect(404);
    service.person("alice").get("/sharing/mine").await.expect(200);
    let metrics = reqwest::get(format!("{}/metrics", service.machines())).await.unwrap().text().await.unwrap();
    let counted = |labels: &[&str]| {
        let line = metrics.lines().find(|line| {
            line.starts_with("minio_manager_http_requests_total{") && labels.iter().all(|label| line.contains(label))
        });
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, count)| count.to_owned())
    };
    assert_eq!(counted(&["route=\"none\"", "code=\"401\""]).as_deref(), Some("1"), "{metrics}");
    assert_eq!(counted(&["route=\"none\"", "code=\"404\""]).as_deref(), Some("1"), "{metrics}");
    assert_eq!(counted(&["route=\"/sharing/mine\"", "code=\"200\""]).as_deref(), Some("1"), "{metrics}");
}

#[tokio::test]
async fn whoever_takes_no_answer_is_cut_off() {
    let namespace = Cluster::shared().namespace("rest-slow").await;
    let service = Service::start_in(&namespace, ServiceSetup::default()).await;
    let mut connection = TcpStream::connect(service.url().strip_prefix("http://").unwrap()).await.unwrap();
    // More than what the system holds for a connection.
    let request = b"GET /docs/swagger-ui.js HTTP/1.1\r\nHost: x\r\n\r\n";
    connection.write_all(&request.repeat(30)).await.unwrap();
    let mut first = [0; 15];
    connection.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    until("the service closes", async || matches!(connection.try_write(b"\r\n"), Err(error) if is_closed(&error)))
        .await;
    answers(&service).await;
}

fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

async fn answers(service: &Arc<Service>) {
    service.nobody().get("/health").await.expect(200);
}
