//! `MinioGroup`: a tenant, its members, its folders and its read-only twin.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    AdoptionPolicy, DataDeletionPolicy, DeletionPolicy, DocumentSummary, Origin, PendingReference, Workspace,
    common::{declared, declared_or_object_name, null_as_default},
    rules, schema,
};

/// What somebody wants of a MinIO group.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "minio-manager.io",
    version = "v1alpha1",
    kind = "MinioGroup",
    doc = "A group of MinIO users (a tenant) with folders of its own, and a twin group whose members may only read them.",
    namespaced,
    status = "MinioGroupStatus",
    derive = "PartialEq",
    category = "minio-manager",
    shortname = "mg",
    validation = rules::group_name_immutable(),
    validation = rules::group_name_shape(),
    validation = rules::group_name_reserved(),
    printcolumn(name = "Group", type_ = "string", json_path = ".status.groupName", description = "The name of the MinIO group"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members.readWrite", description = "Members that read and write, from every object that names some"),
    printcolumn(name = "Readers", type_ = "integer", json_path = ".status.members.readOnly", description = "Members of the read-only twin"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the spec is in force"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the object exists"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", description = "The state in words", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::read_only_members_need_twin())]
pub struct MinioGroupSpec {
    /// The name of the group in MinIO, 2 to 62 letters and digits with single . _ or - between them. Default: metadata.name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = rules::GROUP_NAME_MIN, max = rules::GROUP_NAME_MAX), regex(pattern = rules::GROUP_NAME))]
    pub group_name: Option<String>,
    /// Users that read and write the folders of the group, by their MinIO name. Those of GroupMembership objects are added. A user that does not exist yet becomes a member when it appears. At most 10,000.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = rules::MEMBERS_MAX),
        inner(length(min = rules::USER_NAME_MIN, max = rules::USER_NAME_MAX), regex(pattern = rules::USER_NAME))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub members: Vec<String>,
    /// Users that only read the folders of the group: the members of its read-only twin. A user that is in members too may write. At most 1,000.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = rules::READ_ONLY_MEMBERS_MAX),
        inner(length(min = rules::USER_NAME_MIN, max = rules::USER_NAME_MAX), regex(pattern = rules::USER_NAME))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub read_only_members: Vec<String>,
    /// Users that may manage the members of the group and share its folders through the REST service. They need not be members. At most 100.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = rules::STEWARDS_MAX),
        inner(length(min = rules::USER_NAME_MIN, max = rules::USER_NAME_MAX), regex(pattern = rules::USER_NAME))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub stewards: Vec<String>,
    /// Whether there is a second group whose members may only read. Its name follows from the workspace layout, for example kbase-ro for kbase.
    #[serde(default, deserialize_with = "null_as_default")]
    pub read_only_twin: Twin,
    /// With false the group gives nothing to its members, who stay in it.
    #[serde(default = "enabled", deserialize_with = "null_as_enabled")]
    pub enabled: bool,
    /// Default gives the group the folders of the workspace layout. None gives only what grants and policies give.
    #[serde(default, deserialize_with = "null_as_default")]
    pub workspace: Workspace,
    /// Further policies of the group (not of its twin), by their MinIO name: that of a MinioPolicy, a built-in one such as readonly, or one that exists on the server. One that does not exist yet becomes active when it appears. At most 64.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = rules::POLICIES_MAX),
        inner(length(min = rules::POLICY_NAME_MIN, max = rules::POLICY_NAME_MAX), regex(pattern = rules::POLICY_NAME))
    )]
    #[x_kube(merge_strategy = ListMerge::Set, validation = rules::policies_not_derived())]
    pub policies: Vec<String>,
    /// What to do when MinIO has a group of this name, or of the twin's, already. Refuse leaves it alone and reports AlreadyExists; Adopt takes it over with the members and policies it has.
    #[serde(default, deserialize_with = "null_as_default")]
    pub adoption_policy: AdoptionPolicy,
    /// What happens to the MinIO group when this object is deleted. Default: Delete for a group that we created, Retain for one that was adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What happens to the data in the folders of the group when this object is deleted.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data_deletion_policy: DataDeletionPolicy,
}

impl Default for MinioGroupSpec {
    fn default() -> Self {
        Self {
            group_name: None,
            members: Vec::new(),
            read_only_members: Vec::new(),
            stewards: Vec::new(),
            read_only_twin: Twin::default(),
            enabled: enabled(),
            workspace: Workspace::default(),
            policies: Vec::new(),
            adoption_policy: AdoptionPolicy::default(),
            deletion_policy: None,
            data_deletion_policy: DataDeletionPolicy::default(),
        }
    }
}

/// Whether a group has a read-only twin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Twin {
    /// There is a twin.
    #[default]
    Enabled,
    /// There is none.
    Disabled,
}

/// What is known about the MinIO group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinioGroupStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, and further ones where there is something to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The name of the group in MinIO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub group_name: Option<String>,
    /// The name of the read-only twin in MinIO; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub twin_name: Option<String>,
    /// Created when we made the group in MinIO, Adopted when it was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The policy documents that were made for this group and its twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentSummary>,
    /// The members in force, from this object and from GroupMemberships.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<MemberCounts>,
    /// What the spec names and does not exist yet, the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::PENDING_MAX))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub pending: Vec<PendingReference>,
}

/// How many members a group has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberCounts {
    /// Members that read and write.
    #[serde(default)]
    pub read_write: i64,
    /// Members of the read-only twin.
    #[serde(default)]
    pub read_only: i64,
}

impl MinioGroup {
    /// The name of the MinIO group: `spec.groupName`, or `metadata.name`.
    #[must_use]
    pub fn group_name(&self) -> &str {
        declared_or_object_name(self.spec.group_name.as_ref(), self)
    }

    /// What the status says of the origin.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.status.as_ref().and_then(|s| s.origin)
    }

    /// The deletion policy in force.
    #[must_use]
    pub fn deletion_policy(&self) -> DeletionPolicy {
        DeletionPolicy::effective(self.spec.deletion_policy, self.origin())
    }
}

declared!(MinioGroup, |object| object.group_name());

const fn enabled() -> bool {
    true
}

fn null_as_enabled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(enabled))
}
