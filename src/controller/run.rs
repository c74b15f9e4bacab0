//! Puts the controller together and keeps it running until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};
use tokio::task::JoinSet;

use crate::commands::controller::Stage;
use crate::config::{ControllerConfig, Mode};
use crate::iam::index::Index;
use crate::iam::subject::Subject;
use crate::kubernetes::{self, watch::FirstLists};
use crate::minio::{self, Pacer};

use super::credentials::{Issuer, SecretCache, Template};
use super::engine::{Engine, Parts, Settings};
use super::objects::Objects;
use super::outcome::{Failure, backoff};
use super::queue::Urgency;
use super::server::Server;
use super::watch;
use super::{converge, instance, key_audit, measure, report, upkeep};

/// How many subjects are converged at once. MinIO takes one write at a time, so this only overlaps reads and Secrets.
const WORKERS: usize = 8;

/// How long the first plan waits for objects to be given their finalizer, and how often it looks.
const ADMISSION_LIMIT: Duration = Duration::from_secs(30);
const ADMISSION_CHECK: Duration = Duration::from_millis(20);

/// How many objects are given their finalizer at once.
const ADMITTERS: usize = 8;

/// How many objects are reported on at once.
const REPORTERS: usize = 8;

/// How long work in progress may take when the process is told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);

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
    let begin = begin(engine.clone(), stage.clone(), lists);
    tokio::pin!(begin);
    tokio::select! {
        () = &mut begin => {}
        () = stage.shutdown.cancelled() => return Ok(()),
        ended = tasks.join_next() => return Err(Error::Ended(name_of(ended))),
    }
    spawn_many(&mut tasks, WORKERS, "convergence", || converge::work(engine.clone(), stage.shutdown.clone()));
    spawn_many(&mut tasks, 1, "audit of keys", || key_audit::keep(engine.clone()));
    wait_for_end(tasks, stage).await
}

/// Everything that must have happened before the first plan: the first lists, an answer of MinIO, the buckets, and the
/// document that every user's attachments name.
async fn begin(engine: Arc<Engine>, stage: Stage, lists: FirstLists) {
    lists.wait().await;
    stage.readiness.set_ready();
    all_admitted(&engine).await;
    engine.metrics.set_queue_depth(engine.subjects.len());
    tracing::info!(objects = engine.state().seen.len(), "all objects are known");
    let mut failures = 0;
    loop {
        engine.health.wait_up().await;
        let Err(failure) = prepare(&engine).await else { break };
        failures += 1;
        tracing::warn!(message = failure.message, "MinIO cannot be prepared; it is tried again");
        engine.health.set_obstacle(Some(failure.message));
        tokio::time::sleep(backoff(failures)).await;
    }
    engine.health.set_obstacle(None);
    converge::converge(&engine, &Subject::Everyone, Urgency::Urgent).await;
    engine.converge_all();
}

/// Shares and memberships count once they carry our finalizer. Planning without those that only lack it would take away
/// what they give; but one that cannot be written must not hold up all others.
async fn all_admitted(engine: &Engine) {
    let admitted = async {
        while !engine.all_admitted() {
            tokio::time::sleep(ADMISSION_CHECK).await;
        }
    };
    if tokio::time::timeout(ADMISSION_LIMIT, admitted).await.is_err() {
        tracing::warn!("some objects cannot be given their finalizer; they do not count yet");
    }
}

async fn prepare(engine: &Engine) -> Result<(), Failure> {
    if engine.settings.observe {
        return Ok(());
    }
    let (buckets, objects) = {
        let state = engine.state();
        let layout = &state.index.config().layout;
        (layout.buckets(), layout.objects_for_everyone())
    };
    engine.server.ensure_buckets(buckets.iter().map(|bucket| bucket.as_str())).await?;
    engine.server.ensure_objects(&objects).await
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
    let pacer = Pacer::new(config.converge.writes_per_second.unwrap_or(0));
    let cache = Arc::new(SecretCache::new(template(config)));
    let lease = stage.lease.clone();
    let fence = Arc::new(move |deadline| lease.may_mutate(deadline));
    let issuer = Issuer::new(client.clone(), minio.clone(), pacer.clone(), cache.clone(), fence.clone());
    let reporter = Reporter { controller: "minio-manager".into(), instance: std::env::var("POD_NAME").ok() };
    Ok(Engine::new(Parts {
        index: Index::new(index_config),
        objects: Objects::new(client.clone(), Recorder::new(client.clone(), reporter)),
        server: Server { client: minio, pacer, fence },
        issuer,
        secrets: cache,
        metrics: stage.metrics.clone(),
        settings: Settings {
            instance: instance_id,
            home_namespace: config.instance.home_namespace.clone(),
            endpoint: config.minio.endpoint.to_string(),
            observe: config.converge.mode == Mode::Observe,
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

/// Waits for the order to stop, then for work in progress; a part that ends before that ends the process.
async fn wait_for_end(mut tasks: JoinSet<&'static str>, stage: &Stage) -> Result<(), Error> {
    tokio::select! {
        () = stage.shutdown.cancelled() => {}
        ended = tasks.join_next() => {
            if !stage.shutdown.is_cancelled() {
                return Err(Error::Ended(name_of(ended)));
            }
        }
    }
    let workers_done = async {
        let mut left = WORKERS;
        while left > 0 {
            match tasks.join_next().await {
                Some(Ok("convergence")) => left -= 1,
                Some(_) => {}
                None => return,
            }
        }
    };
    if tokio::time::timeout(STOP_LIMIT, workers_done).await.is_err() {
        tracing::warn!("work in progress did not end in time; it is resumed at the next start");
    }
    Ok(())
}

fn name_of(ended: Option<Result<&'static str, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(name)) => name.to_owned(),
        Some(Err(error)) if error.is_panic() => "task that panicked".to_owned(),
        _ => "last task".to_owned(),
    }
}
