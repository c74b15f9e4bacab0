//! The owner of a namespace who tries to get more than was given: with a token of a ServiceAccount that may do in its namespace
//! what the owner of a namespace may do, and nothing elsewhere. What counts is what can be done on MinIO afterwards, and that
//! the owner is told why not.
//!
//! `docs/trust.md` names the test of every line of its table.

mod groups;
mod keys;
mod names;
mod policies;
mod secrets;
mod shares;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use minio_manager::minio::{Credentials, Holder};

use crate::support::{
    identity::{apply_moved, service_account_token},
    kube::Cluster,
    minio::{Server, unique},
    product::{Product, SELDOM, Setup},
    world::{World, user},
};

/// What owns a namespace: every kind of ours, Secrets and ConfigMaps, and no status.
const OWNER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: owner, namespace: theirs}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: owner, namespace: theirs}
rules:
- apiGroups: [minio-manager.io]
  resources: [miniousers, miniogroups, groupmemberships, pathshares, miniopolicies, minioaccesskeys, minioinstances]
  verbs: [get, list, watch, create, update, patch, delete, deletecollection]
- apiGroups: ['']
  resources: [secrets, configmaps]
  verbs: [get, list, watch, create, update, patch, delete, deletecollection]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: owner, namespace: theirs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: owner}
subjects: [{kind: ServiceAccount, name: owner, namespace: theirs}]
";

/// Who the controller is on MinIO: not root, so that root is an account like others to it.
const CONTROLLER: &str = "the-controller";

/// An annotation, a label and a finalizer with which objects of ours are marked.
const DISGUISE: &str = "labels: {minio-manager.io/origin: rest}, finalizers: [minio-manager.io/finalizer], \
                        annotations: {minio-manager.io/acknowledge-large-change: all, minio-manager.io/force-delete: 'true'}";

/// A namespace and the kubeconfig of its owner.
struct Namespace {
    name: String,
    kubeconfig: PathBuf,
}

impl Namespace {
    async fn new(cluster: &Cluster, prefix: &str) -> Self {
        let name = cluster.namespace(prefix).await;
        let client = cluster.client().await;
        apply_moved(&client, OWNER, &BTreeMap::from([("theirs", name.as_str())])).await;
        let kubeconfig = cluster.kubeconfig_with(&service_account_token(cluster, &name, "owner").await);
        Self { name, kubeconfig }
    }
}

/// One product for all tests of this module, which watches three namespaces beside its own.
struct Land {
    product: Product,
    team: Namespace,
    rival: Namespace,
    unlisted: Namespace,
}

impl Land {
    fn shared() -> &'static Self {
        static LAND: OnceLock<Land> = OnceLock::new();
        LAND.get_or_init(|| {
            // Each test has a runtime of its own, which must neither be blocked into nor outlived.
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(Self::start())
            })
            .join()
            .expect("the product did not start")
        })
    }

    async fn start() -> Self {
        let cluster = Cluster::shared();
        let team = Namespace::new(cluster, "team").await;
        let rival = Namespace::new(cluster, "rival").await;
        let unlisted = Namespace::new(cluster, "unlisted").await;
        let minio = Arc::new(Server::start());
        let config = std::env::temp_dir().join(unique("trust-config"));
        fs::write(&config, permissions(&team.name, &rival.name, &minio.root().access_key)).unwrap();
        let setup = Setup {
            credentials: Some(controller_identity(&minio).await),
            beside: [&team, &rival, &unlisted].map(|namespace| namespace.name.clone()).to_vec(),
            minio: Some(minio),
            ..Setup::default()
        };
        let arguments = ["--config", config.to_str().unwrap(), "--large-change-limit", "0"];
        let product = Product::start(setup.with(&arguments).with(&SELDOM)).await;
        fs::remove_file(config).unwrap();
        Self { product, team, rival, unlisted }
    }
}

/// The configuration: what each namespace may declare.
fn permissions(team: &str, rival: &str, root: &str) -> String {
    format!(
        "
grantsPerOwner: 3
namespaces:
  {team}:
    usernames: ['crew-*', mallory, quota, phoenix, {root}, {CONTROLLER}]
    groups: ['crew-*']
    paths: [s3a://lake/homes/mallory/, s3a://lake/homes/quota/, s3a://lake/homes/phoenix/, s3a://lake/teams/crew-ship/]
    policies: ['crew-*', consoleAdmin]
    keysFor: ['pal-*', phoenix]
  {rival}:
    usernames: [phoenix]
    paths: [s3a://lake/homes/quota/]
"
    )
}

async fn controller_identity(minio: &Server) -> Credentials {
    let (root, identity) = (minio.client(), Credentials::new(CONTROLLER, Credentials::generate().secret));
    let everything = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:*"]},
        {"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#;
    root.put_policy("controller", everything).await.unwrap();
    root.add_user(CONTROLLER, &identity.secret, true).await.unwrap();
    root.set_mapping(&Holder::User(CONTROLLER.to_owned()), &BTreeSet::from(["controller".to_owned()])).await.unwrap();
    identity
}

/// Who is there: the administrators, and the owners of three namespaces.
struct Trust {
    /// The home namespace, as those see it who run the installation.
    home: World,
    /// A namespace that may declare some things.
    team: World,
    /// Another one, that may declare some of the same things.
    rival: World,
    /// A watched namespace that the configuration does not list.
    unlisted: World,
}

impl Trust {
    async fn enter() -> Self {
        let land = Land::shared();
        let home = World::over(&land.product).await;
        let mut owners = Vec::new();
        for namespace in [&land.team, &land.rival, &land.unlisted] {
            let client = Cluster::shared().client_as(&namespace.kubeconfig).await;
            let owner = home.as_seen_from(&namespace.name, client);
            home.eventually("the role of the owner is in force", async || may_read(&owner).await).await;
            owners.push(owner);
        }
        let [team, rival, unlisted] = owners.try_into().ok().expect("three namespaces");
        Self { home, team, rival, unlisted }
    }
}

async fn may_read(owner: &World) -> bool {
    api(owner, "MinioUser").list(&ListParams::default()).await.is_ok()
}

/// Objects of a kind, for requests that a [`World`] does not make.
fn api(world: &World, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("minio-manager.io", "v1alpha1", kind));
    Api::namespaced_with(world.kube().clone(), world.namespace(), &resource)
}

/// A `MinioPolicy` with one statement that allows these actions on these resources.
fn policy(name: &str, actions: &str, resources: &str) -> String {
    format!(
        "kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    Statement:\n    \
         - {{Effect: Allow, Action: [{actions}], Resource: [{resources}]}}\n"
    )
}

/// The code with which the API server refuses something.
fn refused(answer: Result<(), kube::Error>) -> (u16, String) {
    match answer {
        Err(kube::Error::Api(status)) => (status.code, status.message),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn the_owner_of_a_namespace_may_write_there_and_nowhere_else() {
    let trust = Trust::enter().await;
    for other in [&trust.home, &trust.rival] {
        let as_team = trust.team.as_seen_from(other.namespace(), trust.team.kube().clone());
        assert_eq!(refused(api(&as_team, "MinioUser").list(&ListParams::default()).await.map(drop)).0, 403);
        assert_eq!(refused(as_team.try_apply(&user(&unique("crew"), "")).await).0, 403);
    }
}
