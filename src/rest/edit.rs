//! Changes objects: created if absent, changed under their resource version, deleted by uid. Never a status, never a Secret.

mod describe;
mod ending;
mod list;
mod revise;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource};
use serde_json::json;

pub use revise::{Revised, Revision};

use super::app::Call;
use super::error::ApiError;
use super::view::Written;
use crate::api::SubjectKind;
use crate::api::meta::{field_manager, label};
use crate::iam::declared::Owner;
use crate::iam::names::{GroupName, UserName};
use crate::iam::path::S3Path;
use crate::iam::slug::{USER_SLUG_LENGTH, safe_slug, short_hash, user_slug};
use crate::iam::subject::ObjectKey;
use crate::kubernetes::{Error, Watched, call, call_until, key_of};

/// How often a change is made again on a newer version before the call gives up.
const TRIES: u32 = 12;
/// How many objects one call writes or reads at once.
pub const AT_ONCE: usize = 8;
/// What an admission policy's reason follows in the message of a refusal.
const DENIED: &str = "denied request:";
/// The longest name of an object that is a DNS label.
const LABEL_LENGTH: usize = 63;
/// The longest pause before the next try.
const LONGEST_PAUSE_MS: u64 = 120;

/// Writes objects of the home namespace.
#[derive(Clone)]
pub struct Editor {
    client: Client,
    namespace: String,
}

/// What came of creating an object.
#[derive(Debug)]
pub enum Created<K> {
    /// It is there now, as the server has it.
    New(K, Written),
    /// An object of this name is there already.
    Taken,
}

/// What came of changing an object.
#[derive(Debug)]
pub enum Changed<K> {
    /// It was changed, or was as it should be already.
    Done(K, Written),
    /// There is no such object.
    Absent,
}

impl Editor {
    /// Writes through `client` into `namespace`.
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        Self { client, namespace: namespace.into() }
    }

    /// The namespace of all objects that are written.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The metadata of an object that a call of `owner` makes.
    pub fn metadata(&self, name: &str, owner: &UserName) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(labels(user_slug(owner))),
            ..ObjectMeta::default()
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// The Kubernetes API is away or refuses.
    pub async fn create<K: Watched>(&self, by: &Call, object: &K) -> Result<Created<K>, ApiError> {
        let name = object.meta().name.clone().unwrap_or_default();
        let api = self.api::<K>();
        match call_until(by.deadline, "create", format!("{:?} {name}", K::KIND), api.create(&params(), object)).await {
            Ok(made) => {
                let written = written(&made);
                by.wrote(&written);
                Ok(Created::New(made, written))
            }
            Err(error) if error.code() == Some(409) => Ok(Created::Taken),
            Err(error) => Err(refused(error)),
        }
    }

    /// Changes an object as it is now; `edit` says whether there was anything to change. It may be called again, on a newer
    /// version.
    ///
    /// # Errors
    /// What `edit` refuses; the Kubernetes API is away or refuses; others keep writing the object.
    pub async fn change<K: Watched>(
        &self,
        by: &Call,
        name: &str,
        mut edit: impl FnMut(&mut K) -> Result<bool, ApiError>,
    ) -> Result<Changed<K>, ApiError> {
        let edit = |object: &mut K| Ok(if edit(object)? { Revision::Replace } else { Revision::Keep });
        match self.revise(by, name, None, edit).await? {
            Revised::Done(object, written) => Ok(Changed::Done(object, written)),
            Revised::Deleted(_) | Revised::Leaving(..) | Revised::Absent => Ok(Changed::Absent),
        }
    }

    /// Sets an annotation, on an object of anybody; the answer is the version that it has then.
    ///
    /// # Errors
    /// The Kubernetes API is away or refuses.
    pub async fn annotate<K: Watched>(
        &self,
        by: &Call,
        name: &str,
        uid: &str,
        key: &str,
        value: &str,
    ) -> Result<Changed<K>, ApiError> {
        let patch = json!({"metadata": {"uid": uid, "annotations": {key: value}}});
        let params = PatchParams { field_manager: Some(field_manager::REST.to_owned()), ..PatchParams::default() };
        let api = self.api::<K>();
        match call_until(by.deadline, "annotate", name, api.patch(name, &params, &Patch::Merge(&patch))).await {
            Ok(made) => {
                let written = written(&made);
                by.wrote(&written);
                Ok(Changed::Done(made, written))
            }
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(Changed::Absent),
            Err(error) => Err(refused(error)),
        }
    }

    /// Deletes the object with this uid; false where it was gone already.
    ///
    /// # Errors
    /// The Kubernetes API is away or refuses.
    pub async fn delete<K: Watched>(&self, by: &Call, key: &ObjectKey, uid: &str) -> Result<bool, ApiError> {
        self.delete_if::<K>(by, key, uid, None).await
    }

    /// Deletes an object as long as nobody has changed it since it was read; false where somebody has, or it was gone already.
    ///
    /// # Errors
    /// The Kubernetes API is away or refuses.
    pub async fn delete_unchanged<K: Watched>(&self, by: &Call, object: &K) -> Result<bool, ApiError> {
        let uid = object.meta().uid.clone().unwrap_or_default();
        self.delete_if::<K>(by, &key_of(K::KIND, object), &uid, object.meta().resource_version.clone()).await
    }

    async fn delete_if<K: Watched>(
        &self,
        by: &Call,
        key: &ObjectKey,
        uid: &str,
        resource_version: Option<String>,
    ) -> Result<bool, ApiError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version }),
            ..DeleteParams::default()
        };
        match call_until(by.deadline, "delete", key, self.api::<K>().delete(&key.name, &params)).await {
            Ok(_) => {
                by.wrote(&Written { key: key.clone(), uid: uid.into(), generation: 0 });
                Ok(true)
            }
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(false),
            Err(error) => Err(refused(error)),
        }
    }

    /// Reads a Secret.
    ///
    /// # Errors
    /// The Kubernetes API is away or refuses.
    pub async fn secret(&self, name: &str) -> Result<Option<Secret>, ApiError> {
        Ok(call("read", format!("Secret {name}"), self.api::<Secret>().get_opt(name)).await?)
    }
}

/// The name of an object, and that in case somebody else's has it. `identity` is what no other object of the kind shares.
pub fn names(plain: String, identity: &str) -> [String; 2] {
    let other = format!("{plain}-{}", short_hash(identity));
    [plain, other]
}

/// The name of the share of a path, and that in case another object has it.
pub fn share_names(owner: &Owner, path: &S3Path) -> [String; 2] {
    let (kind, name) = match owner {
        Owner::User(name) => (SubjectKind::User, name.as_str()),
        Owner::Group(name) => (SubjectKind::Group, name.as_str()),
    };
    let slug = safe_slug(name, USER_SLUG_LENGTH);
    let plain = format!("share-{slug}-{}", short_hash(&format!("{}/{}", path.bucket(), path.key())));
    names(plain, &format!("{kind} {name} {path}"))
}

/// The name of the members of a group that come from this service, and that in case another group's has it.
pub fn membership_names(group: &GroupName) -> [String; 2] {
    names(format!("rest-{}", safe_slug(group.as_str(), USER_SLUG_LENGTH)), group.as_str())
}

/// The name of the object of a group, and that in case another group's has it.
pub fn group_names(group: &GroupName) -> [String; 2] {
    let lower = group.as_str().to_ascii_lowercase();
    let is_label =
        lower.len() <= LABEL_LENGTH && lower.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let plain = if is_label { lower } else { safe_slug(group.as_str(), USER_SLUG_LENGTH) };
    names(plain, group.as_str())
}

/// The labels of an object of this service.
pub fn labels(owner: String) -> BTreeMap<String, String> {
    BTreeMap::from([(label::ORIGIN.to_owned(), label::ORIGIN_REST.to_owned()), (label::OWNER.to_owned(), owner)])
}

/// What the API server refuses for a reason that the caller can do something about is said in its words.
fn refused(error: Error) -> ApiError {
    match &error {
        Error::Api { source, .. } => match source.as_ref() {
            kube::Error::Api(status) if matches!(status.code, 400 | 422) => {
                tracing::info!(message = status.message, "the Kubernetes API refused an object");
                ApiError::plain(axum::http::StatusCode::BAD_REQUEST, status.message.clone())
            }
            kube::Error::Api(status) if status.code == 403 => match status.message.split_once(DENIED) {
                Some((_, why)) => ApiError::governance(why.trim()),
                None => error.into(),
            },
            _ => error.into(),
        },
        _ => error.into(),
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(field_manager::REST.to_owned()), ..PostParams::default() }
}

fn written<K: Watched + Debug>(object: &K) -> Written {
    Written {
        key: key_of(K::KIND, object),
        uid: object.meta().uid.as_deref().unwrap_or_default().into(),
        generation: object.meta().generation.unwrap_or_default(),
    }
}

async fn pause(attempt: u32) {
    let longest = (5u64 << attempt.min(5)).min(LONGEST_PAUSE_MS);
    tokio::time::sleep(Duration::from_millis(rand::random_range(1..=longest))).await;
}
