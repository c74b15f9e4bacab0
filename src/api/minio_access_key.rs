//! `MinioAccessKey`: one access key for one workload.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema, ResourceExt};
use serde::{Deserialize, Serialize};

use super::{Access, CredentialsSpec, CredentialsStatus, common::declared, rules, schema};

/// Which key somebody wants, and for whom.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "minio-manager.io",
    version = "v1alpha1",
    kind = "MinioAccessKey",
    doc = "One access key of a MinIO user for one workload, such as a Spark job or a pipeline, in a Secret of its own. The key is replaced before it expires, and can be confined to some of the user's paths.",
    namespaced,
    status = "MinioAccessKeyStatus",
    derive = "PartialEq",
    category = "minio-manager",
    shortname = "mk",
    validation = rules::access_key_object_name(),
    printcolumn(name = "User", type_ = "string", json_path = ".spec.user", description = "The MinIO user that the key acts as"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the spec is in force"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not"),
    printcolumn(name = "Key expires", type_ = "string", json_path = ".status.credentials.expiresAt", description = "When the access key stops working, unless it is replaced before"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the object exists"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.credentials.secretName", description = "The Secret with the access key", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", description = "The state in words", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::overlap_within_interval())]
pub struct MinioAccessKeySpec {
    /// The MinIO name of the user that the key acts as. The key can do nothing that the user cannot, and follows at once when the user loses access. In another namespace than the MinioUser's the configuration must permit it (keysFor). Immutable.
    #[schemars(length(min = rules::USER_NAME_MIN, max = rules::USER_NAME_MAX), regex(pattern = rules::USER_NAME))]
    #[x_kube(validation = rules::access_key_user_immutable())]
    pub user: String,
    /// The name of the Secret, in the namespace of this object. Default: miniokey- and metadata.name. At most 245 characters, not ending in .pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = rules::SECRET_NAME_MAX), regex(pattern = rules::DNS_SUBDOMAIN))]
    #[x_kube(validation = rules::secret_name_not_pending())]
    pub secret_name: Option<String>,
    /// What the key is confined to: 1 to 15 paths, and nothing outside of them, whatever the user may do. Where absent the key may do all that its user may do with data. A confined key costs every request of it about 0.3 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = rules::SCOPE_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub scope: Option<Vec<ScopePath>>,
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
    /// When the key ends, to the second, for example 2027-01-31T00:00:00Z: then it is deleted, and the Secret with it. Where absent it is replaced for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub expires_at: Option<Time>,
}

/// A path that a key may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopePath {
    /// The path, s3://BUCKET/KEY or s3a://BUCKET/KEY, for example s3a://lake/homes/alice/out/. It is taken literally, without wildcards, and means itself and everything below; a slash at its end makes no difference. At most 1,024 bytes after the bucket.
    #[schemars(length(min = rules::PATH_MIN, max = rules::PATH_MAX), regex(pattern = rules::PATH))]
    // How long each segment is, is left to the controller: the API server cannot count that for so many paths.
    #[x_kube(
        validation = rules::path_form(),
        validation = rules::path_bucket(),
        validation = rules::path_empty_segment(),
        validation = rules::path_dot_segment(),
        validation = rules::path_wildcard(),
        validation = rules::path_control_character(),
        validation = rules::path_key_length()
    )]
    pub path: String,
    /// Read lets the key list and read, ReadWrite also write and delete, as far as its user may.
    pub access: Access,
}

/// What is known about the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinioAccessKeyStatus {
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, CredentialsReady.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The uid of the MinioUser whose key it is. A new user of the same name does not get it.
    #[serde(default, rename = "userUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::UID_MAX))]
    pub user_uid: Option<String>,
    /// The access key in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsStatus>,
}

impl MinioAccessKey {
    /// The name of the Secret: `spec.secretName`, or `miniokey-` and `metadata.name`.
    #[must_use]
    pub fn secret_name(&self) -> String {
        self.spec.secret_name.clone().unwrap_or_else(|| format!("miniokey-{}", self.name_any()))
    }

    /// Where the key goes and how long it lives, as a `MinioUser` would say it.
    #[must_use]
    pub fn credentials(&self) -> CredentialsSpec {
        CredentialsSpec {
            secret_name: Some(self.secret_name()),
            rotation_interval: self.spec.rotation_interval.clone(),
            overlap: self.spec.overlap.clone(),
        }
    }
}

declared!(MinioAccessKey, |object| &object.spec.user);
