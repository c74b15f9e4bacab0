//! What the caller can reach.

use axum::Json;
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;

use super::app::Call;
use super::error::{ApiError, Violation};
use super::input::{self, Segments};
use super::models::{
    GroupSqlWarehousePrefixResponse, GroupWorkspaceResponse, NamespacePrefixResponse, UserAccessiblePathsResponse,
    UserGroupsResponse, UserModel, UserPoliciesResponse, UserSqlWarehousePrefixResponse,
};
use super::render::{self, Holder, Picture};
use super::routes::{Access, Expects, QueryParameter, Route, schema_of};
use super::view::Known;
use crate::iam::desired::Desired;
use crate::iam::names::{EVERYONE_GROUP, GroupName, ServerGroup, UserName};
use crate::iam::path::S3Path;
use crate::iam::subject::Subject;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let me = Route {
        method: Method::GET,
        path: "/workspaces/me",
        id: "get_my_workspace_workspaces_me_get",
        tag: "workspaces",
        summary: "The caller, with policies and folders",
        access: Access::User,
        body: Expects::Nothing,
        query: &[],
        answers: vec![(200, schema_of::<UserModel>)],
        handler: get(workspace),
    };
    vec![
        Route {
            path: "/workspaces/me/groups",
            id: "get_my_groups_workspaces_me_groups_get",
            summary: "The groups that the caller is in",
            answers: vec![(200, schema_of::<UserGroupsResponse>)],
            handler: get(groups),
            ..me.clone()
        },
        Route {
            path: "/workspaces/me/policies",
            id: "get_my_policies_workspaces_me_policies_get",
            summary: "The policies of the caller and of its groups",
            answers: vec![(200, schema_of::<UserPoliciesResponse>)],
            handler: get(policies),
            ..me.clone()
        },
        Route {
            path: "/workspaces/me/accessible-paths",
            id: "get_my_accessible_paths_workspaces_me_accessible_paths_get",
            summary: "Every folder that the caller can reach",
            answers: vec![(200, schema_of::<UserAccessiblePathsResponse>)],
            handler: get(accessible_paths),
            ..me.clone()
        },
        Route {
            path: "/workspaces/me/sql-warehouse-prefix",
            id: "get_my_sql_warehouse_prefix_workspaces_me_sql_warehouse_prefix_get",
            summary: "Where the caller's tables are",
            answers: vec![(200, schema_of::<UserSqlWarehousePrefixResponse>)],
            handler: get(sql_warehouse_prefix),
            ..me.clone()
        },
        Route {
            path: "/workspaces/me/namespace-prefix",
            id: "get_namespace_prefix_workspaces_me_namespace_prefix_get",
            summary: "How the names of the caller's databases begin, and those of a group",
            query: &[QueryParameter {
                name: "tenant",
                description: "A group, or its read-only twin, that the caller is in",
                required: false,
                schema: || json!({"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]}),
            }],
            answers: vec![(200, schema_of::<NamespacePrefixResponse>)],
            handler: get(namespace_prefix),
            ..me.clone()
        },
        Route {
            path: "/workspaces/me/groups/{group_name}",
            id: "get_group_workspace_workspaces_me_groups__group_name__get",
            summary: "A group that the caller is in, with its members and folders",
            answers: vec![(200, schema_of::<GroupWorkspaceResponse>)],
            handler: get(group_workspace),
            ..me.clone()
        },
        Route {
            path: "/workspaces/me/groups/{group_name}/sql-warehouse-prefix",
            id: "get_group_sql_warehouse_prefix_workspaces_me_groups__group_name__sql_warehouse_prefix_get",
            summary: "Where the tables of a group are",
            answers: vec![(200, schema_of::<GroupSqlWarehousePrefixResponse>)],
            handler: get(group_sql_warehouse_prefix),
            ..me.clone()
        },
        me,
    ]
}

async fn workspace(call: Call) -> Result<Response, ApiError> {
    let user = &call.caller()?.user;
    call.app.answers.of(&call.app.view, format!("workspace of {user}"), |known| {
        render::present_user(known, user).ok_or_else(|| unknown(user))?;
        Ok(Picture::new(known).user(user))
    })
}

async fn groups(call: Call) -> Result<Json<UserGroupsResponse>, ApiError> {
    let user = &call.caller()?.user;
    let groups = call.app.view.read(|known| render::groups_of(known, user, Timestamp::now()));
    Ok(Json(UserGroupsResponse { username: user.to_string(), group_count: groups.len(), groups }))
}

async fn policies(call: Call) -> Result<Response, ApiError> {
    let user = &call.caller()?.user;
    call.app.answers.of(&call.app.view, format!("policies of {user}"), |known| {
        render::present_user(known, user).ok_or_else(|| unknown(user))?;
        let mut picture = Picture::new(known);
        let groups = render::groups_of(known, user, Timestamp::now());
        let group_policies = picture.group_policies(&groups);
        Ok(UserPoliciesResponse {
            username: user.to_string(),
            user_home_policy: picture.policy_of(&Holder::Home(user.clone())),
            user_system_policy: picture.policy_of(&Holder::System(user.clone())),
            total_policies: render::own_policies(known, user) + group_policies.len(),
            group_policies,
        })
    })
}

async fn accessible_paths(call: Call) -> Result<Response, ApiError> {
    let user = &call.caller()?.user;
    call.app.answers.of(&call.app.view, format!("paths of {user}"), |known| {
        render::present_user(known, user).ok_or_else(|| unknown(user))?;
        let accessible_paths = Picture::new(known).folders_of_user(user);
        let total_paths = accessible_paths.len();
        Ok(UserAccessiblePathsResponse { username: user.to_string(), accessible_paths, total_paths })
    })
}

async fn sql_warehouse_prefix(call: Call) -> Result<Json<UserSqlWarehousePrefixResponse>, ApiError> {
    let user = &call.caller()?.user;
    let folder = call.app.layout.user_tables(user).folder;
    let folder = folder.ok_or_else(|| ApiError::user("The layout gives users no folder"))?;
    Ok(Json(UserSqlWarehousePrefixResponse { username: user.to_string(), sql_warehouse_prefix: folder.to_string() }))
}

async fn namespace_prefix(call: Call, uri: Uri) -> Result<Json<NamespacePrefixResponse>, ApiError> {
    let user = &call.caller()?.user;
    let asked = input::query(&uri, "tenant");
    let tenant =
        asked.as_deref().map(|asked| call.app.view.read(|known| tenant_prefix(&call, known, asked))).transpose()?;
    let own = call.app.layout.user_tables(user).prefix;
    Ok(Json(NamespacePrefixResponse {
        username: user.to_string(),
        user_namespace_prefix: own.unwrap_or_else(|| format!("u_{user}__")),
        tenant: asked,
        tenant_namespace_prefix: tenant,
    }))
}

fn tenant_prefix(call: &Call, known: &Known, asked: &str) -> Result<String, ApiError> {
    if asked.is_empty() {
        return Err(ApiError::invalid(vec![Violation {
            kind: "string_too_short",
            loc: vec![json!("query"), json!("tenant")],
            msg: "String should have at least 1 character".to_owned(),
        }]));
    }
    let user = &call.caller()?.user;
    let tenant = match find(known, asked) {
        Some(tenant) => tenant,
        None => return Err(ApiError::group(format!("Group {} not found", base_name(call, asked)?))),
    };
    if !tenant.has_member(known, user) {
        return Err(ApiError::governance(format!("User {user} is not a member of the group {}", tenant.name())));
    }
    let layout = &call.app.layout;
    let tables = match &tenant {
        Tenant::Everyone => layout.everyone_tables(),
        Tenant::Group(group) => layout.group_tables(group),
    };
    Ok(tables.prefix.unwrap_or_else(|| format!("{}_", tenant.name())))
}

async fn group_workspace(call: Call, Segments([asked]): Segments<1>) -> Result<Json<GroupWorkspaceResponse>, ApiError> {
    call.app.view.read(|known| {
        let tenant = tenant_of_caller(&call, known, &asked)?;
        let members = tenant.members(known);
        Ok(Json(GroupWorkspaceResponse {
            group_name: tenant.name().to_owned(),
            member_count: members.len(),
            members,
            accessible_paths: Picture::new(known).folders_of_group(tenant.name()),
        }))
    })
}

async fn group_sql_warehouse_prefix(
    call: Call,
    Segments([asked]): Segments<1>,
) -> Result<Json<GroupSqlWarehousePrefixResponse>, ApiError> {
    let tenant = call.app.view.read(|known| tenant_of_caller(&call, known, &asked))?;
    let folder = tenant.folder(&call).ok_or_else(|| ApiError::group("The layout gives groups no folder"))?;
    Ok(Json(GroupSqlWarehousePrefixResponse {
        group_name: tenant.name().to_owned(),
        sql_warehouse_prefix: folder.to_string(),
    }))
}

fn unknown(user: &UserName) -> ApiError {
    ApiError::user(format!("User {user} not found"))
}

/// A group, whether it was named by itself or by its twin.
enum Tenant {
    /// The group that the layout's folders of everyone are shown as.
    Everyone,
    Group(GroupName),
}

impl Tenant {
    fn name(&self) -> &str {
        match self {
            Self::Everyone => EVERYONE_GROUP,
            Self::Group(group) => group.as_str(),
        }
    }

    /// Whether a user is in the group or in its twin. Everyone is everybody, also before the first login.
    fn has_member(&self, known: &Known, user: &UserName) -> bool {
        let Self::Group(group) = self else { return true };
        let twin = known.index.config().layout.twin(group);
        let groups = known.index.groups_of(user, Timestamp::now());
        groups.contains_key(&ServerGroup::from(group)) || groups.contains_key(&twin)
    }

    fn members(&self, known: &Known) -> Vec<String> {
        match self {
            Self::Everyone => known.index.enabled_users().map(ToString::to_string).collect(),
            Self::Group(group) => match known.index.desired(&Subject::Group(group.clone()), Timestamp::now()) {
                Desired::Group(desired) => desired.main.members.iter().map(ToString::to_string).collect(),
                _ => Vec::new(),
            },
        }
    }

    fn folder(&self, call: &Call) -> Option<S3Path> {
        match self {
            Self::Everyone => call.app.layout.everyone_tables().folder,
            Self::Group(group) => call.app.layout.group_tables(group).folder,
        }
    }
}

/// The group that a name means. Every group that is listed is found by its listed name, whatever the alphabet of new ones.
fn find(known: &Known, asked: &str) -> Option<Tenant> {
    let asked = asked.trim();
    if asked == EVERYONE_GROUP && render::shows_everyone(known) {
        return Some(Tenant::Everyone);
    }
    let (group, _) = known.index.server_group(&ServerGroup::parse(asked).ok()?)?;
    let present = known.index.group(group)?.meta.deleting.is_none();
    present.then(|| Tenant::Group(group.clone()))
}

/// The name of a group that does not exist, for the message.
fn base_name(call: &Call, asked: &str) -> Result<GroupName, ApiError> {
    match call.app.layout.group_of_twin(asked.trim()) {
        Some(group) => Ok(group),
        None => call.app.alphabet.group(asked),
    }
}

fn tenant_of_caller(call: &Call, known: &Known, asked: &str) -> Result<Tenant, ApiError> {
    let user = &call.caller()?.user;
    let Some(tenant) = find(known, asked) else {
        let base = base_name(call, asked)?;
        return Err(ApiError::group(format!("Failed to check if user {user} is in group {base}")));
    };
    if !tenant.has_member(known, user) {
        return Err(ApiError::governance("User is not a member of the group"));
    }
    Ok(tenant)
}
