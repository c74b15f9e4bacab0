//! `MinioUser`: a person or a service, its home folders and its credentials.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AdoptionPolicy, DataDeletionPolicy, DeletionPolicy, DocumentSummary, Origin, PendingReference, Workspace,
    common::{declared, declared_or_object_name, is_default, null_as_default},
    rules, schema,
};

/// What somebody wants of a MinIO user.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "minio-manager.io",
    version = "v1alpha1",
    kind = "MinioUser",
    doc = "A user of MinIO: its home folders, its policies, and a Secret with an access key that is replaced before it expires.",
    namespaced,
    status = "MinioUserStatus",
    derive = "PartialEq",
    category = "minio-manager",
    shortname = "mu",
    validation = rules::username_immutable(),
    validation = rules::username_shape(),
    validation = rules::username_reserved(),
    printcolumn(name = "User", type_ = "string", json_path = ".status.username", description = "The name of the MinIO user"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the spec is in force"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not"),
    printcolumn(name = "Key expires", type_ = "string", json_path = ".status.credentials.expiresAt", description = "When the access key stops working, unless it is replaced before"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the object exists"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.credentials.secretName", description = "The Secret with the access key", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", description = "The state in words", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct MinioUserSpec {
    /// The name of the user in MinIO, 3 to 64 letters and digits with single . _ @ or - between them. Default: metadata.name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = rules::USER_NAME_MIN, max = rules::USER_NAME_MAX), regex(pattern = rules::USER_NAME))]
    pub username: Option<String>,
    /// Whether MinIO accepts the keys of the user. Where absent, a user that we created is enabled, and an adopted one keeps its state. With false, MinIO refuses every key of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Default gives the user the home folders and the access of the workspace layout. None gives only what grants and policies give.
    #[serde(default, deserialize_with = "null_as_default")]
    pub workspace: Workspace,
    /// Further policies of the user, by their MinIO name: that of a MinioPolicy, a built-in one such as readonly, or one that exists on the server. One that does not exist yet becomes active when it appears. At most 64.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = rules::POLICIES_MAX),
        inner(length(min = rules::POLICY_NAME_MIN, max = rules::POLICY_NAME_MAX), regex(pattern = rules::POLICY_NAME))
    )]
    #[x_kube(merge_strategy = ListMerge::Set, validation = rules::policies_not_derived())]
    pub policies: Vec<String>,
    /// The Secret with the access key of the user, and how often the key is replaced.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub credentials: CredentialsSpec,
    /// What to do when MinIO has a user of this name already. Refuse leaves it alone and reports AlreadyExists; Adopt takes it over with the access it has.
    #[serde(default, deserialize_with = "null_as_default")]
    pub adoption_policy: AdoptionPolicy,
    /// For an adopted user: whether the secret that it had before goes on working. Keep leaves it; Reset replaces it by one that nobody knows, once the first key that we issued works and the overlap has passed.
    #[serde(default, deserialize_with = "null_as_default")]
    pub adopted_secret: AdoptedSecret,
    /// What happens to the MinIO user when this object is deleted. Default: Delete for a user that we created, Retain for one that was adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What happens to the data in the home folders when this object is deleted.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data_deletion_policy: DataDeletionPolicy,
}

/// What happens to the secret that an adopted user had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AdoptedSecret {
    /// It goes on working.
    #[default]
    Keep,
    /// It stops working as soon as the keys of ours work.
    Reset,
}

/// Where the access key goes, and how long it lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::overlap_within_interval())]
pub struct CredentialsSpec {
    /// The name of the Secret, in the namespace of this object. Default: minio- and the slug of the username, as JupyterHub makes it. At most 245 characters, not ending in .pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = rules::SECRET_NAME_MAX), regex(pattern = rules::DNS_SUBDOMAIN))]
    #[x_kube(validation = rules::secret_name_not_pending())]
    pub secret_name: Option<String>,
    /// How often the access key is replaced: 1h to 4320h, in h, m and s, for example 24h or 36h30m. Default: from the configuration of the controller (24h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = rules::DURATION_MIN, max = rules::DURATION_MAX), regex(pattern = rules::DURATION))]
    #[x_kube(validation = rules::rotation_interval_range())]
    pub rotation_interval: Option<String>,
    /// How long the previous access key goes on working after a replacement, for example 12h; at most rotationInterval. A controller that is away for less than this interrupts nobody. Default: from the configuration of the controller (24h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = rules::DURATION_MIN, max = rules::DURATION_MAX), regex(pattern = rules::DURATION))]
    #[x_kube(validation = rules::overlap_range())]
    pub overlap: Option<String>,
}

/// What is known about the MinIO user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinioUserStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, CredentialsReady, and further ones where there is something to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The name of the user in MinIO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub username: Option<String>,
    /// Created when we made the user in MinIO, Adopted when it was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The policy documents that were made for this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentSummary>,
    /// The grants that name this user itself; those of its groups are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<UserGrants>,
    /// What the spec names and does not exist yet, the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rules::PENDING_MAX))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub pending: Vec<PendingReference>,
    /// The access key in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsStatus>,
}

/// The grants that name one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserGrants {
    /// In force.
    #[serde(default)]
    pub active: i64,
    /// Those of them that end soon (by default within 24 h).
    #[serde(default)]
    pub expiring: i64,
}

/// The access key that a user's Secret holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// The Secret with the access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub secret_name: Option<String>,
    /// The id of the access key (not its secret).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::STATUS_NAME_MAX))]
    pub access_key: Option<String>,
    /// When the key was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Time>,
    /// When the server stops accepting the key, unless it is replaced before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When the key will be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation_at: Option<Time>,
    /// When the server stops accepting the previous key; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_expires_at: Option<Time>,
    /// For an adopted user: when the first access key was made. With adoptedSecret Reset, the secret that the account had is replaced the overlap after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_issued_at: Option<Time>,
    /// When the secret that the adopted account had was replaced by one that nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_secret_reset_at: Option<Time>,
    /// The last value of the annotation minio-manager.io/rotate that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::HANDLED_VALUE_MAX))]
    pub last_handled_rotate: Option<String>,
    /// The last value of the annotation minio-manager.io/revoke that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::HANDLED_VALUE_MAX))]
    pub last_handled_revoke: Option<String>,
}

impl MinioUser {
    /// The name of the MinIO user: `spec.username`, or `metadata.name`.
    #[must_use]
    pub fn username(&self) -> &str {
        declared_or_object_name(self.spec.username.as_ref(), self)
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

declared!(MinioUser, |object| object.username());
