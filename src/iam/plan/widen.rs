//! The same wish, without taking anything away: for subjects some of whose objects cannot be read, and while removals are held.

use super::super::desired::{Desired, DesiredGroup, DesiredSide, DesiredUser, Extras, Family, Fate};
use super::super::family::rights_in;
use super::super::names::UserName;
use super::super::observed::{Documents, Observed, ObservedGroup, ObservedSide, ObservedUser};
use super::super::path::{Access, Rights, Scope};

/// What `desired` gives and what is in force already, so that a plan for it takes nothing away: rights, attachments,
/// members and accounts stay, nothing is deleted. A canned policy that exists stays as it is.
pub(super) fn widen(desired: &Desired, observed: &Observed) -> Desired {
    match (desired, observed) {
        (Desired::Everyone(family), Observed::Everyone(documents)) => {
            Desired::Everyone(with_held(family, documents, |_| true))
        }
        (Desired::User(user), Observed::User(observed)) => Desired::User(widen_user(user, observed)),
        (Desired::Group(group), Observed::Group(observed)) => Desired::Group(widen_group(group, observed)),
        (Desired::Policy(policy), Observed::Policy(observed)) if observed.document.is_some() => {
            let mut policy = policy.clone();
            policy.fate = Fate::Untouched;
            Desired::Policy(policy)
        }
        (desired, _) => desired.clone(),
    }
}

fn widen_user(desired: &DesiredUser, observed: &ObservedUser) -> DesiredUser {
    let mut user = desired.clone();
    if user.fate != Fate::Present {
        user.fate = Fate::Untouched;
        return user;
    }
    let Some(account) = &observed.account else { return user };
    user.home = with_held(&desired.home, &observed.documents, |name| account.attached.contains(name));
    user.system = with_held(&desired.system, &observed.documents, |name| account.attached.contains(name));
    user.extras = Extras::Keep;
    if account.enabled {
        user.enabled = None;
    }
    user
}

fn widen_group(desired: &DesiredGroup, observed: &ObservedGroup) -> DesiredGroup {
    let mut group = desired.clone();
    if group.fate != Fate::Present {
        group.fate = Fate::Untouched;
        return group;
    }
    group.extras = Extras::Keep;
    group.main = widen_side(&desired.main, &observed.main);
    group.twin = widen_side(&desired.twin, &observed.twin);
    // Who is in the group already is not moved into the twin.
    group.twin.members = group.twin.members.difference(&group.main.members).cloned().collect();
    group
}

fn widen_side(desired: &DesiredSide, observed: &ObservedSide) -> DesiredSide {
    let mut side = desired.clone();
    let Some(state) = &observed.state else { return side };
    side.present = true;
    side.members.extend(state.members.iter().filter_map(|member| UserName::parse(member).ok()));
    side.family = with_held(&desired.family, &observed.documents, |name| state.attached.contains(name));
    side
}

/// The family with the rights that its attached documents give beyond it.
fn with_held(family: &Family, documents: &Documents, attached: impl Fn(&super::DocumentName) -> bool) -> Family {
    let held = documents
        .iter()
        .filter(|(name, _)| name.number_in(&family.base).is_some() && attached(name))
        .filter_map(|(_, document)| document.as_ref())
        .flat_map(|document| {
            rights_in(document).iter().map(|(scope, access)| (scope.clone(), access)).collect::<Vec<_>>()
        })
        .filter(|(scope, access)| !family.workspace.cover(scope, *access));
    let all: Rights = family.grants.iter().map(|(scope, access)| (scope.clone(), access)).chain(held).collect();
    let mut wide = family.clone();
    wide.grants = all.iter().filter(|right| !covered_by_another(&all, *right)).map(|(s, a)| (s.clone(), a)).collect();
    wide
}

fn covered_by_another(all: &Rights, (scope, access): (&Scope, Access)) -> bool {
    all.iter().any(|(other, level)| other != scope && level >= access && other.contains(scope))
}
