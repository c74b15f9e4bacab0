//! Who can reach what, through which object, and why or why not. Only what objects say is seen here: users, policies and bucket
//! policies that nobody declares may give more.

use axum::Json;
use axum::http::{Method, Uri};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;

use super::app::{App, Call};
use super::auth::Caller;
use super::error::{ApiError, Code, Violation};
use super::input::{self, Segments};
use super::routes::{Access, Expects, QueryParameter, Route, schema_of};
use super::sharing::place::is_concerned;
use super::view::Known;
use crate::access::{AccessExplainResponse, AccessOfResponse, AccessWhoResponse};
use crate::iam::access;
use crate::iam::explain::{self, Action, Explanation, Given, OTHERS_MAY, Question, QuestionError, USER_NOT_FOUND};
use crate::iam::names::UserName;

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
    let explain = Route {
        path: "/access/explain",
        id: "get_access_explain_access_explain_get",
        summary: "Whether a user may do something, and why, through which object; for oneself and administrators",
        query: QUESTION,
        answers: vec![(200, schema_of::<AccessExplainResponse>)],
        handler: get(explain),
        ..who.clone()
    };
    vec![who, of, explain]
}

/// What `explain` is asked.
const QUESTION: &[QueryParameter] = &[
    QueryParameter {
        name: "user",
        description: "The name of the user on MinIO",
        required: true,
        schema: || json!({"type": "string", "minLength": 1}),
    },
    QueryParameter {
        name: "action",
        description: "read, write, list, delete, or an S3 action such as s3:GetObjectTagging",
        required: true,
        schema: || json!({"type": "string", "minLength": 1}),
    },
    QueryParameter {
        name: "path",
        description: "The object or folder, s3a://BUCKET/KEY, or the bucket, s3a://BUCKET",
        required: true,
        schema: || json!({"type": "string", "minLength": 1}),
    },
    QueryParameter {
        name: "condition",
        description: "What the request says of itself, KEY=VALUE, such as aws:SourceIp=10.0.0.1; may be given several times",
        required: false,
        schema: || json!({"type": "array", "items": {"type": "string"}}),
    },
];

async fn who(call: Call, uri: Uri) -> Result<Json<AccessWhoResponse>, ApiError> {
    let caller = call.caller()?;
    let [text] = input::required(&uri, ["path"])?;
    let path = call.app.alphabet.path(&text)?;
    call.app.view.read(|known| {
        if !is_concerned(known, caller, &path) {
            return Err(ApiError::governance(format!(
                "Only the owner of {path}, stewards and administrators may ask who can reach it"
            )));
        }
        let found = access::who(&known.index, &path, Timestamp::now());
        Ok(Json(AccessWhoResponse::new(found, known.reported.unmanaged)))
    })
}

async fn of(call: Call, Segments([name]): Segments<1>) -> Result<Json<AccessOfResponse>, ApiError> {
    let caller = call.caller()?;
    let user = call.app.alphabet.user(&name)?;
    check_may_ask(caller, &user, "can reach")?;
    call.app.view.read(|known| {
        let there = known.index.user(&user).is_some_and(|declared| declared.meta.deleting.is_none());
        if !there {
            return Err(ApiError::user(format!("User {user} not found")));
        }
        let found = access::of(&known.index, &user, Timestamp::now());
        Ok(Json(AccessOfResponse::new(found, known.reported.unmanaged)))
    })
}

async fn explain(call: Call, uri: Uri) -> Result<Json<AccessExplainResponse>, ApiError> {
    let caller = call.caller()?;
    let [user, action, path] = input::required(&uri, ["user", "action", "path"])?;
    let user = call.app.alphabet.user(&user)?;
    check_may_ask(caller, &user, "may do")?;
    let now = Timestamp::now();
    let question = question(&call.app, &user, [&action, &path], &uri, now)?;
    call.app.view.read(|known| {
        let label = known.reported.label(call.app.settings.instance_id.as_deref());
        let found = explain::explain(&known.index, &question, label, now)
            .map_err(|undecided| ApiError::new(Code::Path, undecided.to_string()))?;
        if let Some(why) = found.reasons.iter().find(|reason| reason.code == USER_NOT_FOUND) {
            return Err(ApiError::user(format!("User {user} not found: {}", why.message)));
        }
        Ok(Json(AccessExplainResponse::new(&question, without_others(found, known, caller, &question))))
    })
}

/// # Errors
/// 403/20042 for somebody who asks about somebody else, and is no administrator.
fn check_may_ask(caller: &Caller, user: &UserName, what: &str) -> Result<(), ApiError> {
    if caller.admin || caller.user == *user {
        return Ok(());
    }
    Err(ApiError::governance(format!("Only user {user} and administrators may ask what user {user} {what}")))
}

/// The question that a query asks.
///
/// # Errors
/// 400 for a path, 422 for all else that makes no question.
fn question(
    app: &App,
    user: &UserName,
    [action, path]: [&str; 2],
    uri: &Uri,
    now: Timestamp,
) -> Result<Question, ApiError> {
    let action = Action::parse(action.trim()).map_err(no_question)?;
    let place = app.alphabet.place(path)?;
    let given = input::queries(uri, "condition").map(|text| Given::parse(text.trim()));
    let given = given.collect::<Result<_, _>>().map_err(no_question)?;
    Question::new(user.as_str(), action, place, given, now).map_err(no_question)
}

fn no_question(error: QuestionError) -> ApiError {
    let parameter = match &error {
        QuestionError::Path(_) | QuestionError::NoObject { .. } => {
            return ApiError::new(Code::Path, error.to_string());
        }
        QuestionError::Action { .. } | QuestionError::Service(_) => "action",
        QuestionError::Condition(_)
        | QuestionError::Key { .. }
        | QuestionError::Value { .. }
        | QuestionError::Own(_) => "condition",
    };
    let loc = vec![json!("query"), json!(parameter)];
    ApiError::invalid(vec![Violation { kind: "value_error", loc, msg: error.to_string() }])
}

/// Who else may do it is told to those alone who may ask [`who`].
fn without_others(mut found: Explanation, known: &Known, caller: &Caller, question: &Question) -> Explanation {
    let is_told = question.place.path().is_some_and(|path| is_concerned(known, caller, &path));
    found.reasons.retain(|reason| is_told || reason.code != OTHERS_MAY);
    found
}
