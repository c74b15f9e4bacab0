//! Watches: the objects of every watched namespace flow to whoever keeps them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::iam::subject::{Kind, ObjectKey};

use super::decode::{Decoded, Watched, decode};

/// Where what a watch shows goes.
pub trait Sink: Send + Sync + 'static {
    /// A complete list of one kind in one namespace: what is not in it is gone.
    fn relist(&self, kind: Kind, namespace: &str, objects: Vec<Decoded>);

    /// An object is there, in this version.
    fn upsert(&self, object: Decoded);

    /// An object is gone.
    fn delete(&self, key: &ObjectKey);
}

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

    /// The lists of these kinds in a namespace belong to the first ones. To be said of every namespace before the first watch
    /// starts.
    pub fn expect_kinds(&self, kinds: &[Kind], namespace: &str) {
        for kind in kinds {
            self.expect(kind.as_str(), namespace);
        }
    }

    /// A further list belongs to the first ones.
    pub fn expect(&self, what: &'static str, namespace: &str) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.insert((what, namespace.to_owned()));
    }

    /// A list has arrived.
    pub fn arrived(&self, what: &'static str, namespace: &str) {
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
pub async fn watch_kind<K: Watched>(sink: Arc<impl Sink>, client: Client, namespace: String, lists: FirstLists) {
    let api = Api::<DeserializeGuard<K>>::namespaced(client, &namespace);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut listed: Vec<Decoded> = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => listed.push(decode(object)),
            Ok(watcher::Event::InitDone) => {
                sink.relist(K::KIND, &namespace, std::mem::take(&mut listed));
                lists.arrived(K::KIND.as_str(), &namespace);
            }
            Ok(watcher::Event::Apply(object)) => sink.upsert(decode(object)),
            Ok(watcher::Event::Delete(object)) => sink.delete(&decode(object).key),
            Err(error) => log_failure(K::KIND.as_str(), &namespace, &error),
        }
    }
}

/// Says that a watch was interrupted.
pub fn log_failure(what: &str, namespace: &str, error: &watcher::Error) {
    tracing::warn!(what, namespace, error = %crate::telemetry::chain(error), "watch interrupted; it is taken up again");
}

/// Starts the watches of some kinds in a namespace.
pub fn watch_kinds(
    kinds: &[Kind],
    tasks: &mut JoinSet<&'static str>,
    sink: &Arc<impl Sink>,
    client: &Client,
    namespace: &str,
    lists: &FirstLists,
) {
    macro_rules! watch {
        ($($kind:ident),*) => {$(if kinds.contains(&Kind::$kind) {
            let task = watch_kind::<crate::api::$kind>(sink.clone(), client.clone(), namespace.to_owned(), lists.clone());
            tasks.spawn(async move {
                task.await;
                concat!("watch of ", stringify!($kind))
            });
        })*};
    }
    watch!(MinioUser, MinioGroup, GroupMembership, PathShare, MinioPolicy, MinioAccessKey);
}
