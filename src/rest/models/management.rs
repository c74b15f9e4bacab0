//! Users, groups and policies as administrators see them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::{PolicyModel, Stamp, UserModel};
use crate::iam::names::{GroupName, UserName};
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
