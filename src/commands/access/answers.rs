//! The answers of the objects, and beside them what the server says.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Failure, Known};
use crate::access::{
    AccessExplainResponse, AccessOfResponse, AccessRow, AccessWhoResponse, CitedStatement, ReasonRow, WhoRow,
};
use crate::api::UnmanagedCounts;
use crate::iam::access::{Reach, Reachable};
use crate::iam::document::Document;
use crate::iam::explain::{Explanation, Held, Question, judge};
use crate::iam::live::{self, Difference, Found, FoundPath, Snapshot};
use crate::iam::names::DocumentName;
use crate::iam::path::S3Path;
use crate::stamp::Stamp;

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
    /// The rows of an answer of objects, and beside them what was found on the server, if that was asked.
    fn beside(self, known: &Known, found: Option<(Vec<Row<R>>, Live)>) -> Self {
        let Some((more, live)) = found else { return self };
        let of_objects = self.rows.into_iter().map(|row| Row { origin: Some(Origin::objects()), ..row });
        let rows = of_objects.chain(more).collect();
        Self { complete: is_complete(known, &live), rows, live: Some(live), ..self }
    }
}

impl From<AccessWhoResponse> for WhoAnswer {
    fn from(said: AccessWhoResponse) -> Self {
        let AccessWhoResponse { complete, unmanaged, rows } = said;
        Self { complete, unmanaged, rows: rows.into_iter().map(Row::from).collect(), live: None }
    }
}

impl From<AccessOfResponse> for OfAnswer {
    fn from(said: AccessOfResponse) -> Self {
        let AccessOfResponse { complete, unmanaged, rows } = said;
        Self { complete, unmanaged, rows: rows.into_iter().map(Row::from).collect(), live: None }
    }
}

impl<R> From<R> for Row<R> {
    fn from(row: R) -> Self {
        Self { row, origin: None }
    }
}

/// Whether nothing that the question is about is hidden.
fn is_complete(known: &Known, live: &Live) -> bool {
    live.unread.is_empty() && known.index.undecodable().is_empty()
}

impl WhoAnswer {
    pub(super) fn new(known: &Known, path: &S3Path, said: Vec<Reach>, snapshot: Option<&Snapshot>) -> Self {
        let found = snapshot.map(|snapshot| {
            let findings = live::who(&known.index, snapshot, path, &said, known.now);
            (findings.rows.into_iter().map(found_row).collect(), Live::new(snapshot, findings.differences))
        });
        Self::from(AccessWhoResponse::new(said, known.reported.unmanaged)).beside(known, found)
    }
}

impl OfAnswer {
    pub(super) fn new(known: &Known, user: &str, said: Vec<Reachable>, snapshot: Option<&Snapshot>) -> Self {
        let found = snapshot.map(|snapshot| {
            let findings = live::of(&known.index, snapshot, user, known.now);
            (findings.rows.into_iter().map(found_path).collect(), Live::new(snapshot, findings.differences))
        });
        Self::from(AccessOfResponse::new(said, known.reported.unmanaged)).beside(known, found)
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

/// Whether a user may do something, and why. If the server was asked, `allowed` is what it says.
#[derive(Debug, Serialize)]
pub(super) struct ExplainAnswer {
    #[serde(flatten)]
    pub said: AccessExplainResponse,
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

impl ExplainAnswer {
    pub(super) fn new(
        known: &Known,
        question: &Question,
        declared: Explanation,
        snapshot: Option<&Snapshot>,
    ) -> Result<Self, Failure> {
        let mut answer = Self { said: AccessExplainResponse::new(question, declared), live: None };
        if let Some(snapshot) = snapshot {
            answer.ask_server(known, question, snapshot)?;
        }
        Ok(answer)
    }

    /// Lets the server decide. What the objects say stays as the explanation.
    fn ask_server(&mut self, known: &Known, question: &Question, snapshot: &Snapshot) -> Result<(), Failure> {
        let user = &question.user;
        let on_server = judge(&snapshot.held_by(user), question)?;
        let mut live = Live::new(snapshot, live::differences(&known.index, snapshot, user, known.now));
        for (key, told) in snapshot.keys.iter().zip(&mut live.keys) {
            told.allowed = Some(on_server.allowed && is_within(key.session_policy.as_ref(), question)?);
        }
        let said = &mut self.said;
        let declared = said.allowed;
        if let Some(reason) = disagreement(declared, &on_server, snapshot, user) {
            said.reasons.insert(0, reason);
        }
        said.allowed = on_server.allowed;
        said.until = said.until.take().filter(|_| declared && on_server.allowed);
        if on_server.allowed != declared {
            said.through.clear();
        }
        let objects = said.statement.take();
        said.statement = on_server.statement.map(CitedStatement::from).map(|mut cited| {
            // The server does not say which object a policy is from.
            cited.object =
                objects.filter(|objects| objects.document == cited.document).and_then(|objects| objects.object);
            cited
        });
        said.depends_on = on_server.depends_on;
        // Their documents were read.
        said.unknown_policies.clear();
        said.complete = is_complete(known, &live) && said.depends_on.is_empty();
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
