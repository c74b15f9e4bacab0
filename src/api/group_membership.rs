//! `GroupMembership`: members of a group that another object declares.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    Access, GrantCounts, PendingReference,
    common::{declared, null_as_default},
    rules, schema,
};

/// Who should be in a group.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "minio-manager.io",
    version = "v1alpha1",
    kind = "GroupMembership",
    doc = "Members of a group that is declared elsewhere. A group may have any number of these; its members are those of all of them and of the MinioGroup together, so that git, the REST service and people never edit one list.",
    namespaced,
    status = "GroupMembershipStatus",
    derive = "PartialEq",
    category = "minio-manager",
    shortname = "gm",
    printcolumn(name = "Group", type_ = "string", json_path = ".spec.group", description = "The MinIO group"),
    printcolumn(
        name = "Active",
        type_ = "integer",
        json_path = ".status.grants.active",
        description = "Memberships in force"
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
        name = "Next expiry",
        type_ = "string",
        json_path = ".status.nextExpiry",
        description = "When the next membership ends",
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
pub struct GroupMembershipSpec {
    /// The MinIO name of the group, as in spec.groupName of its MinioGroup. It may come later than this object. Immutable.
    #[schemars(length(min = rules::GROUP_NAME_MIN, max = rules::GROUP_NAME_MAX), regex(pattern = rules::GROUP_NAME))]
    #[x_kube(validation = rules::membership_group_immutable(), validation = rules::membership_group_reserved())]
    pub group: String,
    /// The members, one entry per user. At most 1,000.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::MEMBERSHIP_MEMBERS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub members: Vec<GroupMember>,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupMember {
    /// The MinIO name of the user. A user that does not exist yet becomes a member when it appears.
    #[schemars(length(min = rules::USER_NAME_MIN, max = rules::USER_NAME_MAX), regex(pattern = rules::USER_NAME))]
    pub name: String,
    /// ReadWrite makes the user a member of the group, Read one of its read-only twin.
    pub access: Access,
    /// When the membership ends, to the second, for example 2027-01-31T00:00:00Z. Where absent it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub expires_at: Option<Time>,
    /// Why, for people, at most 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::REASON_MAX))]
    pub reason: Option<String>,
}

/// What is known about the memberships.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupMembershipStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The uid of the MinioGroup that the members were put into. A new group of the same name does not get them.
    #[serde(default, rename = "groupUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::UID_MAX))]
    pub group_uid: Option<String>,
    /// The memberships by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantCounts>,
    /// The memberships that are not in force yet, the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::PENDING_MAX))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub pending: Vec<PendingReference>,
    /// When the next membership ends; absent when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<Time>,
}

declared!(GroupMembership, |object| &object.spec.group);
