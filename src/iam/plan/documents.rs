//! The documents and attachments of one holder, and the order in which they change.
//!
//! Each document is replaced in one step, and so is the list of attachments. At every moment a step is either done or
//! not, so that nothing is allowed beyond old and new. What both allow is never interrupted if the step that gains a
//! right comes before the step that loses the same right, one above or one below it: the steps are sorted so.

use std::collections::{BTreeMap, BTreeSet};

use super::super::change::{Change, Holder, Impact};
use super::super::desired::Family;
use super::super::document::{Document, MAX_BYTES};
use super::super::family::{Draft, rights_in};
use super::super::names::DocumentName;
use super::super::observed::Documents;
use super::super::path::{Access, Bucket, Rights, Scope};
use super::super::place::place;
use super::{Loss, is_written};

/// The documents and attachments of one holder as they are while the plan is written, and as they shall be.
pub(super) struct Desk<'a> {
    instance: &'a str,
    holder: Option<Holder>,
    bases: Vec<DocumentName>,
    /// The documents of the families after the changes so far.
    pub documents: Documents,
    /// The documents of the families in the end.
    pub target: BTreeMap<DocumentName, Draft>,
    /// What is attached after the changes so far.
    pub attached: BTreeSet<DocumentName>,
    /// What shall be attached in the end.
    pub wanted: BTreeSet<DocumentName>,
    /// Names among `wanted` that are attached and have no document: they stay while nothing else changes, and cannot be written.
    pub dangling: BTreeSet<DocumentName>,
}

impl<'a> Desk<'a> {
    /// A desk on which the families are placed and nothing but their documents is wanted; no holder for the everyone family.
    pub fn new(
        holder: Option<Holder>,
        families: &[&Family],
        documents: &Documents,
        attached: BTreeSet<DocumentName>,
        instance: &'a str,
    ) -> Self {
        let target: BTreeMap<_, _> = families
            .iter()
            .flat_map(|family| {
                let placement = place(family, documents, instance);
                placement.into_iter().map(|(number, draft)| (family.base.numbered(number), draft))
            })
            .collect();
        Self {
            instance,
            holder,
            bases: families.iter().map(|family| family.base.clone()).collect(),
            documents: documents.clone(),
            wanted: target.keys().cloned().collect(),
            target,
            attached,
            dangling: BTreeSet::new(),
        }
    }

    /// Whether a name belongs to one of the families.
    pub fn owns(&self, name: &DocumentName) -> bool {
        self.base_of(name).is_some()
    }

    fn base_of(&self, name: &DocumentName) -> Option<&DocumentName> {
        self.bases.iter().find(|base| name.number_in(base).is_some())
    }

    /// The documents as they will be.
    pub fn rendered(&self) -> BTreeMap<DocumentName, Document> {
        self.target.iter().map(|(name, draft)| (name.clone(), draft.render())).collect()
    }

    /// Whether there is nothing to do.
    pub fn is_settled(&self) -> bool {
        self.attached == self.wanted
            && self.documents.keys().all(|name| self.target.contains_key(name))
            && self.target.iter().all(|(name, draft)| self.holds(name, &draft.render()))
    }

    /// Whether policies that are not of the families are to go.
    pub fn detaches_foreign(&self) -> bool {
        self.attached.difference(&self.wanted).any(|name| !self.owns(name))
    }

    /// What the families give in the end.
    pub fn end(&self) -> Rights {
        self.target.values().flat_map(|draft| draft.rights().iter()).map(owned).collect()
    }

    /// What attached documents of the families give; `None` where more than that is attached or may be.
    pub fn now(&self) -> Option<Rights> {
        let known = |name: &DocumentName| {
            let document = self.documents.get(name)?.as_ref()?;
            let draft = Draft::read(document, self.instance);
            draft.render().same_meaning(document).then(|| draft.rights().iter().map(owned).collect::<Vec<_>>())
        };
        self.attached.iter().map(known).collect::<Option<Vec<_>>>().map(|rights| rights.into_iter().flatten().collect())
    }

    /// The rights of attached documents that the documents to come no longer give.
    pub fn lost_grants(&self) -> BTreeSet<Loss> {
        let end = self.end();
        self.documents
            .iter()
            .filter(|(name, _)| self.attached.contains(*name))
            .filter_map(|(name, document)| Some((self.base_of(name)?, rights_in(document.as_ref()?))))
            .flat_map(|(base, rights)| lacking(&rights, &end).into_iter().map(|right| (base.clone(), right)))
            .map(|(family, (scope, access))| Loss::Grant { family, scope, access })
            .collect()
    }

    /// Writes all documents that differ, in any order: for a holder who may do nothing anyway.
    pub fn put_all(&mut self, changes: &mut Vec<Change>) {
        for (name, draft) in self.target.clone() {
            self.put(&name, &draft, changes);
        }
    }

    /// Writes the documents that nobody holds yet.
    pub fn put_unattached(&mut self, changes: &mut Vec<Change>) {
        for (name, draft) in self.target.clone() {
            if !self.attached.contains(&name) {
                self.put(&name, &draft, changes);
            }
        }
    }

    /// Writes the documents that do not exist yet.
    pub fn put_new(&mut self, changes: &mut Vec<Change>) {
        for (name, draft) in self.target.clone() {
            if !self.documents.contains_key(&name) {
                self.put(&name, &draft, changes);
            }
        }
    }

    /// Sets the attachments, unless they are so.
    pub fn map(&mut self, policies: &BTreeSet<DocumentName>, changes: &mut Vec<Change>) {
        if self.attached != *policies {
            self.map_anyway(policies, changes);
        }
    }

    /// Sets the attachments, also where they seem to be so already.
    pub fn map_anyway(&mut self, policies: &BTreeSet<DocumentName>, changes: &mut Vec<Change>) {
        let Some(holder) = self.holder.clone() else { return };
        let before = std::mem::replace(&mut self.attached, policies.clone());
        let policies = policies.difference(&self.dangling).cloned().collect();
        changes.push(Change::SetMapping { holder, policies, before });
    }

    /// Deletes the documents that are neither wanted nor attached.
    pub fn delete_surplus(&mut self, changes: &mut Vec<Change>) {
        for name in self.surplus() {
            if !self.attached.contains(&name) {
                let before = self.documents.remove(&name).flatten().map(|document| document.fingerprint());
                changes.push(Change::DeleteDocument { name, before });
            }
        }
    }

    /// Leaves nothing but the guard in documents that are not wanted and cannot be detached.
    pub fn disarm_surplus(&mut self, changes: &mut Vec<Change>) {
        let mut harmless = Draft::new(self.instance);
        harmless.set_guard(true);
        for name in self.surplus() {
            if self.attached.contains(&name) {
                self.put(&name, &harmless, changes);
            }
        }
    }

    fn surplus(&self) -> Vec<DocumentName> {
        self.documents.keys().filter(|name| !self.target.contains_key(*name)).cloned().collect()
    }

    /// Brings documents and attachments to their end without interrupting what stays allowed.
    pub fn settle(&mut self, changes: &mut Vec<Change>) {
        self.put_unattached(changes);
        let mut steps = self.steps();
        let steady = self.steady(&steps);
        while !steps.is_empty() {
            let free = (0..steps.len()).find(|&index| predecessor(&steps, index, &steady).is_none());
            match free {
                Some(index) => {
                    let step = steps.remove(index);
                    self.carry_out(&step.what, changes);
                }
                None => {
                    let index = on_cycle(&steps, &steady);
                    if let Some(step) = steps.get_mut(index) {
                        self.widen(step, changes);
                    }
                }
            }
        }
        self.map(&self.wanted.clone(), changes);
        self.delete_surplus(changes);
    }

    fn carry_out(&mut self, what: &What, changes: &mut Vec<Change>) {
        match what {
            What::Document(name) => {
                if let Some(draft) = self.target.get(name).cloned() {
                    self.put(name, &draft, changes);
                }
            }
            What::Attachments => self.map(&self.wanted.clone(), changes),
        }
    }

    /// Gives what a step gives without taking what it takes, so that nothing need wait for it any more.
    fn widen(&mut self, step: &mut Step, changes: &mut Vec<Change>) {
        match step.what.clone() {
            What::Attachments => {
                let both = self.attached.union(&self.wanted).cloned().collect();
                self.map(&both, changes);
            }
            What::Document(name) => {
                let held = self.documents.get(&name).and_then(Option::as_ref);
                let held = held.map_or_else(|| Draft::new(self.instance), |held| Draft::read(held, self.instance));
                match self.target.get(&name).and_then(|end| Some((held.with_all(end, MAX_BYTES)?, end.clone()))) {
                    Some((both, end)) => {
                        self.put(&name, &both, changes);
                        *step = Step::new(What::Document(name), both.rights(), end.rights());
                    }
                    None => self.attach_interim(&name, &step.gained, changes),
                }
            }
        }
        step.gave();
    }

    /// Puts rights into a document of their own until the end.
    fn attach_interim(&mut self, near: &DocumentName, rights: &[(Scope, Access)], changes: &mut Vec<Change>) {
        let (Some(base), true) = (self.base_of(near).cloned(), self.holder.is_some()) else { return };
        let taken = |name: &DocumentName| self.documents.contains_key(name) || self.target.contains_key(name);
        let name = (2..).map(|number| base.numbered(number)).find(|name| !taken(name)).expect("numbers do not end");
        let mut interim = Draft::new(self.instance);
        for (scope, access) in rights {
            interim.add(scope, *access);
        }
        self.put(&name, &interim, changes);
        let mut policies = self.attached.clone();
        policies.insert(name);
        self.map(&policies, changes);
    }

    fn put(&mut self, name: &DocumentName, draft: &Draft, changes: &mut Vec<Change>) {
        let document = draft.render();
        if self.holds(name, &document) {
            return;
        }
        let old = self.documents.insert(name.clone(), Some(document.clone()));
        let impact = match &old {
            None => Impact::Widens,
            Some(None) => Impact::Both,
            Some(Some(old)) => impact(old, draft, self.instance),
        };
        let before = old.flatten().map(|document| document.fingerprint());
        changes.push(Change::PutDocument { name: name.clone(), document, before, impact });
    }

    fn holds(&self, name: &DocumentName, document: &Document) -> bool {
        let held = self.documents.get(name).and_then(Option::as_ref);
        held.is_some_and(|held| is_written(held, document, self.instance))
    }

    /// The documents that are attached all the time and do not change.
    fn steady(&self, steps: &[Step]) -> Vec<Rights> {
        self.target
            .iter()
            .filter(|(name, _)| self.attached.contains(*name) && self.wanted.contains(*name))
            .filter(|(name, _)| !steps.iter().any(|step| matches!(&step.what, What::Document(other) if other == *name)))
            .map(|(_, draft)| draft.rights().clone())
            .collect()
    }

    fn steps(&self) -> Vec<Step> {
        let documents = self
            .target
            .iter()
            .filter(|(name, draft)| self.attached.contains(*name) && !self.holds(name, &draft.render()))
            .map(|(name, draft)| Step::new(What::Document(name.clone()), &self.rights_of(name), draft.rights()));
        let attachments = (self.attached != self.wanted).then(|| {
            let gone = self.attached.difference(&self.wanted);
            let new = self.wanted.difference(&self.attached);
            let old: Rights =
                gone.clone().flat_map(|name| self.rights_of(name).iter().map(owned).collect::<Vec<_>>()).collect();
            let end: Rights = new
                .clone()
                .filter_map(|name| self.target.get(name))
                .flat_map(|draft| draft.rights().iter())
                .map(owned)
                .collect();
            Step {
                loses_unknown: self.detaches_foreign(),
                gains_unknown: new.clone().any(|name| !self.owns(name)),
                ..Step::new(What::Attachments, &old, &end)
            }
        });
        documents.chain(attachments).collect()
    }

    fn rights_of(&self, name: &DocumentName) -> Rights {
        self.documents.get(name).and_then(Option::as_ref).map(rights_in).unwrap_or_default()
    }
}

/// What is replaced in one request.
#[derive(Clone, Debug)]
enum What {
    Document(DocumentName),
    Attachments,
}

/// A replacement that is to be done.
#[derive(Debug)]
struct Step {
    what: What,
    lost: Vec<(Scope, Access)>,
    gained: Vec<(Scope, Access)>,
    /// Buckets that can no longer be looked at, and those that now can.
    lost_buckets: BTreeSet<Bucket>,
    gained_buckets: BTreeSet<Bucket>,
    /// It takes policies away whose content is not known: they may allow or deny anything, so they go last.
    loses_unknown: bool,
    /// It adds policies whose content is not known: they come first.
    gains_unknown: bool,
}

impl Step {
    fn new(what: What, old: &Rights, new: &Rights) -> Self {
        let (old_buckets, new_buckets) = (buckets(old), buckets(new));
        Self {
            what,
            lost: lacking(old, new),
            gained: lacking(new, old),
            lost_buckets: &old_buckets - &new_buckets,
            gained_buckets: &new_buckets - &old_buckets,
            loses_unknown: false,
            gains_unknown: false,
        }
    }

    /// Whether `self` must come before `other`.
    fn precedes(&self, other: &Step, steady: &[Rights]) -> bool {
        other.loses_unknown || self.gains_unknown || self.saves_right(other, steady) || self.saves_bucket(other, steady)
    }

    fn saves_right(&self, other: &Step, steady: &[Rights]) -> bool {
        other.lost.iter().any(|(lost, held)| {
            self.gained.iter().any(|(gained, given)| {
                let region = if lost.contains(gained) {
                    gained
                } else if gained.contains(lost) {
                    lost
                } else {
                    return false;
                };
                !steady.iter().any(|rights| rights.cover(region, *held.min(given)))
            })
        })
    }

    fn saves_bucket(&self, other: &Step, steady: &[Rights]) -> bool {
        let steadily =
            |bucket: &Bucket| steady.iter().any(|rights| rights.iter().any(|(scope, _)| scope.bucket() == bucket));
        self.gained_buckets.intersection(&other.lost_buckets).any(|bucket| !steadily(bucket))
    }

    /// Records that everything that the step gives is there.
    fn gave(&mut self) {
        self.gained.clear();
        self.gained_buckets.clear();
        self.gains_unknown = false;
    }
}

fn buckets(rights: &Rights) -> BTreeSet<Bucket> {
    rights.iter().map(|(scope, _)| scope.bucket().clone()).collect()
}

fn predecessor(steps: &[Step], index: usize, steady: &[Rights]) -> Option<usize> {
    let step = steps.get(index)?;
    (0..steps.len())
        .find(|&other| other != index && steps.get(other).is_some_and(|before| before.precedes(step, steady)))
}

/// A step on a cycle, given that every step has a predecessor; that of the attachments where it is on it.
fn on_cycle(steps: &[Step], steady: &[Rights]) -> usize {
    let back = |index: usize| predecessor(steps, index, steady).unwrap_or(index);
    let entry = (0..steps.len()).fold(0, |index, _| back(index));
    let cycle = std::iter::successors(Some(entry), |&index| Some(back(index))).take(steps.len());
    let attachments = |index: &usize| matches!(steps.get(*index), Some(Step { what: What::Attachments, .. }));
    cycle.clone().find(attachments).unwrap_or(entry)
}

fn owned((scope, access): (&Scope, Access)) -> (Scope, Access) {
    (scope.clone(), access)
}

/// The rights that `other` does not cover.
fn lacking(rights: &Rights, other: &Rights) -> Vec<(Scope, Access)> {
    rights.iter().filter(|(scope, access)| !other.cover(scope, *access)).map(owned).collect()
}

/// What replacing a document does to its holders; both where the old one holds more than we read.
fn impact(old: &Document, new: &Draft, instance: &str) -> Impact {
    let held = Draft::read(old, instance);
    if !held.render().same_meaning(old) {
        return Impact::Both;
    }
    let gives = !lacking(new.rights(), held.rights()).is_empty() || (held.guard() && !new.guard());
    let takes = !lacking(held.rights(), new.rights()).is_empty() || (new.guard() && !held.guard());
    Impact::of(gives, takes)
}
