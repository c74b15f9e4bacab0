use std::collections::BTreeSet;

use super::*;
use crate::minio::Call;

/// Names and types as the manual lists them, without the common prefix.
const MANUAL: [(&str, &str); 18] = [
    ("converge_total", "counter"),
    ("converge_duration_seconds", "histogram"),
    ("convergence_seconds", "histogram"),
    ("revocation_seconds", "histogram"),
    ("minio_requests_total", "counter"),
    ("minio_request_duration_seconds", "histogram"),
    ("drift_repairs_total", "counter"),
    ("unmanaged", "gauge"),
    ("audit_duration_seconds", "histogram"),
    ("queue_depth", "gauge"),
    ("documents_bytes", "gauge"),
    ("held_removals", "gauge"),
    ("credentials_expiring", "gauge"),
    ("credentials_issued_total", "counter"),
    ("leader", "gauge"),
    ("objects", "gauge"),
    ("http_requests_total", "counter"),
    ("http_request_duration_seconds", "histogram"),
];

fn fresh() -> Metrics {
    let metrics = Metrics::new();
    metrics.expect_http_routes([("GET", "/metrics")]);
    metrics
}

/// The samples of an exposition: name with labels, value.
fn samples(metrics: &Metrics) -> Vec<(String, String)> {
    let text = metrics.encode().unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()).collect()
}

fn value(metrics: &Metrics, series: &str) -> String {
    let found = samples(metrics).into_iter().find(|(name, _)| name == series);
    found.unwrap_or_else(|| panic!("no {series}")).1
}

#[test]
fn every_metric_of_the_manual_is_there_from_the_start_at_zero() {
    let metrics = fresh();
    let samples = samples(&metrics);
    let sampled: BTreeSet<&str> = samples.iter().map(|(name, _)| name.split('{').next().unwrap()).collect();
    for (name, kind) in MANUAL {
        let series = match kind {
            "histogram" => format!("minio_manager_{name}_count"),
            _ => format!("minio_manager_{name}"),
        };
        assert!(sampled.contains(series.as_str()), "{series}");
    }
    for (name, value) in &samples {
        assert!(value == "0" || value == "0.0", "{name} {value}");
    }
}

#[test]
fn nothing_else_is_there() {
    let text = fresh().encode().unwrap();
    let types: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE minio_manager_")).map(str::to_owned).collect();
    let manual = MANUAL.map(|(name, kind)| format!("{} {kind}", name.strip_suffix("_total").unwrap_or(name)));
    assert_eq!(types, manual.into());
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn closed_labels_have_all_their_series() {
    let metrics = fresh();
    let samples = samples(&metrics);
    let count = |name: &str| samples.iter().filter(|(series, _)| series.starts_with(&format!("{name}{{"))).count();
    assert_eq!(count("minio_manager_converge_total"), 5 * 6);
    assert_eq!(count("minio_manager_objects"), 6 * 3);
    assert_eq!(count("minio_manager_unmanaged"), 4);
    assert_eq!(count("minio_manager_credentials_issued_total"), 2);
    assert_eq!(count("minio_manager_drift_repairs_total"), 7);
    assert_eq!(count("minio_manager_convergence_seconds_count"), 6);
    assert_eq!(count("minio_manager_minio_requests_total"), Call::ALL.len());
}

#[test]
fn methods_move_their_own_series() {
    let metrics = fresh();
    metrics.converged(&Subject::Everyone, Outcome::Changed, Duration::from_millis(20));
    metrics.convergence(Kind::PathShare, Duration::from_secs(2));
    metrics.revocation(Duration::from_millis(3));
    metrics.minio_request(Call::ListUsers, minio::Outcome::Status(503), Duration::from_millis(7));
    metrics.minio_request(Call::ListUsers, minio::Outcome::Timeout, Duration::from_secs(3));
    metrics.drift_repair(DriftKind::Attachment);
    metrics.set_unmanaged(UnmanagedKind::Keys, 4);
    metrics.audited(Duration::from_millis(300));
    metrics.set_queue_depth(5);
    metrics.set_documents_bytes(20_480);
    metrics.set_held_removals(8);
    metrics.set_credentials_expiring(6);
    metrics.set_leader(true);
    metrics.set_objects(Kind::MinioUser, Ready::Unknown, 7);
    metrics.http_request("/metrics", "GET", 200, Duration::from_millis(1));
    for (series, expected) in [
        (r#"converge_total{subject="everyone",outcome="changed"}"#, "1"),
        (r#"converge_duration_seconds_bucket{le="0.01",subject="everyone"}"#, "0"),
        (r#"converge_duration_seconds_bucket{le="0.025",subject="everyone"}"#, "1"),
        (r#"convergence_seconds_sum{kind="PathShare"}"#, "2.0"),
        ("revocation_seconds_count", "1"),
        (r#"minio_requests_total{call="list-users",code="503"}"#, "1"),
        (r#"minio_requests_total{call="list-users",code="timeout"}"#, "1"),
        (r#"minio_request_duration_seconds_count{call="list-users"}"#, "2"),
        (r#"drift_repairs_total{kind="attachment"}"#, "1"),
        (r#"unmanaged{kind="keys"}"#, "4"),
        ("audit_duration_seconds_count", "1"),
        ("queue_depth", "5"),
        ("documents_bytes", "20480"),
        ("held_removals", "8"),
        ("credentials_expiring", "6"),
        ("leader", "1"),
        (r#"objects{kind="MinioUser",ready="Unknown"}"#, "7"),
        (r#"http_requests_total{route="/metrics",method="GET",code="200"}"#, "1"),
        (r#"http_request_duration_seconds_count{route="/metrics"}"#, "1"),
    ] {
        assert_eq!(value(&metrics, &format!("minio_manager_{series}")), expected, "{series}");
    }
}
