//! What an installation costs while nobody changes anything: requests, processor, and what users notice of it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    figures::{Report, Samples},
    installation::{self, Size, person, until},
    refresh::{self, OPEN_METRICS, Refresh},
    settings,
    support::{
        minio::Server,
        product::{Metrics, Setup},
        s3::Try,
        world::{Person, World},
    },
};

const USERS: usize = 2_000;
const SECONDS: usize = 120;
/// Of one processor, in percent.
const PROCESSOR: f64 = 2.0;
/// Of what requests take without the controller.
const SLOWER: f64 = 1.2;
/// Between two requests of the user.
const PACE: Duration = Duration::from_millis(20);
/// So many slow requests in one second are not by chance.
const CROWD: usize = 3;
const HOUR: f64 = 3_600.0;

pub async fn measure(report: &mut Report) {
    let size = Size::of_users(settings::users(USERS));
    let time = settings::seconds(SECONDS);
    let world = installation::in_force(&size, setup()).await;
    measure_in(report, &world, &size, time).await;
}

/// With the lease in Kubernetes, so that its requests count, and a MinIO that tells how it fares.
pub fn setup() -> Setup {
    let minio = Server::start_with_variables(&[OPEN_METRICS]);
    Setup { minio: Some(Arc::new(minio)), lease: Some("auto".to_owned()), ..Setup::default() }
}

/// The same where everything is in force already.
pub async fn measure_in(report: &mut Report, world: &World, size: &Size, time: Duration) {
    let user = world.person(&person(0)).await;
    let file = user.home("file");
    world.seed(&[&file]).await;

    let spans = async {
        // Before and after, so that what else the machine does counts for both.
        assert!(world.product().terminate().success());
        let mut without = Span::of(world, &user, &file, time / 2).await;
        world.product().launch();
        settle(world, size).await;
        let with = Running::of(world, &user, &file, time).await;
        assert!(world.product().terminate().success());
        without.extend(Span::of(world, &user, &file, time / 2).await);
        (with, without)
    };
    let ((with, without), refreshes) = refresh::beside(world.product().minio(), spans).await;
    with.report(report, &size.title(), &without, &refreshes);
}

/// Until nothing is left of the start, every key has been looked at in its turn once more, and an audit has come in its time.
async fn settle(world: &World, size: &Size) {
    installation::is_calm(world, size.objects()).await;
    let looks = || world.product().metrics().requests(&["probe"]) as usize;
    until(world, "a round of looks at all keys", || looks() >= 2 * size.users).await;
    let audits = || world.product().metrics().sum("minio_manager_audit_duration_seconds_count", &[]);
    let so_far = audits();
    until(world, "a regular audit", || audits() > so_far).await;
}

/// What happened within some time.
struct Span {
    time: Duration,
    requests: Vec<Get>,
    /// Requests that the API server answered, by verb and resource.
    kubernetes: BTreeMap<String, f64>,
}

impl Span {
    async fn of(world: &World, user: &Person, file: &str, time: Duration) -> Self {
        let (before, started) = (kubernetes_requests(world).await, Instant::now());
        let requests = works(user, file, time).await;
        let (time, after) = (started.elapsed(), kubernetes_requests(world).await);
        Self { time, requests, kubernetes: difference(&after, &before) }
    }

    /// The requests of the time in which the server did not read all of its IAM, and those of the time in which it did.
    fn apart(&self, refreshes: &[Refresh]) -> (Vec<&Get>, Vec<&Get>) {
        self.requests.iter().partition(|get| !refreshes.iter().any(|refresh| get.is_during(refresh)))
    }

    fn extend(&mut self, other: Self) {
        self.time += other.time;
        self.requests.extend(other.requests);
        for (kind, count) in other.kubernetes {
            *self.kubernetes.entry(kind).or_default() += count;
        }
    }

    fn per_hour(&self, count: f64) -> f64 {
        count / self.time.as_secs_f64() * HOUR
    }
}

/// The same while the controller runs.
struct Running {
    span: Span,
    /// Requests of MinIO by call.
    minio: BTreeMap<String, f64>,
    writes: u64,
    processor: Duration,
}

impl Running {
    async fn of(world: &World, user: &Person, file: &str, time: Duration) -> Self {
        let (before, began) = (world.product().metrics(), world.product().vitals());
        let span = Span::of(world, user, file, time).await;
        let (after, ended) = (world.product().metrics(), world.product().vitals());
        Self {
            span,
            minio: difference(&minio_requests(&after), &minio_requests(&before)),
            writes: after.writes() - before.writes(),
            processor: ended.processor - began.processor,
        }
    }

    fn report(&self, report: &mut Report, title: &str, without: &Span, refreshes: &[Refresh]) {
        let hourly = |counts: &BTreeMap<String, f64>| -> BTreeMap<String, u64> {
            counts.iter().map(|(kind, count)| (kind.clone(), self.span.per_hour(*count).round() as u64)).collect()
        };
        // What the API server does for itself, and what asking it costs.
        let scale = self.span.time.as_secs_f64() / without.time.as_secs_f64();
        let own = without.kubernetes.iter().map(|(kind, count)| (kind.clone(), count * scale)).collect();
        let kubernetes = difference(&self.span.kubernetes, &own);
        let total = |counts: &BTreeMap<String, f64>| self.span.per_hour(counts.values().sum());
        let share = self.processor.as_secs_f64() / self.span.time.as_secs_f64() * 100.0;
        let seconds = json!({"seconds": self.span.time.as_secs()});
        report.tell(&format!("{title}, idle: MinIO calls"), total(&self.minio), "per hour", json!(hourly(&self.minio)));
        report.count(&format!("{title}, idle: writes on MinIO"), self.writes, 0, seconds.clone());
        let details = json!(hourly(&kubernetes));
        report.tell(&format!("{title}, idle: Kubernetes requests"), total(&kubernetes), "per hour", details);
        report.at_most(&format!("{title}, idle: processor"), share, PROCESSOR, "% of a core", seconds);
        notice(report, title, &self.span, without, refreshes);
    }
}

/// What the user notices of the controller.
fn notice(report: &mut Report, title: &str, with: &Span, without: &Span, refreshes: &[Refresh]) {
    let ((with, with_refresh), (without, without_refresh)) = (with.apart(refreshes), without.apart(refreshes));
    let floor = samples(&without);
    report.compare(&format!("{title}, idle: GET of a user"), &samples(&with), &floor, SLOWER, SLOWER);
    let (slow, crowded) = slow(&with, floor.p99());
    let name = format!("{title}, idle: GETs beyond that p99");
    report.tell(&name, slow as f64, "requests", json!({"bySecond": crowded}));
    for (presence, gets) in [("with", with_refresh), ("without", without_refresh)] {
        let took: Vec<f64> = refreshes
            .iter()
            .filter(|refresh| gets.iter().any(|get| get.is_during(refresh)))
            .map(|refresh| refresh.took().as_secs_f64())
            .collect();
        let details = json!({"longestMilliseconds": samples(&gets).longest().as_millis(), "refreshSeconds": took});
        let name = format!("{title}, idle: GETs while MinIO reads its IAM, {presence}");
        report.tell(&name, gets.len() as f64, "requests", details);
    }
}

/// How many took longer, and in which seconds there were several: what the controller does then is what users notice.
fn slow(gets: &[&Get], limit: Duration) -> (usize, BTreeMap<u64, usize>) {
    let mut by_second: BTreeMap<u64, usize> = BTreeMap::new();
    for get in gets.iter().filter(|get| get.took > limit) {
        *by_second.entry((get.began - gets[0].began).as_secs()).or_default() += 1;
    }
    let slow = by_second.values().sum();
    by_second.retain(|_, count| *count >= CROWD);
    (slow, by_second)
}

/// One request of the user.
struct Get {
    began: Instant,
    took: Duration,
}

impl Get {
    fn is_during(&self, refresh: &Refresh) -> bool {
        refresh.touches(self.began, self.began + self.took)
    }
}

fn samples(gets: &[&Get]) -> Samples {
    Samples::of(gets.iter().map(|get| get.took).collect())
}

/// A user who reads one file again and again, without haste.
async fn works(user: &Person, file: &str, time: Duration) -> Vec<Get> {
    let mut gets = Vec::new();
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let started = Instant::now();
    while started.elapsed() < time {
        ticks.tick().await;
        let began = Instant::now();
        assert!(user.may(Try::Get, file).await);
        gets.push(Get { began, took: began.elapsed() });
    }
    gets
}

fn minio_requests(metrics: &Metrics) -> BTreeMap<String, f64> {
    by(metrics.series("minio_manager_minio_requests_total"), &["call"])
}

async fn kubernetes_requests(world: &World) -> BTreeMap<String, f64> {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let metrics = Metrics::parse(&world.kube().request_text(request).await.unwrap());
    let mut requests = by(metrics.series("apiserver_request_total"), &["verb", "resource"]);
    // A watch counts when it ends, which for most of them is at the end of the controller.
    requests.retain(|kind, _| !kind.starts_with("WATCH"));
    requests
}

/// The sums by the values of some labels.
fn by<'a>(series: impl Iterator<Item = (&'a str, f64)>, labels: &[&str]) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (written, value) in series {
        let value_of = |label: &&str| {
            let of_label = |pair: &'a str| pair.strip_prefix(*label)?.strip_prefix("=\"")?.strip_suffix('"');
            written.split(',').find_map(of_label).unwrap_or_default()
        };
        let key: Vec<&str> = labels.iter().map(value_of).collect();
        *sums.entry(key.join(" ").trim().to_owned()).or_default() += value;
    }
    sums
}

/// What is more now, without what is not.
fn difference(after: &BTreeMap<String, f64>, before: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let more = after.iter().map(|(kind, count)| (kind.clone(), count - before.get(kind).copied().unwrap_or(0.0)));
    more.filter(|(_, count)| *count > 0.5).collect()
}
