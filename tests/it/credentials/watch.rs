//! The issuer beside a real watch.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use minio_manager::controller::credentials::{Affected, Check, Scope, SecretView, Step};
use minio_manager::minio::Urgency;
use serde_json::json;

use super::stage::{Stage, now};

/// Whom the watch found concerned, in order.
struct Watch(Arc<Mutex<Vec<Affected>>>);

impl Watch {
    /// Feeds the cache of the stage from a watch, and returns when the first list is there.
    async fn over(stage: &Stage) -> Self {
        let affected = Arc::new(Mutex::new(Vec::new()));
        let (cache, secrets, seen) = (Arc::clone(&stage.cache), stage.secrets.clone(), Arc::clone(&affected));
        let (ready, listed) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut ready = Some(ready);
            let config = watcher::Config::default().labels("minio-manager.io/username-slug");
            let mut events = watcher(secrets, config).boxed();
            while let Some(event) = events.next().await {
                let event = event.unwrap();
                let end_of_list = matches!(event, Event::InitDone);
                let concerned = cache.handle(&Scope::All, event);
                seen.lock().unwrap().extend(concerned);
                if end_of_list && let Some(ready) = ready.take() {
                    ready.send(()).unwrap();
                }
            }
        });
        listed.await.unwrap();
        Self(affected)
    }

    /// Whom everything up to now concerned: a marker shows that the watch has come this far.
    async fn concerned(&self, stage: &Stage) -> Vec<Affected> {
        let mut marker = Secret::default();
        marker.metadata.generate_name = Some("marker-".into());
        marker.metadata.labels = Some([("minio-manager.io/username-slug".to_owned(), "marker".to_owned())].into());
        let marker = stage.secrets.create(&PostParams::default(), &marker).await.unwrap().metadata.name.unwrap();
        for _ in 0..1000 {
            if let Some(concerned) = self.take_up_to(&marker) {
                return concerned;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the watch did not show {marker}");
    }

    fn take_up_to(&self, marker: &str) -> Option<Vec<Affected>> {
        let mut affected = self.0.lock().unwrap();
        let position = affected.iter().position(|one| one.secret_name == marker)?;
        let concerned = affected.drain(..position).collect();
        affected.remove(0);
        Some(concerned)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_writes_concern_nobody_and_those_of_others_the_owner() {
    let mut stage = Stage::set().await;
    let watch = Watch::over(&stage).await;
    stage.settle().await;
    let later = now() + jiff::SignedDuration::from_hours(24);
    stage.issuer.ensure(&stage.owner, Check::Proven, Urgency::Routine, later).await.unwrap();
    assert_eq!(watch.concerned(&stage).await, [], "our own writes came back as changes");
    assert_eq!(stage.steps(Check::Watched, later).await, [Step::Finish]);

    let owner = Affected {
        namespace: stage.owner.namespace.clone(),
        secret_name: stage.owner.secret_name.clone(),
        owners: [stage.owner.uid.clone()].into(),
    };
    let edit = Patch::Merge(json!({"stringData": {"AWS_REGION": "elsewhere"}}));
    stage.secrets.patch(&stage.owner.secret_name, &PatchParams::default(), &edit).await.unwrap();
    assert_eq!(watch.concerned(&stage).await, std::slice::from_ref(&owner));
    stage.settle().await;
    stage.secrets.delete(&stage.owner.secret_name, &DeleteParams::default()).await.unwrap();
    assert_eq!(watch.concerned(&stage).await, [owner]);
    assert_eq!(stage.cache.view(&stage.owner.namespace, &stage.owner.secret_name), SecretView::Absent);

    stage.settle().await;
    stage.assert_good().await;
    stage.issuer.retire(&stage.owner, true, Urgency::Routine).await.unwrap();
    assert_eq!(watch.concerned(&stage).await, []);
}
