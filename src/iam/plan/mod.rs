//! From what the server should hold and what it holds to an ordered list of changes.
//!
//! After every single change nobody may do what neither the old nor the new state allows, and nobody is denied what both
//! allow. A plan that was cut short anywhere is followed by another plan from there, under the same rule. The exceptions,
//! all of a few requests:
//!
//! - While some members move into a read-only twin and others out of it, and the documents change, the former may have
//!   less than they had and will have; so may who is on both sides after a plan that was cut short.
//! - A grant to everyone that moves into a further document is missing until the users have that one attached.
//! - What a document of somebody else gave in a shape that we do not read may be interrupted.
//! - The server refuses to write the attachments of a disabled user. So what a canned policy denies is not denied between
//!   the request that sets them and the one that sets the status, and a user whom somebody else disabled comes back, if
//!   declared enabled, with the attachments it had until the next request.

mod documents;
mod group;
mod loss;
mod user;
mod widen;

use std::collections::{BTreeMap, BTreeSet};

pub use loss::Loss;

use super::change::{Change, Impact};
use super::desired::{Desired, DesiredKey, DesiredPolicy, Family, Fate};
use super::document::{Document, MAX_BYTES};
use super::family::label;
use super::names::{DocumentName, ServerGroup, UserName};
use super::observed::{Account, Documents, Observed, ObservedPolicy, Surroundings};
use documents::Desk;
use widen::Keep;

/// What is to be done for one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes, in their order.
    pub changes: Vec<Change>,
    /// What cannot be done yet.
    pub waiting: Waiting,
    /// What no object declares and stays nevertheless.
    pub kept: Kept,
    /// Whether more would have been done, had that been allowed.
    pub withheld: bool,
    /// What somebody loses by this plan.
    pub losses: BTreeSet<Loss>,
    /// The documents of the subject's families as they will be.
    pub documents: BTreeMap<DocumentName, Document>,
}

/// What a plan had to leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Policies to attach that do not exist.
    pub missing_policies: BTreeSet<DocumentName>,
    /// Members to add that do not exist.
    pub missing_users: BTreeSet<UserName>,
    /// Names in groups that are no users any more: the server refuses to take them out, and to delete a group that has any.
    pub stale_members: BTreeMap<ServerGroup, BTreeSet<String>>,
    /// Users and groups that hold a policy that is to be deleted.
    pub holders: BTreeSet<String>,
    /// The user whose key is to be issued, and whose account is not ready for that.
    pub user: Option<UserName>,
}

impl Waiting {
    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Foreign attachments and members that stay (adopted subjects).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Attachments of a user, or of a group or its twin.
    pub policies: BTreeSet<DocumentName>,
    /// Members by group.
    pub members: BTreeMap<ServerGroup, BTreeSet<String>>,
}

impl Kept {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.members.is_empty()
    }
}

/// The changes that lead from `observed` to `desired`; none when it is there. `instance` labels our documents.
///
/// `observed` must be of the kind of `desired`; there are no changes for anything else.
pub fn plan(desired: &Desired, observed: &Observed, around: &dyn Surroundings, instance: &str) -> Plan {
    plan_for(desired, observed, around, instance, false)
}

/// The changes that give what `desired` gives beyond `observed` and take nothing away: rights, attachments, members and
/// accounts stay, nothing is deleted, and a canned policy that exists is not written. For subjects some of whose objects
/// cannot be read. What is kept so shows among the kept, whoever declared it.
pub fn plan_widening(desired: &Desired, observed: &Observed, around: &dyn Surroundings, instance: &str) -> Plan {
    let wide = widen::widen(desired, observed, Keep::All);
    plan_for(&wide, observed, around, instance, true)
}

/// As [`plan`], but nothing of `spared` is lost, which are losses of that plan: for what is held while all else goes on.
pub fn plan_sparing(
    desired: &Desired,
    observed: &Observed,
    around: &dyn Surroundings,
    instance: &str,
    spared: &BTreeSet<Loss>,
) -> Plan {
    let wide = widen::widen(desired, observed, Keep::Only(spared));
    plan_for(&wide, observed, around, instance, false)
}

fn plan_for(
    desired: &Desired,
    observed: &Observed,
    around: &dyn Surroundings,
    instance: &str,
    widen_only: bool,
) -> Plan {
    match (desired, observed) {
        (Desired::Everyone(family), Observed::Everyone(documents)) => plan_everyone(family, documents, instance),
        (Desired::Policy(desired), Observed::Policy(observed)) => plan_policy(desired, observed, instance),
        (Desired::User(desired), Observed::User(observed)) => user::plan(desired, observed, around, instance),
        (Desired::Group(desired), Observed::Group(observed)) => {
            group::plan(desired, observed, around, instance, widen_only)
        }
        (Desired::Key(desired), Observed::Key(account)) => plan_key(desired, account.as_ref()),
        _ => Plan::default(),
    }
}

/// The everyone document hangs on every user, so that no further one can be deleted: it is emptied to the guard.
fn plan_everyone(family: &Family, observed: &Documents, instance: &str) -> Plan {
    let mut changes = Vec::new();
    let mut desk = Desk::new(None, &[family], observed, BTreeSet::new(), instance);
    desk.attached = desk.target.keys().chain(observed.keys()).cloned().collect();
    let losses = desk.lost_grants();
    desk.put_new(&mut changes);
    desk.wanted = desk.attached.clone();
    desk.settle(&mut changes);
    desk.disarm_surplus(&mut changes);
    Plan { changes, losses, documents: desk.rendered(), ..Plan::default() }
}

fn plan_policy(desired: &DesiredPolicy, observed: &ObservedPolicy, instance: &str) -> Plan {
    let name = DocumentName::from(&desired.name);
    let mut plan = Plan::default();
    let before = observed.document.as_ref().and_then(Option::as_ref);
    match (desired.fate, &desired.document) {
        (Fate::Present, Some(document)) => {
            let document = labelled(document, instance);
            plan.documents.insert(name.clone(), document.clone());
            if !before.is_some_and(|before| is_written(before, &document, instance)) {
                let impact = match (&observed.document, before) {
                    (None, _) => Impact::Widens,
                    (Some(_), Some(before)) if before.same_meaning(&document) => Impact::Neutral,
                    _ => Impact::Both,
                };
                plan.changes.push(Change::PutDocument {
                    name,
                    document,
                    before: before.map(Document::fingerprint),
                    impact,
                });
            }
        }
        (Fate::Deleted, _) if observed.document.is_some() => {
            if observed.holders.is_empty() {
                plan.losses.insert(Loss::Policy(desired.name.clone()));
                plan.changes.push(Change::DeleteDocument { name, before: before.map(Document::fingerprint) });
            } else {
                plan.waiting.holders = observed.holders.clone();
            }
        }
        _ => {}
    }
    plan
}

/// Keys are issued by themselves; what a plan can say is whether they may be. Below an account without the guard a key could
/// mint others.
fn plan_key(desired: &DesiredKey, account: Option<&Account>) -> Plan {
    let mut plan = Plan::default();
    let Some(user) = desired.user.as_ref().filter(|_| desired.fate == Fate::Present) else { return plan };
    let is_guarded = account.is_some_and(|account| account.attached.contains(&DocumentName::user_home(user)));
    if !(desired.is_user_managed && is_guarded) {
        plan.waiting.user = Some(user.clone());
    }
    plan
}

/// The document with our label on its first statement that has none, or on its first; without where it would be too large.
fn labelled(document: &Document, instance: &str) -> Document {
    let label = label(instance);
    if document.carries_sid(&label) {
        return document.clone();
    }
    let mut ours = document.clone();
    let place = ours.statement.iter().position(|statement| statement.sid.is_none()).unwrap_or(0);
    if let Some(statement) = ours.statement.get_mut(place) {
        statement.sid = Some(label);
    }
    if ours.size() <= MAX_BYTES { ours } else { document.clone() }
}

/// Whether `before` means what `wanted` means and carries our label if that does.
fn is_written(before: &Document, wanted: &Document, instance: &str) -> bool {
    let label = label(instance);
    before.same_meaning(wanted) && (before.carries_sid(&label) || !wanted.carries_sid(&label))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
