//! Kinds whose CRD goes: all their objects go with it, and nobody has said that what these gave should end.

use super::entry::Entry;
use super::{Dirty, Index, Urgency, Verdict, could_touch};
use crate::iam::subject::{Kind, Subject};

impl Index {
    /// From now on the objects of a kind end without an effect: accounts, groups and policies stay, and whom the kind could
    /// touch loses nothing, until [`Index::kind_is_back`]. Says what follows, and whether that is news.
    pub fn retain_kind(&mut self, kind: Kind) -> (Dirty, bool) {
        let mut dirty = self.begin();
        if !self.retained.insert(kind) {
            return (dirty, false);
        }
        for (key, entry) in self.entries.iter_mut().filter(|(key, _)| key.kind == kind) {
            entry.retained = true;
            dirty.objects.insert(key.clone());
            if let Some(subject) = entry.declared.own_subject().filter(|_| entry.is_deleting()) {
                dirty.subjects.insert(subject, Urgency::Normal);
            }
        }
        dirty.objects.extend(self.undecodable.keys().filter(|key| key.kind == kind).cloned());
        (dirty, true)
    }

    /// The kind is there again, with the objects that were seen since: what they do not say holds no more.
    pub fn kind_is_back(&mut self, kind: Kind) -> Dirty {
        let mut dirty = self.begin();
        if !self.retained.remove(&kind) {
            return dirty;
        }
        let mut leaving = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(key, _)| key.kind == kind) {
            entry.retained = false;
            leaving.extend(entry.is_deleting().then(|| key.clone()));
        }
        // What was done for them as if all stayed does not count.
        for key in leaving {
            self.mark_own(&key, Some(Urgency::Revocation), &mut dirty);
        }
        for subject in self.touchable(kind) {
            self.mark(&subject, Urgency::Normal, &mut dirty);
        }
        dirty
    }

    /// The kinds whose CRD goes or is gone.
    pub fn retained_kinds(&self) -> impl Iterator<Item = Kind> {
        self.retained.iter().copied()
    }

    pub(super) fn is_retained(&self, kind: Kind) -> bool {
        self.retained.contains(&kind)
    }

    /// Whether a subject loses nothing because of a kind whose CRD is not there.
    pub(super) fn keeps_all(&self, subject: &Subject) -> bool {
        self.retained.iter().any(|kind| could_touch(*kind, subject))
    }

    /// What an object of such a kind waits for when it goes: its own account, group or policy, whose keys are ours to end.
    /// What others keep because of it would hold it up for ever.
    pub(super) fn judge_retained(&self, entry: &Entry, verdict: &mut Verdict) {
        if entry.is_deleting() && entry.retained {
            let own = entry.declared.own_subject();
            verdict.outstanding.retain(|subject| own.as_ref() == Some(subject));
            verdict.former_unknown = false;
        }
        let held_up = |kind: &Kind| verdict.outstanding.iter().any(|subject| could_touch(*kind, subject));
        verdict.missing_kinds = self.retained.iter().filter(|kind| held_up(kind)).copied().collect();
    }
}
