//! Who can reach a path on the server.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::compare::{Described, Managed};
use super::{Difference, Findings, Found, Has, Snapshot, via};
use crate::iam::access::{Reach, Who};
use crate::iam::desired::Family;
use crate::iam::document::{Document, Statement};
use crate::iam::evaluate::{Certainty, Request, Stance, stance};
use crate::iam::explain::{Action, Place, Question};
use crate::iam::index::Index;
use crate::iam::names::DocumentName;
use crate::iam::path::{Access, S3Path};
use crate::iam::vocabulary::SAFE_VARIABLES;

/// What is asked for everybody: to list and to read, to write and to delete.
const ACTIONS: [(&str, Access); 4] = [
    ("s3:ListBucket", Access::Read),
    ("s3:GetObject", Access::Read),
    ("s3:PutObject", Access::ReadWrite),
    ("s3:DeleteObject", Access::ReadWrite),
];

/// Everybody who can reach a path on the server in a way that `said`, the answer of the objects, does not tell; and where a
/// managed user has less there than `said`. The path is asked for as an object and as a folder: who reaches only a part of what
/// is below it is not found.
pub fn who(index: &Index, snapshot: &Snapshot, path: &S3Path, said: &[Reach], now: Timestamp) -> Findings<Found> {
    let everyone = index.everyone_family();
    let probes = Probes::new(path, now);
    let mut survey = Survey { index, snapshot, everyone: &everyone, path, now, probes, rows: Vec::new() };
    let mut differences = Vec::new();
    let promised = promised(index, said);
    for user in snapshot.users.keys() {
        let reached = survey.user(user);
        let lost = promised.get(user.as_str()).filter(|access| !reached.has(**access));
        if let (Some(access), Some(managed)) = (lost, Managed::of(index, &everyone, user, now)) {
            differences.extend(lost_by(&managed, *access, snapshot, path));
        }
    }
    for (user, access) in promised.iter().filter(|(user, _)| !snapshot.users.contains_key(**user)) {
        if let Some(managed) = Managed::of(index, &everyone, user, now) {
            differences.extend(lost_by(&managed, *access, snapshot, path));
        }
    }
    survey.groups();
    survey.keys();
    survey.anybody();
    let mut rows = survey.rows;
    rows.sort();
    rows.dedup();
    differences.sort();
    differences.dedup();
    Findings { rows, differences }
}

/// The managed users that reach a path on the server, however they do.
pub fn reached_by(index: &Index, snapshot: &Snapshot, path: &S3Path, now: Timestamp) -> BTreeSet<String> {
    let mut probes = Probes::new(path, now);
    let users = snapshot.users.keys().filter(|user| index.subject_of_user(user).is_some());
    users.filter(|user| !probes.reached(user, &snapshot.has(user)).actions.is_empty()).cloned().collect()
}

/// What objects give to whom.
fn promised<'a>(index: &'a Index, said: &'a [Reach]) -> BTreeMap<&'a str, Access> {
    let mut promised: BTreeMap<&str, Access> = BTreeMap::new();
    let mut add = |name: &'a str, access: Access| {
        let held = promised.entry(name).or_insert(access);
        *held = (*held).max(access);
    };
    for row in said {
        match &row.who {
            Who::User(name) => add(name.as_str(), row.access),
            Who::Everyone => index.enabled_users().for_each(|name| add(name.as_str(), row.access)),
            Who::Group(_) => {}
        }
    }
    promised
}

/// What a managed user has lost, with the reason if one is found.
fn lost_by(managed: &Managed<'_>, access: Access, snapshot: &Snapshot, path: &S3Path) -> Vec<Difference> {
    let user = managed.name().to_string();
    let lost = format!("objects give it {access:?} on {path}, and the server does not");
    let why = managed.lacks(snapshot);
    let details = if why.is_empty() {
        vec![format!("{lost}: ask access explain --live which statement denies it")]
    } else {
        why.into_iter().map(|why| format!("{lost}: it {why}")).collect()
    };
    details.into_iter().map(|detail| Difference { user: user.clone(), detail }).collect()
}

/// What somebody can do, by action.
#[derive(Clone, Debug, Default)]
struct Reached {
    actions: BTreeMap<&'static str, Certainty>,
}

impl Reached {
    fn add(&mut self, action: &'static str, certainty: Certainty) {
        if certainty.is_possible() {
            let held = self.actions.entry(action).or_default();
            *held = std::mem::take(held).or(certainty);
        }
    }

    /// What is left of it where `other` allows less.
    fn within(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.actions.retain(|action, _| other.actions.contains_key(action));
        both
    }

    fn access(&self) -> Option<Access> {
        let levels = ACTIONS.iter().filter(|(action, _)| self.actions.contains_key(action));
        levels.map(|(_, access)| *access).max()
    }

    /// Whether all that a level stands for is allowed.
    fn has(&self, access: Access) -> bool {
        let mut needed = ACTIONS.iter().filter(|(_, level)| *level <= access);
        needed.all(|(action, _)| self.actions.contains_key(action))
    }

    /// The condition keys that any of it hangs on.
    fn conditions(&self) -> BTreeSet<String> {
        self.actions.values().flat_map(Certainty::keys).collect()
    }
}

/// The requests by which somebody is found.
struct Probes<'a> {
    asked: Vec<(&'static str, Question)>,
    /// What documents without variables say, by their name.
    known: HashMap<&'a DocumentName, Vec<Stance>>,
}

impl<'a> Probes<'a> {
    fn new(path: &S3Path, now: Timestamp) -> Self {
        let places = [Place::from(path), Place::folder(path)];
        let mut asked = Vec::new();
        for (name, _) in ACTIONS {
            let action = Action::parse(name).expect("these are actions");
            for place in &places {
                if let Ok(question) = Question::new("", action, place.clone(), Vec::new(), now) {
                    asked.push((name, question));
                }
            }
        }
        Self { asked, known: HashMap::new() }
    }

    /// What a user with these documents can do.
    fn reached(&mut self, user: &str, has: &[Has<'a>]) -> Reached {
        let mut all = vec![Stance::default(); self.asked.len()];
        for one in has {
            for (sum, stance) in all.iter_mut().zip(self.stances(user, one)) {
                *sum = std::mem::take(sum).and(stance);
            }
        }
        self.summed(all)
    }

    /// What one document allows.
    fn allowed(&mut self, user: &str, has: &Has<'a>) -> Reached {
        let stances = self.stances(user, has);
        self.summed(stances)
    }

    fn summed(&self, stances: Vec<Stance>) -> Reached {
        let mut reached = Reached::default();
        for ((action, _), stance) in self.asked.iter().zip(stances) {
            reached.add(action, stance.outcome());
        }
        reached
    }

    fn stances(&mut self, user: &str, has: &Has<'a>) -> Vec<Stance> {
        if let Some(known) = self.known.get(has.name) {
            return known.clone();
        }
        let stances = self.ask(user, has.document);
        if !has.document.statement.iter().any(speaks_of_who_asks) {
            self.known.insert(has.name, stances.clone());
        }
        stances
    }

    fn ask(&self, user: &str, document: &Document) -> Vec<Stance> {
        let stance_on = |(_, question): &(&str, Question)| {
            let request = Request { username: user, ..question.request() };
            stance(document, &request).unwrap_or_default()
        };
        self.asked.iter().map(stance_on).collect()
    }
}

/// Whether a statement says something else for each user.
fn speaks_of_who_asks(statement: &Statement) -> bool {
    let is_variable = |text: &String| text.contains("${");
    let conditions = statement.condition.values().flatten();
    let by_condition = |(key, values): (&String, &BTreeSet<String>)| {
        SAFE_VARIABLES.contains(&key.as_str()) || values.iter().any(is_variable)
    };
    statement.resource.iter().chain(&statement.not_resource).any(is_variable)
        || conditions.into_iter().any(by_condition)
}

struct Survey<'a> {
    index: &'a Index,
    snapshot: &'a Snapshot,
    everyone: &'a Family,
    path: &'a S3Path,
    now: Timestamp,
    probes: Probes<'a>,
    rows: Vec<Found>,
}

impl Survey<'_> {
    /// A row for each document that lets a user in and that the objects do not tell of. Answers what the user can do in all.
    fn user(&mut self, user: &str) -> Reached {
        let has = self.snapshot.has(user);
        let reached = self.probes.reached(user, &has);
        let Some(_) = reached.access() else { return reached };
        let managed = Managed::of(self.index, self.everyone, user, self.now);
        let scope = self.path.scope();
        for one in &has {
            let through = self.probes.allowed(user, one).within(&reached);
            let Some(access) = through.access() else { continue };
            let described = match &managed {
                Some(managed) => managed.describes(one, Some(&scope), access),
                None => Described::Not,
            };
            let (is_managed, until) = match described {
                Described::ByRights => continue,
                Described::ByPolicy(until) => (true, until),
                Described::Not => (false, None),
            };
            self.rows.push(row("User", user, access, &through, via(one), until, is_managed));
        }
        reached
    }

    /// Groups that no object declares, as such.
    fn groups(&mut self) {
        let snapshot = self.snapshot;
        let foreign = snapshot.groups.iter().filter(|(name, _)| self.index.subject_of_group(name).is_none());
        for (name, group) in foreign {
            for policy in &group.attached {
                let Some(Some(document)) = snapshot.documents.get(policy) else { continue };
                let has = Has { name: policy, document, group: None };
                let through = self.probes.allowed("", &has);
                if let Some(access) = through.access() {
                    self.rows.push(row("Group", name, access, &through, via(&has), None, false));
                }
            }
        }
    }

    /// Keys that no Secret names: each may do what its user may, within its own policy.
    fn keys(&mut self) {
        for key in &self.snapshot.keys {
            let mut reached = self.probes.reached(&key.user, &self.snapshot.has(&key.user));
            let mut told = format!("user {}; no Secret names this key", key.user);
            if let Some(policy) = &key.session_policy {
                told.push_str("; confined by a policy of its own");
                if let Some(document) = policy {
                    reached = reached.within(&self.probes.summed(self.probes.ask(&key.user, document)));
                }
            }
            if let Some(access) = reached.access() {
                self.rows.push(row("Key", &key.access_key, access, &reached, told, key.until, false));
            }
        }
    }

    /// Who has no key at all.
    fn anybody(&mut self) {
        let bucket = self.path.bucket().as_str();
        let Some(document) = self.snapshot.public.get(bucket) else { return };
        let reached = self.probes.summed(self.probes.ask("", document));
        if let Some(access) = reached.access() {
            let through = format!("the policy of bucket {bucket}; without a key");
            self.rows.push(row("Anonymous", "anonymous", access, &reached, through, None, false));
        }
    }
}

fn row(
    kind: &'static str,
    name: &str,
    access: Access,
    reached: &Reached,
    via: String,
    until: Option<Timestamp>,
    managed: bool,
) -> Found {
    Found {
        kind,
        name: name.to_owned(),
        access,
        actions: reached.actions.keys().map(ToString::to_string).collect(),
        via,
        until,
        managed,
        conditions: reached.conditions(),
    }
}
