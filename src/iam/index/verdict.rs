//! What the status of an object says of the declarations; what it says of the server is for others to add.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::claims::Claim;
use super::entry::Entry;
use super::grants::GrantState;
use super::{Index, Standing};
use crate::api::{GrantCounts, PendingReason, PendingReference, ReferenceKind, SubjectKind, UserGrants};
use crate::iam::check::Warning;
use crate::iam::declared::{Body, GroupDecl, KeyDecl, MembershipDecl, ShareDecl, Target, UserDecl};
use crate::iam::names::BUILT_IN_POLICIES;
use crate::iam::subject::{Kind, ObjectKey, Subject};

/// What the status of an object follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The generation that this speaks of.
    pub generation: i64,
    /// Whether what it says holds, and why not.
    pub standing: Standing,
    /// Grants or memberships by state; none while the object is not in force.
    pub counts: GrantCounts,
    /// For a user: the grants that name it.
    pub user_grants: Option<UserGrants>,
    /// For a group: its members in force.
    pub members: Option<Members>,
    /// What it names and what is not in force, ordered; the status shows the first 20.
    pub pending: Vec<PendingReference>,
    /// When the next grant or membership ends.
    pub next_expiry: Option<Timestamp>,
    /// Sentences to add to the message.
    pub notes: Vec<String>,
    /// What the author of a policy should know of the document in force.
    pub warnings: Vec<Warning>,
    /// The uid that the status binds the object to: of a share's owner, of a membership's group, of a key's user.
    pub bound_uid: Option<Arc<str>>,
    /// The subjects that have to converge before what this generation says is in force.
    pub outstanding: BTreeSet<Subject>,
    /// Whether a former version, unknown to this index, may be in force until all subjects have been compared.
    pub former_unknown: bool,
    /// The kinds whose CRD is not there, so that what the object waits for loses nothing.
    pub missing_kinds: Vec<Kind>,
    /// Whether the object is under deletion and nothing of it is left to undo (its finalizer may go).
    pub may_finish: bool,
    /// Why the present version cannot be read; all else then speaks of the last one that could.
    pub undecodable: Option<String>,
}

impl Verdict {
    /// Whether all that the object says and said has reached the server.
    pub fn is_settled(&self) -> bool {
        self.outstanding.is_empty() && !self.former_unknown
    }
}

/// How many members a group has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Members that read and write.
    pub read_write: usize,
    /// Members of the read-only twin.
    pub read_only: usize,
}

impl Index {
    /// What the status of an object follows from; `None` for an object that the index has never read.
    pub fn outcome(&self, key: &ObjectKey, now: Timestamp) -> Option<Verdict> {
        let entry = self.entry(key)?;
        let outstanding = self.progress.outstanding(key);
        let mut verdict = Verdict {
            generation: entry.declared.meta.generation,
            standing: self.standing(entry),
            counts: GrantCounts::default(),
            user_grants: None,
            members: None,
            pending: Vec::new(),
            next_expiry: None,
            notes: Vec::new(),
            warnings: Vec::new(),
            bound_uid: None,
            may_finish: false,
            missing_kinds: Vec::new(),
            outstanding,
            former_unknown: entry.former_unknown,
            undecodable: self.undecodable.get(key).map(|found| found.error.clone()),
        };
        self.judge_retained(entry, &mut verdict);
        verdict.may_finish = entry.is_deleting() && verdict.is_settled() && !self.waits_for_resume(entry);
        match &entry.declared.body {
            Ok(Body::Share(share)) => self.judge_share(entry, share, now, &mut verdict),
            Ok(Body::Membership(membership)) => self.judge_membership(entry, membership, now, &mut verdict),
            Ok(Body::User(user)) if self.holds_names(entry) => self.judge_user(entry, user, now, &mut verdict),
            Ok(Body::Group(group)) if self.holds_names(entry) => self.judge_group(entry, group, now, &mut verdict),
            Ok(Body::Policy(_)) => verdict.warnings = policy_warnings(entry),
            Ok(Body::Key(key)) => self.judge_key(entry, key, &mut verdict),
            Ok(Body::User(_) | Body::Group(_)) | Err(_) => {}
        }
        verdict.pending.sort();
        verdict.pending.dedup();
        Some(verdict)
    }

    /// A paused object that would take something off the server waits for the pause to end.
    fn waits_for_resume(&self, entry: &Entry) -> bool {
        let meta = &entry.declared.meta;
        meta.paused && self.holds_names(entry) && entry.ends_with_its_object()
    }

    fn judge_share(&self, entry: &Entry, share: &ShareDecl, now: Timestamp, verdict: &mut Verdict) {
        let meta = &entry.declared.meta;
        if let Some(owner) = &share.owner {
            let present = self.present_owner(owner).filter(|_| entry.is_live());
            verdict.bound_uid = meta.bound_uid.clone().or(present.map(|owner| owner.declared.meta.uid.clone()));
        }
        if !verdict.standing.is_in_force() {
            return;
        }
        for (target, terms) in &share.grants {
            match self.grant_state(entry, target, terms, now) {
                GrantState::Active(_) => verdict.counts.active += 1,
                GrantState::Expired => {
                    verdict.counts.expired += 1;
                    continue;
                }
                GrantState::Pending(reason) => verdict.wait_for(target.kind().into(), target.name(), reason),
            }
            verdict.ends_at(terms.expires_at);
        }
    }

    fn judge_membership(&self, entry: &Entry, membership: &MembershipDecl, now: Timestamp, verdict: &mut Verdict) {
        let meta = &entry.declared.meta;
        let group = self.present_group(&membership.group).filter(|_| entry.is_live());
        let present = group.map(|entry| entry.declared.meta.uid.clone());
        let bound = meta.bound_uid.clone();
        verdict.bound_uid = if meta.rest { bound.or(present) } else { present.or(bound) };
        if !verdict.standing.is_in_force() {
            return;
        }
        for (name, terms) in &membership.members {
            match self.member_state(&membership.group, name, terms, now) {
                Ok(()) => verdict.counts.active += 1,
                Err(None) => {
                    verdict.counts.expired += 1;
                    continue;
                }
                Err(Some(PendingReason::GroupNotFound)) => {
                    verdict.wait_for(ReferenceKind::Group, membership.group.as_str(), PendingReason::GroupNotFound);
                }
                Err(Some(reason)) => verdict.wait_for(ReferenceKind::User, name.as_str(), reason),
            }
            verdict.ends_at(terms.expires_at);
        }
        for name in &membership.impossible_members {
            verdict.wait_for(ReferenceKind::User, name, PendingReason::UserNotFound);
        }
    }

    fn judge_user(&self, entry: &Entry, user: &UserDecl, now: Timestamp, verdict: &mut Verdict) {
        if entry.is_deleting() {
            return;
        }
        let mut grants = UserGrants::default();
        for (_, _, terms) in self.active_grants(&Target::User(user.name.clone()), now) {
            grants.active += 1;
            let soon = |end: Timestamp| now.checked_add(self.config.expiry_warning).is_ok_and(|limit| end <= limit);
            grants.expiring += i64::from(terms.expires_at.is_some_and(soon));
            verdict.ends_at(terms.expires_at);
        }
        verdict.user_grants = Some(grants);
        self.judge_policies(entry, &user.policies.names, verdict);
    }

    fn judge_group(&self, entry: &Entry, group: &GroupDecl, now: Timestamp, verdict: &mut Verdict) {
        if entry.is_deleting() {
            return;
        }
        let roster = self.roster(group, now);
        verdict.members = Some(Members { read_write: roster.write.len(), read_only: roster.read.len() });
        let listed = group.members.union(&group.read_only_members);
        for name in listed.filter(|name| self.present_user(name).is_none()) {
            verdict.wait_for(ReferenceKind::User, name.as_str(), PendingReason::UserNotFound);
        }
        for name in &group.impossible_members {
            verdict.wait_for(ReferenceKind::User, name, PendingReason::UserNotFound);
        }
        if !group.twin {
            for name in group.read_only_members.difference(&group.members) {
                verdict.wait_for(ReferenceKind::User, name.as_str(), PendingReason::TwinDisabled);
            }
        }
        if !roster.both.is_empty() {
            let names: Vec<&str> = roster.both.iter().take(10).map(AsRef::as_ref).collect();
            let more = roster.both.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            verdict
                .notes
                .push(format!("listed as members and as read-only members, and may write: {}{more}", names.join(", ")));
        }
        self.judge_policies(entry, &group.policies.names, verdict);
    }

    fn judge_key(&self, entry: &Entry, key: &KeyDecl, verdict: &mut Verdict) {
        let user = self.present_user(&key.user).filter(|_| entry.is_live());
        verdict.bound_uid = entry.declared.meta.bound_uid.clone().or(user.map(|user| user.declared.meta.uid.clone()));
    }

    /// Policies that are going, or neither declared nor on the server as far as that has been read.
    fn judge_policies(&self, entry: &Entry, policies: &BTreeSet<crate::iam::names::PolicyName>, verdict: &mut Verdict) {
        for policy in policies.iter().filter(|policy| self.may_refer(entry, policy)) {
            let declared = self.holder(&Claim::Policy(policy.clone())).is_some_and(|entry| !entry.is_deleting());
            let there = declared || BUILT_IN_POLICIES.contains(&policy.as_str());
            if (!there && self.server_policies.absent.contains(policy)) || self.is_going(policy) {
                verdict.wait_for(ReferenceKind::Policy, policy.as_str(), PendingReason::PolicyNotFound);
            }
        }
    }
}

impl Verdict {
    fn wait_for(&mut self, kind: ReferenceKind, name: &str, reason: PendingReason) {
        self.counts.pending += 1;
        self.pending.push(PendingReference { kind, name: name.to_owned(), reason });
    }

    fn ends_at(&mut self, end: Option<Timestamp>) {
        self.next_expiry = self.next_expiry.into_iter().chain(end).min();
    }
}

fn policy_warnings(entry: &Entry) -> Vec<Warning> {
    entry.document.as_ref().map(|checked| checked.warnings.clone()).unwrap_or_default()
}

impl From<SubjectKind> for ReferenceKind {
    fn from(kind: SubjectKind) -> Self {
        match kind {
            SubjectKind::User => Self::User,
            SubjectKind::Group => Self::Group,
        }
    }
}
