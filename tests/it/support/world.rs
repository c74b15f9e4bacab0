//! What a test sees of a product: its objects in the cluster, the state of its MinIO, and the people who use it.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::Location,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use minio_manager::{
    api::{GroupMembership, MinioAccessKey, MinioGroup, MinioInstance, MinioPolicy, MinioUser, PathShare},
    minio::{self, AccessKey, Credentials, UserEntry},
};
use serde_json::{Value, json};

use super::{
    kube::Cluster,
    minio::unique,
    product::{Product, Setup},
    s3::Caller,
};

/// How long anything may take that should happen at once; generous, because tests share a small machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

const OUR_VERSION: &str = "minio-manager.io/v1alpha1";
/// Between two looks, where a look is cheap. What takes longer, such as a list that the server seals at some cost, is looked at
/// less often: tests that wait shall not take the machine from those that work.
const PAUSE: Duration = Duration::from_millis(15);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// The product that a test uses: that of the process, or its own.
#[derive(Clone)]
enum Held {
    Shared(&'static Product),
    Own(Arc<Product>),
}

/// A product as a test sees it, with clients of the test's own.
#[derive(Clone)]
pub struct World {
    held: Held,
    kube: Client,
    minio: minio::Client,
    /// Where the objects of the test are.
    namespace: String,
}

impl World {
    /// The product that all tests share, for tests with names of their own.
    pub async fn shared() -> Self {
        Self::of(Held::Shared(Product::shared())).await
    }

    /// A product of one's own.
    pub async fn own(setup: Setup) -> Self {
        Self::of(Held::Own(Arc::new(Product::start(setup).await))).await
    }

    /// A product of one's own in another cluster than all others.
    pub async fn elsewhere(cluster: &Cluster, setup: Setup) -> Self {
        Self::seen_by(Held::Own(Arc::new(Product::start_in(cluster, setup).await)), cluster.client().await)
    }

    /// A product that several tests share, for tests with names of their own.
    pub async fn over(product: &'static Product) -> Self {
        Self::of(Held::Shared(product)).await
    }

    async fn of(held: Held) -> Self {
        Self::seen_by(held, Cluster::shared().client().await)
    }

    fn seen_by(held: Held, kube: Client) -> Self {
        let product = match &held {
            Held::Shared(product) => product,
            Held::Own(product) => product.as_ref(),
        };
        let (minio, namespace) = (product.minio().client(), product.namespace().to_owned());
        Self { held, kube, minio, namespace }
    }

    /// The same product, as somebody else sees it from another namespace.
    pub fn as_seen_from(&self, namespace: &str, kube: Client) -> Self {
        Self { kube, namespace: namespace.to_owned(), ..self.clone() }
    }

    /// The cluster, under the identity of the test.
    pub fn kube(&self) -> &Client {
        &self.kube
    }

    /// The program.
    pub fn product(&self) -> &Product {
        match &self.held {
            Held::Shared(product) => product,
            Held::Own(product) => product,
        }
    }

    /// Where the objects of the test are.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// MinIO as root.
    pub fn minio(&self) -> &minio::Client {
        &self.minio
    }
}

/// Objects in the cluster.
impl World {
    /// Applies every document of a text; `apiVersion` and the namespace may be left out.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            let refused = self.try_apply(yaml).await.err();
            assert!(refused.is_none(), "refused at {place}: {}\n{yaml}", refused.unwrap());
        }
    }

    /// As [`World::apply`]; what the API server refuses is an answer.
    pub async fn try_apply(&self, yaml: &str) -> Result<(), kube::Error> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        for mut document in documents {
            let kind = document["kind"].as_str().expect("a document has a kind").to_owned();
            let name = document["metadata"]["name"].as_str().expect("a document has a name").to_owned();
            document["apiVersion"] = if kind == "Secret" { json!("v1") } else { json!(OUR_VERSION) };
            document["metadata"]["namespace"] = json!(self.namespace());
            self.write(&kind, &name, document).await?;
        }
        Ok(())
    }

    /// Creates an object, or replaces what it declares; its metadata stays.
    ///
    /// Not by server-side apply, which refuses to take the last field away: `spec` would no longer be there.
    async fn write(&self, kind: &str, name: &str, mut document: Value) -> Result<(), kube::Error> {
        let (api, params) = (self.api(kind), PostParams::default());
        let metadata = document["metadata"].clone();
        let mut existing = None;
        loop {
            document["metadata"] =
                existing.as_ref().map_or(metadata.clone(), |object: &DynamicObject| json!(object.metadata));
            let wanted = serde_json::from_value(document.clone()).unwrap();
            let written = match existing {
                None => api.create(&params, &wanted).await,
                Some(_) => api.replace(name, &params, &wanted).await,
            };
            match written {
                // It is there already, or somebody else wrote in between, such as the product its finalizer.
                Err(kube::Error::Api(status)) if status.code == 409 => existing = api.get_opt(name).await?,
                written => return written.map(drop),
            }
        }
    }

    /// Merges `patch` into an object.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) {
        let patched = self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.unwrap_or_else(|error| panic!("{kind} {name} cannot be patched: {error}"));
    }

    /// Sets an annotation of ours, or removes it.
    pub async fn annotate(&self, kind: &str, name: &str, annotation: &str, value: Option<&str>) {
        let patch = json!({"metadata": {"annotations": {format!("minio-manager.io/{annotation}"): value}}});
        self.patch(kind, name, patch).await;
    }

    /// Deletes an object without waiting for its end.
    pub async fn delete(&self, kind: &str, name: &str) {
        let deleted = self.api(kind).delete(name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|error| panic!("{kind} {name} cannot be deleted: {error}"));
    }

    /// As [`World::delete`]; what the API server refuses is an answer, and that it was gone already is fine.
    pub async fn try_delete(&self, kind: &str, name: &str) -> Result<(), kube::Error> {
        match self.api(kind).delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// Deletes an object and waits until it is gone.
    #[track_caller]
    pub fn delete_and_wait(&self, kind: &str, name: &str) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            self.delete(kind, name).await;
            self.wait_at(place, kind, name, "it is gone", |object| object.is_none()).await;
        }
    }

    /// Waits until an object is gone.
    #[track_caller]
    pub fn gone(&self, kind: &str, name: &str) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move { drop(self.wait_at(place, kind, name, "it is gone", |object| object.is_none()).await) }
    }

    /// Waits until what an object says now is in force.
    #[track_caller]
    pub fn ready(&self, kind: &str, name: &str) -> impl Future<Output = View> {
        let place = Location::caller();
        async move { self.wait_view(place, kind, name, "it is Ready", |view| view.says("Ready", "True")).await }
    }

    /// Waits until `Ready` has this status and this reason for the current generation.
    #[track_caller]
    pub fn ready_is(&self, kind: &str, name: &str, status: &str, reason: &str) -> impl Future<Output = View> {
        let place = Location::caller();
        async move {
            let what = format!("Ready is {status}, {reason}");
            self.wait_view(place, kind, name, &what, |view| {
                view.says("Ready", status) && view.condition("Ready").is_some_and(|ready| ready["reason"] == reason)
            })
            .await
        }
    }

    /// Waits until the object is Stalled for this reason, and answers the message.
    #[track_caller]
    pub fn stalled(&self, kind: &str, name: &str, reason: &str) -> impl Future<Output = String> {
        let place = Location::caller();
        async move {
            let what = format!("it is Stalled, {reason}");
            let view = self
                .wait_view(place, kind, name, &what, |view| {
                    let stalled = |type_: &str| view.condition(type_).is_some_and(|c| c["reason"] == reason);
                    view.says("Stalled", "True")
                        && stalled("Stalled")
                        && view.says("Ready", "False")
                        && stalled("Ready")
                })
                .await;
            view.message("Stalled")
        }
    }

    /// Waits until the status for the current generation is as wanted.
    #[track_caller]
    pub fn observed(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        wanted: impl Fn(&View) -> bool,
    ) -> impl Future<Output = View> {
        let place = Location::caller();
        async move { self.wait_view(place, kind, name, what, wanted).await }
    }

    async fn wait_view(
        &self,
        place: &Location<'_>,
        kind: &str,
        name: &str,
        what: &str,
        wanted: impl Fn(&View) -> bool,
    ) -> View {
        let is_current = |object: &DynamicObject| {
            let view = View(json!(object));
            view.0["status"]["observedGeneration"] == view.0["metadata"]["generation"] && wanted(&view)
        };
        let found = self.wait_at(place, kind, name, what, |object| object.is_some_and(is_current)).await;
        View(json!(found))
    }

    async fn wait_at(
        &self,
        place: &Location<'_>,
        kind: &str,
        name: &str,
        what: &str,
        wanted: impl Fn(Option<&DynamicObject>) -> bool,
    ) -> Option<DynamicObject> {
        let awaited = async {
            loop {
                match await_condition(self.api(kind), name, |object: Option<&DynamicObject>| wanted(object)).await {
                    Ok(object) => return object,
                    // A watch may break, such as when somebody changes the CRD.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        };
        match tokio::time::timeout(PATIENCE, awaited).await {
            Ok(object) => object,
            Err(_) => {
                let object = self.find(kind, name).await;
                let shown = object.map_or("it does not exist".to_owned(), |view| view.shown());
                panic!("{kind} {name}: not so after {PATIENCE:?}: {what} ({place})\n{shown}\n{}", self.log_about(name))
            }
        }
    }

    /// What the product said about a name.
    fn log_about(&self, name: &str) -> String {
        let output = self.product().stdout() + &self.product().stderr();
        let lines: Vec<&str> = output.lines().filter(|line| line.contains(name)).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// An object as it is now.
    pub async fn find(&self, kind: &str, name: &str) -> Option<View> {
        self.api(kind).get_opt(name).await.unwrap().map(|object| View(json!(object)))
    }

    /// All objects of a kind.
    pub async fn objects(&self, kind: &str) -> Vec<View> {
        let list = self.api(kind).list(&ListParams::default()).await.unwrap();
        list.items.iter().map(|object| View(json!(object))).collect()
    }

    /// An object that must exist, as it is now.
    pub async fn view(&self, kind: &str, name: &str) -> View {
        self.find(kind, name).await.unwrap_or_else(|| panic!("{kind} {name} does not exist"))
    }

    /// A Secret as it is now.
    pub async fn secret(&self, name: &str) -> Option<Secret> {
        Api::<Secret>::namespaced(self.kube.clone(), self.namespace()).get_opt(name).await.unwrap()
    }

    /// The names of all Secrets of the namespace.
    pub async fn secret_names(&self) -> BTreeSet<String> {
        let secrets = Api::<Secret>::namespaced(self.kube.clone(), self.namespace());
        secrets.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect()
    }

    /// The reasons of all events about an object.
    pub async fn event_reasons(&self, kind: &str, name: &str) -> BTreeSet<String> {
        let events = Api::<Event>::namespaced(self.kube.clone(), self.namespace());
        let list = events.list(&ListParams::default()).await.unwrap();
        let about = |event: &&Event| {
            let regarding = event.regarding.as_ref();
            regarding.is_some_and(|r| r.kind.as_deref() == Some(kind) && r.name.as_deref() == Some(name))
        };
        list.iter().filter(about).filter_map(|event| event.reason.clone()).collect()
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.kube.clone(), self.namespace(), &resource(kind))
    }
}

/// The state of MinIO.
impl World {
    /// Writes objects as root, with what is needed for them.
    pub async fn seed(&self, paths: &[&str]) {
        for path in paths {
            let (bucket, key) = path.split_once('/').expect("a path has a bucket and a key");
            self.minio.create_bucket(bucket).await.unwrap();
            self.minio.put_object(bucket, key, "seed", false).await.unwrap();
        }
    }

    /// Every key below a prefix.
    pub async fn keys_below(&self, path: &str) -> Vec<String> {
        let (bucket, prefix) = path.split_once('/').expect("a path has a bucket and a key");
        let page = self.minio.list_objects(bucket, prefix, None, 1000).await.unwrap();
        page.objects.into_iter().map(|object| object.key).collect()
    }

    /// A MinIO user.
    pub async fn account(&self, user: &str) -> Option<UserEntry> {
        self.minio.user_info(user).await.unwrap()
    }

    /// A MinIO user that must exist.
    pub async fn expect_account(&self, user: &str) -> UserEntry {
        self.account(user).await.unwrap_or_else(|| panic!("MinIO has no user {user}"))
    }

    /// The access keys of a MinIO user.
    pub async fn access_keys(&self, user: &str) -> Vec<AccessKey> {
        self.minio.list_access_keys(user).await.unwrap()
    }

    /// The members of a group on MinIO; none where there is no such group.
    pub async fn members(&self, group: &str) -> Option<BTreeSet<String>> {
        self.minio.group_info(group).await.unwrap().map(|group| group.members)
    }

    /// A policy document, as text.
    pub async fn document(&self, name: &str) -> Option<String> {
        self.minio.policy_info(name).await.unwrap().map(|policy| policy.document.to_string())
    }

    /// A policy document by what it means: the server orders its parts as it likes.
    pub async fn meaning(&self, name: &str) -> Option<Value> {
        let policy = self.minio.policy_info(name).await.unwrap();
        policy.map(|policy| in_order(policy.document))
    }

    /// How often each document of a user's own was written, by its name.
    pub fn document_writes(&self, user: &str) -> BTreeMap<String, u64> {
        let base = format!("user-home-policy-{user}");
        let mut writes = BTreeMap::new();
        for line in self.product().audit() {
            let change = line["change"].as_str().unwrap_or_default();
            let Some(rest) = change.strip_prefix("write policy ") else { continue };
            let name = rest.split([' ', ':']).next().unwrap_or_default();
            if name.strip_prefix(&base).is_some_and(|number| number.is_empty() || number.starts_with("--")) {
                *writes.entry(name.to_owned()).or_default() += 1;
            }
        }
        writes
    }

    /// Waits until something holds on MinIO.
    #[track_caller]
    pub fn eventually<F: Future<Output = bool>>(
        &self,
        what: &str,
        mut holds: impl FnMut() -> F,
    ) -> impl Future<Output = Duration> {
        let place = Location::caller();
        async move {
            let started = Instant::now();
            loop {
                let look = Instant::now();
                if holds().await {
                    return started.elapsed();
                }
                if started.elapsed() > PATIENCE {
                    panic!("not so after {PATIENCE:?}: {what} ({place})\n{}", self.product().log_tail());
                }
                tokio::time::sleep((2 * look.elapsed()).clamp(PAUSE, LONGEST_PAUSE)).await;
            }
        }
    }
}

/// People.
impl World {
    /// Declares users of these names and waits until they can sign in.
    pub async fn users<const N: usize>(&self, names: [&str; N]) -> [Person; N] {
        let names = names.map(unique);
        let yaml: Vec<String> = names.iter().map(|name| user(name, "")).collect();
        self.apply(&yaml.join("---\n")).await;
        let mut people = Vec::new();
        for name in &names {
            people.push(self.person(name).await);
        }
        people.try_into().ok().expect("as many people as names")
    }

    /// One more user.
    pub async fn user(&self, name: &str) -> Person {
        let [person] = self.users([name]).await;
        person
    }

    /// The user of the `MinioUser` of this name, once it is Ready, with the key in its Secret.
    pub async fn person(&self, object: &str) -> Person {
        let view = self.ready("MinioUser", object).await;
        let name = view.0["status"]["username"].as_str().expect("a Ready user has a name").to_owned();
        let secret =
            view.0["status"]["credentials"]["secretName"].as_str().expect("a Ready user has a Secret").to_owned();
        Person { caller: self.caller(&secret).await, name, secret }
    }

    /// Whoever has the key in a Secret.
    pub async fn caller(&self, secret: &str) -> Caller {
        let data = self.secret(secret).await.unwrap_or_else(|| panic!("there is no Secret {secret}")).data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        let credentials = Credentials::new(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"));
        Caller::new(self.minio.clone(), credentials)
    }
}

/// A managed user with the key of its Secret.
#[derive(Clone)]
pub struct Person {
    /// The user on MinIO, which is also the name of the object.
    pub name: String,
    /// The Secret.
    pub secret: String,
    /// The key.
    pub caller: Caller,
}

impl Person {
    /// `lake/homes/NAME/rest`
    pub fn home(&self, rest: &str) -> String {
        format!("lake/homes/{}/{rest}", self.name)
    }
}

impl std::ops::Deref for Person {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// An object as it is.
#[derive(Clone, Debug)]
pub struct View(pub Value);

impl View {
    /// A condition.
    pub fn condition(&self, type_: &str) -> Option<&Value> {
        self.0["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
    }

    /// Whether a condition has this status.
    pub fn says(&self, type_: &str, status: &str) -> bool {
        self.condition(type_).is_some_and(|condition| condition["status"] == status)
    }

    /// The message of a condition; empty where there is none.
    pub fn message(&self, type_: &str) -> String {
        self.condition(type_).and_then(|condition| condition["message"].as_str()).unwrap_or_default().to_owned()
    }

    /// What a person looks at when something is wrong.
    fn shown(&self) -> String {
        let mut object = self.0.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        format!("{object:#}")
    }

    /// Something of the status.
    pub fn status(&self, pointer: &str) -> &Value {
        self.0["status"].pointer(pointer).unwrap_or(&Value::Null)
    }
}

/// A `MinioUser` of this name, with more fields of its spec in flow style.
pub fn user(name: &str, spec: &str) -> String {
    format!("kind: MinioUser\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

/// A `MinioGroup` of this name, with more fields of its spec in flow style.
pub fn group(name: &str, spec: &str) -> String {
    format!("kind: MinioGroup\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

/// A `PathShare` of `bucket/path`, with more fields of its spec in flow style.
pub fn share(name: &str, path: &str, spec: &str) -> String {
    format!("kind: PathShare\nmetadata: {{name: {name}}}\nspec: {{path: 's3a://{path}', {spec}}}\n")
}

/// A grant to a user, for the list in [`share`].
pub fn grant(name: &str, access: &str) -> String {
    format!("{{kind: User, name: {name}, access: {access}}}")
}

/// The instant so far from now, for `expiresAt`.
pub fn from_now(wait: Duration) -> Timestamp {
    Timestamp::now() + wait
}

/// The same with every list sorted.
fn in_order(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(in_order).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, in_order(value))).collect())
        }
        other => other,
    }
}

/// How the API server calls a kind.
pub fn resource(kind: &str) -> ApiResource {
    match kind {
        "MinioUser" => ApiResource::erase::<MinioUser>(&()),
        "MinioGroup" => ApiResource::erase::<MinioGroup>(&()),
        "GroupMembership" => ApiResource::erase::<GroupMembership>(&()),
        "PathShare" => ApiResource::erase::<PathShare>(&()),
        "MinioPolicy" => ApiResource::erase::<MinioPolicy>(&()),
        "MinioAccessKey" => ApiResource::erase::<MinioAccessKey>(&()),
        "MinioInstance" => ApiResource::erase::<MinioInstance>(&()),
        "Secret" => ApiResource::erase::<Secret>(&()),
        other => panic!("tests know nothing of kind {other}"),
    }
}
