//! A whole installation at once: what it costs to bring into force, to start beside, and to work beside.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use minio_manager::minio::Call;
use serde_json::json;

use crate::audit;
use crate::figures::{Report, Samples};
use crate::floor::{Declarations, State};
use crate::idle;
use crate::installation::{Size, all_ready, apply, until};
use crate::revocation::{granted, revoke};
use crate::settings;
use crate::support::product::Setup;
use crate::support::s3::Try;
use crate::support::world::{Person, World};

const REVOCATIONS: usize = 20;
/// How many regular audits are timed.
const AUDITS: usize = 3;
/// How long it is watched while nobody changes anything: lists of keys, which come every few minutes, fall into it.
const IDLE_SECONDS: usize = 600;
const BETWEEN_REVOCATIONS: Duration = Duration::from_secs(2);
const MEGABYTE: u64 = 1_000_000;
/// More than an interval between two audits.
const RESIDENT_SAMPLES: usize = 140;
const BETWEEN_SAMPLES: Duration = Duration::from_millis(500);

/// What is asked of an installation.
struct Demand {
    users: usize,
    ready_within: Duration,
    megabytes: u64,
}

const TYPICAL: Demand = Demand { users: 2_000, ready_within: Duration::from_secs(10), megabytes: 150 };

const LARGE: Demand = Demand { users: 10_000, ready_within: Duration::from_secs(30), megabytes: 200 };

impl Demand {
    fn size(&self) -> Size {
        Size::of_users(settings::users(self.users))
    }
}

/// 2,000 users, 200 groups, 10,000 shares.
pub async fn measure(report: &mut Report) {
    let (world, took, state) = unpaced(report, &TYPICAL.size()).await;
    compare(report, &world, &TYPICAL.size(), took, &state).await;
    restart(report, &world, &TYPICAL).await;
    drop(world);
    measure_paced(report).await;
}

/// The second half of it: at the default pace.
pub async fn measure_paced(report: &mut Report) {
    paced(report, &TYPICAL.size()).await;
}

/// 10,000 users, 1,000 groups, 50,000 shares. Takes an hour: a third of it for the keys, and a third to watch it idle.
pub async fn measure_large(report: &mut Report) {
    let (world, took, _) = unpaced(report, &LARGE.size()).await;
    report.tell(&format!("{}, in force after", LARGE.size().title()), took.as_secs_f64(), "seconds", json!({}));
    restart(report, &world, &LARGE).await;
    audit::report_audits(report, &world, &LARGE.size().title(), AUDITS).await;
    idle::measure_in(report, &world, &LARGE.size(), settings::seconds(IDLE_SECONDS)).await;
}

/// Everything is applied while the controller runs and writes as fast as it can: how long that takes, and what MinIO holds then.
async fn unpaced(report: &mut Report, size: &Size) -> (World, Duration, State) {
    let world = World::own(idle::setup().with(&["--minio-writes-per-second", "0"])).await;
    let started = Instant::now();
    apply(&world, &size.manifests()).await;
    let applied = started.elapsed();
    all_ready(&world, size.objects()).await;
    let took = started.elapsed();
    let state = State::read(world.minio()).await;
    let calls = calls(&world);
    let (writes, needed) = (calls.values().sum(), state.writes());
    let details = json!({
        "needed": needed, "appliedAfterSeconds": applied.as_secs(), "state": state.counts(), "calls": calls,
        "requests": world.product().metrics().all_requests(),
        "documentsByWrites": by_writes(&world),
    });
    report.count(&format!("{}, writes", size.title()), writes, needed * 11 / 10, details);
    (world, took, state)
}

/// Beside a client that makes the same calls of both servers, one after the other; what those of MinIO take by themselves is
/// told.
async fn compare(report: &mut Report, world: &World, size: &Size, took: Duration, state: &State) {
    let on_minio = state.bring_about().await;
    let in_kubernetes = Declarations::read(world).await.bring_about().await;
    let details = json!({"seconds": on_minio.as_secs_f64()});
    let ratio = took.as_secs_f64() / on_minio.as_secs_f64();
    report.tell(&format!("{}, beside calls of MinIO alone", size.title()), ratio, "times", details);
    report.once(&format!("{}, in force", size.title()), took, on_minio + in_kubernetes, 1.3);
}

/// The IAM writes by their kind.
fn calls(world: &World) -> BTreeMap<&'static str, u64> {
    let metrics = world.product().metrics();
    let folders = [Call::CreateBucket, Call::PutObject];
    let mutations =
        Call::ALL.iter().filter(|call| call.is_mutation() && !folders.contains(call)).map(|call| call.as_str());
    mutations.map(|call| (call, metrics.requests(&[call]))).filter(|(_, count)| *count > 0).collect()
}

/// How many documents were written so often.
fn by_writes(world: &World) -> BTreeMap<u64, usize> {
    let mut writes: BTreeMap<String, u64> = BTreeMap::new();
    for line in world.product().audit() {
        let change = line["change"].as_str().unwrap_or_default();
        if let Some(rest) = change.strip_prefix("write policy ") {
            *writes.entry(rest.split([' ', ':']).next().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    let mut counts = BTreeMap::new();
    for count in writes.into_values() {
        *counts.entry(count).or_default() += 1;
    }
    counts
}

/// A start beside all that, when nothing is to be done.
async fn restart(report: &mut Report, world: &World, demand: &Demand) {
    assert!(world.product().terminate().success());
    let started = Instant::now();
    world.product().launch();
    until(world, "it is ready", || world.product().get("/ready").0 == 200).await;
    let ready = started.elapsed();
    until(world, "everything is compared", || {
        world.product().stderr().matches("everything has been compared").count() >= 2
    })
    .await;
    let compared = started.elapsed();
    all_ready(world, demand.size().objects()).await;
    let metrics = world.product().metrics();
    let (resident, most) = resident(world).await;
    let title = demand.size().title();
    report.within(&format!("{title}: start to ready"), &Samples::of(vec![ready]), demand.ready_within);
    report.within(&format!("{title}: start to compared"), &Samples::of(vec![compared]), 2 * demand.ready_within);
    let details = json!({"requests": metrics.all_requests()});
    report.count(&format!("{title}: writes of a start"), metrics.writes(), 0, details);
    report.count(&format!("{title}: resident MB"), resident, demand.megabytes, json!({"most": most}));
}

/// The megabytes that stay in use, and the most in some time: an answer of MinIO that is opened takes 64 MiB for a moment.
async fn resident(world: &World) -> (u64, u64) {
    let mut samples = Vec::with_capacity(RESIDENT_SAMPLES);
    for _ in 0..RESIDENT_SAMPLES {
        samples.push(world.product().vitals().resident_bytes / MEGABYTE);
        tokio::time::sleep(BETWEEN_SAMPLES).await;
    }
    samples.sort_unstable();
    (samples[RESIDENT_SAMPLES / 2], samples[RESIDENT_SAMPLES - 1])
}

/// Everything is brought into force at the default pace, while somebody works and somebody loses a grant.
async fn paced(report: &mut Report, size: &Size) {
    let world = World::own(Setup::default()).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let file = alice.home("file");
    world.seed(&[&file]).await;
    let granted = granted(&world, &alice, &bob, REVOCATIONS).await;
    let idle = works(&alice, &file, 500).await;
    let manifests = size.manifests();
    apply(&world, &manifests).await;
    let (busy, revoked) =
        tokio::join!(works(&alice, &file, 20_000), revoke(&world, &bob, &granted, BETWEEN_REVOCATIONS));
    let waiting = world.product().metrics().sum("minio_manager_queue_depth", &[]);
    assert!(waiting > 0.0, "everything was in force too early to tell anything");
    report.compare("working while many are brought into force", &busy, &idle, 2.0, f64::INFINITY);
    report.within("one revocation meanwhile", &revoked, Duration::from_millis(250));
}

async fn works(person: &Person, file: &str, requests: usize) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..requests {
        let begin = Instant::now();
        assert!(person.may(Try::Get, file).await);
        samples.push(begin.elapsed());
    }
    samples
}
