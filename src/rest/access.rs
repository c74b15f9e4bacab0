//! Who can reach what, and through which object. Only what objects say is seen here: users, policies and bucket policies that
//! nobody declares may give more.

use axum::Json;
use axum::http::{Method, Uri};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;

use super::app::Call;
use super::error::{ApiError, Violation};
use super::input::{self, Segments};
use super::models::{AccessOfResponse, AccessRow, AccessWhoResponse, Stamp, WhoRow};
use super::routes::{Access, Expects, QueryParameter, Route, schema_of};
use super::sharing::place::is_concerned;
use crate::iam::access::{self, Reach, Reachable};

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let who = Route {
        method: Method::GET,
        path: "/access/who",
        id: "get_access_who_access_who_get",
        tag: "access",
        summary: "Who can reach a folder, and through which object; for its owner, stewards and administrators",
        access: Access::User,
        body: Expects::Nothing,
        query: &[QueryParameter {
            name: "path",
            description: "The folder, s3://BUCKET/KEY or s3a://BUCKET/KEY",
            required: true,
            schema: || json!({"type": "string", "minLength": 1}),
        }],
        answers: vec![(200, schema_of::<AccessWhoResponse>)],
        handler: get(who),
    };
    let of = Route {
        path: "/access/of/{user}",
        id: "get_access_of_access_of__user__get",
        summary: "What a user can reach, and through which object; for oneself and administrators",
        query: &[],
        answers: vec![(200, schema_of::<AccessOfResponse>)],
        handler: get(of),
        ..who.clone()
    };
    vec![who, of]
}

async fn who(call: Call, uri: Uri) -> Result<Json<AccessWhoResponse>, ApiError> {
    let caller = call.caller()?;
    let text = input::query(&uri, "path").filter(|text| !text.trim().is_empty()).ok_or_else(missing_path)?;
    let path = call.app.alphabet.path(&text)?;
    call.app.view.read(|known| {
        if !is_concerned(known, caller, &path) {
            return Err(ApiError::governance(format!(
                "Only the owner of {path}, stewards and administrators may ask who can reach it"
            )));
        }
        let rows = access::who(&known.index, &path, Timestamp::now()).into_iter().map(who_row).collect();
        // Nothing tells of bucket policies here, so the answer never claims to be complete.
        Ok(Json(AccessWhoResponse { complete: false, unmanaged: known.unmanaged, rows }))
    })
}

async fn of(call: Call, Segments([name]): Segments<1>) -> Result<Json<AccessOfResponse>, ApiError> {
    let caller = call.caller()?;
    let user = call.app.alphabet.user(&name)?;
    if !caller.admin && caller.user != user {
        return Err(ApiError::governance(format!(
            "Only user {user} and administrators may ask what user {user} can reach"
        )));
    }
    call.app.view.read(|known| {
        let there = known.index.user(&user).is_some_and(|declared| declared.meta.deleting.is_none());
        if !there {
            return Err(ApiError::user(format!("User {user} not found")));
        }
        let rows = access::of(&known.index, &user, Timestamp::now()).into_iter().map(row_of).collect();
        Ok(Json(AccessOfResponse { complete: false, unmanaged: known.unmanaged, rows }))
    })
}

fn missing_path() -> ApiError {
    ApiError::invalid(vec![Violation {
        kind: "missing",
        loc: vec![json!("query"), json!("path")],
        msg: "Field required".to_owned(),
    }])
}

/// Who can reach something, as an answer shows it.
pub fn who_row(row: Reach) -> WhoRow {
    WhoRow {
        kind: row.who.kind().to_owned(),
        name: row.who.name().to_owned(),
        access: row.access.into(),
        via: row.via.to_string(),
        until: row.until.map(Stamp),
    }
}

/// What a user can reach, as an answer shows it.
pub fn row_of(row: Reachable) -> AccessRow {
    AccessRow {
        path: row.scope.to_string(),
        access: row.access.into(),
        via: row.via.to_string(),
        until: row.until.map(Stamp),
    }
}
