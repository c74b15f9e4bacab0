//! Somebody who asks all the time for what was never granted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use minio_manager::minio::Client;
use tokio::{task::JoinHandle, time::sleep};

use super::{
    actors::folders,
    scene::{GROUPS, OWNERS, STRANGER, Scene},
};
use crate::support::s3::{Caller, Try};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks in the background; ends when dropped.
pub struct Sampler {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    client: Client,
    callers: Mutex<BTreeMap<&'static str, Caller>>,
    asked: AtomicU64,
    allowed: Mutex<Vec<String>>,
}

impl Sampler {
    /// Begins to ask.
    pub async fn start(scene: &Scene) -> Self {
        let shared = Arc::new(Shared {
            client: scene.world.minio().clone(),
            callers: Mutex::default(),
            asked: AtomicU64::new(0),
            allowed: Mutex::default(),
        });
        let asking = shared.clone();
        let sampler = Self { shared, task: tokio::spawn(async move { asking.ask().await }) };
        sampler.learn_keys(scene).await;
        sampler
    }

    /// Takes the keys that people have now.
    pub async fn learn_keys(&self, scene: &Scene) {
        for name in OWNERS.into_iter().chain([STRANGER]) {
            let secret = scene.world.caller(&format!("minio-{name}")).await;
            let caller = Caller::new(self.shared.client.clone(), secret.credentials().clone());
            self.shared.callers.lock().unwrap().insert(name, caller);
        }
    }

    /// Fails if anything was allowed; answers how many requests were refused since the last time.
    pub fn expect_nothing_allowed(&self) -> u64 {
        assert!(!self.task.is_finished(), "the sampler has ended");
        let allowed = self.shared.allowed.lock().unwrap();
        assert!(allowed.is_empty(), "these were never granted, and were allowed:\n{}", allowed.join("\n"));
        let asked = self.shared.asked.swap(0, Ordering::Relaxed);
        assert!(asked > 100, "{asked} requests prove little");
        asked
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn ask(&self) {
        loop {
            for (name, path) in never_granted() {
                let Some(caller) = self.callers.lock().unwrap().get(name).cloned() else { continue };
                for what in [Try::Get, Try::Put, Try::List] {
                    // No answer allows nothing, and neither does that a bucket is gone.
                    match caller.try_status(what, &path).await {
                        Ok(status @ 200..=299) => {
                            let sentence = format!("{what:?} {path} as {name}: {status}");
                            self.allowed.lock().unwrap().push(sentence);
                        }
                        Ok(401 | 403) => drop(self.asked.fetch_add(1, Ordering::Relaxed)),
                        Ok(_) | Err(_) => {}
                    }
                }
                sleep(PAUSE).await;
            }
            sleep(PAUSE).await;
        }
    }
}

/// Who was never granted what.
fn never_granted() -> Vec<(&'static str, String)> {
    let mut asked: Vec<(&'static str, String)> = Vec::new();
    for folder in folders() {
        asked.push((STRANGER, format!("{folder}/file")));
    }
    for group in GROUPS {
        asked.push((STRANGER, format!("lake/teams/{group}/file")));
    }
    for (number, owner) in OWNERS.into_iter().enumerate() {
        let other = OWNERS[(number + 1) % OWNERS.len()];
        asked.push((STRANGER, private(owner)));
        asked.push((other, private(owner)));
    }
    asked
}

/// A file that nobody ever shares.
pub fn private(owner: &str) -> String {
    format!("lake/homes/{owner}/private/file")
}
