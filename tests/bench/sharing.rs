//! From a share that is applied, or deleted, to the grantee's request that succeeds, or is refused.

use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams, WatchEvent, WatchParams},
};
use minio_manager::api::PathShare;
use serde_json::json;

use crate::{
    figures::{Report, Samples},
    support::{
        kube::Cluster,
        minio::unique,
        product::Setup,
        s3::{Caller, Try},
        world::{PATIENCE, World},
    },
};

const ITERATIONS: usize = 120;
const WARM_UP: usize = 10;

/// How long a poll that was too early waits; part of every figure, so short beside all of them.
const POLL: Duration = Duration::from_micros(500);

pub async fn measure(report: &mut Report) {
    let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let kube = Cluster::shared().client().await;
    let shares: Api<PathShare> = Api::namespaced(kube.clone(), world.namespace());
    let mut floor = Floor::new(&world, kube).await;
    let (mut granted, mut revoked) = (Samples::default(), Samples::default());
    let (mut granting, mut revoking) = (Samples::default(), Samples::default());
    for round in 0..WARM_UP + ITERATIONS {
        let path = alice.home(&format!("data/{round}"));
        let file = format!("{path}/file");
        world.seed(&[&file]).await;
        let name = unique("share");
        let share: PathShare = serde_json::from_value(json!({
            "apiVersion": "minio-manager.io/v1alpha1", "kind": "PathShare", "metadata": {"name": name},
            "spec": {"path": format!("s3a://{path}"), "grants": [{"kind": "User", "name": bob.name, "access": "Read"}]},
        }))
        .unwrap();
        let started = Instant::now();
        shares.create(&PostParams::default(), &share).await.unwrap();
        until(&bob, &file, true).await;
        let to_grant = started.elapsed();
        world.ready("PathShare", &name).await;
        let started = Instant::now();
        shares.delete(&name, &DeleteParams::default()).await.unwrap();
        until(&bob, &file, false).await;
        let to_revoke = started.elapsed();
        world.gone("PathShare", &name).await;
        let least = floor.measure(&bob, &file).await;
        if round >= WARM_UP {
            granted.push(to_grant);
            revoked.push(to_revoke);
            granting.push(least.0);
            revoking.push(least.1);
        }
    }
    report.compare("share applied, read succeeds", &granted, &granting, 2.0, 5.0);
    report.compare("share deleted, read refused", &revoked, &revoking, 2.0, 5.0);
}

/// Reads until the answer is as wanted.
async fn until(caller: &Caller, path: &str, allowed: bool) {
    let started = Instant::now();
    while caller.may(Try::Get, path).await != allowed {
        assert!(started.elapsed() < PATIENCE, "reading {path} does not become {allowed}");
        tokio::time::sleep(POLL).await;
    }
}

/// The least that has to happen: an object is written and the write seen on a watch, a document is written, a request is made.
struct Floor {
    objects: Api<ConfigMap>,
    watch: futures::stream::BoxStream<'static, kube::Result<WatchEvent<ConfigMap>>>,
    minio: minio_manager::minio::Client,
    document: String,
}

impl Floor {
    async fn new(world: &World, kube: Client) -> Self {
        // Beside the namespace that the product watches.
        let namespace = Cluster::shared().namespace("floor").await;
        let objects: Api<ConfigMap> = Api::namespaced(kube, &namespace);
        let version = objects.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
        let watch = objects.watch(&WatchParams::default(), &version).await.unwrap().boxed();
        // As large as the document of a user with a home and one share.
        let actions = "\"s3:GetObject\",".repeat(40);
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{}],"Resource":["arn:aws:s3:::lake/x/*"]}}]}}"#,
            actions.trim_end_matches(',')
        );
        Self { objects, watch, minio: world.product().minio().client(), document }
    }

    /// The times for an object that comes and for one that goes.
    async fn measure(&mut self, caller: &Caller, path: &str) -> (Duration, Duration) {
        let name = unique("floor");
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let started = Instant::now();
        self.objects.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await.unwrap();
        self.seen(&name).await;
        self.follow(caller, path).await;
        let coming = started.elapsed();
        let started = Instant::now();
        self.objects.delete(&name, &DeleteParams::default()).await.unwrap();
        self.seen(&name).await;
        self.follow(caller, path).await;
        (coming, started.elapsed())
    }

    async fn seen(&mut self, name: &str) {
        loop {
            match self.watch.next().await.expect("the watch goes on").unwrap() {
                WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
                    if object.name_any() == name {
                        return;
                    }
                }
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(error) => panic!("the watch of the floor broke: {error:?}"),
            }
        }
    }

    async fn follow(&self, caller: &Caller, path: &str) {
        self.minio.put_policy("floor", self.document.clone()).await.unwrap();
        caller.may(Try::Get, path).await;
    }
}
