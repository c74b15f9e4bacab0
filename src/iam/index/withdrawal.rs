//! What objects have withdrawn and the server may still hold: whose withdrawals count for the breaker, and whose do not.
//!
//! What a person takes back through REST or from everyone, what a lock takes and what has ended is never too much. Of objects that are there
//! this can be seen; of an entry that an object has no more only while it is remembered, until its subject has converged.
//! Nothing is remembered over a restart: what has no known cause then counts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Index;
use super::claims::Claim;
use super::effects::{Effects, Part, is_less};
use super::entry::Entry;
use crate::iam::declared::{Body, MembershipDecl, ShareDecl, Target};
use crate::iam::desired::Fate;
use crate::iam::names::{DocumentName, ServerGroup, UserName};
use crate::iam::path::{S3Path, Scope};
use crate::iam::plan::Loss;
use crate::iam::subject::{Kind, ObjectKey, Subject};

/// How much is remembered of one subject; what is beyond counts.
const MAX_REMEMBERED: usize = 1024;

#[derive(Clone, Debug, Default)]
pub(super) struct Withdrawals {
    /// What may go whatever else does, and with which change it was withdrawn.
    free: BTreeMap<Subject, BTreeMap<Part, u64>>,
    /// Objects that withdrew something else.
    by: BTreeMap<Subject, BTreeMap<ObjectKey, u64>>,
}

impl Withdrawals {
    fn free(&mut self, subject: &Subject, part: &Part, seq: u64) {
        let parts = self.free.entry(subject.clone()).or_default();
        if parts.len() < MAX_REMEMBERED || parts.contains_key(part) {
            parts.insert(part.clone(), seq);
        }
    }

    fn by(&mut self, subject: &Subject, object: &ObjectKey, seq: u64) {
        self.by.entry(subject.clone()).or_default().insert(object.clone(), seq);
    }

    /// The server holds what the subject gives now, and what is held back beside it.
    fn widened(&mut self, subject: &Subject, seq: u64) {
        forget(&mut self.free, subject, seq);
    }

    /// The server holds what the subject gives, up to this change.
    pub(super) fn converged(&mut self, subject: &Subject, seq: u64) {
        self.widened(subject, seq);
        forget(&mut self.by, subject, seq);
    }

    fn withdrew(&self, subject: &Subject, object: &ObjectKey) -> bool {
        self.by.get(subject).is_some_and(|objects| objects.contains_key(object))
    }

    fn free_parts(&self, subject: &Subject) -> impl Iterator<Item = &Part> {
        self.free.get(subject).into_iter().flat_map(BTreeMap::keys)
    }
}

fn forget<K: Ord>(of: &mut BTreeMap<Subject, BTreeMap<K, u64>>, subject: &Subject, seq: u64) {
    if let Some(held) = of.get_mut(subject) {
        held.retain(|_, needed| *needed > seq);
        if held.is_empty() {
            of.remove(subject);
        }
    }
}

impl Index {
    /// Remembers what an object gave before and gives no more.
    pub(super) fn remember_withdrawn(&mut self, object: &ObjectKey, before: &Effects, after: &Effects, seq: u64) {
        let Some(entry) = self.entry(object) else { return };
        let (rest, locked) = (entry.declared.meta.rest, entry.is_locked());
        for ((subject, part), was) in before {
            if !is_less(part, *was, after.get(&(subject.clone(), part.clone())).copied()) {
                continue;
            }
            match part {
                Part::Grant { .. } | Part::Member(_) if rest || *subject == Subject::Everyone => {
                    self.withdrawals.free(subject, part, seq)
                }
                _ if locked => {}
                _ => self.withdrawals.by(subject, object, seq),
            }
        }
    }

    /// A subject has reached the server with everything up to `seq` in it, but for what is held back. Returns the objects that
    /// wait for it and have withdrawn nothing of that: shares and memberships that only gave.
    pub fn widened(&mut self, subject: &Subject, seq: u64) -> BTreeSet<ObjectKey> {
        self.withdrawals.widened(subject, seq);
        let gave = |key: &&ObjectKey| {
            let only_gives = matches!(key.kind, Kind::PathShare | Kind::GroupMembership);
            let is_known = self
                .entries
                .get(*key)
                .is_some_and(|entry| !entry.former_unknown && (entry.declared.meta.rest || !entry.is_deleting()));
            only_gives && is_known && !self.withdrawals.withdrew(subject, key)
        };
        let objects: BTreeSet<ObjectKey> = self.progress.waiting_for(subject).filter(gave).cloned().collect();
        self.progress.converged_for(subject, seq, &objects)
    }

    /// Whether a loss is nobody's mistake, so that it neither counts nor waits: what a share gave to everyone, what a lock or
    /// the end of its time takes, and what somebody takes back through REST.
    pub fn is_exempt(&self, subject: &Subject, loss: &Loss, now: Timestamp) -> bool {
        let is_locked = || self.holder_of(subject).and_then(|key| self.entry(key)).is_some_and(Entry::is_locked);
        match loss {
            Loss::Grant { scope, .. } if *subject == Subject::Everyone => self.is_free_for_everyone(scope),
            Loss::Grant { family, scope, .. } => is_locked() || self.is_free_grant(subject, family, scope, now),
            Loss::Member { member, .. } => {
                UserName::parse(member).is_ok_and(|member| self.is_free_member(subject, &member, now))
            }
            Loss::Attachment { policy, .. } => policy.number_in(&DocumentName::everyone()).is_some() || is_locked(),
            Loss::User(_) | Loss::Disabled(_) | Loss::Group(_) => is_locked(),
            Loss::Policy(_) => false,
        }
    }

    /// Whether a share gave it; what comes of the layout counts.
    fn is_free_for_everyone(&self, scope: &Scope) -> bool {
        let is_here = |path: &S3Path| path.scope() == *scope;
        let is_free = |part: &Part| matches!(part, Part::Grant { path, .. } if is_here(path));
        let present = self.refs.for_everyone().filter_map(|key| self.entry(key));
        let mut shares = present.chain(self.leaving_of(Kind::PathShare)).filter_map(Entry::share);
        self.withdrawals.free_parts(&Subject::Everyone).any(is_free)
            || shares.any(|share| share.everyone && is_here(&share.path))
    }

    fn is_free_grant(&self, subject: &Subject, family: &DocumentName, scope: &Scope, now: Timestamp) -> bool {
        let (target, twin) = match subject {
            Subject::User(name) => (Target::User(name.clone()), false),
            Subject::Group(name) => {
                let (main, other) = (ServerGroup::from(name), self.config.layout.twin(name));
                let twin = *family == DocumentName::group(&other);
                (Target::Group(if twin { other } else { main }), twin)
            }
            Subject::Everyone | Subject::Policy(_) | Subject::Key(_) => return false,
        };
        let is_here = |path: &S3Path| path.scope() == *scope;
        let is_free =
            |part: &Part| matches!(part, Part::Grant { twin: of_twin, path } if *of_twin == twin && is_here(path));
        if self.withdrawals.free_parts(subject).any(is_free) {
            return true;
        }
        let ends = |entry: &Entry, share: &ShareDecl| {
            let is_over = || share.grants.get(&target).is_some_and(|terms| terms.is_expired(now));
            is_here(&share.path) && (entry.is_locked() || is_over())
        };
        let present = self.refs.granting(&target).filter_map(|key| self.entry(key));
        let goes = |entry: &Entry, share: &ShareDecl| {
            entry.declared.meta.rest && is_here(&share.path) && share.grants.contains_key(&target)
        };
        present.into_iter().any(|entry| entry.share().is_some_and(|share| ends(entry, share)))
            || self.leaving_of(Kind::PathShare).any(|entry| entry.share().is_some_and(|share| goes(entry, share)))
    }

    fn is_free_member(&self, subject: &Subject, member: &UserName, now: Timestamp) -> bool {
        let Subject::Group(group) = subject else { return false };
        let is_free = |part: &Part| matches!(part, Part::Member(name) if name == member);
        if self.withdrawals.free_parts(subject).any(is_free) {
            return true;
        }
        let is_over = |entry: &Entry| {
            let terms = membership(entry).and_then(|declared| declared.members.get(member));
            terms.is_some_and(|terms| terms.is_expired(now))
        };
        let goes = |entry: &Entry| {
            let lists = |declared: &MembershipDecl| declared.group == *group && declared.members.contains_key(member);
            entry.declared.meta.rest && membership(entry).is_some_and(lists)
        };
        let mut present = self.refs.memberships(group).filter_map(|key| self.entry(key));
        present.any(is_over) || self.leaving_of(Kind::GroupMembership).any(goes)
    }

    fn leaving_of(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.leaving.iter().filter(move |key| key.kind == kind).filter_map(|key| self.entry(key))
    }

    /// Whether a user is about to be deleted with its object: with its account it leaves all groups, and loses its keys.
    pub fn goes(&self, user: &UserName) -> bool {
        self.holder(&Claim::User(user.clone()))
            .is_some_and(|entry| entry.is_deleting() && entry.fate() == Fate::Deleted)
    }

    /// How many users, groups, policies, memberships, attachments and grants are declared.
    pub fn size(&self) -> u64 {
        let live = self.entries.values().filter(|entry| entry.is_live());
        live.map(|entry| match &entry.declared.body {
            Ok(Body::User(user)) => 1 + user.policies.names.len(),
            Ok(Body::Group(group)) => {
                1 + group.members.len() + group.read_only_members.len() + group.policies.names.len()
            }
            Ok(Body::Membership(membership)) => membership.members.len(),
            Ok(Body::Share(share)) => share.grants.len(),
            Ok(Body::Policy(_)) => 1,
            Ok(Body::Key(_)) | Err(_) => 0,
        } as u64)
            .sum()
    }

    /// The losses as they are counted: what goes with a user or a group is part of that, and a group with its twin is one.
    pub fn counted(&self, subject: &Subject, losses: &BTreeSet<Loss>, now: Timestamp) -> BTreeSet<Loss> {
        let counts = |loss: &&Loss| !self.goes_along(loss) && !self.is_exempt(subject, loss, now);
        losses.iter().filter(counts).map(|loss| self.counted_as(loss, losses)).collect()
    }

    /// Whether a member leaves because its account is about to go, which takes it out of all groups.
    pub fn goes_along(&self, loss: &Loss) -> bool {
        matches!(loss, Loss::Member { member, .. } if UserName::parse(member).is_ok_and(|member| self.goes(&member)))
    }

    /// As what a loss counts among all of the plan: the twin of a group that goes is no loss of its own.
    pub fn counted_as(&self, loss: &Loss, losses: &BTreeSet<Loss>) -> Loss {
        let Loss::Group(side) = loss else { return loss.clone() };
        let main = self.server_group(side).map(|(group, _)| Loss::Group(ServerGroup::from(group)));
        main.filter(|main| losses.contains(main)).unwrap_or_else(|| loss.clone())
    }
}

fn membership(entry: &Entry) -> Option<&MembershipDecl> {
    match &entry.declared.body {
        Ok(Body::Membership(membership)) => Some(membership),
        _ => None,
    }
}
