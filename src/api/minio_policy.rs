//! `MinioPolicy`: a canned policy, written by hand.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    AdoptionPolicy, DeletionPolicy, Origin,
    common::{declared, declared_or_object_name, null_as_default},
    rules, schema,
};

/// What somebody wants of a canned policy.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "minio-manager.io",
    version = "v1alpha1",
    kind = "MinioPolicy",
    doc = "A policy document on the server, to be named in spec.policies of users and groups. For access to a path a PathShare is simpler.",
    namespaced,
    status = "MinioPolicyStatus",
    derive = "PartialEq",
    category = "minio-manager",
    shortname = "mp",
    validation = rules::policy_name_immutable(),
    validation = rules::policy_name_shape(),
    validation = rules::policy_name_derived(),
    validation = rules::policy_name_built_in(),
    printcolumn(name = "Policy", type_ = "string", json_path = ".status.policyName", description = "The name of the policy in MinIO"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the spec is in force"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the object exists"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", description = "The state in words", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct MinioPolicySpec {
    /// The name of the policy in MinIO, 2 to 128 letters and digits with single . _ or - between them. Default: metadata.name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = rules::POLICY_NAME_MIN, max = rules::POLICY_NAME_MAX), regex(pattern = rules::POLICY_NAME))]
    pub policy_name: Option<String>,
    /// The IAM policy document, with Version "2012-10-17" and Statement. It is checked strictly: unknown fields, actions, operators, keys and variables are refused with the nearest valid spelling, because MinIO would drop or misread them silently. A refused edit leaves the last good document in force.
    #[schemars(schema_with = "schema::policy_document")]
    pub document: serde_json::Value,
    /// Allows the variables ${jwt:*}, ${ldap:*} and ${aws:groups}, whose values callers of community MinIO can choose freely.
    #[serde(default, deserialize_with = "null_as_default")]
    pub allow_unsafe_variables: bool,
    /// What to do when MinIO has a policy of this name already. Refuse leaves it alone and reports AlreadyExists; Adopt overwrites it with this document.
    #[serde(default, deserialize_with = "null_as_default")]
    pub adoption_policy: AdoptionPolicy,
    /// What happens to the policy in MinIO when this object is deleted. Default: Delete for one that we created, Retain for one that was adopted. While somebody whom no object describes holds the policy, deletion waits and says who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// What is known about the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinioPolicyStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, and further ones where there is something to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The name of the policy in MinIO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub policy_name: Option<String>,
    /// Created when we made the policy in MinIO, Adopted when it was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl MinioPolicy {
    /// The name of the policy in MinIO: `spec.policyName`, or `metadata.name`.
    #[must_use]
    pub fn policy_name(&self) -> &str {
        declared_or_object_name(self.spec.policy_name.as_ref(), self)
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

declared!(MinioPolicy, |object| object.policy_name());
