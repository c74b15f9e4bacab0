//! The identities of the two programs, from the files that an installation applies, as copies for one namespace. A test compares
//! these files with what the chart renders.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    admissionregistration::v1::ValidatingAdmissionPolicy,
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::{
        SelfSubjectAccessReview, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectAccessReview,
    },
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ObjectMeta, PostParams},
};
use minio_manager::api::{MinioUser, MinioUserSpec};
use serde_json::{Value, json};

use super::{kube::Cluster, world::resource};

/// Who the controller is, and what it may do.
pub const CONTROLLER: &str = include_str!("../../../deploy/kubernetes/rbac.yaml");
/// What it may do in one more namespace.
pub const CONTROLLER_ELSEWHERE: &str = include_str!("../../../deploy/kubernetes/watched-namespace.yaml");
/// What is always applied for the REST service.
const RBAC: &str = include_str!("../../../deploy/kubernetes/rest/rbac.yaml");
/// What it may write.
pub const ADMISSION: &str = include_str!("../../../deploy/kubernetes/rest/admission.yaml");
/// For `--auth kubernetes`.
const TOKEN_REVIEWS: &str = include_str!("../../../deploy/kubernetes/rest/tokenreviews.yaml");
/// For more namespaces.
const WATCHED_NAMESPACES: &str = include_str!("../../../deploy/kubernetes/rest/watched-namespaces.yaml");

/// The name of everything in the files of the controller.
pub const CONTROLLER_NAME: &str = "minio-manager";
/// That in those of the REST service, and the namespaces that stand there.
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

/// A kubeconfig file with which a program may do what the controller may, at home and in the namespaces beside it, and nothing
/// else. For a further replica, or a further start, it is the identity that is there.
pub async fn controller_kubeconfig(cluster: &Cluster, home: &str, beside: &[String]) -> PathBuf {
    // Its ServiceAccount is at home, as it is where the chart is told of no other namespace.
    let copies = Copies { cluster, home: home.to_owned(), pods: home.to_owned() };
    copies.apply(CONTROLLER, WATCHED).await;
    for namespace in beside {
        copies.apply(CONTROLLER_ELSEWHERE, namespace).await;
    }
    copies.controllers_token(beside).await
}

/// Waits until somebody has these rights: the API server hears of each Role and binding a moment later.
pub async fn wait_until_allowed(client: &Client, user: &str, rights: &[Value]) {
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    for right in rights {
        let review = json!({"metadata": {}, "spec": {"user": user, "resourceAttributes": right}});
        let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
        let ask = async || reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed;
        let deadline = Instant::now() + PATIENCE;
        while !ask().await {
            assert!(Instant::now() < deadline, "{user} has no right to {right}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Copies of the files for one installation.
struct Copies<'a> {
    cluster: &'a Cluster,
    home: String,
    /// Where the pods would run, and the ServiceAccount is.
    pods: String,
}

impl Copies<'_> {
    /// The name of the copy of an object.
    fn name_of(&self, name: &str) -> String {
        format!("{name}.{}", self.pods)
    }

    /// Applies a copy of one of the files; `watched` takes the place of the namespace that stands for one more.
    async fn apply(&self, manifest: &str, watched: &str) {
        let client = self.cluster.client().await;
        let namespaces = BTreeMap::from([(HOME, self.home.as_str()), (PODS, self.pods.as_str()), (WATCHED, watched)]);
        for mut document in serde_saphyr::from_multiple::<Value>(manifest).unwrap() {
            self.rename(&mut document);
            move_to(&namespaces, &mut document);
            create(&client, document).await;
        }
    }

    /// A kubeconfig file of the controller, once its rights are in force at home and in these namespaces.
    async fn controllers_token(&self, beside: &[String]) -> PathBuf {
        let home = &self.home;
        let right =
            |place, group, resource| json!({"group": group, "resource": resource, "verb": "watch", "namespace": place});
        let places = [home].into_iter().chain(beside);
        let mut rights: Vec<Value> = places
            .flat_map(|place| [right(place, "minio-manager.io", "miniousers"), right(place, "", "secrets")])
            .collect();
        rights.push(json!({
            "group": "apiextensions.k8s.io", "resource": "customresourcedefinitions", "verb": "get",
            "name": "miniousers.minio-manager.io",
        }));
        let account = format!("system:serviceaccount:{home}:{CONTROLLER_NAME}");
        wait_until_allowed(&self.cluster.client().await, &account, &rights).await;
        self.cluster.kubeconfig_with(&service_account_token(self.cluster, home, CONTROLLER_NAME).await)
    }

    /// Gives all but the ServiceAccount a name of its own: other copies are in the cluster, perhaps for the same namespace.
    fn rename(&self, document: &mut Value) {
        if document["kind"] == "ServiceAccount" {
            return;
        }
        for name in ["/metadata/name", "/roleRef/name", "/spec/policyName"] {
            if let Some(name) = document.pointer_mut(name) {
                *name = json!(self.name_of(name.as_str().unwrap()));
            }
        }
        for rule in document["rules"].as_array_mut().into_iter().flatten() {
            if rule["resourceNames"] == json!([HOME]) {
                rule["resourceNames"] = json!([self.home]);
            }
        }
    }
}

/// A copy of the REST service's identity.
pub struct RestIdentity<'a> {
    copies: Copies<'a>,
    kubeconfig: PathBuf,
}

impl<'a> RestIdentity<'a> {
    /// Applies copies of the files for a home namespace, and waits until they are in force.
    pub async fn install(cluster: &'a Cluster, home: &str) -> Self {
        let pods = cluster.namespace("rest-pods").await;
        let copies = Copies { cluster, home: home.to_owned(), pods };
        copies.apply(ADMISSION, WATCHED).await;
        copies.apply(RBAC, WATCHED).await;
        let kubeconfig = cluster.kubeconfig_with(&service_account_token(cluster, &copies.pods, NAME).await);
        let identity = Self { copies, kubeconfig };
        identity.wait_until_in_force().await;
        identity
    }

    /// The namespace of its ServiceAccount.
    pub fn pods(&self) -> &str {
        &self.copies.pods
    }

    /// The name under which the API server knows it.
    pub fn username(&self) -> String {
        format!("system:serviceaccount:{}:{NAME}", self.copies.pods)
    }

    /// The name of its copy of an object.
    pub fn copy_of(&self, name: &str) -> String {
        self.copies.name_of(name)
    }

    /// The kubeconfig file of its holder.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Takes the right to watch a kind from it, by its name in the API; watches that run go on until their connection ends.
    pub async fn forbid_watching(&self, plural: &str) {
        let roles: Api<Role> = Api::namespaced(self.admin().await, self.home());
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
                "namespace": self.home(), "group": "minio-manager.io", "resource": plural, "verb": "watch",
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
        self.copies.cluster.client_as(&self.kubeconfig).await
    }

    async fn admin(&self) -> Client {
        self.copies.cluster.client().await
    }

    fn home(&self) -> &str {
        &self.copies.home
    }

    /// Applies a copy of one of the files.
    async fn apply(&self, manifest: &str) {
        self.copies.apply(manifest, WATCHED).await;
    }

    /// Lets it read in one more namespace, and waits until it may.
    pub async fn watch(&self, namespace: &str) {
        self.copies.apply(WATCHED_NAMESPACES, namespace).await;
        let right =
            json!({"group": "minio-manager.io", "resource": "pathshares", "verb": "watch", "namespace": namespace});
        wait_until_allowed(&self.admin().await, &self.username(), &[right]).await;
    }

    /// Lets it ask whose a token is, and waits until it may.
    pub async fn review_tokens(&self) {
        self.apply(TOKEN_REVIEWS).await;
        let right = json!({"group": "authentication.k8s.io", "resource": "tokenreviews", "verb": "create"});
        wait_until_allowed(&self.admin().await, &self.username(), &[right]).await;
    }

    /// Lets it have data deleted, as an installation may, and waits until that is in force.
    pub async fn permit_deletion_of_data(&self) {
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(self.admin().await);
        let mut policy = policies.get(&self.copy_of(NAME)).await.unwrap();
        let variables = policy.spec.as_mut().unwrap().variables.as_mut().unwrap();
        let switch = variables.iter_mut().find(|variable| variable.name == "mayDeleteData").unwrap();
        switch.expression = "true".to_owned();
        policies.replace(&policy.name_any(), &PostParams::default(), &policy).await.unwrap();
        let users: Api<DynamicObject> = Api::namespaced_with(self.client().await, self.home(), &resource("MinioUser"));
        let probe = json!({
            "apiVersion": "minio-manager.io/v1alpha1", "kind": "MinioUser",
            "metadata": {"name": "probe", "labels": {"minio-manager.io/origin": "rest"}},
            "spec": {"dataDeletionPolicy": "Delete"},
        });
        let (probe, deadline) = (serde_json::from_value(probe).unwrap(), Instant::now() + PATIENCE);
        while let Err(error) = users.create(&dry_run(), &probe).await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn wait_until_in_force(&self) {
        let api: Api<MinioUser> = Api::namespaced(self.client().await, self.home());
        let not_permitted = MinioUser::new("probe", MinioUserSpec::default());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = api.create(&dry_run(), &not_permitted).await.map(drop).map_err(|error| error.to_string());
            // Only who has the Role comes as far as the policy.
            if matches!(&answer, Err(error) if error.contains(&self.copy_of(NAME))) {
                return;
            }
            assert!(Instant::now() < deadline, "{} is not in force: {answer:?}", self.copy_of(NAME));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What the holder of a client may do in a namespace beyond what every service account may.
pub async fn own_rules(client: &Client, namespace: &str) -> BTreeSet<String> {
    let everybodys = rules(&bare_account(namespace).await, namespace).await;
    rules(client, namespace).await.difference(&everybodys).cloned().collect()
}

/// A service account that nobody has granted anything.
async fn bare_account(namespace: &str) -> Client {
    let cluster = Cluster::shared();
    let metadata = ObjectMeta { name: Some("bare".to_owned()), ..ObjectMeta::default() };
    let account = ServiceAccount { metadata, ..ServiceAccount::default() };
    let accounts = Api::namespaced(cluster.client().await, namespace);
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let token = service_account_token(cluster, namespace, "bare").await;
    cluster.client_as(&cluster.kubeconfig_with(&token)).await
}

/// What a rule gives, as `VERB RESOURCE.GROUP`, with the name of the object where it is for single ones.
pub fn rights(rule: &Value) -> BTreeSet<String> {
    let texts = |field: &str| -> Vec<String> { serde_json::from_value(rule[field].clone()).unwrap_or_default() };
    let names: Vec<String> = texts("resourceNames").iter().map(|name| format!(" {name}")).collect();
    let names = if names.is_empty() { vec![String::new()] } else { names };
    let mut rights = BTreeSet::new();
    for (group, resource) in
        texts("apiGroups").iter().flat_map(|group| texts("resources").into_iter().map(move |it| (group, it)))
    {
        for verb in texts("verbs") {
            rights.extend(names.iter().map(|name| format!("{verb} {resource}.{group}{name}")));
        }
    }
    rights
}

/// Everything that the holder of a client may do in a namespace, as [`rights`] has it, and as `VERB URL`.
async fn rules(client: &Client, namespace: &str) -> BTreeSet<String> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let review = Api::all(client.clone()).create(&PostParams::default(), &review).await.unwrap();
    let status = review.status.unwrap();
    assert!(!status.incomplete, "{:?}", status.evaluation_error);
    let mut found = BTreeSet::new();
    for rule in status.resource_rules {
        found.extend(rights(&json!(rule)));
    }
    for rule in status.non_resource_rules {
        let urls = rule.non_resource_urls.unwrap_or_default();
        found.extend(rule.verbs.iter().flat_map(|verb| urls.iter().map(move |url| format!("{verb} {url}"))));
    }
    found
}

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
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
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => {}
        // That of a replica which started before.
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => panic!("{} {:?}: {error}", types.kind, object.metadata.name),
    }
}
