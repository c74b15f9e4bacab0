//! Who holds which name on the server.
//!
//! A group claims two names, its own and its twin's, and holds both or none. Claims that share a name, directly or through
//! others, form a component; within it the incumbents win, then the older objects, each taking its names if they are free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::pairs::Pairs;
use crate::iam::declared::Meta;
use crate::iam::names::{PolicyName, ServerGroup, UserName};
use crate::iam::subject::ObjectKey;

/// A name on the server that one object can hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::iam) enum Claim {
    User(UserName),
    Group(ServerGroup),
    Policy(PolicyName),
}

/// The order in which objects take names; the least first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    newcomer: bool,
    created: Timestamp,
    uid: Arc<str>,
    key: ObjectKey,
}

impl From<&Meta> for Rank {
    fn from(meta: &Meta) -> Self {
        Self { newcomer: !meta.incumbent, created: meta.created, uid: meta.uid.clone(), key: meta.key.clone() }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    claimants: BTreeMap<ObjectKey, (Rank, Vec<Claim>)>,
    candidates: Pairs<Claim>,
    holders: BTreeMap<Claim, ObjectKey>,
    losers: BTreeMap<ObjectKey, (Claim, ObjectKey)>,
}

/// Claims that depend on each other, and who makes them.
#[derive(Clone, Debug, Default)]
pub(super) struct Component {
    pub(super) claims: BTreeSet<Claim>,
    pub(super) objects: BTreeSet<ObjectKey>,
}

impl Claims {
    /// What an object claims.
    pub(super) fn of(&self, key: &ObjectKey) -> &[Claim] {
        self.claimants.get(key).map_or(&[], |(_, claims)| claims)
    }

    /// Who holds a name.
    pub(super) fn holder(&self, claim: &Claim) -> Option<&ObjectKey> {
        self.holders.get(claim)
    }

    /// Why an object holds nothing: the name that it does not get, and who holds that.
    pub(super) fn conflict(&self, key: &ObjectKey) -> Option<&(Claim, ObjectKey)> {
        self.losers.get(key)
    }

    /// All names that somebody claims.
    pub(super) fn names(&self) -> impl Iterator<Item = &Claim> {
        self.candidates.names()
    }

    /// Who holds a user name, by these names.
    pub(super) fn users(&self) -> impl Iterator<Item = &ObjectKey> {
        self.holders.iter().filter(|(claim, _)| matches!(claim, Claim::User(_))).map(|(_, key)| key)
    }

    /// The names of groups and twins, and who holds each.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&ServerGroup, &ObjectKey)> {
        self.holders.iter().filter_map(|(claim, key)| match claim {
            Claim::Group(name) => Some((name, key)),
            Claim::User(_) | Claim::Policy(_) => None,
        })
    }

    /// Everything that depends on some claims.
    pub(super) fn component(&self, seeds: impl IntoIterator<Item = Claim>) -> Component {
        let mut component = Component::default();
        let mut open: Vec<Claim> = seeds.into_iter().collect();
        while let Some(claim) = open.pop() {
            for key in self.candidates.of(&claim) {
                if component.objects.insert(key.clone()) {
                    open.extend(self.of(key).iter().filter(|other| !component.claims.contains(other)).cloned());
                }
            }
            component.claims.insert(claim);
        }
        component
    }

    /// Replaces what an object claims. `component` is that of its old and new claims, from before the change.
    pub(super) fn set(&mut self, key: &ObjectKey, claim: Option<(Rank, Vec<Claim>)>, component: &Component) {
        if let Some((_, old)) = self.claimants.remove(key) {
            for name in old {
                self.candidates.take(&name, key);
            }
        }
        self.losers.remove(key);
        if let Some((rank, names)) = claim {
            for name in &names {
                self.candidates.put(name, key);
            }
            self.claimants.insert(key.clone(), (rank, names));
        }
        self.settle(component, key);
    }

    fn settle(&mut self, component: &Component, key: &ObjectKey) {
        for claim in &component.claims {
            self.holders.remove(claim);
        }
        let involved = component.objects.iter().chain([key]).filter_map(|object| self.claimants.get(object));
        let ranked: BTreeMap<Rank, Vec<Claim>> = involved.cloned().collect();
        for (rank, names) in ranked {
            let taken = names.iter().find_map(|name| Some((name.clone(), self.holders.get(name)?.clone())));
            match taken {
                Some(conflict) => {
                    self.losers.insert(rank.key, conflict);
                }
                None => {
                    self.losers.remove(&rank.key);
                    self.holders.extend(names.into_iter().map(|name| (name, rank.key.clone())));
                }
            }
        }
    }
}
