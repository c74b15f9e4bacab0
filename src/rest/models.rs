//! The bodies of answers, with the names that the legacy document gives them: generated clients are made from these.

mod management;
mod sharing;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

pub use crate::access::AccessRow;
pub use crate::stamp::Stamp;
pub use management::*;
pub use sharing::*;

/// Whether the service runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HealthResponse {
    /// `healthy`
    pub status: String,
}

/// What is said of something that did not work.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ErrorResponse {
    /// The same as message; for a request that is not as it should be, what is wrong in it, and where.
    pub detail: Option<Detail>,
    /// The code of the error, where it has one.
    pub error: Option<i64>,
    /// The kind of error, where it has a code.
    pub error_type: Option<String>,
    /// What went wrong, and what would be right.
    pub message: Option<String>,
}

/// What went wrong, in words or part by part.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Detail {
    /// In words.
    Text(String),
    /// Part by part.
    Violations(Vec<Violation>),
}

/// What is wrong with one part of a request.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Violation {
    /// A word for programs, such as `missing`.
    pub r#type: String,
    /// Where: `body` or `query`, then names and positions.
    pub loc: Vec<Place>,
    /// What would be right.
    pub msg: String,
}

/// A name, or a position in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Place {
    /// A name.
    Name(String),
    /// A position.
    Position(u32),
}

/// A key for S3 that works.
#[derive(Serialize, JsonSchema)]
pub struct CredentialsResponse {
    /// The MinIO user.
    #[schemars(length(min = 1))]
    pub username: String,
    /// The id of the access key.
    pub access_key: String,
    /// The secret of the access key.
    #[schemars(length(min = 8))]
    pub secret_key: String,
    /// The same as access_key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_access_key: Option<String>,
    /// The same as secret_key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_secret_key: Option<String>,
    /// When the key stops working, unless it is replaced before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Stamp>,
}

/// A key in the form that `credential_process` of the AWS configuration expects.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct CredentialProcessResponse {
    /// 1
    pub version: u8,
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret of the access key.
    pub secret_access_key: String,
    /// When the key stops working.
    pub expiration: String,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum PolicyEffect {
    /// It allows.
    Allow,
}

/// The actions that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub enum PolicyAction {
    /// Reading an object.
    #[serde(rename = "s3:GetObject")]
    GetObject,
    /// Writing an object.
    #[serde(rename = "s3:PutObject")]
    PutObject,
    /// Deleting an object.
    #[serde(rename = "s3:DeleteObject")]
    DeleteObject,
    /// Listing a folder.
    #[serde(rename = "s3:ListBucket")]
    ListBucket,
    /// Asking where a bucket is.
    #[serde(rename = "s3:GetBucketLocation")]
    GetBucketLocation,
    /// Listing the buckets.
    #[serde(rename = "s3:ListAllMyBuckets")]
    ListAllMyBuckets,
    /// Everything.
    #[serde(rename = "s3:*")]
    All,
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PolicyStatement {
    /// Allow.
    pub effect: PolicyEffect,
    /// One action.
    pub action: PolicyAction,
    /// What it is allowed on.
    pub resource: Vec<String>,
    /// When it is allowed.
    pub condition: Option<serde_json::Map<String, serde_json::Value>>,
    /// Always null.
    pub principal: Option<String>,
}

/// A policy document.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PolicyDocument {
    /// `2012-10-17`
    #[serde(default = "policy_version")]
    pub version: String,
    /// What is allowed.
    pub statement: Vec<PolicyStatement>,
}

/// The version of every policy document.
pub fn policy_version() -> String {
    "2012-10-17".to_owned()
}

/// A policy and its document.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PolicyModel {
    /// The name in MinIO.
    #[schemars(length(min = 1, max = 128))]
    pub policy_name: String,
    /// What it allows.
    pub policy_document: PolicyDocument,
}

/// A user with all that it may reach.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UserModel {
    /// The MinIO user.
    #[schemars(length(min = 2, max = 64))]
    pub username: String,
    /// The id of its access key; its name while it has none.
    pub access_key: String,
    /// Never shown here.
    pub secret_key: Option<String>,
    /// Its home folders.
    #[schemars(default)]
    pub home_paths: Vec<String>,
    /// The groups that it is in.
    #[schemars(default)]
    pub groups: Vec<String>,
    /// Its own policies.
    #[schemars(default)]
    pub user_policies: Vec<Arc<PolicyModel>>,
    /// Those of its groups, in their order.
    #[schemars(default)]
    pub group_policies: Vec<Arc<PolicyModel>>,
    /// How many policies these are.
    #[schemars(default)]
    pub total_policies: usize,
    /// Every folder that it can reach.
    #[schemars(default)]
    pub accessible_paths: Vec<String>,
}

/// The groups of a user.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserGroupsResponse {
    /// The MinIO user.
    #[schemars(length(min = 1))]
    pub username: String,
    /// Its groups, sorted.
    pub groups: Vec<String>,
    /// How many.
    pub group_count: usize,
}

/// The policies of a user.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserPoliciesResponse {
    /// The MinIO user.
    #[schemars(length(min = 1))]
    pub username: String,
    /// What its home and its grants give.
    pub user_home_policy: Arc<PolicyModel>,
    /// What the system folders give.
    pub user_system_policy: Arc<PolicyModel>,
    /// What its groups give.
    pub group_policies: Vec<Arc<PolicyModel>>,
    /// How many policies these are.
    pub total_policies: usize,
}

/// The folders that a user can reach.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserAccessiblePathsResponse {
    /// The MinIO user.
    #[schemars(length(min = 1))]
    pub username: String,
    /// Folders, sorted.
    pub accessible_paths: Vec<String>,
    /// How many.
    pub total_paths: usize,
}

/// A group as its members see it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupWorkspaceResponse {
    /// The group, not its read-only twin.
    #[schemars(length(min = 1))]
    pub group_name: String,
    /// Its members.
    pub members: Vec<String>,
    /// How many.
    pub member_count: usize,
    /// The folders that it gives.
    pub accessible_paths: Vec<String>,
}

/// Where a user's tables are.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserSqlWarehousePrefixResponse {
    /// The MinIO user.
    #[schemars(length(min = 1))]
    pub username: String,
    /// The folder.
    pub sql_warehouse_prefix: String,
}

/// Where a group's tables are.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupSqlWarehousePrefixResponse {
    /// The group, not its read-only twin.
    #[schemars(length(min = 1))]
    pub group_name: String,
    /// The folder.
    pub sql_warehouse_prefix: String,
}

/// How the names of databases begin.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NamespacePrefixResponse {
    /// The MinIO user.
    #[schemars(length(min = 1))]
    pub username: String,
    /// Those of the user.
    pub user_namespace_prefix: String,
    /// The group that was asked for.
    pub tenant: Option<String>,
    /// Those of the group.
    pub tenant_namespace_prefix: Option<String>,
}
