//! The same wish, without taking anything away, or without taking certain things: for subjects some of whose objects cannot be
//! read, and while removals are held.

use std::collections::BTreeSet;

use super::super::change::Holder;
use super::super::desired::{Desired, DesiredGroup, DesiredSide, DesiredUser, Extras, Family, Fate};
use super::super::family::rights_in;
use super::super::names::{DocumentName, UserName};
use super::super::observed::{Documents, Observed, ObservedGroup, ObservedSide, ObservedUser};
use super::super::path::{Access, Rights, Scope};
use super::Loss;

/// What stays although it is not declared.
#[derive(Clone, Copy)]
pub(super) enum Keep<'a> {
    /// Everything.
    All,
    /// What these losses would take. The workspace of a family of which something is kept is not given either: a workspace
    /// that moves does so as a whole, and one that was declared by mistake is given to nobody.
    Only(&'a BTreeSet<Loss>),
}

impl Keep<'_> {
    fn has(self, loss: impl FnOnce() -> Loss) -> bool {
        match self {
            Self::All => true,
            Self::Only(losses) => losses.contains(&loss()),
        }
    }

    fn is_all(self) -> bool {
        matches!(self, Self::All)
    }
}

/// What `desired` gives and what is in force already and to be kept, so that a plan for it does not take that away: rights,
/// attachments, members and accounts. With everything to be kept, nothing is deleted, and a canned policy that exists stays as
/// it is.
pub(super) fn widen(desired: &Desired, observed: &Observed, keep: Keep<'_>) -> Desired {
    match (desired, observed) {
        (Desired::Everyone(family), Observed::Everyone(documents)) => {
            Desired::Everyone(with_held(family, documents, |_| true, keep))
        }
        (Desired::User(user), Observed::User(observed)) => Desired::User(widen_user(user, observed, keep)),
        (Desired::Group(group), Observed::Group(observed)) => Desired::Group(widen_group(group, observed, keep)),
        (Desired::Policy(policy), Observed::Policy(observed)) => {
            let mut policy = policy.clone();
            if observed.document.is_some() && keep.has(|| Loss::Policy(policy.name.clone())) {
                policy.fate = Fate::Untouched;
            }
            Desired::Policy(policy)
        }
        (desired, _) => desired.clone(),
    }
}

fn widen_user(desired: &DesiredUser, observed: &ObservedUser, keep: Keep<'_>) -> DesiredUser {
    let mut user = desired.clone();
    if user.fate != Fate::Present {
        if keep.has(|| Loss::User(user.name.clone())) {
            user.fate = Fate::Untouched;
        }
        return user;
    }
    let Some(account) = &observed.account else { return user };
    // Who is not disabled after all keeps everything: what else would be lost is not known.
    let stays_enabled = account.enabled && keep.has(|| Loss::Disabled(user.name.clone()));
    let keep = if stays_enabled { Keep::All } else { keep };
    let attached = |name: &DocumentName| account.attached.contains(name);
    user.home = with_held(&desired.home, &observed.documents, attached, keep);
    user.system = with_held(&desired.system, &observed.documents, attached, keep);
    if keep.is_all() {
        user.extras = Extras::Keep;
    }
    if stays_enabled {
        user.enabled = None;
    }
    user.policies.extend(kept_attachments(&Holder::User(user.name.clone()), &account.attached, keep));
    user
}

fn widen_group(desired: &DesiredGroup, observed: &ObservedGroup, keep: Keep<'_>) -> DesiredGroup {
    let mut group = desired.clone();
    let sides = [&desired.main.group, &desired.twin.group];
    if group.fate != Fate::Present {
        if sides.iter().any(|side| keep.has(|| Loss::Group((*side).clone()))) {
            group.fate = Fate::Untouched;
        }
        return group;
    }
    group.main = widen_side(&desired.main, &observed.main, keep);
    group.twin = widen_side(&desired.twin, &observed.twin, keep);
    let states = [&observed.main, &observed.twin].into_iter().filter_map(|side| side.state.as_ref());
    let nameless = states.flat_map(|state| &state.members).any(|member| UserName::parse(member).is_err());
    // Members whose names no user of ours can have cannot be declared, only kept.
    if keep.is_all() || nameless {
        group.extras = Extras::Keep;
    }
    // Who is in the group already is not moved into the twin.
    group.twin.members = group.twin.members.difference(&group.main.members).cloned().collect();
    group
}

fn widen_side(desired: &DesiredSide, observed: &ObservedSide, keep: Keep<'_>) -> DesiredSide {
    let mut side = desired.clone();
    let Some(state) = &observed.state else { return side };
    // A twin that stays keeps everything.
    let stays = !side.present && keep.has(|| Loss::Group(side.group.clone()));
    let keep = if stays { Keep::All } else { keep };
    side.present |= keep.is_all();
    let group = &desired.group;
    let members = state.members.iter();
    let members =
        members.filter(|member| keep.has(|| Loss::Member { group: group.clone(), member: (*member).clone() }));
    side.members.extend(members.filter_map(|member| UserName::parse(member).ok()));
    side.family = with_held(&desired.family, &observed.documents, |name| state.attached.contains(name), keep);
    side.policies.extend(
        kept_attachments(&Holder::Group(group.clone()), &state.attached, keep)
            .into_iter()
            .filter(|name| name.number_in(&side.family.base).is_none()),
    );
    side
}

/// The attachments that are kept one by one.
fn kept_attachments(holder: &Holder, attached: &BTreeSet<DocumentName>, keep: Keep<'_>) -> BTreeSet<DocumentName> {
    let loss = |policy: &DocumentName| Loss::Attachment { holder: holder.clone(), policy: policy.clone() };
    attached.iter().filter(|policy| !keep.is_all() && keep.has(|| loss(policy))).cloned().collect()
}

/// The family with the rights that its attached documents give beyond it and that are kept.
fn with_held(
    family: &Family,
    documents: &Documents,
    attached: impl Fn(&DocumentName) -> bool,
    keep: Keep<'_>,
) -> Family {
    let held: Rights = documents
        .iter()
        .filter(|(name, _)| name.number_in(&family.base).is_some() && attached(name))
        .filter_map(|(_, document)| document.as_ref())
        .flat_map(|document| {
            rights_in(document).iter().map(|(scope, access)| (scope.clone(), access)).collect::<Vec<_>>()
        })
        .collect();
    let loss = |scope: &Scope, access| Loss::Grant { family: family.base.clone(), scope: scope.clone(), access };
    let kept: Rights = held
        .iter()
        .filter(|(scope, access)| keep.has(|| loss(scope, *access)))
        .map(|(scope, access)| (scope.clone(), access))
        .collect();
    let mut wide = family.clone();
    if !keep.is_all() && !kept.is_empty() {
        let given = family.workspace.iter().filter(|(scope, access)| held.cover(scope, *access));
        wide.workspace = given.map(|(scope, access)| (scope.clone(), access)).collect();
    }
    let kept = kept.iter().filter(|(scope, access)| !wide.workspace.cover(scope, *access));
    let kept: Vec<(Scope, Access)> = kept.map(|(scope, access)| (scope.clone(), access)).collect();
    let all: Rights = family.grants.iter().map(|(scope, access)| (scope.clone(), access)).chain(kept).collect();
    wide.grants = all.iter().filter(|right| !covered_by_another(&all, *right)).map(|(s, a)| (s.clone(), a)).collect();
    wide
}

fn covered_by_another(all: &Rights, (scope, access): (&Scope, Access)) -> bool {
    all.iter().any(|(other, level)| other != scope && level >= access && other.contains(scope))
}
