//! Starts the service: watches, the port, and what has to be true before it is ready.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::Answers;
use super::app::{App, Settings};
use super::auth::{AuthConfigError, Authenticator};
use super::edit::Editor;
use super::management::Memberships;
use super::middleware::Writes;
use super::names::Alphabet;
use super::turns::Turns;
use super::view::View;
use super::{credentials, routes, serve};
use crate::api::MinioInstance;
use crate::config::ServiceConfig;
use crate::iam::index::Index;
use crate::iam::subject::Kind;
use crate::kubernetes;
use crate::kubernetes::watch::{FirstLists, log_failure, watch_kinds};
use crate::telemetry::{Metrics, Readiness};

/// What the service answers from. Access keys of workloads are no part of it.
const WATCHED: [Kind; 5] =
    [Kind::MinioUser, Kind::MinioGroup, Kind::GroupMembership, Kind::PathShare, Kind::MinioPolicy];

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Kubernetes API cannot be used.
    #[error("cannot use the Kubernetes API; check KUBECONFIG or the service account")]
    Kubernetes(#[source] kubernetes::ConnectError),
    /// Nobody could be let in.
    #[error(transparent)]
    Auth(#[from] AuthConfigError),
    /// A part ended that should run for ever.
    #[error("the {0} ended unexpectedly")]
    Ended(String),
}

/// What the process around the service provides.
pub struct Stage {
    /// The port of the API, open.
    pub listener: TcpListener,
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// To be set when the service can answer.
    pub readiness: Readiness,
    /// Ends everything, in order, when it is cancelled.
    pub shutdown: CancellationToken,
}

/// Runs the service until `stage.shutdown` is cancelled.
///
/// # Errors
/// What keeps it from starting, or the part that failed.
pub async fn run(config: ServiceConfig, stage: Stage) -> Result<(), Error> {
    let client = kubernetes::connect().await.map_err(Error::Kubernetes)?;
    let Stage { listener, metrics, readiness, shutdown } = stage;
    let namespaces = config.instance.watch_namespaces.clone();
    let home = config.instance.home_namespace.clone();
    let app = Arc::new(build(config, client.clone(), metrics, readiness.clone())?);
    let lists = FirstLists::new();
    let mut tasks = JoinSet::new();
    for namespace in &namespaces {
        lists.expect_kinds(&WATCHED, namespace);
    }
    for namespace in &namespaces {
        watch_kinds(&WATCHED, &mut tasks, &app.view, &client, namespace, &lists);
    }
    let view = app.view.clone();
    tasks.spawn(async move {
        keep_ready(client, home, view, lists, readiness).await;
        "watch of MinioInstance"
    });
    let router = routes::router(&app);
    let serve = async {
        tokio::join!(serve::serve(listener, router, &app.calls, &shutdown), check_backends(&app, &shutdown));
    };
    tokio::select! {
        () = serve => Ok(()),
        ended = tasks.join_next() => Err(Error::Ended(name_of(ended))),
    }
}

fn build(
    config: ServiceConfig,
    client: Client,
    metrics: Arc<Metrics>,
    readiness: Readiness,
) -> Result<App, AuthConfigError> {
    let layout = config.instance.layout.clone();
    let home_namespace = config.instance.home_namespace.clone();
    // Names on the server that are nobody's are the controller's to know.
    let index = Index::new(config.instance.index(String::new(), Duration::ZERO));
    let alphabet = Alphabet::of(&layout);
    Ok(App {
        view: Arc::new(View::new(index)),
        editor: Editor::new(client.clone(), home_namespace.clone()),
        memberships: Memberships::default(),
        shares: Turns::default(),
        auth: Authenticator::new(config.auth, alphabet.user_rule(), Some(client))?,
        alphabet,
        answers: Answers::default(),
        keys: credentials::no_keys(),
        layout,
        settings: Settings {
            home_namespace,
            instance_id: config.instance.instance_id,
            auto_create: config.auto_create,
            delete_data: config.delete_data,
            writes_per_second: config.writes_per_second,
        },
        writes: Writes::default(),
        metrics,
        readiness,
        calls: TaskTracker::new(),
    })
}

/// Backends that are away or misconfigured end nothing: the others work, and they may come back.
async fn check_backends(app: &App, shutdown: &CancellationToken) {
    if let Some(Err(error)) = shutdown.run_until_cancelled(app.auth.check()).await {
        tracing::warn!(%error, "not every token can be looked up");
    }
}

/// Ready after the first lists, that of the controller's own object among them, as long as the controller has the same layout.
async fn keep_ready(client: Client, home: String, view: Arc<View>, lists: FirstLists, readiness: Readiness) {
    let layout = view.read(|known| known.index.config().layout.hash().to_owned());
    lists.wait().await;
    let mut waiting = None;
    let api = Api::<MinioInstance>::namespaced(client, &home);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => waiting = None,
            Ok(watcher::Event::InitApply(instance)) => {
                waiting = other_layout(&instance, &layout);
                view.see_instance(instance);
            }
            Ok(watcher::Event::InitDone) => tell(&readiness, waiting.take()),
            Ok(watcher::Event::Apply(instance)) => {
                let waiting = other_layout(&instance, &layout);
                view.see_instance(instance);
                tell(&readiness, waiting);
            }
            Ok(watcher::Event::Delete(_)) => tell(&readiness, None),
            Err(error) => log_failure("MinioInstance", &home, &error),
        }
    }
}

fn tell(readiness: &Readiness, waiting: Option<String>) {
    match waiting {
        Some(reason) => readiness.set_waiting(reason),
        None => readiness.set_ready(),
    }
}

fn other_layout(instance: &MinioInstance, layout: &str) -> Option<String> {
    let theirs = instance.status.as_ref()?.layout_hash.as_deref()?;
    (theirs != layout).then(|| {
        format!(
            "the controller has another layout (hash {theirs}, here {layout}); give both the same --layout and --config"
        )
    })
}

fn name_of(ended: Option<Result<&'static str, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(name)) => name.to_owned(),
        _ => "task that panicked".to_owned(),
    }
}
