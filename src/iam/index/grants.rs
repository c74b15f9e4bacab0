//! The state of single grants and memberships.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Index;
use super::claims::Claim;
use super::entry::Entry;
use super::standing::Arrival;
use crate::api::PendingReason;
use crate::iam::declared::{Body, GroupDecl, Target, Terms};
use crate::iam::names::{ServerGroup, UserName};
use crate::iam::path::{Access, S3Path};

/// What a grant or a membership is at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GrantState {
    Active(Arrival),
    Pending(PendingReason),
    Expired,
}

impl Index {
    /// What a grant of a share is. The share itself must be in force.
    pub(super) fn grant_state(&self, entry: &Entry, target: &Target, terms: &Terms, now: Timestamp) -> GrantState {
        if terms.is_expired(now) {
            return GrantState::Expired;
        }
        if !self.quotas.holds(entry, target) {
            return GrantState::Pending(PendingReason::QuotaExceeded);
        }
        match self.arrival(target, terms.access) {
            Ok(arrival) => GrantState::Active(arrival),
            Err(reason) => GrantState::Pending(reason),
        }
    }

    /// The grants in force that name a target, with the share and the terms of each.
    pub(super) fn active_grants<'a>(
        &'a self,
        target: &'a Target,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a Entry, &'a S3Path, &'a Terms)> {
        self.refs.granting(target).filter_map(move |key| {
            let entry = self.entry(key)?;
            let share = entry.share()?;
            let terms = share.grants.get(target)?;
            let active = self.standing(entry).is_in_force()
                && matches!(self.grant_state(entry, target, terms, now), GrantState::Active(_));
            active.then_some((entry, &share.path, terms))
        })
    }

    /// What everyone may read.
    pub(super) fn everyone_paths(&self) -> impl Iterator<Item = (&S3Path, Access)> {
        let shares = self.refs.for_everyone().filter_map(|key| self.entry(key));
        let in_force = shares.filter(|entry| self.standing(entry).is_in_force());
        in_force.filter_map(|entry| Some((&entry.share()?.path, Access::Read)))
    }

    /// What a membership entry is, in an object whose standing is in force.
    pub(super) fn member_state(
        &self,
        group: &crate::iam::names::GroupName,
        member: &UserName,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<(), Option<PendingReason>> {
        if terms.is_expired(now) {
            return Err(None);
        }
        let Some(group) = self.present_group(group).and_then(Entry::group) else {
            return Err(Some(PendingReason::GroupNotFound));
        };
        if self.present_user(member).is_none() {
            return Err(Some(PendingReason::UserNotFound));
        }
        if terms.access == Access::Read && !group.twin {
            return Err(Some(PendingReason::TwinDisabled));
        }
        Ok(())
    }

    /// The members of a group in force.
    pub(super) fn roster(&self, group: &GroupDecl, now: Timestamp) -> Roster {
        let managed = |name: &&UserName| self.may_be_member(name);
        let mut roster = Roster {
            write: group.members.iter().filter(managed).cloned().collect(),
            read: group.read_only_members.iter().filter(managed).cloned().collect(),
            both: BTreeSet::new(),
        };
        for membership in self.memberships_in_force(&group.name) {
            for (name, terms) in &membership.members {
                if self.may_be_member(name) && self.member_state(&group.name, name, terms, now).is_ok() {
                    let side = if terms.access == Access::ReadWrite { &mut roster.write } else { &mut roster.read };
                    side.insert(name.clone());
                }
            }
        }
        roster.both = roster.write.intersection(&roster.read).cloned().collect();
        roster.read.retain(|name| group.twin && !roster.both.contains(name));
        roster
    }

    /// What one object makes of a user in a group that is present, as [`Index::roster`] counts it.
    pub(super) fn level_by(&self, by: &Entry, group: &Entry, user: &UserName, now: Timestamp) -> Option<Access> {
        let declared = group.group()?;
        let level = match &by.declared.body {
            Ok(Body::Group(_)) if by.declared.key() != group.declared.key() => return None,
            Ok(Body::Group(_)) if declared.members.contains(user) => Access::ReadWrite,
            Ok(Body::Group(_)) if declared.read_only_members.contains(user) => Access::Read,
            Ok(Body::Membership(membership)) => {
                let terms = membership.members.get(user)?;
                let counts =
                    self.standing(by).is_in_force() && self.member_state(&membership.group, user, terms, now).is_ok();
                counts.then_some(terms.access)?
            }
            _ => return None,
        };
        (level == Access::ReadWrite || declared.twin).then_some(level)
    }

    /// Both names of a group on the server.
    pub(super) fn sides(&self, group: &GroupDecl) -> (ServerGroup, ServerGroup) {
        (ServerGroup::from(&group.name), self.config.layout.twin(&group.name))
    }

    /// Whether an object holds the names that it claims.
    pub(super) fn holds_names(&self, entry: &Entry) -> bool {
        let claims: &[Claim] = self.claims.of(entry.declared.key());
        !claims.is_empty() && claims.iter().all(|claim| self.claims.holder(claim) == Some(entry.declared.key()))
    }
}

/// Who is in a group.
pub(super) struct Roster {
    pub(super) write: BTreeSet<UserName>,
    pub(super) read: BTreeSet<UserName>,
    /// Those that both sides list; they write.
    pub(super) both: BTreeSet<UserName>,
}
