//! `minio-manager release`: takes our finalizers off, so that an uninstall leaves MinIO as it is.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams, PartialObjectMeta};
use kube::core::{ObjectList, ObjectMeta};
use kube::{Api, Client};
use serde::Serialize;

use super::Failure;
use super::output::{Progress, Table, print, render};
use crate::api::meta::{FINALIZER, field_manager};
use crate::config::{
    Environment, InstanceArgs, InstanceConfig, LeaseArgs, LeaseConfig, LogArgs, LogConfig, OutputFormat,
};
use crate::iam::subject::{Kind, ObjectKey};
use crate::kubernetes::{self, finalizer::remove_finalizer, resource};
use crate::lease::{InKubernetes, InRedis, is_kept, since_boot};
use crate::telemetry::{chain, logs};

/// How many objects one page of a list holds.
const PAGE: u32 = 500;
/// How long one page may take.
const PAGE_DEADLINE: Duration = Duration::from_secs(30);
/// How many objects are released at once.
const AT_ONCE: usize = 16;
/// How many failures are told of in full.
const SHOWN: usize = 20;

/// What `release` is told.
#[derive(Args, Clone, Debug)]
pub struct ReleaseArgs {
    /// Release although a controller leads, or nobody can tell; it takes the objects back as long as it runs
    #[arg(long)]
    force: bool,
    /// How to print the result
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    lease: LeaseArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// What was released.
#[derive(Clone, Debug, Default, Serialize)]
struct Released {
    /// How many objects were released.
    released: usize,
    /// How many could not be.
    failed: usize,
    /// Each kind in each namespace.
    kinds: Vec<OfKind>,
    /// The first of those that could not be released, and why.
    failures: Vec<String>,
}

/// The objects of one kind in one namespace.
#[derive(Clone, Debug, Serialize)]
struct OfKind {
    namespace: String,
    kind: Kind,
    /// How many there are.
    objects: usize,
    /// How many carried our finalizer, and carry it no more.
    released: usize,
    /// How many of these were under deletion: nothing of ours holds them up any more.
    let_go: usize,
}

/// Releases all objects in the watched namespaces. Exit code 1 where some could not be released, or a controller leads.
///
/// # Errors
/// A wrong configuration, a controller that leads, or a cluster that does not answer.
pub fn run(args: ReleaseArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    logs::start(&LogConfig::resolve(&args.log, environment)?)?;
    let instance = InstanceConfig::resolve(args.instance, environment)?;
    let lease = LeaseConfig::resolve(&args.lease)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let released = runtime.block_on(async {
        let client = kubernetes::connect().await?;
        let progress = Progress::on_terminal();
        if !args.force {
            refuse_beside_a_leader(&client, &instance, &lease, &progress).await?;
        }
        release(&client, &instance, &progress).await
    })?;
    print(&render(&released, args.output, table)?)?;
    Ok(if released.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A controller that runs would give every object its finalizer back at once.
async fn refuse_beside_a_leader(
    client: &Client,
    instance: &InstanceConfig,
    lease: &LeaseConfig,
    progress: &Progress,
) -> Result<(), Failure> {
    progress.say("looking whether a controller leads");
    let home = &instance.home_namespace;
    let kept = match lease {
        // It is known to nobody but its holder.
        LeaseConfig::InProcess => return Ok(()),
        LeaseConfig::Kubernetes => is_kept(InKubernetes::new(client.clone(), home, "", since_clock())).await,
        LeaseConfig::Redis(redis) => {
            let id = match &instance.instance_id {
                Some(id) => id.clone(),
                None => namespace_uid(client, home).await?,
            };
            is_kept(InRedis::new(redis, &id)?).await
        }
    };
    match kept {
        Ok(false) => Ok(()),
        Ok(true) => Err(format!(
            "a controller leads in namespace {home}, and would take the objects back at once; stop it first \
             (kubectl -n NAMESPACE scale deployment/minio-manager --replicas=0), or use --force"
        )
        .into()),
        Err(error) => Err(format!(
            "nobody can tell whether a controller leads: {}; stop all of them and use --force",
            chain(&error)
        )
        .into()),
    }
}

fn since_clock() -> crate::lease::Clock {
    std::sync::Arc::new(since_boot)
}

async fn namespace_uid(client: &Client, name: &str) -> Result<String, Failure> {
    let api = Api::<Namespace>::all(client.clone());
    let namespace = kubernetes::call("read", format!("namespace {name}"), api.get(name)).await?;
    Ok(namespace.metadata.uid.unwrap_or_default())
}

/// Releases kind by kind, so that a second run goes on where this one was stopped.
async fn release(client: &Client, instance: &InstanceConfig, progress: &Progress) -> Result<Released, Failure> {
    let mut result = Released::default();
    for namespace in &instance.watch_namespaces {
        for kind in Kind::ALL {
            let api = Api::namespaced_with(client.clone(), namespace, &resource(kind));
            let row = release_kind(&api, kind, namespace, &mut result, progress).await?;
            result.kinds.push(row);
        }
    }
    Ok(result)
}

async fn release_kind(
    api: &Api<DynamicObject>,
    kind: Kind,
    namespace: &str,
    result: &mut Released,
    progress: &Progress,
) -> Result<OfKind, Failure> {
    let mut row = OfKind { namespace: namespace.to_owned(), kind, objects: 0, released: 0, let_go: 0 };
    let mut page = ListParams::default().limit(PAGE);
    loop {
        progress.say(&format!("releasing {kind} in {namespace}: {} of {} seen", row.released, row.objects));
        let listed = match list(api, kind, namespace, &page).await {
            // Without its CRD there are no objects of the kind.
            Err(error) if error.code() == Some(404) => return Ok(row),
            // The list took so long that the server has forgotten it.
            Err(error) if error.code() == Some(410) && page.continue_token.is_some() => {
                (page, row.objects) = (ListParams::default().limit(PAGE), 0);
                continue;
            }
            listed => listed?,
        };
        row.objects += listed.items.len();
        let ours: Vec<ObjectMeta> = listed.items.into_iter().map(|object| object.metadata).filter(is_ours).collect();
        let mut outcomes = futures::stream::iter(ours)
            .map(|meta| async move {
                let name = meta.name.clone().unwrap_or_default();
                let key = ObjectKey::new(kind, namespace, name);
                let removed = remove_finalizer(api, &key, &meta, field_manager::CLI).await;
                removed.map(|()| meta.deletion_timestamp.is_some())
            })
            .buffer_unordered(AT_ONCE);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(was_leaving) => {
                    row.released += 1;
                    row.let_go += usize::from(was_leaving);
                    result.released += 1;
                }
                Err(error) => {
                    result.failed += 1;
                    if result.failures.len() < SHOWN {
                        result.failures.push(chain(&error));
                    }
                }
            }
        }
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(row),
        }
    }
}

fn is_ours(meta: &ObjectMeta) -> bool {
    meta.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

async fn list(
    api: &Api<DynamicObject>,
    kind: Kind,
    namespace: &str,
    page: &ListParams,
) -> Result<ObjectList<PartialObjectMeta<DynamicObject>>, kubernetes::Error> {
    let what = || format!("{kind} in namespace {namespace}");
    match tokio::time::timeout(PAGE_DEADLINE, api.list_metadata(page)).await {
        Ok(Ok(listed)) => Ok(listed),
        Ok(Err(source)) => Err(kubernetes::Error::Api { action: "list", object: what(), source: Box::new(source) }),
        Err(_) => Err(kubernetes::Error::Timeout { action: "list", object: what() }),
    }
}

fn table(released: &Released) -> String {
    let mut table = Table::new(["NAMESPACE", "KIND", "OBJECTS", "RELEASED", "LET GO"]);
    for row in released.kinds.iter().filter(|row| row.objects > 0) {
        let number = |number: usize| number.to_string();
        let kind = row.kind.to_string();
        table.row([row.namespace.clone(), kind, number(row.objects), number(row.released), number(row.let_go)]);
    }
    let failures: String = released.failures.iter().map(|failure| format!("{failure}\n")).collect();
    let verdict = match (released.released, released.failed) {
        (_, 1..) => format!("{} could not be released: run release again", released.failed),
        (0, 0) => "nothing to release: no object carries the finalizer".to_owned(),
        (count, 0) => format!("{count} released; what is on MinIO stays as it is when they are deleted"),
    };
    format!("{table}{failures}\n{verdict}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_was_done_and_what_comes_next() {
        assert!(table(&Released::default()).contains("nothing to release"));
        let row = |objects, released| OfKind {
            namespace: "lake".to_owned(),
            kind: Kind::MinioUser,
            objects,
            released,
            let_go: 0,
        };
        let mut some = Released { released: 3, kinds: vec![row(5, 3), row(0, 0)], ..Released::default() };
        let text = table(&some);
        assert!(text.contains("lake       MinioUser  5        3         0\n"), "{text}");
        assert!(text.ends_with("\n3 released; what is on MinIO stays as it is when they are deleted\n"), "{text}");
        assert_eq!(text.matches("MinioUser").count(), 1, "what has no objects is left out");
        (some.failed, some.failures) = (1, vec!["refused".to_owned()]);
        assert!(table(&some).ends_with("refused\n\n1 could not be released: run release again\n"));
    }
}
