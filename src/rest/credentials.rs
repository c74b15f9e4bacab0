//! The caller's own key: read from its Secret, never made here. The first login makes the user.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use moka::future::Cache;

use super::app::Call;
use super::edit::{Changed, Created, Editor, names};
use super::error::ApiError;
use super::input;
use super::models::{CredentialProcessResponse, CredentialsResponse, Stamp};
use super::routes::{Access, Expects, QueryParameter, Route, schema_of};
use super::view::{Known, is_off, stall_of};
use crate::api::meta::{annotation, reason};
use crate::api::{MinioUser, MinioUserSpec};
use crate::controller::credentials::IssuedKey;
use crate::iam::names::UserName;
use crate::iam::slug::user_slug;
use crate::iam::subject::{Kind, ObjectKey};
use crate::kubernetes::Seen;

/// How long a key that was read is not read again.
const MOMENT: Duration = Duration::from_secs(1);
/// How many are kept.
const KEYS_KEPT: u64 = 1_000;

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let credentials = Route {
        method: Method::GET,
        path: "/credentials/",
        id: "get_credentials_credentials__get",
        tag: "credentials",
        summary: "A key that works; the first call makes the user",
        access: Access::User,
        body: Expects::Nothing,
        query: &[],
        answers: vec![(200, schema_of::<CredentialsResponse>)],
        handler: get(credentials),
    };
    let process = Route {
        path: "/credentials/process",
        id: "get_credentials_process_credentials_process_get",
        summary: "The same in the form of credential_process of the AWS configuration",
        answers: vec![(200, schema_of::<CredentialProcessResponse>)],
        handler: get(process),
        ..credentials.clone()
    };
    let rotate = Route {
        method: Method::POST,
        path: "/credentials/rotate",
        id: "rotate_credentials_credentials_rotate_post",
        summary: "A new key; the former one works on for the overlap, or ends at once with revoke=true",
        query: &[QueryParameter {
            name: "revoke",
            description: "Whether every other key of the user ends at once",
            required: false,
            schema: || serde_json::json!({"type": "boolean", "default": false}),
        }],
        handler: post(rotate_own),
        ..credentials.clone()
    };
    vec![credentials, process, rotate]
}

async fn credentials(call: Call) -> Result<Json<CredentialsResponse>, ApiError> {
    let user = call.caller()?.user.clone();
    ensure_user(&call, &user, call.app.settings.auto_create).await?;
    Ok(Json(key_of_user(&call, &user).await?))
}

async fn process(call: Call) -> Result<Json<CredentialProcessResponse>, ApiError> {
    let user = call.caller()?.user.clone();
    ensure_user(&call, &user, call.app.settings.auto_create).await?;
    let key = key_of_user(&call, &user).await?;
    let expiration = key.expires_at.map(|end| end.0.to_string()).unwrap_or_default();
    Ok(Json(CredentialProcessResponse {
        version: 1,
        access_key_id: key.access_key,
        secret_access_key: key.secret_key,
        expiration,
    }))
}

async fn rotate_own(call: Call, uri: axum::http::Uri) -> Result<Json<CredentialsResponse>, ApiError> {
    let user = call.caller()?.user.clone();
    let revoke = flag(&uri, "revoke")?;
    rotate(&call, &user, revoke).await?;
    Ok(Json(key_of_user(&call, &user).await?))
}

/// A boolean in the query; absent is false.
///
/// # Errors
/// 422 for another word.
pub fn flag(uri: &axum::http::Uri, name: &'static str) -> Result<bool, ApiError> {
    match input::query(uri, name).as_deref().map(str::trim) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(ApiError::invalid(vec![super::error::Violation {
            kind: "bool_parsing",
            loc: vec!["query".into(), name.into()],
            msg: "Input should be true or false".to_owned(),
        }])),
    }
}

/// Sees to it that the user exists and is in force.
///
/// # Errors
/// 400/20030 where it may not be made, 403/20030 where it is disabled, 503/20050 where it takes too long.
pub async fn ensure_user(call: &Call, user: &UserName, may_create: bool) -> Result<(), ApiError> {
    match call.app.view.read(|known| standing(known, user)) {
        Standing::Ready => return Ok(()),
        Standing::Off => return Err(disabled(user)),
        Standing::Refused(message) => return Err(ApiError::user(message)),
        Standing::InProgress => {}
        Standing::Leaving | Standing::Absent if !may_create => return Err(not_found(user)),
        Standing::Leaving => {
            await_end_of_former(call, user).await?;
            create(call, user).await?;
        }
        Standing::Absent => create(call, user).await?,
    }
    let standing = call.app.view.wait_for(call.deadline, |known| match standing(known, user) {
        Standing::Absent | Standing::Leaving | Standing::InProgress => None,
        other => Some(other),
    });
    match standing.await {
        Some(Standing::Ready) => Ok(()),
        Some(Standing::Off) => Err(disabled(user)),
        Some(Standing::Refused(message)) => Err(ApiError::user(message)),
        _ => Err(late(call, user)),
    }
}

fn not_found(user: &UserName) -> ApiError {
    ApiError::user(format!("User {user} not found"))
}

fn disabled(user: &UserName) -> ApiError {
    ApiError::user(format!("User {user} is disabled")).with_status(StatusCode::FORBIDDEN)
}

fn late(call: &Call, user: &UserName) -> ApiError {
    let said = call.app.view.read(|known| known.index.user(user).map(|declared| known.message(&declared.meta.key)));
    let said = said.unwrap_or_default();
    ApiError::unavailable(format!("User {user} is not ready yet; it will be, try again. {said}"))
}

/// How a user stands that a call needs.
enum Standing {
    Ready,
    InProgress,
    Absent,
    /// It is being deleted.
    Leaving,
    Off,
    Refused(String),
}

fn standing(known: &Known, user: &UserName) -> Standing {
    let Some(declared) = known.index.user(user) else { return refused_claim(known, user) };
    if declared.meta.deleting.is_some() {
        return Standing::Leaving;
    }
    let Some(seen) = known.seen.get(&declared.meta.key) else { return Standing::Absent };
    // The index knows of a lock at once, whatever the status says, and while nobody writes one.
    if !known.index.is_on(user) || is_off(seen) {
        return Standing::Off;
    }
    if let Some(stall) = stall_of(seen) {
        return if stall.reason == reason::SECRET_CONFLICT || !has_key(seen) {
            Standing::Refused(stall.message.to_owned())
        } else {
            Standing::Ready
        };
    }
    // What is about to change in its rights does not take its key away.
    if has_key(seen) && seen.status.generation().is_some() { Standing::Ready } else { Standing::InProgress }
}

/// An object may name the user and hold no claim on it: its author has to change something.
fn refused_claim(known: &Known, user: &UserName) -> Standing {
    let key = ObjectKey::new(Kind::MinioUser, known.index.config().home_namespace.as_str(), object_name(user));
    let stall = known.seen.get(&key).filter(|seen| !seen.is_deleting()).and_then(|seen| stall_of(seen));
    stall.map_or(Standing::Absent, |stall| Standing::Refused(stall.message.to_owned()))
}

fn has_key(seen: &Seen) -> bool {
    seen.status.has_key()
}

/// The name of the object of a user.
pub fn object_name(user: &UserName) -> String {
    user_slug(user)
}

/// Waits until a user of this name that is being deleted is gone.
async fn await_end_of_former(call: &Call, user: &UserName) -> Result<(), ApiError> {
    let gone = |known: &Known| (!matches!(standing(known, user), Standing::Leaving)).then_some(());
    let ended = call.app.view.wait_for(call.deadline, gone).await;
    ended.ok_or_else(|| ApiError::unavailable(format!("User {user} is still being deleted; try again")))
}

/// Makes the object of a user. Where its name is taken by the object of another user, a name of its own is made.
async fn create(call: &Call, user: &UserName) -> Result<(), ApiError> {
    for name in names(object_name(user), user.as_str()) {
        match call.app.editor.create(call, &object_of(call, user, &name)).await? {
            Created::New(..) => return Ok(()),
            Created::Taken if is_of(call, &name, user).await? => return Ok(()),
            Created::Taken => {}
        }
    }
    Err(ApiError::user(format!("The name of the object for user {user} is taken by that of another user")))
}

fn object_of(call: &Call, user: &UserName, name: &str) -> MinioUser {
    let mut object =
        MinioUser::new(name, MinioUserSpec { username: Some(user.to_string()), ..MinioUserSpec::default() });
    object.metadata = call.app.editor.metadata(name, user);
    object
}

async fn is_of(call: &Call, name: &str, user: &UserName) -> Result<bool, ApiError> {
    let key = ObjectKey::new(Kind::MinioUser, call.app.editor.namespace(), name);
    let found = |known: &Known| {
        known
            .index
            .get(&key)
            .map(|declared| known.index.user(user).map(|held| &held.meta.key) == Some(&declared.meta.key))
    };
    Ok(call.app.view.wait_for(call.deadline, found).await.unwrap_or(false))
}

/// Asks for a new key and waits until it is there.
///
/// # Errors
/// 400/20030 for an unknown user and one in another namespace, 403/20030 for a disabled one, 503/20050 where it takes too long.
pub async fn rotate(call: &Call, user: &UserName, revoke: bool) -> Result<(), ApiError> {
    ensure_user(call, user, false).await?;
    let (key, uid, secret_name, _) = call.app.view.read(|known| secret_of(known, user))?;
    check_reach(call, user, &key, &secret_name)?;
    let value = format!("{}-{:08x}", Timestamp::now(), rand::random::<u32>());
    let name = if revoke { annotation::REVOKE } else { annotation::ROTATE };
    let changed = call.app.editor.annotate::<MinioUser>(call, &key.name, &uid, name, &value).await?;
    let Changed::Done(object, written) = changed else { return Err(not_found(user)) };
    let before = object
        .status
        .and_then(|status| status.credentials)
        .and_then(|credentials| if revoke { credentials.last_handled_revoke } else { credentials.last_handled_rotate });
    let answered = |known: &Known| {
        let seen = known.seen.get(&key).filter(|seen| *seen.uid() == *written.uid)?;
        let status = seen.status.key();
        let handled = if revoke { status.last_handled_revoke } else { status.last_handled_rotate }?;
        let newest = seen.meta(&key).annotations?.remove(name)?;
        is_answered(&value, &handled, &newest, before.as_deref()).then_some(())
    };
    call.app.view.wait_for(call.deadline, answered).await.ok_or_else(|| late(call, user))
}

/// Whether a request for a new key is answered that was written as `asked`, when `before` was the last one that had been
/// handled. The newest request may be somebody else's, written over ours before anybody looked: once it is handled the key is
/// newer than both.
fn is_answered(asked: &str, handled: &str, newest: &str, before: Option<&str>) -> bool {
    handled == asked || (handled == newest && Some(handled) != before)
}

/// The key in the user's Secret, which must be that of the user's object.
///
/// # Errors
/// 400/20030 where the Secret is somebody else's or out of reach, 503/20050 where there is none yet.
pub async fn key_of_user(call: &Call, user: &UserName) -> Result<CredentialsResponse, ApiError> {
    loop {
        let (key, uid, secret_name, access_key) = call.app.view.read(|known| secret_of(known, user))?;
        check_reach(call, user, &key, &secret_name)?;
        let look = look_up(&call.app.editor, &secret_name, &uid);
        let found = call.app.keys.try_get_with((uid.clone(), access_key.clone()), look);
        let found = tokio::time::timeout_at(call.deadline, found).await.map_err(|_| late(call, user))?;
        match found.as_deref() {
            Ok(issued) => return Ok(answer(user, issued)),
            Err(missed) => missed.as_ref().clone().map_or(Ok(()), Err)?,
        }
        // The key is being replaced, or the Secret was just taken away: the status tells when there is news.
        let news = |known: &Known| {
            let now = known.index.user(user).and_then(|declared| known.seen.get(&declared.meta.key))?;
            let said = now.status.key().access_key?;
            (said != access_key).then_some(())
        };
        call.app.view.wait_for(call.deadline, news).await.ok_or_else(|| late(call, user))?;
    }
}

/// Keys are read and rotated in the namespace of this service only.
fn check_reach(call: &Call, user: &UserName, key: &ObjectKey, secret_name: &str) -> Result<(), ApiError> {
    if key.namespace == call.app.editor.namespace() {
        return Ok(());
    }
    Err(ApiError::user(format!(
        "User {user} and its Secret are in namespace {}, which is not this service's; read {secret_name} there, and rotate by an \
         annotation of {key}",
        key.namespace
    )))
}

fn secret_of(known: &Known, user: &UserName) -> Result<(ObjectKey, String, String, String), ApiError> {
    let missing = || ApiError::unavailable(format!("User {user} has no key yet; try again"));
    let declared = known.index.user(user).ok_or_else(|| not_found(user))?;
    let seen = known.seen.get(&declared.meta.key).ok_or_else(missing)?;
    let status = seen.status.key();
    let (secret_name, access_key) = status.secret_name.zip(status.access_key).ok_or_else(missing)?;
    Ok((declared.meta.key.clone(), seen.uid().to_owned(), secret_name, access_key))
}

/// Reads the key in a Secret; an error without words where there is none of the user's.
async fn look_up(editor: &Editor, secret_name: &str, uid: &str) -> Result<Arc<IssuedKey>, Option<ApiError>> {
    let secret = editor.secret(secret_name).await.map_err(Some)?;
    let own = secret.filter(|secret| is_owned_by(secret, uid));
    own.as_ref().and_then(IssuedKey::read).map(Arc::new).ok_or(None)
}

/// Keys that were read a moment ago, by the uid of the user's object and the id of the key that its status names. Callers who
/// come at once share one look; nothing is kept for longer than a moment.
pub type Keys = Cache<(String, String), Arc<IssuedKey>>;

/// No keys yet.
pub fn no_keys() -> Keys {
    Cache::builder().max_capacity(KEYS_KEPT).time_to_live(MOMENT).build()
}

fn is_owned_by(secret: &Secret, uid: &str) -> bool {
    secret.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

fn answer(user: &UserName, key: &IssuedKey) -> CredentialsResponse {
    let (access, secret) = (key.credentials.access_key.clone(), key.credentials.secret.expose().to_owned());
    CredentialsResponse {
        username: user.to_string(),
        access_key: access.clone(),
        secret_key: secret.clone(),
        s3_access_key: Some(access),
        s3_secret_key: Some(secret),
        expires_at: Some(Stamp(key.expires_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_with_the_newest_one_that_was_handled_after_it() {
        for (handled, newest, before, expected) in [
            ("ours", "ours", None, true),
            ("ours", "later", Some("old"), true),
            ("later", "later", Some("old"), true),
            ("later", "later", None, true),
            ("old", "ours", Some("old"), false),
            ("old", "later", Some("old"), false),
            // What somebody had asked for before, and was seen only now.
            ("earlier", "ours", Some("old"), false),
            ("earlier", "later", Some("old"), false),
            ("earlier", "earlier", Some("earlier"), false),
        ] {
            assert_eq!(is_answered("ours", handled, newest, before), expected, "{handled} {newest} {before:?}");
        }
    }
}
