//! What is shared.

use schemars::JsonSchema;
use serde::Serialize;

use super::{AccessRow, Stamp};
use crate::api::{Access, SubjectKind};

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
