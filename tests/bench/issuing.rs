//! From a user that is applied to a Secret whose key works.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::PostParams, runtime::wait::await_condition};
use minio_manager::{
    api::MinioUser,
    minio::{Credentials, Holder, KeyState},
};
use serde_json::json;

use crate::{
    figures::{Report, Samples},
    floor::new_key,
    support::{
        kube::Cluster,
        minio::unique,
        product::Setup,
        s3::Try,
        world::{PATIENCE, World},
    },
};

const ITERATIONS: usize = 50;
const WARM_UP: usize = 5;
const WATCH_START: Duration = Duration::from_millis(50);

pub async fn measure(report: &mut Report) {
    let world = World::own(Setup::default()).await;
    let first = world.user("first").await;
    let document = world.document(&format!("user-home-policy-{}", first.name)).await.unwrap();
    let kube = Cluster::shared().client().await;
    let users: Api<MinioUser> = Api::namespaced(kube.clone(), world.namespace());
    let secrets: Api<Secret> = Api::namespaced(kube, world.namespace());
    let (mut issued, mut floor) = (Samples::default(), Samples::default());
    for round in 0..WARM_UP + ITERATIONS {
        let name = unique("user");
        let user: MinioUser = serde_json::from_value(json!({
            "apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser", "metadata": {"name": name}, "spec": {},
        }))
        .unwrap();
        let secret = format!("minio-{name}");
        let awaited = (secrets.clone(), secret.clone());
        let appears = tokio::spawn(async move {
            let appears = await_condition(awaited.0, &awaited.1, |secret: Option<&Secret>| secret.is_some());
            tokio::time::timeout(PATIENCE, appears).await.expect("the Secret appears").unwrap();
            Instant::now()
        });
        // The watch must stand before the user comes.
        tokio::time::sleep(WATCH_START).await;
        let started = Instant::now();
        users.create(&PostParams::default(), &user).await.unwrap();
        let took = appears.await.unwrap() - started;
        let caller = world.caller(&secret).await;
        assert!(caller.may(Try::List, &format!("lake/homes/{name}/")).await, "a published key works");
        let least = back_to_back(&world, &document).await;
        if round >= WARM_UP {
            issued.push(took);
            floor.push(least);
        }
    }
    report.compare("user applied, Secret proven", &issued, &floor, 2.0, 5.0);
}

/// The calls of MinIO that a user takes, one after the other.
async fn back_to_back(world: &World, document: &str) -> Duration {
    let minio = world.minio();
    let (name, home) = (unique("floor"), unique("floor-policy"));
    let key = new_key(&name);
    let policies = BTreeSet::from([home.clone(), "group-policy-globalusers".to_owned()]);
    let started = Instant::now();
    minio.put_policy(&home, document.to_owned()).await.unwrap();
    minio.add_user(&name, &Credentials::generate().secret, true).await.unwrap();
    minio.set_mapping(&Holder::User(name.clone()), &policies).await.unwrap();
    minio.put_object("lake", &format!("homes/{name}/"), "", true).await.unwrap();
    minio.add_access_key(&key).await.unwrap();
    assert_eq!(minio.probe(&key.credentials).await.unwrap(), KeyState::Works);
    started.elapsed()
}
