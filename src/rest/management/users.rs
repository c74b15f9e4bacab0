//! Users, for administrators.

use axum::Json;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, post};
use jiff::Timestamp;

use super::departure;
use crate::api::{DataDeletionPolicy, DeletionPolicy, MinioUser};
use crate::iam::declared::{Declared, Owner};
use crate::iam::names::UserName;
use crate::rest::app::Call;
use crate::rest::credentials::{ensure_user, key_of_user, rotate as rotate_key};
use crate::rest::error::ApiError;
use crate::rest::input::Segments;
use crate::rest::models::{ResourceDeleteResponse, Stamp, UserManagementResponse};
use crate::rest::render;
use crate::rest::routes::{Access, Expects, Route, schema_of};

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let create = Route {
        method: Method::POST,
        path: "/management/users/{username}",
        id: "create_user_management_users__username__post",
        tag: "management",
        summary: "Makes a user; repeated, it answers what there is",
        access: Access::Admin,
        body: Expects::Nothing,
        query: &[],
        answers: vec![(201, schema_of::<UserManagementResponse>)],
        handler: post(create),
    };
    let rotate = Route {
        path: "/management/users/{username}/rotate-credentials",
        id: "rotate_user_credentials_management_users__username__rotate_credentials_post",
        summary: "Gives a user a new key; the former one works on for the overlap",
        answers: vec![(200, schema_of::<UserManagementResponse>)],
        handler: post(rotate),
        ..create.clone()
    };
    let delete = Route {
        method: Method::DELETE,
        id: "delete_user_management_users__username__delete",
        summary: "Deletes a user that this service made; its data stays unless configured otherwise",
        answers: vec![(200, schema_of::<ResourceDeleteResponse>)],
        handler: delete(remove),
        ..create.clone()
    };
    vec![create, rotate, delete]
}

async fn create(
    call: Call,
    Segments([user]): Segments<1>,
) -> Result<(StatusCode, Json<UserManagementResponse>), ApiError> {
    let user = call.app.alphabet.user(&user)?;
    ensure_user(&call, &user, true).await?;
    Ok((StatusCode::CREATED, Json(answer(&call, &user, "create").await?)))
}

async fn rotate(call: Call, Segments([user]): Segments<1>) -> Result<Json<UserManagementResponse>, ApiError> {
    let user = call.app.alphabet.user(&user)?;
    rotate_key(&call, &user, false).await?;
    Ok(Json(answer(&call, &user, "rotate").await?))
}

async fn answer(call: &Call, user: &UserName, operation: &str) -> Result<UserManagementResponse, ApiError> {
    let key = key_of_user(call, user).await?;
    let now = Timestamp::now();
    let (groups, total_policies) =
        call.app.view.read(|known| (render::groups_of(known, user, now), render::total_policies(known, user, now)));
    Ok(UserManagementResponse {
        username: user.to_string(),
        access_key: key.access_key,
        secret_key: key.secret_key,
        home_paths: call.app.layout.user_homes(user).iter().map(ToString::to_string).collect(),
        groups,
        total_policies,
        operation: operation.to_owned(),
        performed_by: call.caller()?.user.to_string(),
        timestamp: Stamp::now(),
        s3_access_key: key.s3_access_key,
        s3_secret_key: key.s3_secret_key,
    })
}

async fn remove(call: Call, Segments([user]): Segments<1>) -> Result<Json<ResourceDeleteResponse>, ApiError> {
    let user = call.app.alphabet.user(&user)?;
    let owner = Owner::User(user.clone());
    match call.app.view.read(|known| known.index.user(&user).cloned()) {
        Some(declared) => {
            if declared.meta.deleting.is_none() {
                may_delete(&call, &declared).await.map_err(|reason| failed(&user, &reason))?;
            }
            departure::delete_with_all(&call, &owner, &declared, data_policy).await?;
        }
        None if departure::finish(&call, &owner).await? => {}
        None => return Err(failed(&user, "it does not exist")),
    }
    Ok(Json(ResourceDeleteResponse::user(&user)))
}

fn data_policy(object: &mut MinioUser) -> &mut DataDeletionPolicy {
    &mut object.spec.data_deletion_policy
}

fn failed(user: &UserName, reason: &str) -> ApiError {
    ApiError::user(format!("Failed to delete user {user}: {reason}"))
}

/// Whether this service may delete the object of a user or group, and its deletion would do what was asked for.
///
/// # Errors
/// Why not, and what to do instead.
pub async fn may_delete(call: &Call, declared: &Declared) -> Result<(), String> {
    let meta = &declared.meta;
    if !meta.rest || meta.key.namespace != call.app.editor.namespace() {
        let object = call.app.editor.describe(call, &meta.key).await;
        return Err(format!("it is declared by {object}; delete it there"));
    }
    if let Some(lock) = &meta.lock {
        return Err(format!("a person has locked {} ({lock}); unlock it first", meta.key));
    }
    if meta.origin.is_some() && declared.deletion_policy() == DeletionPolicy::Retain {
        return Err(format!(
            "it was there before this service and would stay on MinIO; set spec.deletionPolicy of {} to Delete first",
            meta.key
        ));
    }
    Ok(())
}
