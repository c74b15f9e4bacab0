//! The bodies of answers, with the names that the legacy document gives them: generated clients are made from these.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::api::{Access, SubjectKind, UnmanagedCounts};
use crate::iam::names::{GroupName, UserName};

/// An instant as every known client reads it: with microseconds, and with an offset in digits, because Python before 3.11 does
/// not know `Z`.
#[derive(Clone, Copy, Debug)]
pub struct Stamp(pub Timestamp);

impl Stamp {
    /// This instant.
    pub fn now() -> Self {
        Self(Timestamp::now())
    }
}

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"))
    }
}

impl JsonSchema for Stamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Stamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

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

/// What became of sharing a folder.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShareResponse {
    /// The folder, as it was sent.
    pub path: String,
    /// Users that have it now.
    pub shared_with_users: Vec<String>,
    /// Groups that have it now.
    pub shared_with_groups: Vec<String>,
    /// How many these are.
    pub success_count: usize,
    /// What did not work, one sentence a target.
    #[schemars(default)]
    pub errors: Vec<String>,
    /// Who shared.
    #[schemars(length(min = 1))]
    pub shared_by: String,
    /// When.
    pub shared_at: Stamp,
}

/// What became of ending shares of a folder.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnshareResponse {
    /// The folder, as it was sent.
    pub path: String,
    /// Users that no longer have it through this.
    pub unshared_from_users: Vec<String>,
    /// Groups that no longer have it through this.
    pub unshared_from_groups: Vec<String>,
    /// How many these are.
    pub success_count: usize,
    /// What did not work, one sentence a target.
    #[schemars(default)]
    pub errors: Vec<String>,
    /// Who unshared.
    #[schemars(length(min = 1))]
    pub unshared_by: String,
    /// When.
    pub unshared_at: Stamp,
}

/// The folders that a user owns and shares.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharesResponse {
    /// Sorted by path.
    pub shares: Vec<SharedFolder>,
    /// How many.
    pub total_count: usize,
}

/// What one object shares of a folder.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharedFolder {
    /// The folder.
    pub path: String,
    /// The user or group that owns it.
    pub owner: String,
    /// Whether everyone may read it.
    pub public: bool,
    /// Who has access.
    pub grants: Vec<SharedGrant>,
    /// The object that says so.
    pub object: String,
}

/// Somebody's access to a folder.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharedGrant {
    /// User or Group.
    pub kind: SubjectKind,
    /// The name.
    pub name: String,
    /// How far it goes.
    pub access: Access,
    /// When it ends, if it does.
    pub expires_at: Option<Stamp>,
    /// Why it was given.
    pub reason: Option<String>,
}

/// What others share with a user.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharedWithMeResponse {
    /// Sorted by path.
    pub shares: Vec<AccessRow>,
    /// How many.
    pub total_count: usize,
}

/// What a user can reach, as far as objects say.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccessOfResponse {
    /// Whether nothing else can give access.
    pub complete: bool,
    /// What else there is on the server, where that is known.
    pub unmanaged: Option<UnmanagedCounts>,
    /// Sorted by path.
    pub rows: Vec<AccessRow>,
}

/// A folder that a user can reach, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccessRow {
    /// The folder.
    pub path: String,
    /// How far.
    pub access: Access,
    /// Through which object, and as a member of which group.
    pub via: String,
    /// Until when, if it ends.
    pub until: Option<Stamp>,
}

/// Who can reach a folder, as far as objects say.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccessWhoResponse {
    /// Whether nothing else can give access.
    pub complete: bool,
    /// What else there is on the server, where that is known.
    pub unmanaged: Option<UnmanagedCounts>,
    /// Sorted: everyone, groups, users.
    pub rows: Vec<WhoRow>,
}

/// Somebody who can reach a folder, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WhoRow {
    /// Everyone, Group or User.
    pub kind: String,
    /// The name; `everyone` for everyone.
    pub name: String,
    /// How far.
    pub access: Access,
    /// Through which object, and as a member of which group.
    pub via: String,
    /// Until when, if it ends.
    pub until: Option<Stamp>,
}

/// Whether everyone may read a folder.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PublicAccessResponse {
    /// The folder, as it was sent.
    pub path: String,
    /// Whether everyone may read it.
    pub is_public: bool,
    /// What did not work, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub errors: Vec<String>,
}

/// Who can reach a folder.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PathAccessResponse {
    /// Users.
    pub users: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Whether everyone can.
    pub public: bool,
    /// The folder, as it was sent.
    pub path: String,
}

/// What an administrator did to a user.
#[derive(Serialize, JsonSchema)]
pub struct UserManagementResponse {
    /// The MinIO user.
    #[schemars(length(min = 1))]
    pub username: String,
    /// The id of its access key.
    pub access_key: String,
    /// The secret of its access key.
    pub secret_key: String,
    /// Its home folders.
    pub home_paths: Vec<String>,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// How many policies it has, its groups' included.
    pub total_policies: usize,
    /// `create` or `rotate`
    pub operation: String,
    /// Who did it.
    #[schemars(length(min = 1))]
    pub performed_by: String,
    /// When.
    pub timestamp: Stamp,
    /// The same as access_key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_access_key: Option<String>,
    /// The same as secret_key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_secret_key: Option<String>,
}

/// A page of users.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserListResponse {
    /// The users of the page, sorted by name.
    pub users: Vec<UserModel>,
    /// Where the page is.
    #[serde(flatten)]
    pub page: Page,
}

/// A page of policies.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyListResponse {
    /// The policies of the page, sorted by name.
    pub policies: Vec<Arc<PolicyModel>>,
    /// Where the page is.
    #[serde(flatten)]
    pub page: Page,
}

/// Which part of a list a page is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page {
    /// How many there are in all.
    pub total_count: usize,
    /// How many are on this page.
    pub retrieved_count: usize,
    /// The number of this page, from 1.
    #[schemars(range(min = 1))]
    pub page: usize,
    /// How many a page holds.
    #[schemars(range(min = 1))]
    pub page_size: usize,
    /// How many pages there are, at least 1.
    #[schemars(range(min = 1))]
    pub total_pages: usize,
    /// Whether a page follows.
    pub has_next: bool,
    /// Whether a page precedes.
    pub has_prev: bool,
}

/// The names of all users.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserNamesResponse {
    /// Sorted.
    pub usernames: Vec<String>,
    /// How many.
    pub total_count: usize,
}

/// What an administrator or a steward did to a group.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupManagementResponse {
    /// The group.
    #[schemars(length(min = 1))]
    pub group_name: String,
    /// Its read-only twin, where the group was made.
    pub ro_group_name: Option<String>,
    /// Its members now, sorted.
    pub members: Vec<String>,
    /// How many.
    pub member_count: usize,
    /// The name of its policy.
    pub policy_name: String,
    /// `create`, `add_member` or `remove_member`
    pub operation: String,
    /// Who did it.
    #[schemars(length(min = 1))]
    pub performed_by: String,
    /// When.
    pub timestamp: Stamp,
}

/// All groups.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupListResponse {
    /// Sorted by name, twins included.
    pub groups: Vec<GroupSummary>,
    /// How many.
    pub total_count: usize,
}

/// A group in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupSummary {
    /// The group or twin.
    pub group_name: String,
    /// Its members, sorted.
    pub members: Vec<String>,
    /// How many.
    pub member_count: usize,
    /// The name of its policy.
    pub policy_name: String,
}

/// The names of all groups.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupNamesResponse {
    /// Sorted, twins included.
    pub group_names: Vec<String>,
    /// How many.
    pub total_count: usize,
}

/// Something was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceDeleteResponse {
    /// `user`, `group` or `policy`
    pub resource_type: String,
    /// Its name.
    #[schemars(length(min = 1))]
    pub resource_name: String,
    /// The same in words.
    pub message: String,
}

impl ResourceDeleteResponse {
    /// A user that was deleted.
    pub fn user(name: &UserName) -> Self {
        Self::of("user", "User", name.as_str())
    }

    /// A group that was deleted.
    pub fn group(name: &GroupName) -> Self {
        Self::of("group", "Group", name.as_str())
    }

    /// A policy that was not there, or not this service's to delete.
    pub fn absent_policy(name: &str) -> Self {
        Self {
            message: format!("Policy {name} was already deleted or does not exist"),
            ..Self::of("policy", "Policy", name)
        }
    }

    fn of(kind: &str, title: &str, name: &str) -> Self {
        Self {
            resource_type: kind.to_owned(),
            resource_name: name.to_owned(),
            message: format!("{title} {name} deleted successfully"),
        }
    }
}
