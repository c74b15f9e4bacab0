//! What it costs to read complete lists in, as at a start and whenever a watch has to begin anew. No server takes part, and
//! the time is that of the processor: what else the machine does must not count.

use std::sync::Arc;
use std::time::Duration;

use minio_manager::api::meta::FINALIZER;
use minio_manager::config::ForeignKeys;
use minio_manager::controller::credentials::{Fence, Issuer, SecretCache, Template};
use minio_manager::controller::duty::Duty;
use minio_manager::controller::engine::{Engine, Parts, Settings};
use minio_manager::controller::events::Events;
use minio_manager::controller::objects::Objects;
use minio_manager::controller::server::Server;
use minio_manager::iam::breaker::LargeChangeLimit;
use minio_manager::iam::index::{Index, IndexConfig};
use minio_manager::iam::layout::{BerdlParameters, Layout, LayoutSpec};
use minio_manager::iam::subject::Kind;
use minio_manager::kubernetes::watch::Sink;
use minio_manager::kubernetes::{Decoded, decode_dynamic};
use minio_manager::lease::Lease;
use minio_manager::minio::{self, Credentials, Endpoint, Pacer};
use minio_manager::rate::Pace;
use minio_manager::rest::view::View;
use minio_manager::telemetry::Metrics;
use serde_json::{Value, json};

use crate::figures::Report;

pub const NAMESPACE: &str = "lake";
/// An address that nothing is sent to.
pub const NOWHERE: &str = "http://127.0.0.1:9";
const USERS: usize = 10_000;
const OWNERS: usize = 1_000;
const SHARES: usize = 50_000;
/// Ten times the quota.
const SHARES_OF_ONE: usize = 10_000;
/// For both lists together, on a machine that does much else.
const MILLISECONDS: u64 = 2_000;

pub async fn measure(report: &mut Report) {
    let many = shares(SHARES, OWNERS);
    let of_one = shares(SHARES_OF_ONE, 1);
    for (what, shares) in [("50,000 shares of 1,000 owners", &many), ("10,000 shares of one owner", &of_one)] {
        measure_lists(report, &format!("{what}, controller"), engine, shares);
        measure_lists(report, &format!("{what}, REST"), || View::new(index()), shares);
    }
}

/// Both lists, in either order, and the list of shares once more without a change.
fn measure_lists<S: Sink>(report: &mut Report, what: &str, sink: impl Fn() -> S, shares: &[Decoded]) {
    let users = users();
    let took = |sink: &S, kind: Kind, objects: &[Decoded]| {
        let objects = objects.to_vec();
        let begin = processor_milliseconds();
        sink.relist(kind, NAMESPACE, objects);
        processor_milliseconds() - begin
    };
    let first = sink();
    let (users_first, shares_then) = (took(&first, Kind::MinioUser, &users), took(&first, Kind::PathShare, shares));
    let again = took(&first, Kind::PathShare, shares);
    let other = sink();
    let (shares_first, users_then) = (took(&other, Kind::PathShare, shares), took(&other, Kind::MinioUser, &users));
    let slowest = (users_first + shares_then).max(shares_first + users_then).max(again);
    let details = json!({
        "users": users_first, "thenShares": shares_then, "sharesAgain": again,
        "shares": shares_first, "thenUsers": users_then,
    });
    report.count(&format!("{what}, ms"), slowest, MILLISECONDS, details);
}

/// How long this thread has run.
fn processor_milliseconds() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = times.split_whitespace().next().unwrap().parse().unwrap();
    nanoseconds / 1_000_000
}

fn users() -> Vec<Decoded> {
    let of = |number| object(Kind::MinioUser, &user(number), &json!({}), &json!({"origin": "Created"}), 0);
    (0..USERS).map(of).collect()
}

/// Each of one user's folder with one other user. The list is in the order of names, which is not that of age.
fn shares(count: usize, owners: usize) -> Vec<Decoded> {
    let of = |number: usize| {
        let owner = user(number % owners);
        let spec = json!({
            "path": format!("s3a://lake/homes/{owner}/data/{number}"),
            "owner": {"kind": "User", "name": owner},
            "grants": [{"kind": "User", "name": user((number * 7 + 1) % USERS), "access": "Read"}],
        });
        let age = number * 7919 % count;
        object(Kind::PathShare, &format!("share{number:05}"), &spec, &json!({"ownerUid": format!("uid-{owner}")}), age)
    };
    (0..count).map(of).collect()
}

fn user(number: usize) -> String {
    format!("user{number:05}")
}

/// An object as a watch shows it; the older, the greater `age`.
pub fn object(kind: Kind, name: &str, spec: &Value, status: &Value, age: usize) -> Decoded {
    let created = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_000_000 - age as i64);
    let object = json!({
        "apiVersion": "minio-manager.io/v1alpha1",
        "kind": kind.to_string(),
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}"), "generation": 1, "resourceVersion": "1",
            "creationTimestamp": created.to_string(), "finalizers": [FINALIZER],
        },
        "spec": spec,
        "status": status,
    });
    let decoded = decode_dynamic(kind, serde_json::from_value(object).unwrap());
    assert!(decoded.seen.has_finalizer());
    decoded
}

pub fn index() -> Index {
    let layout = Layout::new(&LayoutSpec::Simple, &BerdlParameters::default()).unwrap();
    Index::new(IndexConfig::new(layout, NAMESPACE))
}

/// A controller whose loops do not run: nothing is sent to these addresses.
pub fn engine() -> Engine {
    let client = kube::Client::try_from(kube::Config::new(NOWHERE.parse().unwrap())).unwrap();
    let endpoint: Endpoint = NOWHERE.parse().unwrap();
    let minio = minio::Client::new(minio::Config::new(endpoint.clone(), Credentials::generate())).unwrap();
    let pacer = Pacer::new(0);
    let secrets = Arc::new(SecretCache::new(Template::new(endpoint, "us-east-1")));
    let fence: Fence = Arc::new(|_| true);
    let recorder = kube::runtime::events::Recorder::new(client.clone(), "bench".into());
    let metrics = Arc::new(Metrics::new());
    Engine::new(Parts {
        index: index(),
        objects: Objects::new(client.clone(), Events::new(recorder)),
        issuer: Issuer::new(client, minio.clone(), pacer.clone(), secrets.clone(), fence.clone()),
        server: Server { client: minio, pacer, fence },
        secrets,
        lease: Arc::new(Lease::new(metrics.clone())),
        duty: Duty::new(Arc::default(), false),
        metrics,
        pace: Pace::new(0),
        settings: Settings {
            large_change_limit: LargeChangeLimit::Off,
            full_audit_interval: Duration::from_secs(600),
            foreign_keys: ForeignKeys::Report,
            instance: "bench".to_owned(),
            home_namespace: NAMESPACE.to_owned(),
            endpoint: NOWHERE.to_owned(),
            observe: false,
            recheck: std::time::Duration::from_secs(60),
            rotation_interval: jiff::SignedDuration::from_hours(24),
            overlap: jiff::SignedDuration::from_hours(24),
        },
    })
}
