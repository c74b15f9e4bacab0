//! `minio-manager import`: manifests for what the legacy service left on a live MinIO.

mod apply;
mod manifests;
mod objects;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use self::manifests::Manifests;
use self::objects::Imported;
use super::output::{Progress, print};
use super::plan::compute::Server;
use super::plan::objects::Objects;
use super::{Failure, plan};
use crate::config::{Environment, InstanceArgs, InstanceConfig, LogArgs, LogConfig, MinioArgs, MinioConfig, namespace};
use crate::iam::declared::Declared;
use crate::iam::index::Event;
use crate::iam::legacy::compare::compare;
use crate::iam::legacy::{Finding, Reading, Weight, take_over};
use crate::kubernetes::{self, decode_dynamic};
use crate::minio::Client;
use crate::telemetry::logs;

/// What everybody who is taken over can do more or less, whatever they had.
const ALWAYS: &str = "\
In every document that is taken over:
  - a path can be listed as PATH/ and below, no longer as PATH without a slash (which listed its neighbours too)
  - whoever may delete below a path may delete the object PATH itself too
  - tags, attributes, older versions and the parts of unfinished uploads can be used like the objects themselves
  - users can no longer make access keys or users themselves
  - every user can read what is public, also who was never put into the group globalusers";

/// What `import` is told.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// Write users.yaml, groups.yaml, policies.yaml and self-service.yaml into this directory; no file is overwritten
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Namespace of the objects [default: the home namespace]
    #[arg(long, short = 'n', value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,
    /// Write everything, whatever the cluster has already
    #[arg(long)]
    offline: bool,
    /// Also bring the shares and memberships into the cluster: only what it does not have, changing nothing that it has
    #[arg(long, conflicts_with = "offline")]
    apply_self_service: bool,
    /// Exit with 1 where something cannot be expressed by objects
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    minio: MinioArgs,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Prints or writes what the cluster does not declare yet, and says on standard error what people should know.
///
/// # Errors
/// A wrong configuration, a server or cluster that does not answer, or files that cannot be written; with `--strict` also
/// something that cannot be expressed.
pub fn run(args: ImportArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    logs::start(&LogConfig::resolve(&args.log, environment)?)?;
    let minio = MinioConfig::resolve(args.minio, environment)?;
    let mut instance = InstanceConfig::resolve(args.instance, environment)?;
    if let Some(namespace) = args.namespace {
        instance.watch_namespaces.insert(namespace.clone());
        instance.home_namespace = namespace;
    }
    let settings = minio.client(None)?;
    let identity = settings.credentials.access_key.clone();
    let client = Client::new(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(gather(&client, &instance, args.offline))?;

    let (imported, findings) = import(&found, &instance, identity);
    let manifests = Manifests::of(&imported, &findings)?;
    match &args.out {
        Some(directory) => manifests.write(directory)?,
        None => print(&manifests.stream())?,
    }
    if let (true, Some(kubernetes)) = (args.apply_self_service, &found.kubernetes) {
        runtime.block_on(apply::self_service(kubernetes, &instance.home_namespace, &imported))?;
    }
    tell(&findings, &imported);
    let blocked = findings.iter().filter(|finding| finding.weight == Weight::Inexpressible).count();
    if args.strict && blocked > 0 {
        return Err(format!("{blocked} things cannot be expressed by objects; they are listed above").into());
    }
    Ok(ExitCode::SUCCESS)
}

/// What is there.
struct Found {
    reading: Reading,
    declared: Vec<Declared>,
    kubernetes: Option<kube::Client>,
}

async fn gather(client: &Client, instance: &InstanceConfig, offline: bool) -> Result<Found, Failure> {
    let progress = Progress::on_terminal();
    let (kubernetes, declared) = if offline {
        (None, Vec::new())
    } else {
        progress.say("reading the cluster's objects");
        let kubernetes = kubernetes::connect().await.map_err(no_cluster)?;
        let objects = plan::objects::of_cluster(&kubernetes, &instance.watch_namespaces).await?;
        (Some(kubernetes), declared(objects))
    };
    progress.say(&format!("reading {}", client.endpoint()));
    let server = plan::read_server(client, &progress).await?;
    Ok(Found { reading: reading(server), declared, kubernetes })
}

fn no_cluster(error: impl std::error::Error) -> Failure {
    format!("cannot use the Kubernetes API ({error}); check KUBECONFIG, or write everything with --offline").into()
}

fn declared(objects: Objects) -> Vec<Declared> {
    let events = objects.into_iter().map(|(key, object)| decode_dynamic(key.kind, object).event);
    events
        .filter_map(|event| match event {
            Event::Upsert(declared) => Some(*declared),
            _ => None,
        })
        .collect()
}

fn reading(server: Server) -> Reading {
    Reading {
        users: server.users.into_iter().collect(),
        groups: server.groups.into_iter().collect(),
        documents: server.documents.into_iter().collect(),
    }
}

/// The objects that the cluster lacks, and what people should know.
fn import(found: &Found, instance: &InstanceConfig, identity: String) -> (Imported, Vec<Finding>) {
    let config = instance.index(identity, Duration::ZERO);
    let mut takeover = take_over(&found.reading, &config);
    takeover.retain_new(&found.declared, &found.reading);
    let imported = Imported::new(&takeover, &instance.home_namespace);
    let declared = found.declared.iter().cloned().chain(imported.declared_beside(&found.declared));
    let mut findings = takeover.findings;
    let changes = compare(&found.reading, declared, &config, &takeover.public_writes, Timestamp::now());
    findings.extend(changes);
    findings.sort();
    (imported, findings)
}

/// Manifests for the users, groups and policies that the server holds and no object declares, and what cannot be declared.
///
/// # Errors
/// An object has no YAML form.
pub(super) fn adopting(
    server: Server,
    objects: Objects,
    instance: &InstanceConfig,
    identity: String,
) -> Result<(String, Vec<Finding>), Failure> {
    let found = Found { reading: reading(server), declared: declared(objects), kubernetes: None };
    let (mut imported, findings) = import(&found, instance, identity);
    imported.keep_accounts();
    let manifests = Manifests::of(&imported, &findings)?.stream();
    let impossible = findings.into_iter().filter(|finding| finding.weight == Weight::Inexpressible);
    Ok((manifests, impossible.collect()))
}

fn tell(findings: &[Finding], imported: &Imported) {
    for finding in findings {
        eprintln!("{finding}");
    }
    if !imported.is_empty() {
        eprintln!("{ALWAYS}");
    }
    eprintln!("{}", imported.summary());
}

#[cfg(test)]
mod tests;
