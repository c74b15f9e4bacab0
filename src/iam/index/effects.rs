//! What one object contributes to the subjects, in a form in which "less than before" can be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Index;
use super::claims::Claim;
use super::entry::{Entry, wanted_document};
use super::standing::Arrival;
use crate::iam::declared::{Body, Declared, KeyDecl, MembershipDecl, ShareDecl};
use crate::iam::desired::{Extras, Fate};
use crate::iam::names::{GroupName, PolicyName, UserName};
use crate::iam::path::{Access, S3Path};
use crate::iam::subject::{KeyName, ObjectKey, Subject};

/// A part of a subject to which an object contributes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Fate,
    Content,
    Enabled,
    Workspace,
    Twin,
    Extras,
    Policy(PolicyName),
    /// How the key of a user is to be kept.
    Credentials(String),
    /// A rotation of it that somebody asks for.
    Rotation(String),
    /// The end of every other key that somebody asks for.
    Revocation(String),
    Member(UserName),
    Grant {
        twin: bool,
        path: S3Path,
    },
    Document(String),
}

/// How much, and how long. Less of either is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    rank: u8,
    until: Timestamp,
}

impl Level {
    fn new(rank: u8) -> Self {
        Self { rank, until: Timestamp::MAX }
    }

    fn access(access: Access, expires_at: Option<Timestamp>) -> Self {
        Self { rank: access as u8 + 1, until: expires_at.unwrap_or(Timestamp::MAX) }
    }

    fn is_less_than(self, other: Level) -> bool {
        self.rank < other.rank || self.until < other.until
    }
}

/// The contributions of one object.
pub(super) type Effects = BTreeMap<(Subject, Part), Level>;

/// The subjects that differ, and whether that is urgent: they get less, or somebody waits for the answer.
pub(super) fn differences(before: &Effects, after: &Effects) -> BTreeMap<Subject, bool> {
    let mut differing: BTreeMap<Subject, bool> = BTreeMap::new();
    for place in before.keys().chain(after.keys()) {
        let (subject, part) = place;
        let (was, is) = (before.get(place), after.get(place));
        if was == is {
            continue;
        }
        let is_urgent = match (part, was, is) {
            // What an object brings along when it comes is no request.
            (Part::Rotation(_) | Part::Revocation(_), _, Some(_)) => {
                before.contains_key(&(subject.clone(), Part::Fate))
            }
            (Part::Rotation(_) | Part::Revocation(_), _, None) => false,
            // What was on the server before its object was usable until now.
            (Part::Enabled | Part::Fate, None, Some(is)) => is.rank == 0,
            // What nothing declares is only taken away after the subject was compared with the server.
            (Part::Extras | Part::Credentials(_), _, _) | (_, None, _) => false,
            (_, Some(_), None) => true,
            (_, Some(was), Some(is)) => is.is_less_than(*was),
        };
        *differing.entry(subject.clone()).or_default() |= is_urgent;
    }
    differing
}

/// Whether something that an object gave is less now. Requests and how keys are kept are nothing that it gives.
pub(super) fn is_less(part: &Part, was: Level, is: Option<Level>) -> bool {
    match part {
        Part::Rotation(_) | Part::Revocation(_) | Part::Extras | Part::Credentials(_) => false,
        _ => is.is_none_or(|is| is.is_less_than(was)),
    }
}

/// What others see of the object that holds a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    holder: ObjectKey,
    pub(super) uid: Arc<str>,
    pub(super) present: bool,
    /// Of a user that is present: whether it may be in groups.
    pub(super) member: bool,
    /// Of a user: whether its object leaves it enabled.
    pub(super) enabled: bool,
    pub(super) workspace: bool,
    pub(super) twin_side: bool,
    twin_enabled: bool,
    pub(super) admin: bool,
    pub(super) going: bool,
}

impl Index {
    pub(super) fn fact(&self, claim: &Claim) -> Option<Fact> {
        let entry = self.holder(claim)?;
        let meta = &entry.declared.meta;
        let group = entry.group();
        let own_name = |claim: &Claim| matches!((claim, group), (Claim::Group(name), Some(group)) if group.name.as_str() == name.as_str());
        Some(Fact {
            holder: meta.key.clone(),
            uid: meta.uid.clone(),
            present: !entry.is_deleting(),
            member: entry.user().is_some() && !entry.is_deleting() && self.is_managed(entry),
            enabled: entry.user().is_some_and(|user| entry.account_enabled(user) != Some(false)),
            workspace: entry.has_workspace(),
            twin_side: group.is_some() && !own_name(claim),
            twin_enabled: group.is_some_and(|group| group.twin),
            admin: entry.document.as_ref().is_some_and(|checked| checked.carries_admin_actions),
            going: entry.fate() == Fate::Deleted,
        })
    }

    /// What an object contributes at present; nothing where it is refused, in conflict or not in force.
    pub(super) fn effects(&self, key: &ObjectKey) -> Effects {
        let Some(entry) = self.entry(key) else { return Effects::new() };
        if entry.refused.is_some() || self.claims.conflict(key).is_some() {
            return Effects::new();
        }
        match &entry.declared.body {
            Ok(Body::User(_)) => self.user_effects(entry),
            Ok(Body::Group(_)) => self.group_effects(entry),
            Ok(Body::Policy(policy)) => policy_effects(entry, &Subject::Policy(policy.name.clone())),
            Ok(Body::Membership(membership)) => self.membership_effects(entry, membership),
            Ok(Body::Share(share)) => self.share_effects(entry, share),
            Ok(Body::Key(key)) => self.key_effects(entry, key),
            Err(_) => Effects::new(),
        }
    }

    fn user_effects(&self, entry: &Entry) -> Effects {
        let Some(user) = entry.user() else { return Effects::new() };
        let enabled = match entry.account_enabled(user) {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        };
        let mut effects = self.named_effects(entry, &Subject::User(user.name.clone()));
        if entry.is_deleting() {
            return effects;
        }
        let mut add = |part, rank| effects.insert((Subject::User(user.name.clone()), part), Level::new(rank));
        add(Part::Enabled, enabled);
        add(Part::Credentials(format!("{:?}", user.credentials)), 1);
        for policy in &user.policies.names {
            add(Part::Policy(policy.clone()), 1);
        }
        effects.extend(request_effects(entry, &Subject::User(user.name.clone())));
        effects
    }

    fn key_effects(&self, entry: &Entry, key: &KeyDecl) -> Effects {
        let subject = Subject::Key(KeyName::from(entry.declared.key()));
        let mut effects = Effects::new();
        let mut add = |part, level| effects.insert((subject.clone(), part), level);
        add(Part::Fate, Level::new(fate_rank(self.key_fate(entry, key, self.clock))));
        // Where the key was to go before, what is left of it may still have to: the object waits for that.
        add(Part::Content, Level::new((!entry.is_deleting()).into()));
        let settings = format!("{:?} {:?}", key.credentials, key.expires_at);
        add(Part::Credentials(settings), Level::new(1));
        add(Part::Document(format!("{} {:?}", key.user, key.scope)), Level::new(1));
        effects.extend(request_effects(entry, &subject));
        effects
    }

    fn group_effects(&self, entry: &Entry) -> Effects {
        let Some(group) = entry.group() else { return Effects::new() };
        let mut effects = self.named_effects(entry, &Subject::Group(group.name.clone()));
        if entry.is_deleting() {
            return effects;
        }
        let mut add = |part, level| effects.insert((Subject::Group(group.name.clone()), part), level);
        add(Part::Enabled, Level::new(entry.group_enabled(group).into()));
        add(Part::Twin, Level::new(group.twin.into()));
        for policy in &group.policies.names {
            add(Part::Policy(policy.clone()), Level::new(1));
        }
        for member in &group.read_only_members {
            add(Part::Member(member.clone()), Level::access(Access::Read, None));
        }
        for member in &group.members {
            add(Part::Member(member.clone()), Level::access(Access::ReadWrite, None));
        }
        effects
    }

    fn named_effects(&self, entry: &Entry, subject: &Subject) -> Effects {
        let mut effects = Effects::new();
        let mut add = |part, rank| effects.insert((subject.clone(), part), Level::new(rank));
        add(Part::Fate, fate_rank(entry.fate()));
        add(Part::Workspace, entry.has_workspace().into());
        add(Part::Extras, (entry.extras(&self.config) == Extras::Keep).into());
        add(Part::Content, (!entry.is_deleting()).into());
        effects
    }

    fn membership_effects(&self, entry: &Entry, membership: &MembershipDecl) -> Effects {
        if !self.standing(entry).is_in_force() || self.present_group(&membership.group).is_none() {
            return Effects::new();
        }
        let subject = Subject::Group(membership.group.clone());
        let part = |name: &UserName| (subject.clone(), Part::Member(name.clone()));
        let members = membership.members.iter();
        members.map(|(name, terms)| (part(name), Level::access(terms.access, terms.expires_at))).collect()
    }

    fn share_effects(&self, entry: &Entry, share: &ShareDecl) -> Effects {
        if !self.standing(entry).is_in_force() {
            return Effects::new();
        }
        let mut effects = Effects::new();
        for (target, terms) in &share.grants {
            if let Ok(Arrival { subject, twin }) = self.arrival(target, terms.access) {
                effects.insert(
                    (subject, Part::Grant { twin, path: share.path.clone() }),
                    Level::access(terms.access, terms.expires_at),
                );
            }
        }
        if share.everyone {
            effects.insert(
                (Subject::Everyone, Part::Grant { twin: false, path: share.path.clone() }),
                Level::access(Access::Read, None),
            );
        }
        effects
    }

    /// The subjects that a share names, as far as somebody holds these names.
    pub(super) fn named_by(&self, share: &ShareDecl) -> BTreeSet<Subject> {
        let arrivals = share.grants.keys().filter_map(|target| self.arrival(target, Access::Read).ok());
        let everyone = share.everyone.then_some(Subject::Everyone);
        arrivals.map(|arrival| arrival.subject).chain(everyone).collect()
    }
}

fn request_effects(entry: &Entry, subject: &Subject) -> Effects {
    let requests = &entry.declared.meta.requests;
    let rotation = requests.rotate.clone().map(Part::Rotation);
    let revocation = requests.revoke.clone().map(Part::Revocation);
    rotation.into_iter().chain(revocation).map(|part| ((subject.clone(), part), Level::new(1))).collect()
}

fn policy_effects(entry: &Entry, subject: &Subject) -> Effects {
    let mut effects = Effects::new();
    effects.insert((subject.clone(), Part::Fate), Level::new(fate_rank(entry.fate())));
    if let Some(document) = wanted_document(entry) {
        effects.insert((subject.clone(), Part::Document(document.to_json())), Level::new(1));
    }
    effects
}

fn fate_rank(fate: Fate) -> u8 {
    match fate {
        Fate::Deleted => 0,
        Fate::Untouched => 1,
        Fate::Present => 2,
    }
}

/// The group that an object speaks of.
pub(super) fn group_of(declared: &Declared) -> Option<&GroupName> {
    match &declared.body {
        Ok(Body::Group(group)) => Some(&group.name),
        Ok(Body::Membership(membership)) => Some(&membership.group),
        _ => None,
    }
}

/// The subject that an object declares, or to which it adds members.
pub(super) fn subject_of(declared: &Declared) -> Option<Subject> {
    match &declared.body {
        Ok(Body::Membership(membership)) => Some(Subject::Group(membership.group.clone())),
        _ => declared.own_subject(),
    }
}
