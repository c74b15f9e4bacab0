//! What has not reached the server yet: which objects wait for which subjects, and what made a subject dirty.

use std::collections::{BTreeMap, BTreeSet};

use crate::iam::subject::{Cause, ObjectKey, Subject};

/// How many causes of one subject are kept until it has converged.
const MAX_CAUSES: usize = 256;

#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// By object: the subjects it waits for, and the sequence each must have included.
    waits: BTreeMap<ObjectKey, BTreeMap<Subject, u64>>,
    waiting: BTreeMap<Subject, BTreeSet<ObjectKey>>,
    causes: BTreeMap<Subject, BTreeMap<ObjectKey, (Cause, u64)>>,
}

impl Progress {
    /// The object is not settled before the subject has included `seq`.
    pub(super) fn wait(&mut self, object: &ObjectKey, subject: &Subject, seq: u64) {
        self.waits.entry(object.clone()).or_default().insert(subject.clone(), seq);
        self.waiting.entry(subject.clone()).or_default().insert(object.clone());
    }

    /// Remembers what made a subject dirty.
    pub(super) fn blame(&mut self, subject: &Subject, cause: &Cause, seq: u64) {
        let causes = self.causes.entry(subject.clone()).or_default();
        if causes.len() < MAX_CAUSES || causes.contains_key(&cause.object) {
            causes.insert(cause.object.clone(), (cause.clone(), seq));
        }
    }

    /// The object is gone: nobody asks for it any more.
    pub(super) fn forget(&mut self, object: &ObjectKey) {
        for subject in self.waits.remove(object).unwrap_or_default().keys() {
            self.stop_waiting(subject, object);
        }
    }

    /// The subject has included everything up to `seq`. Returns the objects that waited for it.
    pub(super) fn converged(&mut self, subject: &Subject, seq: u64) -> BTreeSet<ObjectKey> {
        if let Some(causes) = self.causes.get_mut(subject) {
            causes.retain(|_, (_, needed)| *needed > seq);
            if causes.is_empty() {
                self.causes.remove(subject);
            }
        }
        let waiting = self.waiting.get(subject).cloned().unwrap_or_default();
        self.converged_for(subject, seq, &waiting)
    }

    /// For these of the objects that waited for it, the subject has included everything up to `seq`. Returns those.
    pub(super) fn converged_for(
        &mut self,
        subject: &Subject,
        seq: u64,
        objects: &BTreeSet<ObjectKey>,
    ) -> BTreeSet<ObjectKey> {
        let done = |object: &ObjectKey| self.waits.get(object).and_then(|waits| waits.get(subject)) <= Some(&seq);
        let settled: BTreeSet<ObjectKey> = objects.iter().filter(|object| done(object)).cloned().collect();
        for object in &settled {
            if let Some(waits) = self.waits.get_mut(object) {
                waits.remove(subject);
                if waits.is_empty() {
                    self.waits.remove(object);
                }
            }
            self.stop_waiting(subject, object);
        }
        settled
    }

    /// The subjects that an object waits for.
    pub(super) fn outstanding(&self, object: &ObjectKey) -> BTreeSet<Subject> {
        self.waits.get(object).map(|waits| waits.keys().cloned().collect()).unwrap_or_default()
    }

    /// The objects that wait for a subject.
    pub(super) fn waiting_for(&self, subject: &Subject) -> impl Iterator<Item = &ObjectKey> {
        self.waiting.get(subject).into_iter().flatten()
    }

    /// Subjects that something waits for.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.waiting.keys()
    }

    /// What made a subject dirty since it last converged.
    pub(super) fn causes(&self, subject: &Subject) -> impl Iterator<Item = &Cause> {
        self.causes.get(subject).into_iter().flat_map(|causes| causes.values().map(|(cause, _)| cause))
    }

    fn stop_waiting(&mut self, subject: &Subject, object: &ObjectKey) {
        if let Some(objects) = self.waiting.get_mut(subject) {
            objects.remove(object);
            if objects.is_empty() {
                self.waiting.remove(subject);
            }
        }
    }
}
