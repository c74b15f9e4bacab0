//! Types that several kinds share.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{meta, rules};

/// How much a grant or a membership gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    /// List and read.
    Read,
    /// List, read, write and delete.
    ReadWrite,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "Read",
            Self::ReadWrite => "ReadWrite",
        })
    }
}

/// Whether a user or group gets the folders that the workspace layout describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Workspace {
    /// The folders and the access of the layout.
    #[default]
    Default,
    /// No folder, and no access but what grants and policies give.
    None,
}

/// What to do when the name exists on the server already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// Leave it alone and report `AlreadyExists`.
    #[default]
    Refuse,
    /// Take it over as it is.
    Adopt,
}

/// What happens on the server when the object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted on the server too.
    Delete,
    /// It stays on the server as it is.
    Retain,
}

impl DeletionPolicy {
    /// The policy in force: the declared one, else Delete for what was created and Retain for what was adopted.
    #[must_use]
    pub fn effective(declared: Option<Self>, origin: Option<Origin>) -> Self {
        declared.unwrap_or(match origin {
            Some(Origin::Adopted) => Self::Retain,
            Some(Origin::Created) | None => Self::Delete,
        })
    }
}

/// What happens to the data in the folders when the object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DataDeletionPolicy {
    /// The data stays.
    #[default]
    Retain,
    /// The data is deleted.
    Delete,
}

/// Whether the thing on the server is ours from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// We made it.
    Created,
    /// It was there before.
    Adopted,
}

/// Who can hold a grant or own a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SubjectKind {
    /// A MinIO user.
    User,
    /// A MinIO group.
    Group,
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "User",
            Self::Group => "Group",
        })
    }
}

/// A user or a group, by its MinIO name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::subject_name())]
pub struct Subject {
    /// User or Group.
    pub kind: SubjectKind,
    /// The MinIO name: spec.username of a MinioUser or spec.groupName of a MinioGroup, which is not always its metadata.name.
    #[schemars(length(min = rules::GROUP_NAME_MIN, max = rules::USER_NAME_MAX), regex(pattern = rules::USER_NAME))]
    pub name: String,
}

/// What an object may refer to before it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ReferenceKind {
    /// A MinIO user.
    User,
    /// A MinIO group, or its read-only twin.
    Group,
    /// A canned policy.
    Policy,
}

/// Why a reference is not in force yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PendingReason {
    /// No managed user has this name; active by itself as soon as one does.
    UserNotFound,
    /// No managed group has this name; active by itself as soon as one does.
    GroupNotFound,
    /// The server has no policy of this name, and no MinioPolicy declares it.
    PolicyNotFound,
    /// The owner has used up the number of grants it may make.
    QuotaExceeded,
    /// ReadWrite for a read-only twin: grant Read, or name the group itself.
    ReadOnlyGroup,
    /// Read membership in a group whose readOnlyTwin is Disabled.
    TwinDisabled,
}

/// A reference that is declared, and not in force yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingReference {
    /// What is referred to: User, Group or Policy.
    pub kind: ReferenceKind,
    /// Its MinIO name.
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub name: String,
    /// Why it is not in force.
    pub reason: PendingReason,
}

/// Grants or memberships by state. Each is exactly one of the three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantCounts {
    /// In force, including those that a wider grant covers and those of disabled users and groups.
    #[serde(default)]
    pub active: i64,
    /// Waiting for something: see pending.
    #[serde(default)]
    pub pending: i64,
    /// Past their expiresAt.
    #[serde(default)]
    pub expired: i64,
}

/// The policy documents of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentSummary {
    /// How many documents the subject has on the server.
    #[serde(default)]
    pub count: i64,
    /// Their size together, in bytes. The server refuses one above 20,480.
    #[serde(default)]
    pub bytes: i64,
}

/// What every kind has in common.
pub trait Declared: ResourceExt {
    /// The kind, as in a manifest.
    const KIND: &'static str;

    /// What the object is about: the MinIO name it declares, the group of a membership, the path of a share.
    fn identity(&self) -> &str;

    /// `status.observedGeneration`.
    fn observed_generation(&self) -> Option<i64>;

    /// `status.conditions`; empty before the first status.
    fn conditions(&self) -> &[Condition];

    /// The condition of this type.
    fn condition(&self, type_: &str) -> Option<&Condition> {
        condition(self.conditions(), type_)
    }

    /// Whether the condition of this type is there and True.
    fn is_true(&self, type_: &str) -> bool {
        self.condition(type_).is_some_and(|c| c.status == "True")
    }

    /// Whether the status speaks of the spec as it is now.
    fn is_observed(&self) -> bool {
        self.observed_generation().is_some() && self.observed_generation() == self.meta().generation
    }
}

/// Implements [`Declared`] for a kind, whose statuses all begin alike; the expression is the identity of an object.
macro_rules! declared {
    ($kind:ident, |$object:ident| $identity:expr) => {
        impl $crate::api::Declared for $kind {
            const KIND: &'static str = stringify!($kind);

            fn identity(&self) -> &str {
                let $object = self;
                $identity
            }

            fn observed_generation(&self) -> Option<i64> {
                self.status.as_ref().and_then(|status| status.observed_generation)
            }

            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }
        }
    };
}
pub(super) use declared;

/// What people ask for by annotation and label, on any kind.
pub trait Requests: ResourceExt {
    /// The value of an annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations().get(key).map(String::as_str)
    }

    /// Whether nothing may be written for this object.
    fn is_paused(&self) -> bool {
        self.annotation(meta::annotation::RECONCILE) == Some(meta::annotation::PAUSED)
    }

    /// The reason of the lock, where there is one. An empty reason locks too.
    fn lock(&self) -> Option<&str> {
        self.annotation(meta::annotation::LOCK)
    }

    /// The value that asks for a rotation, shortened to what the status can hold.
    fn rotate_request(&self) -> Option<String> {
        self.annotation(meta::annotation::ROTATE).map(handled_value)
    }

    /// The value that asks for a revocation, shortened to what the status can hold.
    fn revoke_request(&self) -> Option<String> {
        self.annotation(meta::annotation::REVOKE).map(handled_value)
    }

    /// Whether a deletion may finish without MinIO.
    fn is_force_delete(&self) -> bool {
        self.annotation(meta::annotation::FORCE_DELETE) == Some(meta::annotation::TRUE)
    }

    /// Whether our finalizer is on the object.
    fn has_finalizer(&self) -> bool {
        self.finalizers().iter().any(|f| f == meta::FINALIZER)
    }

    /// Whether the REST service made the object.
    fn is_origin_rest(&self) -> bool {
        self.labels().get(meta::label::ORIGIN).is_some_and(|v| v == meta::label::ORIGIN_REST)
    }
}

impl<K: ResourceExt> Requests for K {}

/// The condition of this type in a list of conditions.
#[must_use]
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// The declared name, or metadata.name where there is none.
pub(super) fn declared_or_object_name<'a>(declared: Option<&'a String>, object: &'a impl ResourceExt) -> &'a str {
    declared.or(object.meta().name.as_ref()).map_or("", String::as_str)
}

/// Takes an explicit null as absent, as the API server does.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For `skip_serializing_if`: whether the field says nothing.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn handled_value(value: &str) -> String {
    value.chars().take(rules::HANDLED_VALUE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{MinioGroup, MinioUser, PathShare};

    fn user(value: serde_json::Value) -> MinioUser {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn absent_names_are_those_of_the_object() {
        let mut object = json!({"metadata": {"name": "alice"}, "spec": {}});
        assert_eq!(user(object.clone()).identity(), "alice");
        object["spec"]["username"] = json!("Alice.B");
        assert_eq!(user(object).identity(), "Alice.B");
        let group: MinioGroup = serde_json::from_value(json!({"metadata": {"name": "kb"}, "spec": {}})).unwrap();
        assert_eq!((group.identity(), group.spec.enabled), ("kb", true));
    }

    #[test]
    fn files_may_say_null_as_the_api_server_allows() {
        let spec = json!({"workspace": null, "policies": null, "credentials": null, "enabled": null});
        let parsed = user(json!({"metadata": {"name": "alice"}, "spec": spec}));
        assert_eq!(parsed.spec, crate::api::MinioUserSpec::default());
        let group = json!({"metadata": {"name": "kb"}, "spec": {"enabled": null, "members": null}});
        assert!(serde_json::from_value::<MinioGroup>(group).unwrap().spec.enabled);
    }

    #[test]
    fn deletion_follows_the_origin_unless_declared() {
        let mut object = json!({"metadata": {"name": "alice"}, "spec": {}});
        assert_eq!(user(object.clone()).deletion_policy(), DeletionPolicy::Delete);
        object["status"] = json!({"origin": "Adopted"});
        assert_eq!(user(object.clone()).deletion_policy(), DeletionPolicy::Retain);
        object["spec"]["deletionPolicy"] = json!("Delete");
        assert_eq!(user(object).deletion_policy(), DeletionPolicy::Delete);
    }

    #[test]
    fn conditions_and_generations_are_read() {
        let mut object = json!({
            "metadata": {"name": "p", "generation": 3},
            "spec": {"path": "s3a://lake/a"},
            "status": {"observedGeneration": 2, "conditions": [{
                "type": "Ready", "status": "True", "reason": "Converged", "message": "",
                "lastTransitionTime": "2026-11-21T12:00:00Z",
            }]},
        });
        let share: PathShare = serde_json::from_value(object.clone()).unwrap();
        assert!(share.is_true(meta::condition::READY) && !share.is_true(meta::condition::STALLED));
        assert!(!share.is_observed());
        object["metadata"]["generation"] = json!(2);
        assert!(serde_json::from_value::<PathShare>(object.clone()).unwrap().is_observed());
        object.as_object_mut().unwrap().remove("status");
        object["metadata"].as_object_mut().unwrap().remove("generation");
        assert!(!serde_json::from_value::<PathShare>(object).unwrap().is_observed());
    }

    #[test]
    fn annotations_are_requests() {
        let long = "ü".repeat(300);
        let object = user(json!({
            "metadata": {
                "name": "alice",
                "annotations": {
                    "minio-manager.io/lock": "", "minio-manager.io/rotate": long, "minio-manager.io/reconcile": "on",
                },
                "labels": {"minio-manager.io/origin": "rest"},
                "finalizers": ["minio-manager.io/finalizer"],
            },
            "spec": {},
        }));
        assert_eq!(object.lock(), Some(""));
        assert_eq!(object.rotate_request().unwrap().chars().count(), rules::HANDLED_VALUE_MAX);
        assert_eq!(object.revoke_request(), None);
        assert!(object.is_origin_rest() && object.has_finalizer());
        assert!(!object.is_paused() && !object.is_force_delete());
    }
}
