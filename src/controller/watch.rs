//! What the controller watches beside the objects: its Secrets, and which objects wait for their finalizer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::task::JoinSet;

use crate::api::meta::{label, reason};
use crate::iam::subject::{Kind, ObjectKey, Subject};
use crate::kubernetes::namespace::is_going;
use crate::kubernetes::watch::{FirstLists, Sink, log_failure, watch_kinds};
use crate::kubernetes::{Seen, decode_dynamic};

use super::credentials::{PENDING_SUFFIX, Scope};
use super::duty::Phase;
use super::engine::Engine;
use super::keys;
use super::outcome::Outcome;
use super::queue::Urgency;

const SECRET: &str = "Secret";

/// The lists of a namespace that must have arrived before anything is planned.
pub fn expect_lists(lists: &FirstLists, namespace: &str) {
    lists.expect_kinds(&Kind::ALL, namespace);
    lists.expect(SECRET, namespace);
}

/// Watches our Secrets in one namespace for ever; a Secret that changes makes its user or access key dirty.
pub async fn watch_secrets(engine: Arc<Engine>, client: Client, namespace: String, lists: FirstLists) {
    let config = watcher::Config::default().labels(label::USERNAME_SLUG);
    let scope = Scope::Namespace(namespace.clone());
    let mut events = watcher(Api::<Secret>::namespaced(client.clone(), &namespace), config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let listed = matches!(event, watcher::Event::InitDone);
                let gone = name_of_deleted(&event);
                let affected = engine.secrets.handle(&scope, event);
                mark_owners(&engine, &namespace, affected.into_iter().flat_map(|affected| affected.owners));
                if let Some(name) = gone {
                    mark_waiting(&engine, &namespace, &name);
                }
                if listed {
                    lists.arrived(SECRET, &namespace);
                }
            }
            // The Role goes with the namespace, and so do the Secrets.
            Err(error) if is_refused(&error) && is_going(client.clone(), &namespace).await => {
                engine.secrets.handle(&scope, watcher::Event::Init);
                engine.secrets.handle(&scope, watcher::Event::InitDone);
                lists.arrived(SECRET, &namespace);
            }
            Err(error) => log_failure(SECRET, &namespace, &error),
        }
    }
}

fn is_refused(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 403,
        watcher::Error::WatchError(status) => status.code == 403,
        _ => false,
    }
}

/// Queues the users and access keys whose object (by uid) owns a Secret that changed.
fn mark_owners(engine: &Engine, namespace: &str, owners: impl IntoIterator<Item = String>) {
    let owners: BTreeSet<String> = owners.into_iter().collect();
    if owners.is_empty() {
        return;
    }
    let state = engine.state();
    let has_keys = |kind: Kind| matches!(kind, Kind::MinioUser | Kind::MinioAccessKey);
    let is_owner =
        |key: &ObjectKey, seen: &Seen| has_keys(key.kind) && key.namespace == namespace && owners.contains(seen.uid());
    let found = state.seen.iter().filter(|(key, seen)| is_owner(key, seen));
    let subjects = found.filter_map(|(key, _)| state.index.get(key)?.own_subject());
    for subject in subjects {
        engine.subjects.push(subject, Urgency::Normal, Duration::ZERO);
    }
}

/// The name of a Secret that was deleted; of one with a waiting pair, that of the Secret that the pair was for.
fn name_of_deleted(event: &watcher::Event<Secret>) -> Option<String> {
    let watcher::Event::Delete(secret) = event else { return None };
    let name = secret.metadata.name.as_deref()?;
    Some(name.strip_suffix(PENDING_SUFFIX).unwrap_or(name).to_owned())
}

/// Queues those who want the Secret of this name and were refused it, because it was somebody else's.
fn mark_waiting(engine: &Engine, namespace: &str, name: &str) {
    let state = engine.state();
    let is_refused = |outcome: &Outcome| {
        let failure = outcome.result.as_ref().ok().and_then(|report| report.unfinished.as_ref());
        failure.is_some_and(|failure| failure.reason == reason::SECRET_CONFLICT)
    };
    let wants = |subject: &Subject| {
        let owner = state.index.object_of(subject).filter(|owner| owner.meta.key.namespace == namespace);
        owner.and_then(keys::secret_name).is_some_and(|wanted| wanted == name)
    };
    for (subject, outcome) in &state.outcomes {
        if is_refused(outcome) && wants(subject) {
            engine.subjects.push(subject.clone(), Urgency::Normal, Duration::ZERO);
        }
    }
}

/// Starts every watch of a namespace and answers the tasks.
pub fn watch_namespace(
    tasks: &mut JoinSet<&'static str>,
    engine: &Arc<Engine>,
    client: &Client,
    namespace: &str,
    lists: &FirstLists,
) {
    watch_kinds(&Kind::ALL, tasks, engine, client, namespace, lists);
    let task = watch_secrets(engine.clone(), client.clone(), namespace.to_owned(), lists.clone());
    tasks.spawn(async move {
        task.await;
        "watch of Secret"
    });
}

/// Gives held objects our finalizer, after which they count.
pub async fn admit(engine: Arc<Engine>) {
    loop {
        let next = engine.duty.next(&engine.admissions, Urgency::Normal, Phase::Admitting).await;
        let key = next.0.clone();
        let admitted = async {
            if let Some(failed) = admit_one(&engine, &key).await {
                tracing::warn!(object = %key, error = failed, "object cannot be given its finalizer; it is tried again");
                engine.admissions.push(key.clone(), Urgency::Normal, Duration::from_secs(1));
            }
        };
        engine.duty.carry_out(&engine.admissions, Phase::Admitting, next, admitted).await;
    }
}

async fn admit_one(engine: &Engine, key: &ObjectKey) -> Option<String> {
    engine.held_object(key)?;
    engine.pace.turn().await;
    let held = engine.held_object(key)?;
    match engine.objects.add_finalizer(key, &held.seen).await {
        Ok(Some(object)) if engine.release(key, held.seen.uid()) => {
            engine.upsert(decode_dynamic(key.kind, object));
            None
        }
        // Gone or going: it never counted, and the watch says so. Another of the same name has its own turn.
        Ok(_) => {
            engine.release(key, held.seen.uid());
            None
        }
        Err(error) => Some(crate::telemetry::chain(&error)),
    }
}
