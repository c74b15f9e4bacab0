//! The lease as a Lease object in the home namespace.
//!
//! The API server loses nothing and lets one of two writers win, so the object always shows whether the former leader ended
//! in order. Whether it still lives is judged by how long its record has not changed before our eyes; the times in the record
//! are those of another machine, and for people.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Record, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;

use super::look::Look;
use super::store::{Attempt, Error, Former, Renewal, Store};
use super::{Clock, LEASE};
use crate::api::meta::{annotation, field_manager};
use crate::kubernetes::{self, call_until};

/// The name of the object.
const NAME: &str = "minio-manager";

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// Who has the lease, as its record tells people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The pod and a number; empty where the last one has given it up.
    pub identity: String,
    /// When it was renewed last, by the clock of the holder.
    pub renewed: Option<Timestamp>,
    /// How long it lasts without being renewed.
    pub life: Duration,
}

/// A record of somebody else, and since when it has not changed.
struct Rival {
    version: Option<String>,
    since: Duration,
}

/// The lease of one installation in Kubernetes.
pub struct InKubernetes {
    api: Api<Record>,
    clock: Clock,
    /// Who we are: the pod, and a number that is new for each try. A try whose answer was lost is somebody else's.
    identity: String,
    /// The installation.
    instance: String,
    /// The record as we wrote it last.
    ours: Option<Record>,
    rival: Option<Rival>,
}

impl InKubernetes {
    /// The lease of the installation `instance` in its home namespace.
    pub fn new(client: Client, namespace: &str, instance: &str, clock: Clock) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            clock,
            identity: new_identity(),
            instance: instance.to_owned(),
            ours: None,
            rival: None,
        }
    }

    /// Who has the lease; `None` where nobody ever had it.
    ///
    /// # Errors
    /// The answer of the API server.
    pub async fn holder(&self) -> Result<Option<Holder>, kubernetes::Error> {
        Ok(self.read().await?.map(|record| {
            let spec = record.spec.as_ref();
            Holder {
                identity: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
                renewed: spec.and_then(|spec| Some(spec.renew_time.as_ref()?.0)),
                life: life(&record),
            }
        }))
    }

    async fn read(&self) -> Result<Option<Record>, kubernetes::Error> {
        call_until(Instant::now() + TIMEOUT, "read", shown(), self.api.get_opt(NAME)).await
    }

    /// Creates the record as ours. `Held` where somebody was faster.
    async fn create(&mut self) -> Result<Attempt, Error> {
        let mut record =
            Record { metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() }, spec: None };
        self.sign(&mut record);
        let params = params();
        let created = self.api.create(&params, &record);
        let created = call_until(Instant::now() + TIMEOUT, "create", shown(), created).await;
        Ok(match self.unless_overtaken(created)? {
            // It may have been deleted a moment ago under a leader's feet.
            Some(record) => self.has(record, Former::Unknown),
            None => Attempt::Held,
        })
    }

    /// Writes ourselves into the record that was read. `Held` where somebody was faster.
    async fn take(&mut self, mut record: Record, former: Former) -> Result<Attempt, Error> {
        self.sign(&mut record);
        Ok(match self.replace(&record).await? {
            Some(record) => self.has(record, former),
            None => Attempt::Held,
        })
    }

    fn has(&mut self, record: Record, former: Former) -> Attempt {
        self.ours = Some(record);
        self.rival = None;
        Attempt::Acquired(former)
    }

    /// Replaces the record under its resource version; `None` where it is no longer the one that was read.
    async fn replace(&self, record: &Record) -> Result<Option<Record>, Error> {
        let params = params();
        let replaced = self.api.replace(NAME, &params, record);
        self.unless_overtaken(call_until(Instant::now() + TIMEOUT, "write", shown(), replaced).await)
    }

    fn unless_overtaken(&self, written: Result<Record, kubernetes::Error>) -> Result<Option<Record>, Error> {
        match written {
            Ok(record) => Ok(Some(record)),
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn sign(&self, record: &mut Record) {
        let now = MicroTime(Timestamp::now());
        let annotations = record.metadata.annotations.get_or_insert_with(BTreeMap::new);
        annotations.insert(annotation::INSTANCE.to_owned(), self.instance.clone());
        let spec = record.spec.get_or_insert_with(LeaseSpec::default);
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            spec.holder_identity = Some(self.identity.clone());
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
        }
        spec.lease_duration_seconds = i32::try_from(LEASE.as_secs()).ok();
        spec.renew_time = Some(now);
    }

    /// Whether the record of somebody else has not changed for as long as its lease lasts.
    fn has_run_out(&mut self, record: &Record, asked: Duration) -> bool {
        let version = &record.metadata.resource_version;
        match self.rival.as_ref().filter(|rival| rival.version == *version) {
            Some(rival) => asked.saturating_sub(rival.since) >= life(record),
            None => {
                self.rival = Some(Rival { version: version.clone(), since: (self.clock)() });
                false
            }
        }
    }
}

impl Look for InKubernetes {
    type Sight = Record;

    async fn look(&mut self) -> Result<Option<Record>, Error> {
        let is_held = |record: &Record| {
            let spec = record.spec.as_ref();
            spec.and_then(|spec| spec.holder_identity.as_ref()).is_some_and(|holder| !holder.is_empty())
        };
        Ok(self.read().await?.filter(is_held))
    }

    fn is_renewed(before: &Record, after: &Record) -> bool {
        before.metadata.resource_version != after.metadata.resource_version
    }

    fn life(record: &Record) -> Duration {
        life(record)
    }
}

impl Store for InKubernetes {
    async fn acquire(&mut self) -> Result<Attempt, Error> {
        let asked = (self.clock)();
        self.identity = new_identity();
        let Some(record) = self.read().await? else { return self.create().await };
        let holder = record.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder.is_empty() {
            return self.take(record, Former::Released).await;
        }
        if self.has_run_out(&record, asked) {
            return self.take(record, Former::EndsWithin(Duration::ZERO)).await;
        }
        Ok(Attempt::Held)
    }

    async fn renew(&mut self) -> Result<Renewal, Error> {
        // Somebody may have labelled the object, which takes nothing from us.
        for fresh in [false, true] {
            let record = if fresh { self.read().await? } else { self.ours.clone() };
            let is_ours = |record: &Record| {
                record.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.identity)
            };
            let Some(mut record) = record.filter(is_ours) else { break };
            self.sign(&mut record);
            if let Some(record) = self.replace(&record).await? {
                self.ours = Some(record);
                return Ok(Renewal::Kept);
            }
        }
        self.ours = None;
        Ok(Renewal::Lost)
    }

    async fn release(&mut self) -> Result<(), Error> {
        let Some(mut record) = self.ours.take() else { return Ok(()) };
        if let Some(spec) = record.spec.as_mut() {
            spec.holder_identity = Some(String::new());
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        self.replace(&record).await.map(drop)
    }
}

fn new_identity() -> String {
    let pod = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    let number = hex::encode(rand::random::<[u8; 8]>());
    format!("{}_{number}", pod.as_deref().unwrap_or("minio-manager"))
}

fn params() -> PostParams {
    PostParams { field_manager: Some(field_manager::CONTROLLER.to_owned()), ..PostParams::default() }
}

/// A leader of another version may keep its lease for longer.
fn life(record: &Record) -> Duration {
    let seconds = record.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let told = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    told.unwrap_or_default().clamp(LEASE, 6 * LEASE)
}

fn shown() -> &'static str {
    "the Lease minio-manager"
}
