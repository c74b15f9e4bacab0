//! What an event changes: the index itself, and who has to be looked at again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::claims::{Claim, Component, Rank};
use super::effects::{Effects, Fact, differences, subject_of};
use super::entry::Entry;
use super::quota::{Crossing, Seat};
use super::refs::Timer;
use super::{Dirty, Index, ServerPolicies, Urgency};
use crate::iam::declared::{Declared, Owner, Target, Undecodable};
use crate::iam::names::{GroupName, PolicyName};
use crate::iam::subject::{Kind, ObjectKey, Subject};

/// What is compared before and after a change.
struct Snapshot {
    effects: BTreeMap<ObjectKey, Effects>,
    facts: BTreeMap<Claim, Option<Fact>>,
    conflicts: BTreeMap<ObjectKey, Option<(Claim, ObjectKey)>>,
    /// The first grant of each owner that is not within its quota.
    first_beyond: BTreeMap<Owner, Option<Seat>>,
    /// The grants of the object itself that are within it.
    within_quota: BTreeMap<Target, bool>,
}

impl Index {
    pub(super) fn upsert(&mut self, declared: Box<Declared>, dirty: &mut Dirty) {
        let key = declared.key().clone();
        self.decoded(&key, dirty);
        let former = self.entry(&key);
        if former.is_some_and(|former| former.declared == declared) {
            return;
        }
        let entry = Entry::new(declared, &self.config, former, self.compared);
        self.replace(&key, Some(entry), dirty);
    }

    pub(super) fn delete(&mut self, key: &ObjectKey, dirty: &mut Dirty) {
        self.decoded(key, dirty);
        if self.entries.contains_key(key) {
            self.replace(key, None, dirty);
        }
        self.progress.forget(key);
    }

    pub(super) fn relist(
        &mut self,
        kind: Kind,
        namespace: &str,
        objects: Vec<Declared>,
        undecodable: Vec<Undecodable>,
        dirty: &mut Dirty,
    ) {
        let mut listed: BTreeSet<&ObjectKey> = objects.iter().map(Declared::key).collect();
        listed.extend(undecodable.iter().map(|found| &found.key));
        let known = self.entries.keys().chain(self.undecodable.keys());
        let in_scope = |key: &&ObjectKey| key.kind == kind && key.namespace == namespace;
        let gone: BTreeSet<ObjectKey> = known.filter(in_scope).filter(|key| !listed.contains(key)).cloned().collect();
        for key in gone {
            self.delete(&key, dirty);
        }
        for declared in objects {
            self.upsert(Box::new(declared), dirty);
        }
        for found in undecodable {
            self.cannot_decode(found, dirty);
        }
    }

    pub(super) fn cannot_decode(&mut self, found: Undecodable, dirty: &mut Dirty) {
        let key = found.key.clone();
        dirty.objects.insert(key.clone());
        if let Some(former) = self.entry(&key) {
            let now = found.over(&former.declared);
            if now.as_ref() != Some(&*former.declared) {
                let entry =
                    now.map(|declared| Entry::new(Box::new(declared), &self.config, Some(former), self.compared));
                self.replace(&key, entry, dirty);
            }
        }
        let held_back = self.holds_back(&key);
        self.undecodable.insert(key.clone(), found);
        // Keys of a user that nobody declares may be those of this one.
        if !held_back && self.holds_back(&key) {
            let touchable = self.touchable(key.kind);
            for subject in touchable.iter().filter(|subject| matches!(subject, Subject::Key(_))) {
                self.mark(subject, Urgency::Normal, dirty);
            }
        }
        if held_back && !self.holds_back(&key) {
            for subject in self.touchable(key.kind) {
                self.progress.wait(&key, &subject, dirty.seq);
                self.mark(&subject, Urgency::Normal, dirty);
            }
        }
    }

    /// The object is readable, or gone: what was only widened because of it may be narrowed again.
    fn decoded(&mut self, key: &ObjectKey, dirty: &mut Dirty) {
        let held_back = self.holds_back(key);
        if self.undecodable.remove(key).is_none() {
            return;
        }
        dirty.objects.insert(key.clone());
        for subject in self.touchable(key.kind).into_iter().filter(|_| held_back) {
            self.mark(&subject, Urgency::Normal, dirty);
        }
    }

    /// Whether nothing may be taken away because nobody knows what this object gives.
    pub(super) fn holds_back(&self, key: &ObjectKey) -> bool {
        let unread = self.undecodable.get(key).filter(|_| !self.entries.contains_key(key));
        unread.is_some_and(|found| found.deleting.is_none())
    }

    pub(super) fn touchable(&self, kind: Kind) -> Vec<Subject> {
        self.subjects().into_iter().filter(|subject| super::could_touch(kind, subject)).collect()
    }

    pub(super) fn see_policies(&mut self, seen: ServerPolicies, dirty: &mut Dirty) {
        let refers: Vec<PolicyName> = self.refs.referred_policies().cloned().collect();
        let is_absent = |index: &Index, policy: &PolicyName| index.server_policies.absent.contains(policy);
        let before: Vec<_> = refers.iter().map(|policy| (self.is_admin(policy), is_absent(self, policy))).collect();
        self.server_policies = seen;
        for (policy, (admin, absent)) in refers.into_iter().zip(before) {
            let admin_now = self.is_admin(&policy);
            if admin_now == admin && is_absent(self, &policy) == absent {
                continue;
            }
            let urgency = if admin_now && !admin { Urgency::Revocation } else { Urgency::Normal };
            let objects: Vec<ObjectKey> = self.refs.referring(&policy).cloned().collect();
            for key in objects {
                self.mark_own(&key, (admin_now != admin).then_some(urgency), dirty);
            }
        }
    }

    /// Puts another version of an object in its place, or none.
    fn replace(&mut self, key: &ObjectKey, entry: Option<Entry>, dirty: &mut Dirty) {
        let cause = entry.as_ref().or(self.entry(key)).map(|entry| entry.declared.cause());
        let rest = [entry.as_ref(), self.entry(key)].into_iter().flatten().any(|entry| entry.declared.meta.rest);
        let names = entry.as_ref().map(|entry| entry.claims(&self.config)).unwrap_or_default();
        let seeds = self.claims.of(key).iter().chain(&names).cloned();
        let component = self.claims.component(seeds.collect::<Vec<_>>());
        let owners = [entry.as_ref(), self.entry(key)].into_iter().flatten().filter_map(|e| e.share()?.owner.clone());
        let owners: BTreeSet<Owner> = owners.collect();

        let before = self.snapshot(key, &component, &owners);
        self.store(key, entry, names, &component);
        let after = self.snapshot(key, &component, &owners);

        let mut made = Dirty { objects: [key.clone()].into(), seq: dirty.seq, ..Dirty::default() };
        self.compare_effects(&before, &after, rest.then_some(key), &mut made);
        for (object, conflict) in &before.conflicts {
            if after.conflicts.get(object) != Some(conflict) {
                made.objects.insert(object.clone());
            }
        }
        for (claim, fact) in &before.facts {
            let now = after.facts.get(claim).cloned().flatten();
            if *fact != now {
                self.cascade(claim, fact.as_ref(), now.as_ref(), &mut made);
            }
        }
        self.compare_quotas(key, &before, &after, &mut made);
        if let Some(cause) = cause {
            for subject in made.subjects.keys() {
                self.progress.blame(subject, &cause, made.seq);
            }
        }
        dirty.absorb(made);
    }

    fn snapshot(&self, key: &ObjectKey, component: &Component, owners: &BTreeSet<Owner>) -> Snapshot {
        let objects = component.objects.iter().chain([key]);
        Snapshot {
            effects: objects.clone().map(|object| (object.clone(), self.effects(object))).collect(),
            facts: component.claims.iter().map(|claim| (claim.clone(), self.fact(claim))).collect(),
            conflicts: objects.map(|object| (object.clone(), self.claims.conflict(object).cloned())).collect(),
            first_beyond: owners.iter().map(|owner| (owner.clone(), self.quotas.first_beyond(owner))).collect(),
            within_quota: self.within_quota(key),
        }
    }

    fn store(&mut self, key: &ObjectKey, entry: Option<Entry>, names: Vec<Claim>, component: &Component) {
        let warning = self.config.expiry_warning;
        self.leaving.remove(key);
        match self.entries.remove(key) {
            Some(former) if former.is_live() => {
                self.refs.remove(&former.declared, warning);
                self.quotas.leave(&former);
            }
            Some(former) => self.refs.remove_idle(&former.declared),
            None => {}
        }
        let entry = entry.map(|entry| Entry { retained: self.is_retained(key.kind), ..entry });
        let claim = entry.as_ref().filter(|_| !names.is_empty());
        let claim = claim.map(|entry| (Rank::from(&entry.declared.meta), names));
        self.claims.set(key, claim, component);
        if let Some(entry) = entry {
            if entry.is_live() {
                self.refs.add(&entry.declared, warning);
                self.quotas.enter(&entry, self.clock);
            } else {
                self.refs.add_idle(&entry.declared);
            }
            if entry.is_deleting() {
                self.leaving.insert(key.clone());
            }
            self.entries.insert(key.clone(), entry);
        }
    }

    fn compare_effects(&mut self, before: &Snapshot, after: &Snapshot, urgent: Option<&ObjectKey>, dirty: &mut Dirty) {
        for (object, effects) in &before.effects {
            let Some(now) = after.effects.get(object) else { continue };
            for (subject, narrowed) in differences(effects, now) {
                let urgent = narrowed || urgent == Some(object);
                let urgency = if urgent { Urgency::Revocation } else { Urgency::Normal };
                self.mark_for(object, &subject, urgency, dirty);
            }
            self.remember_withdrawn(object, effects, now, dirty.seq);
        }
    }

    /// What follows for others from a change of who holds a name.
    fn cascade(&mut self, claim: &Claim, before: Option<&Fact>, after: Option<&Fact>, dirty: &mut Dirty) {
        let present = |fact: Option<&Fact>| fact.is_some_and(|fact| fact.present);
        let ownership =
            |fact: Option<&Fact>| fact.map(|fact| (fact.uid.clone(), fact.present, fact.workspace, fact.twin_side));
        let gained = present(after) && !present(before);
        let lost = present(before) && !present(after);
        let owner_changed = ownership(before) != ownership(after);
        let urgency = if present(before) { Urgency::Revocation } else { Urgency::Normal };
        let member = |fact: Option<&Fact>| fact.is_some_and(|fact| fact.member);
        match claim {
            Claim::User(name) => {
                if gained || lost || member(before) != member(after) {
                    let urgency = if member(before) { Urgency::Revocation } else { Urgency::Normal };
                    let listing: Vec<ObjectKey> = self.refs.listing(name).cloned().collect();
                    for key in listing {
                        self.mark_own(&key, Some(urgency), dirty);
                    }
                }
                if gained || lost {
                    self.wait_for_arrival(&Target::User(name.clone()), dirty);
                }
                if owner_changed {
                    self.mark_shares_of(&Owner::User(name.clone()), urgency, dirty);
                }
                let keys: Vec<ObjectKey> = self.refs.keys_of(name).cloned().collect();
                for key in keys {
                    self.mark_own(&key, Some(urgency), dirty);
                }
            }
            Claim::Group(name) => {
                self.wait_for_arrival(&Target::Group(name.clone()), dirty);
                let Ok(name) = GroupName::parse(name.as_str()) else { return };
                let memberships: Vec<ObjectKey> = self.refs.memberships(&name).cloned().collect();
                for key in memberships {
                    self.mark_own(&key, Some(urgency), dirty);
                }
                if owner_changed {
                    self.mark_shares_of(&Owner::Group(name), urgency, dirty);
                }
            }
            Claim::Policy(name) => {
                let withdrawn = after.is_some_and(|fact| fact.going || fact.admin);
                let urgency = if withdrawn { Urgency::Revocation } else { urgency };
                let referring: Vec<ObjectKey> = self.refs.referring(name).cloned().collect();
                for key in referring {
                    self.mark_own(&key, Some(urgency), dirty);
                }
            }
        }
    }

    /// Grants to a target become active or pending: their shares say so, and wait for it.
    fn wait_for_arrival(&mut self, target: &Target, dirty: &mut Dirty) {
        let shares: Vec<ObjectKey> = self.refs.granting(target).cloned().collect();
        for key in shares {
            dirty.objects.insert(key.clone());
            let Some(terms) = self.entry(&key).and_then(Entry::share).and_then(|share| share.grants.get(target)) else {
                continue;
            };
            if let Ok(arrival) = self.arrival(target, terms.access) {
                self.mark_for(&key, &arrival.subject, Urgency::Normal, dirty);
            }
        }
    }

    fn within_quota(&self, key: &ObjectKey) -> BTreeMap<Target, bool> {
        let Some(entry) = self.entry(key) else { return BTreeMap::new() };
        let grants = entry.share().into_iter().flat_map(|share| &share.grants);
        grants.map(|(target, _)| (target.clone(), self.quotas.holds(entry, target))).collect()
    }

    /// Grants that are not within the quota any more, and those for which there is room now.
    fn compare_quotas(&mut self, key: &ObjectKey, before: &Snapshot, after: &Snapshot, dirty: &mut Dirty) {
        let own = after.within_quota.iter().filter(|(target, is)| before.within_quota.get(*target) == Some(&!**is));
        let own = own.map(|(target, is)| Crossing { share: key.clone(), target: target.clone(), gained: *is });
        let crossed = before.first_beyond.iter().flat_map(|(owner, first)| self.quotas.crossed(owner, first.as_ref()));
        let crossed: Vec<Crossing> = crossed.filter(|crossing| crossing.share != *key).chain(own).collect();
        self.mark_crossed(crossed, dirty);
    }

    fn mark_crossed(&mut self, crossed: Vec<Crossing>, dirty: &mut Dirty) {
        for Crossing { share: key, target, gained } in crossed {
            let Some(entry) = self.entry(&key).filter(|entry| self.standing(entry).is_in_force()) else { continue };
            let terms = entry.share().and_then(|share| share.grants.get(&target));
            let arrival = terms.and_then(|terms| self.arrival(&target, terms.access).ok());
            dirty.objects.insert(key.clone());
            if let Some(arrival) = arrival {
                let urgency = if gained { Urgency::Normal } else { Urgency::Revocation };
                self.mark_for(&key, &arrival.subject, urgency, dirty);
            }
        }
    }

    /// Everything that an owner shares is to be looked at again.
    fn mark_shares_of(&mut self, owner: &Owner, urgency: Urgency, dirty: &mut Dirty) {
        let shares: Vec<ObjectKey> = self.refs.owned(owner).cloned().collect();
        for key in shares {
            dirty.objects.insert(key.clone());
            let subjects = self.entry(&key).and_then(Entry::share).map(|share| self.named_by(share));
            for subject in subjects.unwrap_or_default() {
                self.mark_for(&key, &subject, urgency, dirty);
            }
        }
    }

    /// The subject that an object declares is to be looked at again; without an urgency only its status.
    pub(super) fn mark_own(&mut self, key: &ObjectKey, urgency: Option<Urgency>, dirty: &mut Dirty) {
        dirty.objects.insert(key.clone());
        let subject = self.entry(key).and_then(|entry| subject_of(&entry.declared));
        if let (Some(subject), Some(urgency)) = (subject, urgency) {
            self.mark_for(key, &subject, urgency, dirty);
        }
    }

    /// The subject is to be looked at again, and the object is not settled before.
    fn mark_for(&mut self, object: &ObjectKey, subject: &Subject, urgency: Urgency, dirty: &mut Dirty) {
        if self.entries.contains_key(object) {
            self.progress.wait(object, subject, dirty.seq);
        }
        self.mark(subject, urgency, dirty);
    }

    pub(super) fn mark(&mut self, subject: &Subject, urgency: Urgency, dirty: &mut Dirty) {
        let held = dirty.subjects.entry(subject.clone()).or_insert(urgency);
        *held = (*held).max(urgency);
        dirty.objects.extend(self.holder_of(subject).cloned());
    }

    /// What begins and ends up to an instant.
    pub(super) fn expire(&mut self, now: Timestamp, dirty: &mut Dirty) {
        if now < self.clock {
            self.set_back(now, dirty);
            return;
        }
        let mut first_beyond = BTreeMap::new();
        for (at, timer, key) in self.refs.timers(self.clock, now) {
            dirty.objects.insert(key.clone());
            let Some(entry) = self.entries.get(&key) else { continue };
            let cause = entry.declared.cause();
            match timer {
                Timer::Warning => self.warn(&key, at, dirty),
                Timer::Expiry => {
                    if let Some(owner) = entry.share().and_then(|share| share.owner.as_ref()) {
                        first_beyond.entry(owner.clone()).or_insert_with(|| self.quotas.first_beyond(owner));
                        self.quotas.end(entry, at);
                    }
                    for subject in self.ending(&key, at) {
                        self.mark_for(&key, &subject, Urgency::Revocation, dirty);
                        self.progress.blame(&subject, &cause, dirty.seq);
                    }
                }
            }
        }
        self.clock = now;
        self.mark_crossed_since(&first_beyond, dirty);
    }

    /// The clock was set back: what ends between is still to come, and uses the quota until then.
    fn set_back(&mut self, now: Timestamp, dirty: &mut Dirty) {
        let mut first_beyond = BTreeMap::new();
        for (_, _, key) in self.refs.timers(now, self.clock) {
            let Some(entry) = self.entries.get(&key) else { continue };
            if let Some(owner) = entry.share().and_then(|share| share.owner.as_ref()) {
                first_beyond.entry(owner.clone()).or_insert_with(|| self.quotas.first_beyond(owner));
                self.quotas.enter(entry, now);
            }
            if entry.access_key().is_some() {
                self.mark_own(&key, Some(Urgency::Normal), dirty);
            }
        }
        self.clock = now;
        self.mark_crossed_since(&first_beyond, dirty);
    }

    fn mark_crossed_since(&mut self, first_beyond: &BTreeMap<Owner, Option<Seat>>, dirty: &mut Dirty) {
        let crossed = first_beyond.iter().flat_map(|(owner, first)| self.quotas.crossed(owner, first.as_ref()));
        let crossed: Vec<Crossing> = crossed.collect();
        self.mark_crossed(crossed, dirty);
    }

    /// The subjects that lose something of an object at an instant.
    fn ending(&self, key: &ObjectKey, at: Timestamp) -> BTreeSet<Subject> {
        let Some(entry) = self.entry(key) else { return BTreeSet::new() };
        if let Some(share) = entry.share() {
            let ended = share.grants.iter().filter(|(_, terms)| terms.expires_at == Some(at));
            return ended
                .filter_map(|(target, terms)| self.arrival(target, terms.access).ok())
                .map(|a| a.subject)
                .collect();
        }
        subject_of(&entry.declared).into_iter().collect()
    }

    /// The users one of whose grants now counts as expiring.
    fn warn(&self, key: &ObjectKey, at: Timestamp, dirty: &mut Dirty) {
        let Some(share) = self.entry(key).and_then(Entry::share) else { return };
        for (target, terms) in &share.grants {
            let begin = terms.expires_at.and_then(|end| end.checked_sub(self.config.expiry_warning).ok());
            if let (Target::User(name), true) = (target, begin == Some(at)) {
                dirty.objects.extend(self.holder_of(&Subject::User(name.clone())).cloned());
            }
        }
    }
}
