//! A namespace that is deleted takes what was declared in it along, and nothing else.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{Api, api::DeleteParams};
use minio_manager::minio::{Credentials, KeyState};

use crate::support::{
    kube::{Cluster, kubectl},
    minio::unique,
    product::Setup,
    world::{World, user},
};

/// The namespace controller comes back to what has finalizers after seconds only.
const PATIENCE: Duration = Duration::from_secs(120);

/// A namespace with a user, a workload of that user, and a workload of a user at home.
struct Elsewhere {
    namespace: String,
    user: String,
    secrets: Api<Secret>,
}

impl Elsewhere {
    async fn new(cluster: &Cluster, user: &str) -> Self {
        let namespace = cluster.namespace("spark").await;
        let secrets = Api::namespaced(cluster.client().await, &namespace);
        Self { namespace, user: user.to_owned(), secrets }
    }

    /// Declares everything, waits for the Secrets, and answers the keys in them.
    async fn fill(&self, world: &World) -> Vec<Credentials> {
        let user = &self.user;
        let manifest = format!(
            "apiVersion: minio-manager.io/v1alpha1\nkind: MinioUser\nmetadata: {{name: {user}}}\nspec: {{}}\n---\n\
             apiVersion: minio-manager.io/v1alpha1\nkind: MinioAccessKey\nmetadata: {{name: own}}\nspec: {{user: {user}}}\n---\n\
             apiVersion: minio-manager.io/v1alpha1\nkind: MinioAccessKey\nmetadata: {{name: of-home}}\nspec: {{user: home}}\n"
        );
        kubectl(&self.namespace, &["apply"], &manifest);
        let mut keys = Vec::new();
        for name in [format!("minio-{user}"), "miniokey-own".to_owned(), "miniokey-of-home".to_owned()] {
            world.eventually("there is a Secret", async || self.secrets.get_opt(&name).await.unwrap().is_some()).await;
            let data = self.secrets.get(&name).await.unwrap().data.unwrap();
            let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
            keys.push(Credentials::new(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY")));
        }
        keys
    }

    async fn delete(&self, cluster: &Cluster) {
        let namespaces = Api::<Namespace>::all(cluster.client().await);
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
    }

    async fn expect_gone(&self, cluster: &Cluster, world: &World) {
        let namespaces = Api::<Namespace>::all(cluster.client().await);
        let deadline = Instant::now() + PATIENCE;
        while let Some(namespace) = namespaces.get_opt(&self.namespace).await.unwrap() {
            assert!(Instant::now() < deadline, "{:#?}\n{}", namespace.status, world.product().log_tail());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
async fn a_namespace_that_is_deleted_takes_its_users_and_keys_along() {
    let cluster = Cluster::shared();
    cluster.with_namespace_controller();
    let watched = [Elsewhere::new(cluster, "carol").await, Elsewhere::new(cluster, "dave").await];
    let config = std::env::temp_dir().join(unique("namespaces-config"));
    let permit = |elsewhere: &Elsewhere| {
        let Elsewhere { namespace, user, .. } = elsewhere;
        format!("  {namespace}: {{usernames: [{user}], keysFor: [{user}, home]}}\n")
    };
    fs::write(&config, format!("namespaces:\n{}", watched.each_ref().map(permit).concat())).unwrap();
    let beside = watched.iter().map(|elsewhere| elsewhere.namespace.clone()).collect();
    let setup = Setup { beside, ..Setup::default() };
    let world = World::own(setup.with(&["--config", config.to_str().unwrap(), "--large-change-limit", "0"])).await;
    world.apply(&user("home", "")).await;
    let home = world.person("home").await;
    let held = world.secret(&home.secret).await;
    let mut keys = Vec::new();
    for elsewhere in &watched {
        keys.extend(elsewhere.fill(&world).await);
    }
    for key in &keys {
        assert_eq!(world.minio().probe(key).await.unwrap(), KeyState::Works);
    }

    // One goes while it is looked at, the other one while nobody does.
    watched[0].delete(cluster).await;
    watched[0].expect_gone(cluster, &world).await;
    world.product().kill();
    watched[1].delete(cluster).await;
    let secrets_are_gone = async || watched[1].secrets.get_opt("miniokey-own").await.unwrap().is_none();
    world.eventually("the Secrets are gone", secrets_are_gone).await;
    world.product().launch();
    watched[1].expect_gone(cluster, &world).await;

    for key in &keys {
        assert_eq!(world.minio().probe(key).await.unwrap(), KeyState::Unknown, "{}", key.access_key);
    }
    let accounts: BTreeSet<String> = world.minio().list_users().await.unwrap().into_keys().collect();
    assert_eq!(accounts, BTreeSet::from(["home".to_owned()]));
    let left: Vec<String> = world.access_keys("home").await.into_iter().map(|key| key.access_key).collect();
    assert_eq!(left, [home.credentials().access_key.clone()], "the keys of workloads elsewhere are gone, too");
    assert_eq!(world.secret(&home.secret).await, held);

    // Life goes on.
    assert!(world.product().is_alive());
    world.apply(&user("another", "")).await;
    let another = world.person("another").await;
    assert_eq!(world.minio().probe(another.credentials()).await.unwrap(), KeyState::Works);

    // The configuration may go on naming them.
    assert!(world.product().terminate().success());
    world.product().launch();
    world.eventually("it is ready again", async || world.product().get("/ready").0 == 200).await;
    world.delete_and_wait("MinioUser", "another").await;
    fs::remove_file(config).unwrap();
}
