//! `MinioInstance`: how the server and the controller are doing. Written by the controller only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{common::declared, meta, rules, schema};

/// The name of the one object that the controller keeps in the home namespace.
pub const MINIO_INSTANCE_NAME: &str = "default";

/// The kind has no spec: the configuration of the controller is not in the cluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "minio-manager.io",
    version = "v1alpha1",
    kind = "MinioInstance",
    doc = "How the MinIO server and its controller are doing. The controller creates it as default in its own namespace and keeps it; nothing is configured here.",
    namespaced,
    no_spec,
    status = "MinioInstanceStatus",
    derive = "PartialEq",
    category = "minio-manager",
    shortname = "mi",
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        json_path = ".status.endpoint",
        description = "The address of the server"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.version",
        description = "The version of the server"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the server is looked after"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is or is not"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Since when the object exists"
    ),
    printcolumn(
        name = "Last audit",
        type_ = "date",
        json_path = ".status.lastAudit",
        description = "When the server was last compared with the objects",
        priority = 1
    ),
    printcolumn(
        name = "Held",
        type_ = "string",
        json_path = ".status.heldChange.hash",
        description = "The hash of the change that waits for a person",
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
pub struct MinioInstanceFields {}

/// What is known about the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinioInstanceStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled. Stalled with LargeChange means that a change waits for a person: see heldChange.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The address at which the controller reaches the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::ENDPOINT_MAX))]
    pub endpoint: Option<String>,
    /// Whose server it is, as far as it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub vendor: Option<String>,
    /// The version that the server reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub version: Option<String>,
    /// A hash of the workspace layout that the controller works with. The REST service is not ready while it works with another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::HASH_MAX))]
    pub layout_hash: Option<String>,
    /// What the server and the controller's identity on it can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::CAPABILITIES_MAX), inner(length(max = rules::STATUS_NAME_MAX)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub capabilities: Vec<String>,
    /// What they cannot do, and what that costs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::CAPABILITIES_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub missing_capabilities: Vec<MissingCapability>,
    /// Which installation has claimed the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// When the users and attachments of the server were last compared with all objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_audit: Option<Time>,
    /// What has been waiting longest to be brought into force; absent when nothing waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unconverged: Option<Unconverged>,
    /// What exists on the server and no object describes. It is never touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmanaged: Option<UnmanagedCounts>,
    /// A change that would take away so much at once that a person has to look at it first; absent when nothing is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_change: Option<HeldChange>,
}

/// Something that the server or the controller's identity on it cannot do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissingCapability {
    /// The capability.
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub name: String,
    /// What does not work, or works more slowly, without it.
    #[schemars(length(max = rules::SENTENCE_MAX))]
    pub cost: String,
}

/// The mark on the server that keeps two installations from fighting over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The id of the installation that holds the claim: by default the uid of its namespace.
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub instance: String,
    /// Ours, or Foreign: then nothing is written until the controller is started with --take-over.
    pub state: ClaimState,
}

/// Whose claim it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClaimState {
    /// This installation's.
    Ours,
    /// Another installation's.
    Foreign,
}

/// A subject whose last change is not in force yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unconverged {
    /// User, Group, Everyone or Policy.
    pub kind: UnconvergedKind,
    /// The MinIO name; empty for Everyone.
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub name: String,
    /// Since when its change has been waiting.
    pub since: Time,
}

/// What is converged at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnconvergedKind {
    /// A user with its documents, policies and keys.
    User,
    /// A group with its twin.
    Group,
    /// What everyone may read.
    Everyone,
    /// A canned policy.
    Policy,
    /// The key of a MinioAccessKey, by namespace/name.
    Key,
}

/// How much of the server no object describes. What has not been counted is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnmanagedCounts {
    /// Users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// Groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<i64>,
    /// Policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<i64>,
    /// Access keys of managed users that the controller did not issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<i64>,
}

/// A change that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldChange {
    /// To let the change go ahead, put this value into the annotation minio-manager.io/acknowledge-large-change of this object.
    #[schemars(length(max = rules::HASH_MAX))]
    pub hash: String,
    /// How many users, groups, memberships, attachments and grants would go.
    pub removals: i64,
    /// Some of them, in words, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::HELD_SAMPLE_MAX), inner(length(max = rules::SENTENCE_MAX)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub sample: Vec<String>,
}

impl MinioInstance {
    /// The hash of the large change that a person has acknowledged.
    #[must_use]
    pub fn acknowledged_change(&self) -> Option<&str> {
        self.annotations().get(meta::annotation::ACKNOWLEDGE_LARGE_CHANGE).map(String::as_str)
    }
}

declared!(MinioInstance, |object| object.meta().name.as_deref().unwrap_or_default());
