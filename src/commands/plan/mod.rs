//! `minio-manager plan`: what the objects would change, first for people, then on the server.

pub(in crate::commands) mod compute;
pub(in crate::commands) mod objects;
mod people;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use self::compute::{Server, compute};
use self::objects::Objects;
use super::Failure;
use super::output::{Progress, print, render};
use super::place::PlaceArgs;
use crate::config::{
    Environment, InstanceArgs, InstanceConfig, LogArgs, LogConfig, MinioArgs, MinioConfig, OutputFormat,
};
use crate::iam::document::Document;
use crate::iam::names::DocumentName;
use crate::iam::observed::{Account, GroupState};
use crate::kubernetes;
use crate::minio::{self, Client};
use crate::telemetry::logs;

pub use objects::ObjectsError;
pub use report::{PlannedChange, Report, Unmanaged};

/// How long the API server may take for one answer.
const KUBERNETES_DEADLINE: Duration = Duration::from_secs(10);

/// What `plan` is told.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    /// Lay these files or folders over the cluster's objects; - is standard input
    #[arg(long = "file", short = 'f', value_name = "FILES", num_args = 1..)]
    files: Vec<PathBuf>,
    /// Plan for the files alone, without a cluster
    #[arg(long, requires = "files")]
    offline: bool,
    /// How to print the result
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    minio: MinioArgs,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Prints the plan. Exit code 0 when nothing changes, 2 when something does.
///
/// # Errors
/// A wrong configuration, objects that cannot be had, or a server that does not answer.
pub fn run(args: PlanArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    logs::start(&LogConfig::resolve(&args.log, environment)?)?;
    let minio = MinioConfig::resolve(args.minio, environment)?;
    let instance = args.place.installation(args.instance, environment)?;
    let settings = minio.client(None)?;
    let identity = settings.credentials.access_key.clone();
    let client = Client::new(settings)?;
    let files = objects::of_files(&args.files, &instance.home_namespace)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (objects, server, id) =
        runtime.block_on(gather(&client, &instance, files, (!args.offline).then_some(&args.place)))?;
    let (report, notes) = compute(instance.index(identity, Duration::ZERO), objects, &server, &id, Timestamp::now());
    for note in notes {
        eprintln!("note: {note}");
    }
    print(&render(&report, args.output, Report::to_text)?)?;
    Ok(if report.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Reads everything that the plan needs: the objects, the server, and whose installation it is.
async fn gather(
    client: &Client,
    instance: &InstanceConfig,
    files: Objects,
    cluster: Option<&PlaceArgs>,
) -> Result<(Objects, Server, String), Failure> {
    let progress = Progress::on_terminal();
    let (objects, known_id) = match cluster {
        None => (files, instance.instance_id.clone()),
        Some(place) => {
            progress.say("reading the cluster's objects");
            let kubernetes = kubernetes::connect_in(place.context.as_deref()).await.map_err(no_cluster)?;
            let mut objects = objects::of_cluster(&kubernetes, &instance.watch_namespaces).await?;
            objects::overlay(&mut objects, files);
            let id = match &instance.instance_id {
                Some(id) => Some(id.clone()),
                None => namespace_uid(&kubernetes, &instance.home_namespace).await?,
            };
            (objects, id)
        }
    };
    progress.say(&format!("reading {}", client.endpoint()));
    let server = read_server(client, &progress).await?;
    // Without a cluster the label on what is there tells whose it is; where nothing is there, any id will do.
    let id = known_id.or_else(|| server.instance().map(str::to_owned)).unwrap_or_else(|| "offline".to_owned());
    Ok((objects, server, id))
}

pub(super) fn no_cluster(error: impl std::error::Error) -> Failure {
    format!(
        "cannot use the Kubernetes API ({error}); check KUBECONFIG, or plan for files alone with -f FILES --offline"
    )
    .into()
}

/// The uid of the home namespace identifies the installation. A namespace that does not exist yet has none.
pub(super) async fn namespace_uid(kubernetes: &kube::Client, name: &str) -> Result<Option<String>, Failure> {
    let api = Api::<Namespace>::all(kubernetes.clone());
    let answer = tokio::time::timeout(KUBERNETES_DEADLINE, api.get_opt(name)).await;
    let namespace = answer.map_err(no_cluster)?.map_err(no_cluster)?;
    Ok(namespace.and_then(|namespace| namespace.metadata.uid))
}

/// Reads all accounts, groups and policies, once.
pub(super) async fn read_server(client: &Client, progress: &Progress) -> Result<Server, minio::Error> {
    let users = client.list_users().await?;
    let mut groups = Vec::new();
    for name in client.list_all_groups().await? {
        progress.say(&format!("reading group {name}"));
        if let Some(info) = client.group_info(&name).await? {
            let attached = info.policies.iter().map(|policy| DocumentName::from_server(policy)).collect();
            groups.push((name, GroupState { enabled: info.enabled, members: info.members, attached }));
        }
    }
    progress.say("reading all policies");
    let documents = client.list_all_policies().await?;
    Ok(Server {
        users: users
            .into_iter()
            .map(|(name, entry)| {
                let attached = entry.policies.iter().map(|policy| DocumentName::from_server(policy)).collect();
                (name, Account { enabled: entry.enabled, attached })
            })
            .collect(),
        groups,
        documents: documents
            .into_iter()
            .map(|(name, document)| (DocumentName::from_server(&name), Document::from_value(&document).ok()))
            .collect(),
    })
}
