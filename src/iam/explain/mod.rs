//! May this user do that with this path, by which statement, through which object, and why not?
//!
//! The answer is that of the server's own rules ([`evaluate`](super::evaluate)) on the documents that the objects give
//! ([`holdings`]), so it says what the server will do once everything is in force. What is on the server and described by no
//! object is not seen here.

mod holdings;
mod question;
mod why_not;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::access::{self, Via};
use super::document::{Document, Statement};
use super::evaluate::{Certainty, Decision, Undecided, certainty, decide};
use super::family::session_policy;
use super::index::Index;
use super::names::{DocumentName, ServerGroup, UserName};
use super::path::{Access, Rights};
use super::subject::ObjectKey;

pub use holdings::{Held, Holdings, PolicySource, UnknownPolicy, built_in, holdings};
pub use question::{Action, Given, Place, Question, QuestionError};
pub use why_not::{OTHERS_MAY, USER_NOT_FOUND};

/// A statement that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// The document that it is in.
    pub document: DocumentName,
    /// The group through which the user has the document.
    pub group: Option<String>,
    /// The object of a written policy.
    pub object: Option<ObjectKey>,
    /// The statement.
    pub statement: Statement,
}

impl Cited {
    /// The statement without the resources that have nothing to do with a request.
    pub fn cut_to(&self, question: &Question) -> Statement {
        let mut cut = self.statement.clone();
        let meets = |resource: &String| {
            let one = Statement { resource: BTreeSet::from([resource.clone()]), ..self.statement.clone() };
            let document = Document::new(vec![one]);
            certainty(std::iter::once(&document), &question.request()).is_ok_and(|certainty| certainty.is_possible())
                || super::evaluate::denial(std::iter::once(&document), &question.request())
                    .is_ok_and(|found| found.is_some())
        };
        cut.resource.retain(meets);
        if cut.resource.is_empty() { self.statement.clone() } else { cut }
    }
}

/// Something that allows the request by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ground {
    /// What gives it.
    pub via: Via,
    /// How far it goes; none for a policy, which has no level.
    pub access: Option<Access>,
    /// Until when; `None` is for good.
    pub until: Option<Timestamp>,
}

/// Why somebody may not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A word for programs, such as `Expired`.
    pub code: &'static str,
    /// The same for people, with what would change it.
    pub message: String,
}

/// The answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the server allows it.
    pub allowed: bool,
    /// The statement that allows or denies it.
    pub statement: Option<Cited>,
    /// What allows it, each by itself.
    pub grounds: Vec<Ground>,
    /// When it is allowed no more, if nothing changes until then.
    pub until: Option<Timestamp>,
    /// Why it is not allowed, the nearest first.
    pub reasons: Vec<Reason>,
    /// The condition keys on which the answer hangs, and of which the request says nothing.
    pub depends_on: BTreeSet<String>,
    /// Policies that the user has, and of which nothing is known here.
    pub unknown_policies: Vec<UnknownPolicy>,
    /// Objects that give something here and are not in force yet, as far as their status says.
    pub not_ready: Vec<ObjectKey>,
}

/// Answers a question as the objects do. `instance` is what compiled documents are labelled with.
///
/// # Errors
/// The answer hangs on a statement that no server would have stored.
pub fn explain(index: &Index, question: &Question, instance: &str, now: Timestamp) -> Result<Explanation, Undecided> {
    let user = match UserName::parse(&question.user) {
        Ok(user) => user,
        Err(error) => return Ok(Explanation { reasons: vec![why_not::no_name(&error)], ..Explanation::default() }),
    };
    let user = &user;
    if !index.is_on(user) {
        return Ok(Explanation { reasons: why_not::no_account(index, user, now), ..Explanation::default() });
    }
    let holdings = holdings(index, user, instance, now);
    let mut answer = judge(&holdings.held, question)?;
    answer.unknown_policies = holdings.unknown;
    if answer.allowed {
        answer.grounds = grounds(index, user, question, &holdings.held, now);
        answer.until = last_end(&answer.grounds);
        answer.not_ready = not_ready(index, user, &answer.grounds);
    } else {
        answer.reasons = why_not::reasons(index, user, question, answer.statement.as_ref(), now);
    }
    Ok(answer)
}

/// Answers a question for somebody who has these documents, without saying whom they come from.
///
/// # Errors
/// As [`explain`].
pub fn judge(held: &[Held], question: &Question) -> Result<Explanation, Undecided> {
    let request = question.request();
    let documents = || held.iter().map(|held| &held.document);
    let Decision { allowed, by, denied_by } = decide(documents(), &request)?;
    let cited = by.or(denied_by).map(|at| {
        let Held { name, document, group, policy } = &held[at.document];
        let object = match policy {
            Some(PolicySource::Object(object)) => Some(object.clone()),
            Some(PolicySource::BuiltIn) | None => None,
        };
        Cited {
            document: name.clone(),
            group: group.clone(),
            object,
            statement: document.statement[at.statement].clone(),
        }
    });
    let depends_on = certainty(documents(), &request).map(|certainty| certainty.keys()).unwrap_or_default();
    Ok(Explanation { allowed, statement: cited, depends_on, ..Explanation::default() })
}

/// What allows a request, each by itself: workspaces, shares, policies.
fn grounds(index: &Index, user: &UserName, question: &Question, held: &[Held], now: Timestamp) -> Vec<Ground> {
    let rows =
        access::of(index, user, now).into_iter().filter(|row| may_concern(question, row.scope.bucket().as_str()));
    let rows = rows.filter(|row| {
        let alone: Rights = [(row.scope.clone(), row.access)].into_iter().collect();
        allows(&session_policy(&alone), question).is_possible()
    });
    let mut grounds: Vec<Ground> =
        rows.map(|row| Ground { via: row.via, access: Some(row.access), until: row.until }).collect();
    for Held { name, document, group, policy } in held {
        let Some(policy) = policy.as_ref().filter(|_| allows(document, question).is_possible()) else { continue };
        let group = group.as_deref().and_then(|group| ServerGroup::parse(group).ok());
        let until = group.as_ref().and_then(|group| access::membership_until(index, user, group, now));
        grounds.push(Ground { via: via_of(name, group, policy), access: None, until });
    }
    grounds.sort();
    grounds.dedup();
    grounds
}

/// Whether a right in a bucket can have to do with the request at all.
fn may_concern(question: &Question, bucket: &str) -> bool {
    let asked = question.request().bucket;
    asked.is_empty() || asked == bucket
}

fn allows(document: &Document, question: &Question) -> Certainty {
    certainty(std::iter::once(document), &question.request()).unwrap_or_default()
}

fn via_of(name: &DocumentName, group: Option<ServerGroup>, policy: &PolicySource) -> Via {
    let source = match policy {
        PolicySource::Object(object) => access::Source::Object(object.clone()),
        PolicySource::BuiltIn => access::Source::Policy(name.clone()),
    };
    Via { member_of: group.map(access::Who::Group), source }
}

/// When the last of several ends; none where one does not.
fn last_end(grounds: &[Ground]) -> Option<Timestamp> {
    grounds.iter().map(|ground| ground.until).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// What is declared and may not be on the server yet: the user, and what gives it the right.
fn not_ready(index: &Index, user: &UserName, grounds: &[Ground]) -> Vec<ObjectKey> {
    let own = index.user(user).into_iter().map(|declared| declared.key());
    let of_grounds = grounds.iter().filter_map(|ground| match &ground.via.source {
        access::Source::Object(key) => Some(key),
        access::Source::Layout | access::Source::Policy(_) => None,
    });
    let keys: BTreeSet<&ObjectKey> = own.chain(of_grounds).collect();
    keys.into_iter().filter(|key| index.get(key).is_some_and(|declared| !declared.meta.settled)).cloned().collect()
}

/// The least level of access that allows the request on its place; none where none does.
fn level_needed(question: &Question) -> Option<Access> {
    let scope = question.place.path()?.scope();
    [Access::Read, Access::ReadWrite].into_iter().find(|access| {
        let alone: Rights = [(scope.clone(), *access)].into_iter().collect();
        allows(&session_policy(&alone), question).is_possible()
    })
}
