//! What is beside the data: nothing of it can be reached through the proxy but health.

use super::*;

/// In the spellings in which nginx, or MinIO, or somebody's idea of them, takes it for the administration.
const ADMINISTRATION: [&str; 9] = [
    "/minio/admin/v3/info",
    "//minio/admin/v3/info",
    "/minio//admin/v3/info",
    "/minio/./admin/v3/info",
    "/minio/health/../admin/v3/info",
    "/minio/health/..%2fadmin/v3/info",
    "/%6dinio/admin/v3/info",
    "/minio%2fadmin/v3/info",
    "/lake/../minio/admin/v3/info",
];

const MACHINES: [&str; 6] = [
    "/minio/v2/metrics/cluster",
    "/minio/v2/metrics/node",
    "/minio/metrics/v3/api/requests",
    "/minio/prometheus/metrics",
    "/minio/kms/v1/status",
    "/minio/grid/v1",
];

#[tokio::test]
async fn administration_is_closed_to_everybody() {
    let scene = Scene::new().await;
    let root = Server::shared().root();
    let info = Ask::get(ADMINISTRATION[0]);
    let answer = scene.bare.send(&root, &info);
    assert!(answer.is_done() && answer.text.contains("deploymentID"), "{answer:?}");
    for path in ADMINISTRATION {
        let answer = scene.guarded.send(&root, &Ask::get(path));
        assert!(answer.is_refused_by_proxy(), "{path}: {answer:?}");
    }
    // A path that leads out of /minio/ for nginx, and to the administration for MinIO.
    let tier = Ask::get("/minio/admin/v3/tier/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2flake");
    let answer = scene.guarded.send(&root, &tier);
    assert!(answer.is_refused_by_proxy(), "{answer:?}");
    for path in ["/minio/admin/v3/info#", "/minio/admin/v3/info?x#y"] {
        let answer = scene.guarded.send(&root, &info.sent_as(path));
        assert!(answer.is_refused_by_proxy(), "{path}: {answer:?}");
    }
    for path in MACHINES {
        let answer = scene.guarded.send_unsigned(&Ask::get(path));
        assert!(answer.is_refused_by_proxy(), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn health_is_open_to_everybody() {
    let scene = Scene::new().await;
    for path in ["/minio/health/live", "/minio/health/ready", "/minio/health/cluster"] {
        let answer = scene.guarded.send_unsigned(&Ask::get(path));
        assert!(answer.is_done(), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn who_has_no_key_gets_nothing() {
    let scene = Scene::new().await;
    scene.put("file").await;
    for target in [format!("/{}/file", scene.bucket), format!("/{}", scene.bucket), "/".to_owned()] {
        let answer = scene.guarded.send_unsigned(&Ask::get(target));
        assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{answer:?}");
    }
}

#[tokio::test]
async fn the_log_has_no_signatures() {
    let scene = Scene::new().await;
    scene.put("file").await;
    let user = scene.user(vec![json!({
        "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [format!("arn:aws:s3:::{}/*", scene.bucket)],
    })]);
    let link = scene.guarded.presign(&user.await, &Ask::get(format!("/{}/file", scene.bucket)));
    assert!(scene.guarded.send_unsigned(&link).is_done());
    // It is written once the request is over, which is after its answer.
    let deadline = std::time::Instant::now() + crate::support::world::PATIENCE;
    while !scene.nginx.access_log().contains("/file") {
        assert!(std::time::Instant::now() < deadline, "nothing is logged");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(!scene.nginx.access_log().contains("X-Amz"), "{}", scene.nginx.access_log());
}
