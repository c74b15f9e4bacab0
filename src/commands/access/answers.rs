//! The answers as programs get them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Failure, Known};
use crate::api::{Access, UnmanagedCounts};
use crate::iam::access::{Reach, Reachable};
use crate::iam::document::{Document, Statement};
use crate::iam::explain::{self, Cited, Explanation, Ground, Held, Question, Reason, judge};
use crate::iam::live::{self, Difference, Found, FoundPath, Snapshot};
use crate::iam::names::DocumentName;
use crate::iam::path::S3Path;
use crate::rest::access::{row_of, who_row};
use crate::rest::models::{AccessRow, Stamp, WhoRow};

/// Who can reach a path.
pub(super) type WhoAnswer = Answer<WhoRow>;
/// What a user can reach.
pub(super) type OfAnswer = Answer<AccessRow>;

/// The rows that REST answers, and beside them what the server was asked for.
#[derive(Debug, Serialize)]
pub(super) struct Answer<R> {
    /// Whether nothing else can give access: only where the server was asked, and answered everything.
    pub complete: bool,
    pub unmanaged: Option<UnmanagedCounts>,
    pub rows: Vec<Row<R>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
}

/// A row of REST, and where it is from if the server was asked.
#[derive(Debug, Serialize)]
pub(super) struct Row<R> {
    #[serde(flatten)]
    pub row: R,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Where a row is from.
#[derive(Debug, Serialize)]
pub(super) struct Origin {
    /// Whether an object describes it.
    pub managed: bool,
    /// `objects` or `server`.
    pub source: &'static str,
    /// What exactly the server allows; empty for rows of objects, whose access says it.
    pub actions: BTreeSet<String>,
    /// The condition keys on which it hangs.
    pub conditions: BTreeSet<String>,
}

impl Origin {
    fn objects() -> Self {
        Self { managed: true, source: "objects", actions: BTreeSet::new(), conditions: BTreeSet::new() }
    }

    fn server(managed: bool, actions: BTreeSet<String>, conditions: BTreeSet<String>) -> Self {
        Self { managed, source: "server", actions, conditions }
    }
}

/// What was found on the server beside rows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Live {
    /// Where users are otherwise on the server than their objects say.
    pub differences: Vec<Told>,
    /// Keys of managed users that no Secret names.
    pub keys: Vec<Key>,
    /// What could not be read or understood: the answer may lack something because of it.
    pub unread: BTreeSet<String>,
}

/// Where a user is otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub user: String,
    pub detail: String,
}

/// A key that no Secret names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub user: String,
    pub access_key: String,
    pub until: Option<Stamp>,
    /// Whether a policy of its own confines it.
    pub confined: bool,
    /// For a question about one request: whether the key may make it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<bool>,
}

impl Live {
    fn new(snapshot: &Snapshot, differences: Vec<Difference>) -> Self {
        let told = |Difference { user, detail }| Told { user, detail };
        let keys = snapshot.keys.iter().map(|key| Key {
            user: key.user.clone(),
            access_key: key.access_key.clone(),
            until: key.until.map(Stamp),
            confined: key.session_policy.is_some(),
            allowed: None,
        });
        Self { differences: differences.into_iter().map(told).collect(), keys: keys.collect(), unread: snapshot.gaps() }
    }
}

impl<R> Answer<R> {
    fn assemble(known: &Known, said: Vec<R>, found: Option<(Vec<Row<R>>, Live)>) -> Self {
        let is_live = found.is_some();
        let of_objects = |row| Row { row, origin: is_live.then(Origin::objects) };
        let mut rows: Vec<Row<R>> = said.into_iter().map(of_objects).collect();
        let (more, live) = found.unzip();
        rows.extend(more.into_iter().flatten());
        Self { complete: is_complete(known, live.as_ref()), unmanaged: known.unmanaged, rows, live }
    }
}

/// Whether nothing that the question is about is hidden.
fn is_complete(known: &Known, live: Option<&Live>) -> bool {
    live.is_some_and(|live| live.unread.is_empty()) && known.index.undecodable().is_empty()
}

impl WhoAnswer {
    pub(super) fn new(known: &Known, path: &S3Path, said: Vec<Reach>, snapshot: Option<&Snapshot>) -> Self {
        let found = snapshot.map(|snapshot| {
            let findings = live::who(&known.index, snapshot, path, &said, known.now);
            (findings.rows.into_iter().map(found_row).collect(), Live::new(snapshot, findings.differences))
        });
        Self::assemble(known, said.into_iter().map(who_row).collect(), found)
    }
}

impl OfAnswer {
    pub(super) fn new(known: &Known, user: &str, said: Vec<Reachable>, snapshot: Option<&Snapshot>) -> Self {
        let found = snapshot.map(|snapshot| {
            let findings = live::of(&known.index, snapshot, user, known.now);
            (findings.rows.into_iter().map(found_path).collect(), Live::new(snapshot, findings.differences))
        });
        Self::assemble(known, said.into_iter().map(row_of).collect(), found)
    }
}

fn found_row(found: Found) -> Row<WhoRow> {
    let Found { kind, name, access, actions, via, until, managed, conditions } = found;
    let row = WhoRow { kind: kind.to_owned(), name, access: access.into(), via, until: until.map(Stamp) };
    Row { row, origin: Some(Origin::server(managed, actions, conditions)) }
}

fn found_path(found: FoundPath) -> Row<AccessRow> {
    let FoundPath { path, access, actions, via, until, managed, conditions } = found;
    let row = AccessRow { path, access: access.into(), via, until: until.map(Stamp) };
    Row { row, origin: Some(Origin::server(managed, actions, conditions)) }
}

/// Whether a user may do something, and why.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExplainAnswer {
    pub user: String,
    pub action: &'static str,
    pub path: String,
    /// What policies are asked for.
    pub resource: String,
    /// What the request was taken to say of itself.
    pub conditions: BTreeMap<String, Vec<String>>,
    /// Whether it is allowed: on the server if that was asked, else by the objects.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveExplanation>,
}

/// What the server says of the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiveExplanation {
    /// What the objects say.
    pub declared: bool,
    /// Whether anybody may do it without a key.
    pub anonymous: bool,
    #[serde(flatten)]
    pub live: Live,
}

/// A statement that decides, and where it is.
#[derive(Debug, Serialize)]
pub(super) struct CitedStatement {
    pub document: String,
    pub group: Option<String>,
    pub object: Option<String>,
    pub statement: Statement,
}

/// What allows something.
#[derive(Debug, Serialize)]
pub(super) struct Through {
    pub via: String,
    pub access: Option<Access>,
    pub until: Option<Stamp>,
}

/// A reason.
#[derive(Debug, Serialize)]
pub(super) struct ReasonRow {
    pub code: &'static str,
    pub message: String,
}

/// A policy that only the server knows.
#[derive(Debug, Serialize)]
pub(super) struct UnknownPolicy {
    pub name: String,
    pub group: Option<String>,
}

impl ExplainAnswer {
    pub(super) fn new(
        known: &Known,
        question: &Question,
        declared: Explanation,
        snapshot: Option<&Snapshot>,
    ) -> Result<Self, Failure> {
        let mut answer = Self::declared(question, declared);
        if let Some(snapshot) = snapshot {
            answer.ask_server(known, question, snapshot)?;
        }
        Ok(answer)
    }

    fn declared(question: &Question, declared: Explanation) -> Self {
        let ground = |ground: Ground| Through {
            via: ground.via.to_string(),
            access: ground.access.map(Into::into),
            until: ground.until.map(Stamp),
        };
        let unknown =
            |policy: explain::UnknownPolicy| UnknownPolicy { name: policy.name.to_string(), group: policy.group };
        Self {
            user: question.user.clone(),
            action: question.action.name(),
            path: question.place.to_string(),
            resource: question.resource(),
            conditions: question.conditions.clone(),
            allowed: declared.allowed,
            until: declared.until.map(Stamp),
            complete: false,
            statement: declared.statement.map(cited),
            through: declared.grounds.into_iter().map(ground).collect(),
            reasons: declared.reasons.into_iter().map(told).collect(),
            depends_on: declared.depends_on,
            unknown_policies: declared.unknown_policies.into_iter().map(unknown).collect(),
            not_ready: declared.not_ready.iter().map(ToString::to_string).collect(),
            live: None,
        }
    }

    /// Lets the server decide. What the objects say stays as the explanation.
    fn ask_server(&mut self, known: &Known, question: &Question, snapshot: &Snapshot) -> Result<(), Failure> {
        let user = &question.user;
        let on_server = judge(&snapshot.held_by(user), question)?;
        let mut live = Live::new(snapshot, live::differences(&known.index, snapshot, user, known.now));
        for (key, told) in snapshot.keys.iter().zip(&mut live.keys) {
            told.allowed = Some(on_server.allowed && is_within(key.session_policy.as_ref(), question)?);
        }
        let declared = self.allowed;
        if let Some(reason) = disagreement(declared, &on_server, snapshot, user) {
            self.reasons.insert(0, reason);
        }
        self.allowed = on_server.allowed;
        self.until = self.until.take().filter(|_| declared && on_server.allowed);
        if on_server.allowed != declared {
            self.through.clear();
        }
        let objects = self.statement.take();
        self.statement = on_server.statement.map(cited).map(|mut cited| {
            // The server does not say which object a policy is from.
            cited.object =
                objects.filter(|objects| objects.document == cited.document).and_then(|objects| objects.object);
            cited
        });
        self.depends_on = on_server.depends_on;
        // Their documents were read.
        self.unknown_policies.clear();
        self.complete = is_complete(known, Some(&live)) && self.depends_on.is_empty();
        let bucket = snapshot.public.get(question.place.bucket().as_str());
        let anonymous = bucket.map(|document| judge(&[alone(document.clone())], question)).transpose()?;
        self.live = Some(LiveExplanation { declared, anonymous: anonymous.is_some_and(|answer| answer.allowed), live });
        Ok(())
    }
}

/// Whether a key's own policy allows what its user may do.
fn is_within(policy: Option<&Option<Document>>, question: &Question) -> Result<bool, Failure> {
    match policy {
        None | Some(None) => Ok(true),
        Some(Some(document)) => Ok(judge(&[alone(document.clone())], question)?.allowed),
    }
}

fn alone(document: Document) -> Held {
    Held { name: DocumentName::from_server(""), document, group: None, policy: None }
}

/// What there is to say where server and objects differ, or where only the server knows the user.
fn disagreement(declared: bool, on_server: &Explanation, snapshot: &Snapshot, user: &str) -> Option<ReasonRow> {
    let by = on_server.statement.as_ref().map(|cited| {
        let group = cited.group.as_ref().map(|group| format!(", through group {group}")).unwrap_or_default();
        format!("policy {}{group}", cited.document)
    });
    let message = match (declared, on_server.allowed, by) {
        (false, true, by) => {
            format!("the server allows it by {}, and no object says so", by.unwrap_or_else(|| "something".to_owned()))
        }
        (true, false, Some(by)) => format!("the objects allow it, and the server denies it by {by}"),
        (true, false, None) if !snapshot.users.contains_key(user) => {
            "the objects allow it, and the server has no such user".to_owned()
        }
        (true, false, None) => "the objects allow it, and nothing on the server does yet, or any more".to_owned(),
        (true, true, _) | (false, false, _) => return None,
    };
    Some(ReasonRow { code: if declared { "NotOnServer" } else { "OnServerOnly" }, message })
}

fn cited(cited: Cited) -> CitedStatement {
    CitedStatement {
        document: cited.document.to_string(),
        group: cited.group,
        object: cited.object.map(|object| object.to_string()),
        statement: cited.statement,
    }
}

fn told(reason: Reason) -> ReasonRow {
    ReasonRow { code: reason.code, message: reason.message }
}
