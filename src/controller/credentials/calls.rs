//! The calls that the steps consist of.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};

use super::error::{Error, KubernetesFailure};
use super::issue::Issuer;
use super::secret::{IssuedKey, SecretFacts};
use super::steps::Seen;
use super::{KeyOwner, mark};
use crate::api::meta::field_manager;
use crate::iam::subject::Subject;
use crate::kubernetes::namespace::is_going;
use crate::minio::{self, AccessKey, Class, Credentials, KeyState, NewAccessKey, Permit, Urgency};
use crate::telemetry::{AuditLine, audit};

/// How long a call of the Kubernetes API may take.
const KUBERNETES_DEADLINE: Duration = Duration::from_secs(5);
/// How long a change of MinIO may take.
const MINIO_DEADLINE: Duration = Duration::from_secs(3);

/// Whether a Secret is the owner's.
pub(super) fn is_ours(owner: &KeyOwner, secret: &Secret) -> bool {
    secret.metadata.owner_references.iter().flatten().any(|reference| reference.uid == owner.uid)
}

/// What came of creating a key.
pub(super) enum Created {
    /// It exists from now on.
    Now,
    /// Its id existed before.
    Taken,
}

/// The calls for one owner: each with its deadline, each write behind the fence.
#[derive(Clone, Copy)]
pub(super) struct Calls<'a> {
    pub(super) issuer: &'a Issuer,
    pub(super) owner: &'a KeyOwner,
    pub(super) urgency: Urgency,
}

impl Calls<'_> {
    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.issuer.kube.clone(), &self.owner.namespace)
    }

    /// Reads a Secret without taking note of it. In a namespace that is deleted there is none any more, whatever is still there:
    /// the right to read it may be gone already.
    pub(super) async fn look_at(&self, name: &str) -> Result<Option<Secret>, Error> {
        match within_deadline(self.secrets().get_opt(name)).await {
            Err(failure) if failure.is(403) && self.is_leaving().await => Ok(None),
            answer => answer.map_err(|error| self.kubernetes("read", name, error)),
        }
    }

    async fn is_leaving(&self) -> bool {
        is_going(self.issuer.kube.clone(), &self.owner.namespace).await
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<Secret>, Error> {
        let secret = self.look_at(name).await?;
        if secret.is_none() {
            self.issuer.cache.missing(&self.owner.namespace, name);
        }
        Ok(secret)
    }

    /// Whose it is. What is ours is remembered, and that there is one of somebody else.
    pub(super) fn seen(&self, secret: Option<&Secret>) -> Seen {
        match secret {
            None => Seen::Absent,
            Some(secret) if is_ours(self.owner, secret) => Seen::Ours(self.issuer.cache.saw(secret)),
            Some(secret) => {
                self.issuer.cache.taken(&self.owner.namespace, secret.metadata.name.as_deref().unwrap_or_default());
                Seen::Foreign(self.holder(secret))
            }
        }
    }

    /// Whose somebody else's Secret is, in words.
    fn holder(&self, secret: &Secret) -> String {
        let words = SecretFacts::of(secret, self.issuer.cache.template()).owner_in_words;
        let is_namesake = words == format!("{} {}", self.owner.kind, self.owner.object_name);
        if is_namesake { format!("a former {words}") } else { words }
    }

    /// None where a Secret of that name exists already.
    pub(super) async fn create(&self, secret: Secret) -> Result<Option<Secret>, Error> {
        let (secrets, params) = (self.secrets(), post_params());
        self.write("create", &secret, secrets.create(&params, &secret), 409).await
    }

    /// None where the Secret is no longer the one that was read.
    pub(super) async fn replace(&self, secret: Secret) -> Result<Option<Secret>, Error> {
        let (secrets, params) = (self.secrets(), post_params());
        let name = secret.metadata.name.clone().unwrap_or_default();
        match self.write("replace", &secret, secrets.replace(&name, &params, &secret), 409).await {
            Err(Error::Kubernetes { source, .. }) if source.is(404) => Ok(None),
            result => result,
        }
    }

    async fn write(
        &self,
        action: &'static str,
        secret: &Secret,
        call: impl Future<Output = kube::Result<Secret>>,
        lost_race: u16,
    ) -> Result<Option<Secret>, Error> {
        self.check_fence(KUBERNETES_DEADLINE)?;
        let (cache, name) = (&self.issuer.cache, secret.metadata.name.as_deref().unwrap_or_default());
        cache.announce(secret);
        match within_deadline(call).await {
            Ok(written) => {
                cache.saw(&written);
                Ok(Some(written))
            }
            Err(failure) => {
                cache.doubt(&self.owner.namespace, name);
                if failure.is(lost_race) { Ok(None) } else { Err(self.kubernetes(action, name, failure)) }
            }
        }
    }

    pub(super) async fn delete(&self, secret: &Secret) -> Result<(), Error> {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        self.delete_by_uid(name, secret.metadata.uid.as_deref().unwrap_or_default()).await
    }

    pub(super) async fn delete_by_uid(&self, name: &str, uid: &str) -> Result<(), Error> {
        self.check_fence(KUBERNETES_DEADLINE)?;
        let (cache, namespace) = (&self.issuer.cache, &self.owner.namespace);
        cache.deleted(namespace, name, uid, false);
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match within_deadline(self.secrets().delete(name, &params)).await {
            Err(failure) if !(failure.is(404) || failure.is(403) && self.is_leaving().await) => {
                cache.doubt(namespace, name);
                Err(self.kubernetes("delete", name, failure))
            }
            _ => {
                cache.deleted(namespace, name, uid, true);
                Ok(())
            }
        }
    }

    pub(super) async fn probe(&self, credentials: &Credentials) -> Result<KeyState, Error> {
        self.issuer.minio.probe(credentials).await.map_err(|error| self.minio("prove a key", error))
    }

    /// The keys of the user; none where there is no such user.
    pub(super) async fn keys(&self) -> Result<Vec<AccessKey>, Error> {
        match self.issuer.minio.list_access_keys(self.owner.user.as_str()).await {
            Err(error) if error.is_absent() => Ok(Vec::new()),
            result => result.map_err(|error| self.minio("list the keys", error)),
        }
    }

    pub(super) async fn create_key(&self, pair: &IssuedKey) -> Result<Created, Error> {
        let key = NewAccessKey {
            parent: self.owner.user.to_string(),
            credentials: pair.credentials.clone(),
            name: mark::name(&self.owner.uid),
            description: mark::description(self.owner, pair.issued_at),
            expiration: Some(pair.expires_at),
            session_policy: self.owner.session_policy.as_ref().map(|document| serde_json::json!(document)),
        };
        let _turn = self.turn().await?;
        match self.issuer.minio.add_access_key(&key).await {
            Ok(()) => {
                self.record(format!("create access key {}", key.credentials.access_key), Some(pair.expires_at));
                Ok(Created::Now)
            }
            Err(error) if error.class() == Class::Conflict => Ok(Created::Taken),
            Err(error) => Err(self.minio("create a key", error)),
        }
    }

    pub(super) async fn revoke_sessions(&self) -> Result<(), Error> {
        let _turn = self.turn().await?;
        let user = self.owner.user.as_str();
        self.issuer.minio.revoke_tokens(user).await.map_err(|error| self.minio("end the sessions", error))?;
        self.record("end all sessions", None);
        Ok(())
    }

    pub(super) async fn delete_key(&self, access_key: &str) -> Result<(), Error> {
        let _turn = self.turn().await?;
        let deleted = self.issuer.minio.delete_access_key(access_key).await;
        if deleted.map_err(|error| self.minio("delete a key", error))? {
            self.record(format!("delete access key {access_key}"), None);
        }
        Ok(())
    }

    /// Writes the audit line of a change that was made; a new key lives until `expires_at`.
    fn record(&self, change: impl Into<String>, expires_at: Option<Timestamp>) {
        let (subject, after) = (Subject::User(self.owner.user.clone()), expires_at.map(|time| time.to_string()));
        audit::record(&AuditLine::new(&subject, change, None, after, [self.owner.cause.clone()]));
    }

    /// The turn for one change of MinIO. The lease is looked at after the wait, which may be long.
    async fn turn(&self) -> Result<Permit, Error> {
        let permit = self.issuer.pacer.acquire(self.urgency).await;
        self.check_fence(MINIO_DEADLINE)?;
        Ok(permit)
    }

    fn check_fence(&self, deadline: Duration) -> Result<(), Error> {
        if (self.issuer.fence)(deadline) { Ok(()) } else { Err(Error::Fenced) }
    }

    fn kubernetes(&self, action: &'static str, name: &str, source: KubernetesFailure) -> Error {
        Error::Kubernetes { action, namespace: self.owner.namespace.clone(), name: name.to_owned(), source }
    }

    fn minio(&self, action: &'static str, source: minio::Error) -> Error {
        Error::Minio { action, user: self.owner.user.to_string(), source }
    }
}

fn post_params() -> PostParams {
    PostParams { field_manager: Some(field_manager::CONTROLLER.to_owned()), ..PostParams::default() }
}

async fn within_deadline<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, KubernetesFailure> {
    match tokio::time::timeout(KUBERNETES_DEADLINE, call).await {
        Ok(result) => result.map_err(KubernetesFailure::from),
        Err(_) => Err(KubernetesFailure::Timeout(KUBERNETES_DEADLINE.as_secs())),
    }
}
