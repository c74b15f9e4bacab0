//! One user, one namespace, one issuer: what every test here needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::watcher::Event;
use minio_manager::controller::credentials::{
    Check, Error, Fence, Issued, Issuer, KeyOwner, Recorded, Scope, SecretCache, Step, Template, default_secret_name,
};
use minio_manager::iam::declared::KeyRequests;
use minio_manager::iam::names::UserName;
use minio_manager::iam::subject::{Cause, Kind, ObjectKey};
use minio_manager::minio::{
    AccessKey, Call, Class, Client, Credentials, Holder, Observer, Outcome, Pacer, Urgency, generate_secret,
};

use crate::support::identity::controller_kubeconfig;
use crate::support::kube::Cluster;
use crate::support::minio::{Server, unique};

/// Counts what is asked of MinIO.
#[derive(Default)]
struct Counter(Mutex<BTreeMap<&'static str, usize>>);

impl Observer for Counter {
    fn observe(&self, call: Call, _: Outcome, _: Duration) {
        *self.0.lock().unwrap().entry(call.as_str()).or_default() += 1;
    }
}

pub struct Stage {
    pub root: Client,
    pub secrets: Api<Secret>,
    pub owner: KeyOwner,
    pub bucket: String,
    pub cache: Arc<SecretCache>,
    pub issuer: Issuer,
    /// Whether writes are allowed.
    pub leader: Arc<AtomicBool>,
    /// The cluster as the controller.
    kube: kube::Client,
    client: Client,
    counter: Arc<Counter>,
}

impl Stage {
    /// A user of MinIO that may read and write below `home/` in a bucket, and an owner for it without a key.
    pub async fn set() -> Self {
        let (server, cluster) = (Server::shared(), Cluster::shared());
        let root = server.client();
        let user = UserName::parse(&unique("user")).unwrap();
        let bucket = unique("bucket");
        root.create_bucket(&bucket).await.unwrap();
        root.put_object(&bucket, "other/private", "private", false).await.unwrap();
        root.add_user(user.as_str(), &generate_secret(), true).await.unwrap();
        let policy = unique("policy");
        let document = serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Action": ["admin:CreateServiceAccount", "admin:CreateUser"]},
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [format!("arn:aws:s3:::{bucket}/home/*")]},
        ]});
        root.put_policy(&policy, document.to_string()).await.unwrap();
        root.set_mapping(&Holder::User(user.to_string()), &BTreeSet::from([policy])).await.unwrap();

        let namespace = cluster.namespace("credentials").await;
        let kube = cluster.client_as(&controller_kubeconfig(cluster, &namespace, &[]).await).await;
        let counter = Arc::new(Counter::default());
        let mut config = server.config();
        config.observer = Some(Arc::clone(&counter) as Arc<dyn Observer>);
        let client = Client::new(config).unwrap();
        let owner = KeyOwner {
            kind: "MinioUser",
            namespace: namespace.clone(),
            object_name: "somebody".into(),
            uid: unique("uid"),
            secret_name: default_secret_name(&user),
            user,
            interval: SignedDuration::from_hours(24),
            overlap: SignedDuration::from_hours(24),
            ends_at: None,
            session_policy: None,
            enabled: true,
            waits: None,
            ends_all_keys: true,
            last: None,
            cause: Cause {
                object: ObjectKey::new(Kind::MinioUser, namespace.as_str(), "somebody"),
                uid: "uid".into(),
                generation: 1,
            },
            requests: KeyRequests::default(),
            handled: KeyRequests::default(),
        };
        let leader = Arc::new(AtomicBool::new(true));
        let (cache, issuer) = issuer(&kube, &client, &leader);
        listed(&cache, []);
        Self {
            root,
            secrets: Api::namespaced(cluster.client().await, &namespace),
            owner,
            bucket,
            cache,
            issuer,
            leader,
            kube,
            client,
            counter,
        }
    }

    /// Another process takes over: it knows what its first list shows, and not what the former one knew.
    pub async fn restart(&mut self) {
        (self.cache, self.issuer) = issuer(&self.kube, &self.client, &self.leader);
        self.relist().await;
    }

    /// The watch begins anew.
    pub async fn relist(&self) {
        let labelled = ListParams::default().labels("minio-manager.io/username-slug");
        listed(&self.cache, self.secrets.list(&labelled).await.unwrap().items);
    }

    pub async fn ensure(&self) -> Result<Option<Issued>, Error> {
        self.issuer.ensure(&self.owner, Check::Watched, Urgency::Routine, now()).await
    }

    /// Runs to the end, which must be good, and records what the status would.
    pub async fn settle(&mut self) -> Issued {
        let issued = self.ensure().await.unwrap().expect("an enabled user has a key");
        self.record(&issued);
        issued
    }

    pub fn record(&mut self, issued: &Issued) {
        let (secret_name, access_key) = (issued.secret_name.clone(), issued.access_key.clone());
        self.owner.last = Some(Recorded { secret_name, access_key });
    }

    /// The steps of a run to its end.
    pub async fn steps(&self, check: Check, now: Timestamp) -> Vec<Step> {
        let mut run = self.issuer.begin(&self.owner, check, Urgency::Routine, now);
        let mut steps = Vec::new();
        while steps.last() != Some(&Step::Finish) {
            steps.push(run.advance().await.unwrap());
        }
        steps
    }

    /// What was asked of MinIO since the last time.
    pub fn calls(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut *self.counter.0.lock().unwrap())
    }

    pub async fn secret(&self) -> Option<Secret> {
        self.secrets.get_opt(&self.owner.secret_name).await.unwrap()
    }

    pub async fn pending(&self) -> Option<Secret> {
        self.secrets.get_opt(&format!("{}.pending", self.owner.secret_name)).await.unwrap()
    }

    /// The keys that the server has below the user.
    pub async fn keys(&self) -> Vec<AccessKey> {
        self.root.list_access_keys(self.owner.user.as_str()).await.unwrap()
    }

    pub async fn key_ids(&self) -> BTreeSet<String> {
        self.keys().await.into_iter().map(|key| key.access_key).collect()
    }

    /// The Secret holds a key that does what its user may, and the pending Secret is gone.
    pub async fn assert_good(&self) -> Credentials {
        assert_eq!(self.pending().await, None, "a pending Secret is left");
        let credentials = credentials(&self.secret().await.expect("a Secret"));
        let client = self.root.with_credentials(credentials.clone());
        client.put_object(&self.bucket, "home/file", "text", false).await.unwrap();
        assert_eq!(client.get_object(&self.bucket, "home/file").await.unwrap().as_deref(), Some(&b"text"[..]));
        let denied = client.get_object(&self.bucket, "other/private").await.unwrap_err();
        assert_eq!(denied.class(), Class::Refused);
        credentials
    }

    /// Somebody else's Secret.
    pub async fn foreign(&self, name: &str) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.to_owned());
        secret.string_data = Some([("mine".to_owned(), "mine".to_owned())].into());
        self.secrets.create(&PostParams::default(), &secret).await.unwrap()
    }

    pub async fn delete_secret(&self, name: &str) {
        self.secrets.delete(name, &DeleteParams::default()).await.unwrap();
        self.relist().await;
    }
}

pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A text in a Secret.
pub fn text(secret: &Secret, name: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[name].0.clone()).unwrap()
}

/// The pair in a Secret.
pub fn credentials(secret: &Secret) -> Credentials {
    Credentials::new(text(secret, "AWS_ACCESS_KEY_ID"), text(secret, "AWS_SECRET_ACCESS_KEY"))
}

fn issuer(kube: &kube::Client, minio: &Client, leader: &Arc<AtomicBool>) -> (Arc<SecretCache>, Issuer) {
    let cache = Arc::new(SecretCache::new(Template::new(Server::shared().endpoint(), "us-east-1")));
    let leader = Arc::clone(leader);
    let fence: Fence = Arc::new(move |_| leader.load(Ordering::Relaxed));
    (Arc::clone(&cache), Issuer::new(kube.clone(), minio.clone(), Pacer::new(0), cache, fence))
}

fn listed(cache: &SecretCache, secrets: impl IntoIterator<Item = Secret>) {
    cache.handle(&Scope::All, Event::Init);
    for secret in secrets {
        cache.handle(&Scope::All, Event::InitApply(secret));
    }
    cache.handle(&Scope::All, Event::InitDone);
}
