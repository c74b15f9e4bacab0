//! Puts the controller together and keeps it running until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::commands::controller::Stage;
use crate::config::{ControllerConfig, LeaseConfig, Mode};
use crate::iam::index::Index;
use crate::kubernetes::{self, watch::FirstLists};
use crate::lease::{self, InKubernetes, InProcess, InRedis};
use crate::minio::{self, Pacer};
use crate::rate::Pace;

use super::credentials::{Fence, Issuer, SecretCache, Template};
use super::duty::Duty;
use super::engine::{Engine, Parts, Settings};
use super::events::Events;
use super::objects::Objects;
use super::queue::Urgency;
use super::server::Server;
use super::watch;
use super::{audit, converge, crds, instance, key_audit, leader, measure, report, trace, upkeep};

/// How many subjects are converged at once. MinIO takes one write at a time, so this only overlaps reads and Secrets.
const WORKERS: usize = 8;

/// How many more are converged at once that are urgent: nobody's loss of access waits until all the others have had their turn
/// on the server.
const URGENT_WORKERS: usize = 2;

/// How many finalizers and statuses are written for each routine change of MinIO at most: objects change together what one
/// change brings into force. More would take the API server from those who wait for it.
const WRITES_IN_KUBERNETES: u32 = 3;

/// How many objects are given their finalizer at once.
const ADMITTERS: usize = 8;

/// How many objects are reported on at once.
const REPORTERS: usize = 8;

/// How long work in progress may take when the process is told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How long it may take to give the lease up.
const RELEASE_LIMIT: Duration = Duration::from_secs(3);

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API cannot be used.
    #[error("cannot use the Kubernetes API; check KUBECONFIG or the service account")]
    Kubernetes(#[source] kubernetes::ConnectError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The MinIO client cannot be built.
    #[error(transparent)]
    Minio(#[from] minio::ClientError),
    /// The place that keeps the lease cannot be used.
    #[error(transparent)]
    Lease(#[from] lease::Error),
    /// A part ended that should run for ever.
    #[error("the {0} ended unexpectedly")]
    Ended(String),
}

/// Runs the controller until `stage.shutdown` is cancelled.
///
/// # Errors
/// What keeps it from starting, or the part that failed.
pub async fn run(config: ControllerConfig, stage: Stage) -> Result<(), Error> {
    let client = kubernetes::connect().await.map_err(Error::Kubernetes)?;
    let instance_id = tokio::select! {
        id = instance_id(&config, &client) => id,
        () = stage.shutdown.cancelled() => return Ok(()),
    };
    start(config, &stage, client, instance_id).await
}

async fn start(config: ControllerConfig, stage: &Stage, client: Client, instance_id: String) -> Result<(), Error> {
    let mut keeper = Keeper::spawn(&config, stage, &client, &instance_id)?;
    let engine = Arc::new(build(&config, stage, &client, instance_id)?);
    let lists = FirstLists::new();
    let mut tasks = JoinSet::new();
    for namespace in &config.instance.watch_namespaces {
        watch::expect_lists(&lists, namespace);
    }
    for namespace in &config.instance.watch_namespaces {
        watch::watch_namespace(&mut tasks, &engine, &client, namespace, &lists);
    }
    spawn_many(&mut tasks, ADMITTERS, "admission", || watch::admit(engine.clone()));
    spawn_many(&mut tasks, REPORTERS, "report", || report::work(engine.clone(), lists.clone()));
    spawn_many(&mut tasks, 1, "clock", || upkeep::keep_time(engine.clone()));
    spawn_many(&mut tasks, 1, "probe", || upkeep::probe(engine.clone()));
    spawn_many(&mut tasks, 1, "measurement", || measure::keep(engine.clone()));
    spawn_many(&mut tasks, 1, "instance report", || instance::keep(engine.clone(), client.clone()));
    spawn_credentials_watch(&mut tasks, &engine, config.minio.credentials);
    for (workers, least) in [(WORKERS, Urgency::Normal), (URGENT_WORKERS, Urgency::Urgent)] {
        spawn_many(&mut tasks, workers, "convergence", || {
            converge::work(engine.clone(), least, stage.shutdown.clone())
        });
    }
    spawn_many(&mut tasks, 1, "audit", || audit::keep(engine.clone()));
    spawn_many(&mut tasks, 1, "audit of documents", || audit::sweep(engine.clone()));
    spawn_many(&mut tasks, 1, "trace", || trace::follow(engine.clone()));
    spawn_many(&mut tasks, 1, "audit of keys", || key_audit::keep(engine.clone()));
    let namespaces = &config.instance.watch_namespaces;
    spawn_many(&mut tasks, 1, "look at CRDs", || crds::keep(engine.clone(), namespaces.clone()));
    spawn_many(&mut tasks, 1, "leadership", || leader::lead(engine.clone(), lists.clone(), stage.readiness.clone()));
    tokio::select! {
        () = stage.shutdown.cancelled() => {}
        ended = tasks.join_next() => {
            if !stage.shutdown.is_cancelled() {
                return Err(Error::Ended(name_of(ended)));
            }
        }
        _ = &mut keeper.task => return Err(Error::Ended("lease".to_owned())),
    }
    end(&engine, tasks).await;
    keeper.end().await;
    Ok(())
}

/// Ends in order: no write begins any more, and what is on its way comes to its end. Then whoever leads next need not wait.
async fn end(engine: &Engine, mut tasks: JoinSet<&'static str>) {
    engine.lease.close();
    engine.duty.close();
    let is_done = tokio::time::timeout(STOP_LIMIT, engine.duty.drained()).await.is_ok();
    tasks.shutdown().await;
    if is_done {
        engine.lease.ended_in_order();
    } else {
        tracing::warn!("work in progress did not end in time; it is resumed at the next start");
    }
}

/// The task that keeps the lease.
struct Keeper {
    task: JoinHandle<()>,
    end: CancellationToken,
}

impl Keeper {
    fn spawn(config: &ControllerConfig, stage: &Stage, client: &Client, instance_id: &str) -> Result<Self, Error> {
        let (lease, end) = (stage.lease.clone(), CancellationToken::new());
        let task = match &config.lease {
            LeaseConfig::InProcess => tokio::spawn(lease::keep(lease, InProcess, end.clone())),
            LeaseConfig::Redis(redis) => {
                tokio::spawn(lease::keep(lease, InRedis::new(redis, instance_id)?, end.clone()))
            }
            LeaseConfig::Kubernetes => {
                let home = &config.instance.home_namespace;
                let store = InKubernetes::new(client.clone(), home, instance_id, lease.clock());
                tokio::spawn(lease::keep(lease, store, end.clone()))
            }
        };
        Ok(Self { task, end })
    }

    /// Gives the lease up, and waits until that is done.
    async fn end(&mut self) {
        self.end.cancel();
        if tokio::time::timeout(RELEASE_LIMIT, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The uid of the home namespace identifies the installation, unless it is configured.
async fn instance_id(config: &ControllerConfig, client: &Client) -> String {
    if let Some(id) = &config.instance.instance_id {
        return id.clone();
    }
    let home = &config.instance.home_namespace;
    let api = Api::<Namespace>::all(client.clone());
    loop {
        match kubernetes::call("read", format!("namespace {home}"), api.get(home)).await {
            Ok(namespace) => return namespace.metadata.uid.unwrap_or_default(),
            Err(error) => {
                let error = crate::telemetry::chain(&error);
                tracing::warn!(namespace = home, error, "cannot read the home namespace; it is tried again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn build(config: &ControllerConfig, stage: &Stage, client: &Client, instance_id: String) -> Result<Engine, Error> {
    let index_config = config.index()?;
    let minio = minio::Client::new(config.minio.client(Some(stage.metrics.clone()))?)?;
    let writes_per_second = config.converge.writes_per_second.unwrap_or(0);
    let pacer = Pacer::new(writes_per_second);
    let cache = Arc::new(SecretCache::new(template(config)));
    let (lease, is_foreign) = (stage.lease.clone(), Arc::new(AtomicBool::new(false)));
    let duty = Duty::new(is_foreign.clone(), config.converge.take_over);
    let fence: Fence = Arc::new(move |deadline| lease.may_mutate(deadline) && !is_foreign.load(Ordering::Acquire));
    let issuer = Issuer::new(client.clone(), minio.clone(), pacer.clone(), cache.clone(), fence.clone());
    let reporter = Reporter { controller: "minio-manager".into(), instance: std::env::var("POD_NAME").ok() };
    Ok(Engine::new(Parts {
        index: Index::new(index_config),
        objects: Objects::new(client.clone(), Events::new(Recorder::new(client.clone(), reporter))),
        server: Server { client: minio, pacer, fence },
        issuer,
        secrets: cache,
        metrics: stage.metrics.clone(),
        lease: stage.lease.clone(),
        duty,
        pace: Pace::new(writes_per_second.saturating_mul(WRITES_IN_KUBERNETES)),
        settings: Settings {
            instance: instance_id,
            home_namespace: config.instance.home_namespace.clone(),
            endpoint: config.minio.endpoint.to_string(),
            observe: config.converge.mode == Mode::Observe,
            large_change_limit: config.converge.large_change_limit,
            recheck: config.converge.audit_interval,
            full_audit_interval: config.converge.full_audit_interval,
            foreign_keys: config.converge.foreign_keys,
            rotation_interval: signed(config.issuing.rotation_interval),
            overlap: signed(config.issuing.overlap),
        },
    }))
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

fn template(config: &ControllerConfig) -> Template {
    let mut template = Template::new(config.minio.public_endpoint.clone(), config.minio.region.clone());
    template.files = config.issuing.secret_files.clone();
    template.mount_path = config.issuing.secret_mount_path.clone();
    template
}

fn spawn_many<F>(tasks: &mut JoinSet<&'static str>, count: usize, name: &'static str, make: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for _ in 0..count {
        let task = make();
        tasks.spawn(async move {
            task.await;
            name
        });
    }
}

/// Credentials in files are read again when the files change.
fn spawn_credentials_watch(
    tasks: &mut JoinSet<&'static str>,
    engine: &Arc<Engine>,
    source: crate::config::CredentialsSource,
) {
    let engine = engine.clone();
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if !source.changed() {
                continue;
            }
            match source.load() {
                Ok(credentials) => {
                    tracing::info!("the MinIO credentials have changed");
                    engine.server.client.set_credentials(credentials);
                }
                Err(error) => {
                    tracing::warn!(error = %crate::telemetry::chain(&error), "changed credentials cannot be read")
                }
            }
        }
    });
}

fn name_of(ended: Option<Result<&'static str, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(name)) => name.to_owned(),
        Some(Err(error)) if error.is_panic() => "task that panicked".to_owned(),
        _ => "last task".to_owned(),
    }
}
