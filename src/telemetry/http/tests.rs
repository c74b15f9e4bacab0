use tokio::task::JoinHandle;

use super::*;

struct Server {
    address: SocketAddr,
    readiness: Readiness,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), HttpError>>,
}

async fn start() -> Server {
    let listener = bind("--metrics-listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let readiness = Readiness::waiting("the first full lists are not complete");
    let shutdown = CancellationToken::new();
    let metrics = Arc::new(Metrics::new());
    let task = tokio::spawn(serve(listener, metrics, readiness.clone(), shutdown.clone()));
    Server { address, readiness, shutdown, task }
}

impl Server {
    async fn get(&self, path: &str) -> (u16, String, String) {
        let response = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        (status, content_type.unwrap_or_default(), response.text().await.unwrap())
    }
}

#[tokio::test]
async fn ready_follows_the_handle_and_live_does_not() {
    let server = start().await;
    let (status, _, body) = server.get("/ready").await;
    assert_eq!((status, body.as_str()), (503, "the first full lists are not complete\n"));
    assert_eq!(server.get("/live").await.0, 200);
    server.readiness.set_ready();
    assert_eq!(server.get("/ready").await.0, 200);
    server.readiness.set_waiting("another layout");
    let (status, _, body) = server.get("/ready").await;
    assert_eq!((status, body.as_str()), (503, "another layout\n"));
}

#[tokio::test]
async fn metrics_are_open_metrics_and_count_requests() {
    let server = start().await;
    server.get("/ready").await;
    assert_eq!(server.get("/nothing").await.0, 404);
    let (status, content_type, body) = server.get("/metrics").await;
    assert_eq!((status, content_type.as_str()), (200, OPEN_METRICS));
    assert!(
        body.contains("minio_manager_http_requests_total{route=\"/ready\",method=\"GET\",code=\"503\"} 1\n"),
        "{body}"
    );
    assert!(
        body.contains("minio_manager_http_requests_total{route=\"/live\",method=\"GET\",code=\"200\"} 0\n"),
        "{body}"
    );
    assert!(!body.contains("/nothing"));
}

#[tokio::test]
async fn cancelling_ends_the_server_although_a_connection_is_open() {
    let server = start().await;
    let idle = tokio::net::TcpStream::connect(server.address).await.unwrap();
    server.get("/live").await;
    server.shutdown.cancel();
    tokio::time::timeout(GRACE * 2, server.task).await.unwrap().unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = start().await;
    let error = bind("--metrics-listen", server.address).await.unwrap_err();
    let text = crate::telemetry::chain(&error);
    assert!(text.contains(&server.address.to_string()) && text.contains("--metrics-listen"), "{text}");
}
