//! `PathShare`: who may read or write one path.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Access, GrantCounts, PendingReference, Subject, SubjectKind,
    common::{declared, null_as_default},
    rules, schema,
};

/// Who should have access to a path.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "minio-manager.io",
    version = "v1alpha1",
    kind = "PathShare",
    doc = "Access to one path and everything below it, for users, groups or everyone. Several objects may share one path; what they grant adds up.",
    namespaced,
    status = "PathShareStatus",
    derive = "PartialEq",
    category = "minio-manager",
    shortname = "ps",
    printcolumn(name = "Path", type_ = "string", json_path = ".spec.path", description = "The shared path"),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner.name", description = "Whose path it is"),
    printcolumn(
        name = "Everyone",
        type_ = "string",
        json_path = ".spec.everyone",
        description = "What every enabled managed user may do"
    ),
    printcolumn(
        name = "Active",
        type_ = "integer",
        json_path = ".status.grants.active",
        description = "Grants in force"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the spec is in force"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Since when the object exists"
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.grants.pending",
        description = "Grants that wait for something",
        priority = 1
    ),
    printcolumn(
        name = "Next expiry",
        type_ = "string",
        json_path = ".status.nextExpiry",
        description = "When the next grant ends",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "The state in words",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PathShareSpec {
    /// The path, s3://BUCKET/KEY or s3a://BUCKET/KEY, for example s3a://lake/homes/alice/data/exp1/. It is taken literally, without wildcards, and means itself and everything below; a slash at its end makes no difference. At most 1,024 bytes after the bucket. Immutable.
    #[schemars(length(min = rules::PATH_MIN, max = rules::PATH_MAX), regex(pattern = rules::PATH))]
    #[x_kube(
        validation = rules::path_immutable(),
        validation = rules::path_form(),
        validation = rules::path_bucket(),
        validation = rules::path_empty_segment(),
        validation = rules::path_dot_segment(),
        validation = rules::path_wildcard(),
        validation = rules::path_control_character(),
        validation = rules::path_key_length(),
        validation = rules::path_segment_length()
    )]
    pub path: String,
    /// The user or group whose workspace folders contain the path. Nothing is in force unless they do. Outside the installation's own namespace a share must have an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Subject>,
    /// Who gets access, one entry per user or group. At most 1,000.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::GRANTS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub grants: Vec<Grant>,
    /// Read lets every enabled managed user read the path. Nobody else: this is not anonymous access.
    #[serde(default, deserialize_with = "null_as_default")]
    pub everyone: Everyone,
    /// With true nothing of this share is in force.
    #[serde(default, deserialize_with = "null_as_default")]
    pub suspended: bool,
}

/// What every enabled managed user may do with a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Everyone {
    /// Nothing.
    #[default]
    None,
    /// List and read.
    Read,
}

/// Access for one user or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::grant_name(), validation = rules::grant_not_everyone())]
pub struct Grant {
    /// User or Group.
    pub kind: SubjectKind,
    /// The MinIO name of the user, of the group, or of the group's read-only twin (which can be granted Read only). It may come later than this object.
    #[schemars(length(min = rules::GROUP_NAME_MIN, max = rules::GRANT_NAME_MAX), regex(pattern = rules::USER_NAME))]
    pub name: String,
    /// Read lets them list and read, ReadWrite also write and delete.
    pub access: Access,
    /// When the grant ends, to the second, for example 2027-01-31T00:00:00Z. Where absent it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub expires_at: Option<Time>,
    /// Why, for people, at most 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::REASON_MAX))]
    pub reason: Option<String>,
}

/// What is known about the grants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathShareStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready (what this generation says is in force on the server, and what it no longer says is not), Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The uid of the MinioUser or MinioGroup that owned the path when the share came into force. A new owner of the same name does not revive it.
    #[serde(default, rename = "ownerUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::UID_MAX))]
    pub owner_uid: Option<String>,
    /// The grants by state. Access for everyone is not counted, and nothing is while the share is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantCounts>,
    /// The grants that are not in force yet, the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::PENDING_MAX))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub pending: Vec<PendingReference>,
    /// When the next grant ends; absent when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<Time>,
}

declared!(PathShare, |object| &object.spec.path);
