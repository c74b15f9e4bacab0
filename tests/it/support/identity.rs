//! The identity of the REST service, from the files that an installation applies, as a copy for one namespace.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::SelfSubjectAccessReview,
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
};
use minio_manager::api::{MinioUser, MinioUserSpec};
use serde_json::{Value, json};

use super::kube::Cluster;

/// What is always applied.
const RBAC: &str = include_str!("../../../deploy/kubernetes/rest/rbac.yaml");
/// What it may write.
pub const ADMISSION: &str = include_str!("../../../deploy/kubernetes/rest/admission.yaml");
/// For `--auth kubernetes`.
pub const TOKEN_REVIEWS: &str = include_str!("../../../deploy/kubernetes/rest/tokenreviews.yaml");
/// For one more namespace.
pub const WATCHED_NAMESPACE: &str = include_str!("../../../deploy/kubernetes/rest/watched-namespace.yaml");

/// The name of everything in these files, and the namespaces that stand there.
pub const NAME: &str = "minio-manager-rest";
const HOME: &str = "lake";
const PODS: &str = "minio-manager";
const WATCHED: &str = "spark";

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// A kubeconfig file with which a program may do in a namespace what the REST service may do in its home namespace, and
/// nothing else.
pub async fn rest_kubeconfig(cluster: &Cluster, namespace: &str) -> PathBuf {
    RestIdentity::install(cluster, namespace).await.kubeconfig
}

/// A copy of the REST service's identity.
pub struct RestIdentity<'a> {
    cluster: &'a Cluster,
    home: String,
    /// Where its pods would run, and its ServiceAccount is.
    pods: String,
    kubeconfig: PathBuf,
}

impl<'a> RestIdentity<'a> {
    /// Applies copies of the files for a home namespace, and waits until they are in force.
    pub async fn install(cluster: &'a Cluster, home: &str) -> Self {
        let pods = cluster.namespace("rest-pods").await;
        let mut identity = Self { cluster, home: home.to_owned(), pods, kubeconfig: PathBuf::new() };
        identity.apply(ADMISSION).await;
        identity.apply(RBAC).await;
        identity.kubeconfig = cluster.kubeconfig_with(&service_account_token(cluster, &identity.pods, NAME).await);
        identity.wait_until_in_force().await;
        identity
    }

    /// The namespace of its ServiceAccount.
    pub fn pods(&self) -> &str {
        &self.pods
    }

    /// The name under which the API server knows it.
    pub fn username(&self) -> String {
        format!("system:serviceaccount:{}:{NAME}", self.pods)
    }

    /// The name of its copy of an object.
    pub fn copy_of(&self, name: &str) -> String {
        format!("{name}.{}", self.pods)
    }

    /// The kubeconfig file of its holder.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Takes the right to watch a kind from it, by its name in the API; watches that run go on until their connection ends.
    pub async fn forbid_watching(&self, plural: &str) {
        let roles: Api<Role> = Api::namespaced(self.cluster.client().await, &self.home);
        let mut role = roles.get(&self.copy_of(NAME)).await.unwrap();
        for rule in role.rules.iter_mut().flatten() {
            let of_kind = rule.resources.iter_mut().flatten().filter(|resource| *resource == plural);
            of_kind.for_each(|resource| *resource = "none".to_owned());
        }
        role.rules.get_or_insert_default().push(PolicyRule {
            api_groups: Some(vec!["minio-manager.io".to_owned()]),
            resources: Some(vec![plural.to_owned()]),
            verbs: ["get", "list", "create", "update", "patch", "delete"].map(str::to_owned).to_vec(),
            ..PolicyRule::default()
        });
        roles.replace(&role.name_any(), &PostParams::default(), &role).await.unwrap();
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client().await);
        let review: SelfSubjectAccessReview =
            serde_json::from_value(json!({"metadata": {}, "spec": {"resourceAttributes": {
                "namespace": self.home, "group": "minio-manager.io", "resource": plural, "verb": "watch",
            }}}))
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while reviews.create(&PostParams::default(), &review).await.unwrap().status.is_some_and(|status| status.allowed)
        {
            assert!(Instant::now() < deadline, "{plural} can still be watched");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A new client under this identity.
    pub async fn client(&self) -> Client {
        self.cluster.client_as(&self.kubeconfig).await
    }

    /// Applies a copy of one of the files.
    pub async fn apply(&self, manifest: &str) {
        self.apply_for(manifest, WATCHED).await;
    }

    /// Applies a copy of [`WATCHED_NAMESPACE`] for a namespace.
    pub async fn watch(&self, namespace: &str) {
        self.apply_for(WATCHED_NAMESPACE, namespace).await;
    }

    async fn apply_for(&self, manifest: &str, watched: &str) {
        let client = self.cluster.client().await;
        let namespaces = BTreeMap::from([(HOME, self.home.as_str()), (PODS, self.pods.as_str()), (WATCHED, watched)]);
        for mut document in serde_saphyr::from_multiple::<Value>(manifest).unwrap() {
            self.rename(&mut document);
            move_to(&namespaces, &mut document);
            create(&client, document).await;
        }
    }

    /// Gives all but the ServiceAccount a name of its own: other copies are in the cluster, perhaps for the same namespace.
    fn rename(&self, document: &mut Value) {
        if document["kind"] == "ServiceAccount" {
            return;
        }
        for name in ["/metadata/name", "/roleRef/name", "/spec/policyName"] {
            if let Some(name) = document.pointer_mut(name) {
                *name = json!(self.copy_of(name.as_str().unwrap()));
            }
        }
    }

    async fn wait_until_in_force(&self) {
        let api: Api<MinioUser> = Api::namespaced(self.client().await, &self.home);
        let not_permitted = MinioUser::new("probe", MinioUserSpec::default());
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = api.create(&dry_run, &not_permitted).await.map(drop).map_err(|error| error.to_string());
            // Only who has the Role comes as far as the policy.
            if matches!(&answer, Err(error) if error.contains(&self.copy_of(NAME))) {
                return;
            }
            assert!(Instant::now() < deadline, "{} is not in force: {answer:?}", self.copy_of(NAME));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Applies a manifest with other namespaces in the place of those that stand there.
pub async fn apply_moved(client: &Client, manifest: &str, namespaces: &BTreeMap<&str, &str>) {
    for mut document in serde_saphyr::from_multiple::<Value>(manifest).unwrap() {
        move_to(namespaces, &mut document);
        create(client, document).await;
    }
}

/// A token of a ServiceAccount.
pub async fn service_account_token(cluster: &Cluster, namespace: &str, name: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client().await, namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(86_400), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let issued = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    issued.status.unwrap().token
}

/// Puts other namespaces in the place of those of the files, in fields and in names of service accounts.
fn move_to(namespaces: &BTreeMap<&str, &str>, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match value {
                    Value::String(namespace) if field == "namespace" => {
                        *namespace = namespaces[namespace.as_str()].to_owned();
                    }
                    value => move_to(namespaces, value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_to(namespaces, item)),
        Value::String(text) => {
            for (from, to) in namespaces {
                *text = text.replace(&format!("serviceaccount:{from}:"), &format!("serviceaccount:{to}:"));
            }
        }
        _ => {}
    }
}

async fn create(client: &Client, document: Value) {
    let object: DynamicObject = serde_json::from_value(document).unwrap();
    let types = object.types.clone().expect("an object has a kind");
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let created = api.create(&PostParams::default(), &object).await;
    created.unwrap_or_else(|error| panic!("{} {:?}: {error}", types.kind, object.metadata.name));
}
