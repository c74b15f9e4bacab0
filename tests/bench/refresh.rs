//! When MinIO reads all of its IAM again. Every 5 to 15 minutes, at random, it does so by itself, and for some seconds of many
//! users everybody notices. Whoever is compared with somebody at another time must not be told apart by that.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use crate::support::{minio::Server, product::Metrics};

/// Has the server tell everybody how it fares.
pub const OPEN_METRICS: (&str, &str) = ("MINIO_PROMETHEUS_AUTH_TYPE", "public");
/// Two ends of such reading are further apart.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(60);
/// None takes longer, even of 10,000 users beside other work.
const LONGEST: Duration = Duration::from_secs(30);

/// A time during which the server read all of its IAM.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    began: Instant,
    ended: Instant,
}

impl Refresh {
    /// How long the server took.
    pub fn took(&self) -> Duration {
        self.ended - self.began
    }

    /// Whether something that began and ended then fell into it.
    pub fn touches(&self, began: Instant, ended: Instant) -> bool {
        began <= self.ended && ended >= self.began
    }

    /// The last one that the server has finished, if it has done so since its start.
    async fn last(server: &Server) -> Option<Self> {
        let url = format!("{}/minio/metrics/v3/cluster/iam", server.endpoint());
        let answer = reqwest::get(url).await.unwrap().error_for_status().expect("the metrics are open to everybody");
        let now = Instant::now();
        let metrics = Metrics::parse(&answer.text().await.unwrap());
        let milliseconds = |name: &str| Duration::from_millis(metrics.sum(name, &[]) as u64);
        let took = milliseconds("minio_cluster_iam_last_sync_duration_millis");
        let ended = now.checked_sub(milliseconds("minio_cluster_iam_since_last_sync_millis"))?;
        (!took.is_zero()).then_some(Self { began: ended.checked_sub(took)?, ended })
    }
}

/// Does something, and says when the server read all of its IAM meanwhile. Takes some time longer than that, so that one at its
/// end is known too.
pub async fn beside<T>(server: &Server, work: impl Future<Output = T>) -> (T, Vec<Refresh>) {
    let mut refreshes = Vec::new();
    let done = tokio::select! {
        done = work => done,
        never = watch(server, &mut refreshes) => match never {},
    };
    tokio::time::sleep(LONGEST).await;
    note(server, &mut refreshes).await;
    (done, refreshes)
}

async fn watch(server: &Server, refreshes: &mut Vec<Refresh>) -> Infallible {
    let mut ticks = tokio::time::interval(BETWEEN_QUESTIONS);
    loop {
        ticks.tick().await;
        note(server, refreshes).await;
    }
}

/// One more, unless it is known.
async fn note(server: &Server, refreshes: &mut Vec<Refresh>) {
    let Some(refresh) = Refresh::last(server).await else { return };
    if !refreshes.iter().any(|known| known.touches(refresh.began, refresh.ended)) {
        refreshes.push(refresh);
    }
}
