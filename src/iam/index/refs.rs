//! Who refers to what, the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::pairs::Pairs;
use crate::iam::declared::{Body, Declared, KeyDecl, Owner, ShareDecl, Target, Terms};
use crate::iam::names::{GroupName, PolicyName, UserName};
use crate::iam::path::{Bucket, S3Path};
use crate::iam::subject::ObjectKey;

/// What happens to an object at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A grant begins to count as expiring.
    Warning,
    /// A grant, a membership or a key ends.
    Expiry,
}

/// References of the objects that can have an effect: neither refused nor under deletion. Of other shares only where they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Refs {
    members: Pairs<UserName>,
    memberships: Pairs<GroupName>,
    grants: Pairs<Target>,
    policies: Pairs<PolicyName>,
    owned: Pairs<Owner>,
    keys: Pairs<UserName>,
    everyone: BTreeSet<ObjectKey>,
    /// Shares by bucket and key of their path.
    paths: Pairs<(Bucket, Arc<str>)>,
    /// The same for shares that can have no effect.
    idle_paths: Pairs<(Bucket, Arc<str>)>,
    timers: BTreeMap<Timestamp, BTreeSet<(Timer, ObjectKey)>>,
}

impl Refs {
    /// Groups and memberships that list a user.
    pub(super) fn listing(&self, user: &UserName) -> impl Iterator<Item = &ObjectKey> {
        self.members.of(user)
    }

    /// Memberships of a group.
    pub(super) fn memberships(&self, group: &GroupName) -> impl Iterator<Item = &ObjectKey> {
        self.memberships.of(group)
    }

    /// Shares that grant something to a target.
    pub(super) fn granting(&self, target: &Target) -> impl Iterator<Item = &ObjectKey> {
        self.grants.of(target)
    }

    /// Users and groups that refer to a policy.
    pub(super) fn referring(&self, policy: &PolicyName) -> impl Iterator<Item = &ObjectKey> {
        self.policies.of(policy)
    }

    /// All policies that somebody refers to.
    pub(super) fn referred_policies(&self) -> impl Iterator<Item = &PolicyName> {
        self.policies.names()
    }

    /// The shares of an owner.
    pub(super) fn owned(&self, owner: &Owner) -> impl Iterator<Item = &ObjectKey> {
        self.owned.of(owner)
    }

    /// The access key objects of a user.
    pub(super) fn keys_of(&self, user: &UserName) -> impl Iterator<Item = &ObjectKey> {
        self.keys.of(user)
    }

    /// Shares that everyone may read.
    pub(super) fn for_everyone(&self) -> impl Iterator<Item = &ObjectKey> {
        self.everyone.iter()
    }

    /// Shares of a path and of the folders around it, the nearest first.
    pub(super) fn at_or_above(&self, path: &S3Path) -> impl Iterator<Item = &ObjectKey> {
        at_or_above(&self.paths, path)
    }

    /// As [`Refs::at_or_above`], for shares that can have no effect.
    pub(super) fn idle_at_or_above(&self, path: &S3Path) -> impl Iterator<Item = &ObjectKey> {
        at_or_above(&self.idle_paths, path)
    }

    /// Shares of what is below a path.
    pub(super) fn below(&self, path: &S3Path) -> impl Iterator<Item = &ObjectKey> {
        // All keys that begin with `a/b/` lie between `a/b/` and `a/b0`, because `0` follows the slash.
        let bound = |after: char| (path.bucket().clone(), format!("{}{after}", path.key()).into());
        self.paths.between(bound('/'), bound('0'))
    }

    /// What happens after one instant and not after another.
    pub(super) fn timers(&self, after: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timer, ObjectKey)> {
        if until <= after {
            return Vec::new();
        }
        let due = self.timers.range((Bound::Excluded(after), Bound::Included(until)));
        due.flat_map(|(at, timers)| timers.iter().map(|(timer, key)| (*at, *timer, key.clone()))).collect()
    }

    /// The first instant after `now` at which something happens.
    pub(super) fn next_timer(&self, now: Timestamp) -> Option<Timestamp> {
        self.timers.range((Bound::Excluded(now), Bound::Unbounded)).next().map(|(at, _)| *at)
    }

    /// Adds the references of an object.
    pub(super) fn add(&mut self, declared: &Declared, warning: SignedDuration) {
        let key = declared.key();
        match &declared.body {
            Ok(Body::User(user)) => self.add_policies(&user.policies.names, key),
            Ok(Body::Group(group)) => {
                for member in group.members.union(&group.read_only_members) {
                    self.members.put(member, key);
                }
                self.add_policies(&group.policies.names, key);
            }
            Ok(Body::Membership(membership)) => {
                self.memberships.put(&membership.group, key);
                for (member, terms) in &membership.members {
                    self.members.put(member, key);
                    self.start_timers(expiry(terms, key));
                }
            }
            Ok(Body::Share(share)) => self.add_share(share, key, warning),
            Ok(Body::Key(access_key)) => {
                self.keys.put(&access_key.user, key);
                self.start_timers(key_timers(access_key, key));
            }
            Ok(Body::Policy(_)) | Err(_) => {}
        }
    }

    /// Takes the references of an object away.
    pub(super) fn remove(&mut self, declared: &Declared, warning: SignedDuration) {
        let key = declared.key();
        match &declared.body {
            Ok(Body::User(user)) => self.remove_policies(&user.policies.names, key),
            Ok(Body::Group(group)) => {
                for member in group.members.union(&group.read_only_members) {
                    self.members.take(member, key);
                }
                self.remove_policies(&group.policies.names, key);
            }
            Ok(Body::Membership(membership)) => {
                self.memberships.take(&membership.group, key);
                for (member, terms) in &membership.members {
                    self.members.take(member, key);
                    self.end_timers(expiry(terms, key));
                }
            }
            Ok(Body::Share(share)) => self.remove_share(share, key, warning),
            Ok(Body::Key(access_key)) => {
                self.keys.take(&access_key.user, key);
                self.end_timers(key_timers(access_key, key));
            }
            Ok(Body::Policy(_)) | Err(_) => {}
        }
    }

    /// Adds what is kept of an object that can have no effect.
    pub(super) fn add_idle(&mut self, declared: &Declared) {
        if let Ok(Body::Share(share)) = &declared.body {
            self.idle_paths.put(&share.path.place(), declared.key());
        }
    }

    /// Takes away what was kept of an object that can have no effect.
    pub(super) fn remove_idle(&mut self, declared: &Declared) {
        if let Ok(Body::Share(share)) = &declared.body {
            self.idle_paths.take(&share.path.place(), declared.key());
        }
    }

    fn add_share(&mut self, share: &ShareDecl, key: &ObjectKey, warning: SignedDuration) {
        for (target, terms) in &share.grants {
            self.grants.put(target, key);
            self.start_timers(grant_timers(target, terms, key, warning));
        }
        if share.everyone {
            self.everyone.insert(key.clone());
        }
        self.paths.put(&share.path.place(), key);
        if let Some(owner) = &share.owner {
            self.owned.put(owner, key);
        }
    }

    fn remove_share(&mut self, share: &ShareDecl, key: &ObjectKey, warning: SignedDuration) {
        for (target, terms) in &share.grants {
            self.grants.take(target, key);
            self.end_timers(grant_timers(target, terms, key, warning));
        }
        self.everyone.remove(key);
        self.paths.take(&share.path.place(), key);
        if let Some(owner) = &share.owner {
            self.owned.take(owner, key);
        }
    }

    fn add_policies(&mut self, policies: &BTreeSet<PolicyName>, key: &ObjectKey) {
        for policy in policies {
            self.policies.put(policy, key);
        }
    }

    fn remove_policies(&mut self, policies: &BTreeSet<PolicyName>, key: &ObjectKey) {
        for policy in policies {
            self.policies.take(policy, key);
        }
    }

    fn start_timers(&mut self, timers: impl Iterator<Item = (Timestamp, Timer, ObjectKey)>) {
        for (at, timer, key) in timers {
            self.timers.entry(at).or_default().insert((timer, key));
        }
    }

    fn end_timers(&mut self, timers: impl Iterator<Item = (Timestamp, Timer, ObjectKey)>) {
        for (at, timer, key) in timers {
            if let Some(held) = self.timers.get_mut(&at) {
                held.remove(&(timer, key));
                if held.is_empty() {
                    self.timers.remove(&at);
                }
            }
        }
    }
}

fn at_or_above<'a>(paths: &'a Pairs<(Bucket, Arc<str>)>, path: &S3Path) -> impl Iterator<Item = &'a ObjectKey> {
    path.key_and_ancestors().flat_map(move |key| paths.of(&(path.bucket().clone(), key.into())))
}

fn expiry(terms: &Terms, key: &ObjectKey) -> impl Iterator<Item = (Timestamp, Timer, ObjectKey)> + use<> {
    terms.expires_at.map(|at| (at, Timer::Expiry, key.clone())).into_iter()
}

fn key_timers(access_key: &KeyDecl, key: &ObjectKey) -> impl Iterator<Item = (Timestamp, Timer, ObjectKey)> + use<> {
    access_key.expires_at.map(|at| (at, Timer::Expiry, key.clone())).into_iter()
}

/// Only the status of a user counts what is expiring.
fn grant_timers(
    target: &Target,
    terms: &Terms,
    key: &ObjectKey,
    warning: SignedDuration,
) -> impl Iterator<Item = (Timestamp, Timer, ObjectKey)> + use<> {
    let begin = match target {
        Target::User(_) => terms.expires_at.and_then(|at| at.checked_sub(warning).ok()),
        Target::Group(_) | Target::Impossible(..) => None,
    };
    expiry(terms, key).chain(begin.map(|at| (at, Timer::Warning, key.clone())))
}
