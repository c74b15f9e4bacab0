//! The least that an installation costs: what the servers hold in the end, brought about once more by a client that knows it
//! beforehand, one call after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client as Kube, ResourceExt};
use minio_manager::minio::{Client, Credentials, Holder, NewAccessKey};
use serde_json::json;

use crate::support::kube::Cluster;
use crate::support::minio::Server;
use crate::support::world::{World, resource};

const KEY_LIFE: Duration = Duration::from_secs(48 * 3600);

/// A key of a user, as the controller would have it made.
pub fn new_key(user: &str) -> NewAccessKey {
    NewAccessKey {
        parent: user.to_owned(),
        credentials: Credentials::generate(),
        name: String::new(),
        description: String::new(),
        expiration: Some(Timestamp::now() + KEY_LIFE),
        session_policy: None,
    }
}

/// All that a MinIO holds.
pub struct State {
    documents: BTreeMap<String, String>,
    /// Users with their policies.
    users: BTreeMap<String, BTreeSet<String>>,
    /// Groups with their members and policies.
    groups: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
    keys: usize,
}

impl State {
    pub async fn read(minio: &Client) -> Self {
        let built_in = minio_manager::iam::names::BUILT_IN_POLICIES;
        let all = minio.list_all_policies().await.unwrap().into_iter();
        let ours = all.filter(|(name, _)| !built_in.contains(&name.as_str()));
        let documents = ours.map(|(name, document)| (name, document.to_string())).collect();
        let users = minio.list_users().await.unwrap().into_iter().map(|(name, entry)| (name, entry.policies)).collect();
        let mut groups = BTreeMap::new();
        for name in minio.list_all_groups().await.unwrap() {
            let info = minio.group_info(&name).await.unwrap().expect("a group that is listed");
            groups.insert(name, (info.members, info.policies));
        }
        let mut state = Self { documents, users, groups, keys: 0 };
        state.keys = state.users.len();
        state
    }

    /// The least number of writes: one for each document, account, group with its members, mapping and key.
    pub fn writes(&self) -> u64 {
        let mapped = self.groups.values().filter(|(_, policies)| !policies.is_empty()).count();
        (self.documents.len() + 2 * self.users.len() + self.groups.len() + mapped + self.keys) as u64
    }

    pub fn counts(&self) -> serde_json::Value {
        json!({
            "documents": self.documents.len(), "users": self.users.len(), "groups": self.groups.len(), "keys": self.keys,
        })
    }

    /// The same on another server, one call after the other.
    pub async fn bring_about(&self) -> Duration {
        let server = Server::start();
        let minio = server.client();
        minio.create_bucket("lake").await.unwrap();
        let started = Instant::now();
        for (name, document) in &self.documents {
            minio.put_policy(name, document.clone()).await.unwrap();
        }
        for (name, policies) in &self.users {
            minio.add_user(name, &Credentials::generate().secret, true).await.unwrap();
            minio.set_mapping(&Holder::User(name.clone()), policies).await.unwrap();
            minio.put_object("lake", &format!("homes/{name}/"), "", true).await.unwrap();
            let key = new_key(name);
            minio.add_access_key(&key).await.unwrap();
            minio.probe(&key.credentials).await.unwrap();
        }
        for (name, (members, policies)) in &self.groups {
            minio.update_group_members(name, members, false).await.unwrap();
            if !policies.is_empty() {
                minio.set_mapping(&Holder::Group(name.clone()), policies).await.unwrap();
            }
        }
        started.elapsed()
    }
}

/// All that a cluster holds of an installation.
pub struct Declarations {
    objects: Vec<(ApiResource, DynamicObject)>,
    secrets: Vec<Secret>,
}

impl Declarations {
    pub async fn read(world: &World) -> Self {
        let all = ListParams::default();
        let mut objects = Vec::new();
        for kind in ["MinioUser", "MinioGroup", "PathShare"] {
            let resource = resource(kind);
            let api = Api::<DynamicObject>::namespaced_with(world.kube().clone(), world.namespace(), &resource);
            let found = api.list(&all).await.unwrap().items;
            objects.extend(found.into_iter().map(|object| (resource.clone(), object)));
        }
        let secrets = Api::<Secret>::namespaced(world.kube().clone(), world.namespace());
        Self { objects, secrets: secrets.list(&all).await.unwrap().items }
    }

    /// The same in another namespace: each object declared, given its finalizer and its status, which for a user is that it may
    /// be taken and then how it stands; each Secret written ahead, published and cleared away.
    pub async fn bring_about(&self) -> Duration {
        let cluster = Cluster::shared();
        let (kube, namespace) = (cluster.client().await, cluster.namespace("floor").await);
        let started = Instant::now();
        for (resource, object) in &self.objects {
            let api = Api::<DynamicObject>::namespaced_with(kube.clone(), &namespace, resource);
            declare(&api, resource, object).await;
        }
        for secret in &self.secrets {
            publish(&kube, &namespace, secret).await;
        }
        started.elapsed()
    }
}

async fn declare(api: &Api<DynamicObject>, resource: &ApiResource, object: &DynamicObject) {
    let (name, params) = (object.name_any(), PatchParams::default());
    let mut fresh = DynamicObject::new(&name, resource);
    fresh.data = json!({"spec": object.data["spec"]});
    api.create(&PostParams::default(), &fresh).await.unwrap();
    let finalizer = json!({"metadata": {"finalizers": object.finalizers()}});
    api.patch(&name, &params, &Patch::Merge(finalizer)).await.unwrap();
    let status = &object.data["status"];
    let claim = json!({"username": status["username"], "origin": status["origin"]});
    let claims = status["origin"].is_string().then_some(&claim);
    for status in claims.into_iter().chain([status]) {
        api.patch_status(&name, &params, &Patch::Merge(json!({"status": status}))).await.unwrap();
    }
}

async fn publish(kube: &Kube, namespace: &str, secret: &Secret) {
    let api = Api::<Secret>::namespaced(kube.clone(), namespace);
    let named = |name: String| {
        let labels = secret.metadata.labels.clone();
        let metadata = ObjectMeta { name: Some(name), labels, ..ObjectMeta::default() };
        Secret { metadata, data: secret.data.clone(), type_: secret.type_.clone(), ..Secret::default() }
    };
    let (name, pending) = (secret.name_any(), format!("{}.pending", secret.name_any()));
    api.create(&PostParams::default(), &named(pending.clone())).await.unwrap();
    api.create(&PostParams::default(), &named(name)).await.unwrap();
    api.delete(&pending, &DeleteParams::default()).await.unwrap();
}
