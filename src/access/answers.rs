//! The answers as programs get them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::api::{Access, UnmanagedCounts};
use crate::iam::access::{Reach, Reachable};
use crate::iam::document::Statement;
use crate::iam::explain::{self, Cited, Explanation, Ground, Question, Reason};
use crate::stamp::Stamp;

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

impl AccessWhoResponse {
    /// The answer of the objects. It never claims to be complete: nothing here tells of policies and bucket policies.
    pub fn new(found: Vec<Reach>, unmanaged: Option<UnmanagedCounts>) -> Self {
        Self { complete: false, unmanaged, rows: found.into_iter().map(WhoRow::from).collect() }
    }
}

impl AccessOfResponse {
    /// The answer of the objects, which is as little complete as [`AccessWhoResponse::new`] is.
    pub fn new(found: Vec<Reachable>, unmanaged: Option<UnmanagedCounts>) -> Self {
        Self { complete: false, unmanaged, rows: found.into_iter().map(AccessRow::from).collect() }
    }
}

impl From<Reach> for WhoRow {
    fn from(row: Reach) -> Self {
        Self {
            kind: row.who.kind().to_owned(),
            name: row.who.name().to_owned(),
            access: row.access.into(),
            via: row.via.to_string(),
            until: row.until.map(Stamp),
        }
    }
}

impl From<Reachable> for AccessRow {
    fn from(row: Reachable) -> Self {
        Self {
            path: row.scope.to_string(),
            access: row.access.into(),
            via: row.via.to_string(),
            until: row.until.map(Stamp),
        }
    }
}

/// Whether a user may do something, and why.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessExplainResponse {
    /// The user.
    pub user: String,
    /// The action, as policies write it.
    pub action: &'static str,
    /// The object, folder or bucket.
    pub path: String,
    /// What policies are asked for.
    pub resource: String,
    /// What the request was taken to say of itself.
    pub conditions: BTreeMap<String, Vec<String>>,
    /// Whether it is allowed.
    pub allowed: bool,
    /// Until when, if it ends.
    pub until: Option<Stamp>,
    /// Whether nothing is left open that could make it another answer.
    pub complete: bool,
    /// The statement that allows or denies it.
    pub statement: Option<CitedStatement>,
    /// What allows it by the objects, each by itself.
    pub through: Vec<Through>,
    /// Why it is not allowed.
    pub reasons: Vec<ReasonRow>,
    /// Condition keys on which the answer hangs and of which the request says nothing.
    pub depends_on: BTreeSet<String>,
    /// Policies of the user of which no object says what they allow; the server does.
    pub unknown_policies: Vec<UnknownPolicy>,
    /// Objects that the answer rests on and that are not Ready.
    pub not_ready: Vec<String>,
}

/// A statement that decides, and where it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CitedStatement {
    /// The policy that it is in.
    pub document: String,
    /// The group through which the user has the policy.
    pub group: Option<String>,
    /// The MinioPolicy that declares it.
    pub object: Option<String>,
    /// The statement as MinIO has it.
    #[schemars(schema_with = "schema_of_statement")]
    pub statement: Statement,
}

/// What allows something.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Through {
    /// Which object, and as a member of which group.
    pub via: String,
    /// How far it goes; policies have no level.
    pub access: Option<Access>,
    /// Until when, if it ends.
    pub until: Option<Stamp>,
}

/// A reason.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReasonRow {
    /// A word for programs, such as `Expired`.
    pub code: &'static str,
    /// The same for people.
    pub message: String,
}

/// A policy that only the server knows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnknownPolicy {
    /// Its name.
    pub name: String,
    /// The group through which the user has it.
    pub group: Option<String>,
}

impl AccessExplainResponse {
    /// The answer of the objects.
    pub fn new(question: &Question, found: Explanation) -> Self {
        Self {
            user: question.user.clone(),
            action: question.action.name(),
            path: question.place.to_string(),
            resource: question.resource(),
            conditions: question.conditions.clone(),
            allowed: found.allowed,
            until: found.until.map(Stamp),
            complete: false,
            statement: found.statement.map(CitedStatement::from),
            through: found.grounds.into_iter().map(Through::from).collect(),
            reasons: found.reasons.into_iter().map(ReasonRow::from).collect(),
            depends_on: found.depends_on,
            unknown_policies: found.unknown_policies.into_iter().map(UnknownPolicy::from).collect(),
            not_ready: found.not_ready.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<Cited> for CitedStatement {
    fn from(cited: Cited) -> Self {
        Self {
            document: cited.document.to_string(),
            group: cited.group,
            object: cited.object.map(|object| object.to_string()),
            statement: cited.statement,
        }
    }
}

impl From<Ground> for Through {
    fn from(ground: Ground) -> Self {
        Self { via: ground.via.to_string(), access: ground.access.map(Into::into), until: ground.until.map(Stamp) }
    }
}

impl From<Reason> for ReasonRow {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code, message: reason.message }
    }
}

impl From<explain::UnknownPolicy> for UnknownPolicy {
    fn from(policy: explain::UnknownPolicy) -> Self {
        Self { name: policy.name.to_string(), group: policy.group }
    }
}

/// A [`Statement`] leaves out what is empty.
fn schema_of_statement(_: &mut SchemaGenerator) -> Schema {
    let texts = || json_schema!({"type": "array", "items": {"type": "string"}});
    let values = json_schema!({"type": "object", "additionalProperties": texts()});
    json_schema!({
        "type": "object",
        "required": ["Effect"],
        "properties": {
            "Sid": {"type": "string"},
            "Effect": {"type": "string", "enum": ["Allow", "Deny"]},
            "Action": texts(),
            "NotAction": texts(),
            "Resource": texts(),
            "NotResource": texts(),
            "Condition": {"type": "object", "additionalProperties": values},
        },
    })
}
