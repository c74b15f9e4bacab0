//! Rotations under load, and of many users at once: from keys that are due to new ones in every Secret.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use minio_manager::{api::MinioUser, minio::KeyState};
use serde_json::json;

use crate::{
    figures::Report,
    files::load::under_load,
    floor::new_key,
    support::{kube::Cluster, product::Setup, world::World},
};

const USERS: usize = 1_000;
/// How many requests the benchmark itself has under way.
const AT_ONCE: usize = 16;
const LOOK: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(600);
/// The requests of MinIO that a rotation takes: which keys there are, the new one, and its proof.
const CALLS: u64 = 3;

pub async fn measure(report: &mut Report) {
    let outcome = under_load(20, 500).await;
    let details = json!({"requests": outcome.requests, "failures": outcome.failures});
    report.count("failed requests during 20 rotations in a row", outcome.failed, 0, details);
    assert!(outcome.requests >= 10_000, "{outcome:?}");
    many_at_once(report).await;
}

async fn many_at_once(report: &mut Report) {
    // Looks at keys that are in order are no part of a rotation.
    let setup = Setup::default().with(&["--minio-writes-per-second", "0", "--audit-interval", "1h"]);
    let world = World::own(setup).await;
    let kube = Cluster::shared().client().await;
    let secrets: Api<Secret> = Api::namespaced(kube.clone(), world.namespace());
    create_users(Api::namespaced(kube, world.namespace())).await;
    let before = keys_when_all(&secrets, |keys| keys.len() == USERS).await;
    let users: Vec<&String> = before.keys().collect();

    world.product().kill();
    let bare = back_to_back(&world, &users).await;
    make_due(&secrets).await;
    world.product().launch();
    let started = Instant::now();
    let is_new = |keys: &BTreeMap<String, String>| keys.iter().all(|(user, key)| before.get(user) != Some(key));
    while world.product().metrics().requests(&["add-service-account"]) < USERS as u64 && started.elapsed() < LIMIT {
        tokio::time::sleep(LOOK).await;
    }
    let after = keys_when_all(&secrets, |keys| keys.len() == USERS && is_new(keys)).await;
    let took = started.elapsed();
    assert_eq!(after.len(), USERS);

    let metrics = world.product().metrics();
    let calls = ["list-service-accounts", "add-service-account", "probe"];
    let counts: BTreeMap<&str, u64> = calls.iter().map(|call| (*call, metrics.requests(&[call]))).collect();
    let total: u64 = counts.values().sum();
    report.count("1000 keys rotated, requests of MinIO", total, CALLS * USERS as u64, json!(counts));
    report.once("1000 keys rotated, unpaced", took, bare, 1.3);
}

async fn create_users(api: Api<MinioUser>) {
    let create = async |number: usize| {
        let name = format!("rotated-{number}");
        let user = json!({
            "apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser",
            "metadata": {"name": name}, "spec": {"workspace": "None"},
        });
        api.create(&PostParams::default(), &serde_json::from_value(user).unwrap()).await.unwrap();
    };
    stream::iter(0..USERS).for_each_concurrent(AT_ONCE, create).await;
}

/// The id of the key of every user, once all are as wanted and none waits to be published.
async fn keys_when_all(
    secrets: &Api<Secret>,
    wanted: impl Fn(&BTreeMap<String, String>) -> bool,
) -> BTreeMap<String, String> {
    let started = Instant::now();
    loop {
        let list = secrets.list(&ListParams::default()).await.unwrap().items;
        let is_calm = !list.iter().any(|secret| secret.name_any().ends_with(".pending"));
        let text = |secret: &Secret, key: &str| {
            let value = secret.data.as_ref().and_then(|data| data.get(key))?;
            String::from_utf8(value.0.clone()).ok()
        };
        let keys: BTreeMap<String, String> = list
            .iter()
            .filter_map(|secret| Some((text(secret, "S3_USER")?, text(secret, "AWS_ACCESS_KEY_ID")?)))
            .collect();
        if is_calm && wanted(&keys) {
            return keys;
        }
        assert!(started.elapsed() < LIMIT, "{} keys after {LIMIT:?}", keys.len());
        tokio::time::sleep(LOOK * 4).await;
    }
}

/// Every key was made long ago, as its Secret says.
async fn make_due(secrets: &Api<Secret>) {
    let names: Vec<String> =
        secrets.list_metadata(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    let long_ago = Timestamp::now() - Duration::from_secs(100 * 3600);
    let patch = json!({"metadata": {"annotations": {"minio-manager.io/issued-at": long_ago.to_string()}}});
    let make_due = async |name: String| {
        secrets.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    };
    stream::iter(names).for_each_concurrent(AT_ONCE, make_due).await;
}

/// The calls of MinIO that a rotation takes, one after the other, by a client that does nothing else.
async fn back_to_back(world: &World, users: &[&String]) -> Duration {
    let minio = world.minio();
    let mut made = Vec::new();
    let started = Instant::now();
    for user in users {
        let key = new_key(user);
        assert_eq!(minio.list_access_keys(user).await.unwrap().len(), 1);
        minio.add_access_key(&key).await.unwrap();
        assert_eq!(minio.probe(&key.credentials).await.unwrap(), KeyState::Works);
        made.push(key.credentials.access_key);
    }
    let took = started.elapsed();
    for key in made {
        minio.delete_access_key(&key).await.unwrap();
    }
    took
}
