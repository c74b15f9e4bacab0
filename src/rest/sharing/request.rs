//! What callers ask of the sharing endpoints. Wrong paths are told ahead of everything else that is wrong in a body.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde_json::Value;

use crate::api::SubjectKind;
use crate::api::rules::REASON_MAX;
use crate::iam::declared::Terms;
use crate::iam::path::{Access, S3Path};
use crate::rest::error::ApiError;
use crate::rest::input::{Body, Fields};
use crate::rest::models::Stamp;
use crate::rest::names::Alphabet;
use crate::rest::terms::Lasting;

/// How many users and groups one call may name together.
pub const TARGETS: usize = 100;

/// Sharing a folder.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; it is read field by field, so that errors come in their order")]
pub struct ShareRequest {
    /// The folder, s3://BUCKET/KEY or s3a://BUCKET/KEY.
    #[schemars(length(min = 1))]
    path: String,
    /// Users, at most 100 together with the groups.
    #[schemars(default)]
    with_users: Vec<String>,
    /// Groups, or the read-only twins of groups.
    #[schemars(default)]
    with_groups: Vec<String>,
    /// `read` or `write`
    #[schemars(default = "default_permission", regex(pattern = "^(read|write)$"))]
    permission: String,
    /// When the access ends; without it, it does not. The last call for somebody holds.
    #[schemars(default)]
    expires_at: Option<Stamp>,
    /// Why, for people.
    #[schemars(default, length(max = REASON_MAX))]
    reason: Option<String>,
}

fn default_permission() -> String {
    "write".to_owned()
}

/// Ending shares of a folder.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; it is read field by field, so that errors come in their order")]
pub struct UnshareRequest {
    /// The folder, s3://BUCKET/KEY or s3a://BUCKET/KEY.
    #[schemars(length(min = 1))]
    path: String,
    /// Users, at most 100 together with the groups.
    #[schemars(default)]
    from_users: Vec<String>,
    /// Groups, or the read-only twins of groups.
    #[schemars(default)]
    from_groups: Vec<String>,
}

/// Something that concerns a folder as a whole.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body; it is read field by field, so that errors come in their order")]
pub struct PathRequest {
    /// The folder, s3://BUCKET/KEY or s3a://BUCKET/KEY.
    #[schemars(length(min = 1))]
    path: String,
}

/// A path, and how it was written.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As it was sent, without blanks around it.
    pub text: String,
    /// What it means.
    pub path: S3Path,
}

/// Somebody who is named in a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// User or group.
    pub kind: SubjectKind,
    /// The name as it was sent, without blanks around it.
    pub name: String,
}

impl Named {
    /// `user` or `group`.
    pub fn word(&self) -> &'static str {
        match self.kind {
            SubjectKind::User => "user",
            SubjectKind::Group => "group",
        }
    }
}

/// A call that shares.
#[derive(Debug)]
pub struct Share {
    /// What.
    pub asked: Asked,
    /// With whom.
    pub named: Vec<Named>,
    /// How far, how long and why.
    pub terms: Terms,
}

/// A call that ends shares.
#[derive(Debug)]
pub struct Unshare {
    /// What.
    pub asked: Asked,
    /// With whom no longer.
    pub named: Vec<Named>,
}

/// Reads the body of `share`.
///
/// # Errors
/// 400 for the path, 422 for all else.
pub fn share(body: &Body, alphabet: Alphabet, now: Timestamp) -> Result<Share, ApiError> {
    let mut fields = body.fields()?;
    let asked = path(&mut fields, alphabet)?;
    let named = targets(&mut fields, "with_users", "with_groups");
    let access = permission(&mut fields);
    let Lasting { expires_at, reason } = Lasting::read(&mut fields, now);
    Ok(Share { asked: complete(asked, fields)?, named, terms: Terms { access, expires_at, reason } })
}

/// Reads the body of `unshare`.
///
/// # Errors
/// 400 for the path, 422 for all else.
pub fn unshare(body: &Body, alphabet: Alphabet) -> Result<Unshare, ApiError> {
    let mut fields = body.fields()?;
    let asked = path(&mut fields, alphabet)?;
    let named = targets(&mut fields, "from_users", "from_groups");
    Ok(Unshare { asked: complete(asked, fields)?, named })
}

/// Reads a body that is a path and nothing else.
///
/// # Errors
/// 400 for the path, 422 for all else.
pub fn only_path(body: &Body, alphabet: Alphabet) -> Result<Asked, ApiError> {
    let mut fields = body.fields()?;
    let asked = path(&mut fields, alphabet)?;
    complete(asked, fields)
}

/// The path; `None` where a violation was noted.
fn path(fields: &mut Fields<'_>, alphabet: Alphabet) -> Result<Option<Asked>, ApiError> {
    match fields.text("path") {
        "" => Ok(None),
        text => Ok(Some(Asked { text: text.to_owned(), path: alphabet.path(text)? })),
    }
}

fn complete(asked: Option<Asked>, fields: Fields<'_>) -> Result<Asked, ApiError> {
    fields.end()?;
    asked.ok_or_else(|| ApiError::invalid(Vec::new()))
}

fn targets(fields: &mut Fields<'_>, users: &'static str, groups: &'static str) -> Vec<Named> {
    let mut all = Vec::new();
    for (kind, list) in [(SubjectKind::User, users), (SubjectKind::Group, groups)] {
        all.extend(fields.texts(list, TARGETS).into_iter().map(|name| Named { kind, name: name.to_owned() }));
    }
    if all.len() > TARGETS {
        fields.note("too_long", groups, &format!("{users} and {groups} should have at most {TARGETS} items together"));
    }
    all
}

fn permission(fields: &mut Fields<'_>) -> Access {
    match fields.value::<Value>("permission", false, "Input should be a valid string") {
        None => Access::ReadWrite,
        Some(Value::String(word)) if word == "write" => Access::ReadWrite,
        Some(Value::String(word)) if word == "read" => Access::Read,
        Some(Value::String(_)) => {
            fields.note("string_pattern_mismatch", "permission", "String should match pattern '^(read|write)$'");
            Access::Read
        }
        Some(_) => {
            fields.note("string_type", "permission", "Input should be a valid string");
            Access::Read
        }
    }
}
