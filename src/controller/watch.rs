//! Watches: objects and Secrets of every watched namespace flow into the engine.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;

use crate::api::meta::label;
use crate::iam::declared::Body;
use crate::iam::index::Index;
use crate::iam::names::UserName;
use crate::iam::subject::{Kind, ObjectKey, Subject};

use super::credentials::Scope;
use super::decode::{Decoded, Watched, decode};
use super::engine::Engine;
use super::objects::Seen;
use super::queue::Urgency;

const SECRET: &str = "Secret";

/// One list that must have arrived before anything is planned.
type List = (&'static str, String);

/// Which first lists have not arrived yet.
#[derive(Clone)]
pub struct FirstLists {
    missing: Arc<Mutex<BTreeSet<List>>>,
    complete: watch::Sender<bool>,
}

impl FirstLists {
    /// No list is expected yet.
    pub fn new() -> Self {
        Self { missing: Arc::default(), complete: watch::Sender::new(false) }
    }

    /// The lists of a namespace belong to the first ones. To be said of every namespace before the first watch starts.
    pub fn expect_all(&self, namespace: &str) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = [Kind::MinioUser, Kind::MinioGroup, Kind::GroupMembership, Kind::PathShare, Kind::MinioPolicy];
        missing.extend(kinds.map(|kind| (kind_name(kind), namespace.to_owned())));
        missing.insert((SECRET, namespace.to_owned()));
    }

    fn arrived(&self, what: &'static str, namespace: &str) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.remove(&(what, namespace.to_owned()));
        if missing.is_empty() {
            self.complete.send_replace(true);
        }
    }

    /// Waits until every list has arrived.
    pub async fn wait(&self) {
        let mut complete = self.complete.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = complete.wait_for(|complete| *complete).await;
    }
}

impl Default for FirstLists {
    fn default() -> Self {
        Self::new()
    }
}

/// Watches one kind in one namespace for ever.
pub async fn watch_kind<K: Watched>(engine: Arc<Engine>, client: Client, namespace: String, lists: FirstLists) {
    let api = Api::<DeserializeGuard<K>>::namespaced(client, &namespace);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut listed: Vec<Decoded> = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => listed.push(decode(object)),
            Ok(watcher::Event::InitDone) => {
                engine.relist(K::KIND, &namespace, std::mem::take(&mut listed));
                lists.arrived(kind_name(K::KIND), &namespace);
            }
            Ok(watcher::Event::Apply(object)) => engine.upsert(decode(object)),
            Ok(watcher::Event::Delete(object)) => engine.delete(&decode(object).key),
            Err(error) => log_failure(kind_name(K::KIND), &namespace, &error),
        }
    }
}

/// Watches our Secrets in one namespace for ever; a Secret that changes makes its user dirty.
pub async fn watch_secrets(engine: Arc<Engine>, client: Client, namespace: String, lists: FirstLists) {
    let config = watcher::Config::default().labels(label::USERNAME_SLUG);
    let scope = Scope::Namespace(namespace.clone());
    let mut events = watcher(Api::<Secret>::namespaced(client, &namespace), config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let listed = matches!(event, watcher::Event::InitDone);
                let affected = engine.secrets.handle(&scope, event);
                mark_users(&engine, &namespace, affected.into_iter().flat_map(|affected| affected.owners));
                if listed {
                    lists.arrived(SECRET, &namespace);
                }
            }
            Err(error) => log_failure(SECRET, &namespace, &error),
        }
    }
}

/// Queues the users whose `MinioUser` (by uid) owns a Secret that changed.
fn mark_users(engine: &Engine, namespace: &str, owners: impl IntoIterator<Item = String>) {
    let owners: BTreeSet<String> = owners.into_iter().collect();
    if owners.is_empty() {
        return;
    }
    let state = engine.state();
    let owned = |(key, seen): &(&ObjectKey, &Seen)| key.namespace == namespace && owners.contains(seen.uid());
    let users = state.seen.iter().filter(owned).filter_map(|(key, _)| user_of(&state.index, key));
    for user in users {
        engine.subjects.push(Subject::User(user), Urgency::Normal, Duration::ZERO);
    }
}

fn user_of(index: &Index, key: &ObjectKey) -> Option<UserName> {
    match &index.get(key)?.body {
        Ok(Body::User(user)) => Some(user.name.clone()),
        _ => None,
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::MinioUser => "MinioUser",
        Kind::MinioGroup => "MinioGroup",
        Kind::GroupMembership => "GroupMembership",
        Kind::PathShare => "PathShare",
        Kind::MinioPolicy => "MinioPolicy",
    }
}

fn log_failure(what: &str, namespace: &str, error: &watcher::Error) {
    tracing::warn!(what, namespace, error = %crate::telemetry::chain(error), "watch interrupted; it is taken up again");
}

/// Starts every watch of a namespace and answers the tasks.
pub fn watch_namespace(
    tasks: &mut tokio::task::JoinSet<&'static str>,
    engine: &Arc<Engine>,
    client: &Client,
    namespace: &str,
    lists: &FirstLists,
) {
    macro_rules! watch {
        ($($kind:ident),*) => {$({
            let task = watch_kind::<crate::api::$kind>(engine.clone(), client.clone(), namespace.to_owned(), lists.clone());
            tasks.spawn(async move {
                task.await;
                concat!("watch of ", stringify!($kind))
            });
        })*};
    }
    watch!(MinioUser, MinioGroup, GroupMembership, PathShare, MinioPolicy);
    let task = watch_secrets(engine.clone(), client.clone(), namespace.to_owned(), lists.clone());
    tasks.spawn(async move {
        task.await;
        "watch of Secret"
    });
}

/// Gives held objects our finalizer, after which they count.
pub async fn admit(engine: Arc<Engine>) {
    loop {
        let (key, _) = engine.admissions.next().await;
        if let Some(failed) = admit_one(&engine, &key).await {
            tracing::warn!(object = %key, error = failed, "object cannot be given its finalizer; it is tried again");
            engine.admissions.push(key.clone(), Urgency::Normal, Duration::from_secs(1));
        }
        engine.admissions.done(&key);
    }
}

async fn admit_one(engine: &Engine, key: &ObjectKey) -> Option<String> {
    let held = engine.held_object(key)?;
    match engine.objects.add_finalizer(key, &held.seen).await {
        Ok(Some(object)) if engine.release(key, held.seen.uid()) => {
            engine.upsert(super::decode::decode_dynamic(key.kind, object));
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
