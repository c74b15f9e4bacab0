//! Plans for users.

use std::collections::BTreeSet;

use super::super::change::{Change, Holder};
use super::super::desired::{DesiredUser, Extras, Fate};
use super::super::document::Document;
use super::super::names::DocumentName;
use super::super::observed::{ObservedUser, Surroundings};
use super::documents::Desk;
use super::{Loss, Plan};

pub(super) fn plan(desired: &DesiredUser, observed: &ObservedUser, around: &dyn Surroundings, instance: &str) -> Plan {
    match desired.fate {
        Fate::Present => present(desired, observed, around, instance),
        Fate::Deleted => deleted(desired, observed),
        Fate::Untouched => Plan::default(),
    }
}

fn present(desired: &DesiredUser, observed: &ObservedUser, around: &dyn Surroundings, instance: &str) -> Plan {
    let mut plan = Plan::default();
    let user = desired.name.clone();
    let attached = observed.account.as_ref().map(|account| account.attached.clone()).unwrap_or_default();
    let families = [&desired.home, &desired.system];
    let mut desk = Desk::new(Some(Holder::User(user.clone())), &families, &observed.documents, attached, instance);
    let everyone = want(&mut desk, &desired.policies, desired.extras, around, &mut plan);

    let enabled = observed.account.as_ref().map(|account| account.enabled);
    let enable = desired.enabled.or(enabled).unwrap_or(true);
    plan.losses = losses(desired, &desk, enabled.unwrap_or(false), enable);
    plan.documents = desk.rendered();
    let wanted = desk.wanted.clone();
    let changes = &mut plan.changes;
    match (enabled, enable) {
        (None, enabled) => {
            desk.put_all(changes);
            changes.push(Change::CreateUser { user, enabled });
            if enabled {
                desk.map(&wanted, changes);
            }
        }
        (Some(true), true) => desk.settle(changes),
        (Some(true), false) => {
            let reduced = lasting(&desk, &everyone, &plan.kept.policies);
            desk.map(&reduced, changes);
            changes.push(Change::SetUserStatus { user, enabled: false });
            desk.put_all(changes);
            desk.disarm_surplus(changes);
        }
        (Some(false), false) => {
            desk.put_all(changes);
            desk.disarm_surplus(changes);
        }
        (Some(false), true) => {
            desk.put_all(changes);
            desk.disarm_surplus(changes);
            changes.push(Change::SetUserStatus { user, enabled: true });
            desk.map(&wanted, changes);
        }
    }
    desk.delete_surplus(changes);
    plan
}

/// What stays attached to a user who is being disabled: attachments of a disabled user cannot be written, and whatever
/// is there is in force for a moment when the user is enabled again. Documents of its own can be kept right meanwhile.
fn lasting(
    desk: &Desk<'_>,
    everyone: &BTreeSet<DocumentName>,
    kept: &BTreeSet<DocumentName>,
) -> BTreeSet<DocumentName> {
    let lasts = |name: &DocumentName| desk.target.contains_key(name) || everyone.contains(name) || kept.contains(name);
    desk.attached.iter().filter(|name| lasts(name)).cloned().collect()
}

/// Adds to what the desk wants the declared policies that exist and the foreign ones that stay. Where the everyone
/// document is declared, all documents of that family are; returns those.
pub(super) fn want(
    desk: &mut Desk<'_>,
    policies: &BTreeSet<DocumentName>,
    extras: Extras,
    around: &dyn Surroundings,
    plan: &mut Plan,
) -> BTreeSet<DocumentName> {
    let everyone = match policies.contains(&DocumentName::everyone()) {
        true => around.everyone_documents(),
        false => BTreeSet::new(),
    };
    for name in policies.union(&everyone) {
        let exists = around.has_policy(name);
        if exists || desk.attached.contains(name) {
            desk.wanted.insert(name.clone());
        }
        if !exists {
            plan.waiting.missing_policies.insert(name.clone());
        }
    }
    if extras == Extras::Keep {
        let kept = desk.attached.iter().filter(|name| !desk.owns(name) && !desk.wanted.contains(*name));
        let kept: BTreeSet<_> = kept.cloned().collect();
        desk.wanted.extend(kept.iter().cloned());
        plan.kept.policies.extend(kept);
    }
    desk.dangling = desk.wanted.iter().filter(|name| !desk.owns(name) && !around.has_policy(name)).cloned().collect();
    everyone
}

/// The foreign attachments that the desk does not want.
pub(super) fn lost_attachments(desk: &Desk<'_>, holder: &Holder) -> BTreeSet<Loss> {
    desk.attached
        .difference(&desk.wanted)
        .filter(|name| !desk.owns(name))
        .map(|policy| Loss::Attachment { holder: holder.clone(), policy: policy.clone() })
        .collect()
}

/// A disabled user has nothing to lose, and one who is being disabled loses everything at once.
fn losses(desired: &DesiredUser, desk: &Desk<'_>, enabled: bool, enable: bool) -> BTreeSet<Loss> {
    match (enabled, enable) {
        (false, _) => BTreeSet::new(),
        (true, false) => BTreeSet::from([Loss::Disabled(desired.name.clone())]),
        (true, true) => {
            let mut losses = desk.lost_grants();
            losses.append(&mut lost_attachments(desk, &Holder::User(desired.name.clone())));
            losses
        }
    }
}

/// The account first: with it the server drops keys, attachments and memberships, and the documents become free.
fn deleted(desired: &DesiredUser, observed: &ObservedUser) -> Plan {
    let mut plan = Plan::default();
    if observed.account.is_some() {
        plan.losses.insert(Loss::User(desired.name.clone()));
        plan.changes.push(Change::DeleteUser { user: desired.name.clone() });
    }
    for (name, document) in &observed.documents {
        let before = document.as_ref().map(Document::fingerprint);
        plan.changes.push(Change::DeleteDocument { name: name.clone(), before });
    }
    plan
}
