//! A managed user on the server beside what its objects say.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Difference, Has, Snapshot};
use crate::iam::access::membership_until;
use crate::iam::desired::{Desired, DesiredUser, Family};
use crate::iam::family::rights_in;
use crate::iam::index::Index;
use crate::iam::names::{DocumentName, ServerGroup, UserName};
use crate::iam::path::{Access, Rights, Scope};
use crate::iam::subject::{ObjectKey, Subject};

/// How many folders a sentence names.
const NAMED: usize = 5;

/// What objects say of a right that somebody has on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Described {
    /// A workspace or a share gives it.
    ByRights,
    /// Objects attach the policy, until then.
    ByPolicy(Option<Timestamp>),
    /// Nothing.
    Not,
}

/// A managed user by its objects.
pub(super) struct Managed<'a> {
    index: &'a Index,
    now: Timestamp,
    everyone: &'a Family,
    name: UserName,
    desired: DesiredUser,
    groups: BTreeMap<ServerGroup, BTreeSet<ObjectKey>>,
}

impl<'a> Managed<'a> {
    /// The user of a name; none where the account of that name is not that of an object. `everyone` is what all users have.
    pub(super) fn of(index: &'a Index, everyone: &'a Family, user: &str, now: Timestamp) -> Option<Self> {
        let name = UserName::parse(user).ok()?;
        let meta = &index.user(&name)?.meta;
        if meta.origin.is_none() || meta.deleting.is_some() {
            return None;
        }
        let Desired::User(desired) = index.desired(&Subject::User(name.clone()), now) else { return None };
        let groups = index.groups_of(&name, now);
        Some(Self { index, now, everyone, name, desired, groups })
    }

    /// The name.
    pub(super) fn name(&self) -> &UserName {
        &self.name
    }

    /// Whether objects say that the user has this much through this document.
    pub(super) fn describes(&self, has: &Has<'_>, scope: Option<&Scope>, access: Access) -> Described {
        let group = match has.group.map(|group| self.group(group)) {
            Some(None) => return Described::Not,
            Some(group) => group,
            None => None,
        };
        if has.name.is_derived() {
            let covers = |rights: &Rights| scope.is_some_and(|scope| rights.cover(scope, access));
            let family = self.family_of(has.name, group);
            let is_said = family.is_some_and(|family| covers(&family.workspace) || covers(&family.grants));
            return if is_said { Described::ByRights } else { Described::Not };
        }
        let is_attached = match group {
            None => self.desired.policies.contains(has.name),
            Some(group) => self.index.policies_of_group(group).contains(has.name),
        };
        if !is_attached {
            return Described::Not;
        }
        Described::ByPolicy(group.and_then(|group| membership_until(self.index, &self.name, group, self.now)))
    }

    /// The group of a name that the user is in by its objects.
    fn group(&self, name: &str) -> Option<&ServerGroup> {
        self.groups.keys().find(|group| group.as_str() == name)
    }

    /// The family of a document that the user has by its objects, directly or through a group.
    fn family_of(&self, document: &DocumentName, group: Option<&ServerGroup>) -> Option<Cow<'_, Family>> {
        let base = document.family_base();
        match group {
            Some(group) if base == DocumentName::group(group) => {
                self.index.side_family(group, self.now).map(Cow::Owned)
            }
            Some(_) => None,
            None if base == DocumentName::everyone() => Some(Cow::Borrowed(self.everyone)),
            None => {
                let own = [&self.desired.home, &self.desired.system];
                own.into_iter().find(|family| family.base == base).map(Cow::Borrowed)
            }
        }
    }

    /// Why the user has less on the server than its objects give it.
    pub(super) fn lacks(&self, snapshot: &Snapshot) -> Vec<String> {
        let Some(live) = snapshot.users.get(self.name.as_str()) else {
            return vec!["has no account on the server".to_owned()];
        };
        let mut lacks = Vec::new();
        if self.desired.enabled == Some(true) && !live.account.enabled {
            lacks.push("is disabled on the server".to_owned());
        }
        if let Some(group) = snapshot.disabled_group(live) {
            lacks.push(format!("has nothing on the server while group {group}, which it is in, is disabled there"));
        }
        for group in self.groups.keys().filter(|group| !live.member_of.contains(group.as_str())) {
            lacks.push(format!("is not in group {group} on the server"));
        }
        for policy in self.desired.policies.difference(&live.account.attached) {
            lacks.push(format!("has not got policy {policy} on the server"));
        }
        for family in [&self.desired.home, &self.desired.system] {
            lacks.extend(missing(family, &live.account.attached, snapshot, ""));
        }
        for group in self.groups.keys().filter(|group| live.member_of.contains(group.as_str())) {
            let attached = snapshot.groups.get(group.as_str()).map(|group| &group.attached);
            if let (Some(family), Some(attached)) = (self.index.side_family(group, self.now), attached) {
                lacks.extend(missing(&family, attached, snapshot, &format!(" through group {group}")));
            }
        }
        lacks
    }

    /// What the user has on the server and not by its objects, but for what documents allow.
    fn exceeds(&self, snapshot: &Snapshot) -> Vec<String> {
        let Some(live) = snapshot.users.get(self.name.as_str()) else { return Vec::new() };
        let mut more = Vec::new();
        if self.desired.enabled == Some(false) && live.account.enabled {
            more.push("is enabled on the server".to_owned());
        }
        for group in live.member_of.iter().filter(|group| self.group(group).is_none()) {
            more.push(format!("is in group {group} on the server"));
        }
        let is_own = |name: &&DocumentName| {
            [&self.desired.home, &self.desired.system].iter().any(|family| name.number_in(&family.base).is_some())
                || name.number_in(&DocumentName::everyone()).is_some()
        };
        let foreign = live.account.attached.difference(&self.desired.policies).filter(|name| !is_own(name));
        more.extend(foreign.map(|name| format!("has policy {name} on the server")));
        more
    }
}

/// The rights of a family that no attached document gives.
fn missing(family: &Family, attached: &BTreeSet<DocumentName>, snapshot: &Snapshot, through: &str) -> Option<String> {
    let documents = attached.iter().filter(|name| name.number_in(&family.base).is_some());
    let documents = documents.filter_map(|name| snapshot.documents.get(name)?.as_ref());
    let given: Rights = documents.flat_map(|document| rights_in(document).into_iter()).collect();
    let wanted = family.workspace.iter().chain(family.grants.iter());
    let lost: Vec<String> = wanted
        .filter(|(scope, access)| !given.cover(scope, *access))
        .map(|(scope, access)| format!("{access:?} on {scope}"))
        .collect();
    let more = match lost.len().saturating_sub(NAMED) {
        0 if lost.is_empty() => return None,
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = lost.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    Some(format!("lacks on the server{through}: {named}{more}"))
}

/// Where a user is otherwise on the server than its objects say; nothing for a user that no object declares. What documents
/// allow beyond the objects is among the rows.
pub fn differences(index: &Index, snapshot: &Snapshot, user: &str, now: Timestamp) -> Vec<Difference> {
    let everyone = index.everyone_family();
    let Some(managed) = Managed::of(index, &everyone, user, now) else { return Vec::new() };
    let told = |detail| Difference { user: user.to_owned(), detail };
    managed.lacks(snapshot).into_iter().chain(managed.exceeds(snapshot)).map(told).collect()
}
