//! What has not reached the server yet: which objects wait for which subjects, and what made a subject dirty.

use std::collections::{BTreeMap, BTreeSet};

use super::pairs::Pairs;
use crate::iam::subject::{Cause, ObjectKey, Subject};

/// How many causes of one subject are kept until it has converged.
const MAX_CAUSES: usize = 256;

#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// By object: the subjects it waits for, and the sequence each must have included.
    waits: BTreeMap<(ObjectKey, Subject), u64>,
    waiting: Pairs<Subject>,
    causes: BTreeMap<Subject, BTreeMap<ObjectKey, (Cause, u64)>>,
}

impl Progress {
    /// The object is not settled before the subject has included `seq`.
    pub(super) fn wait(&mut self, object: &ObjectKey, subject: &Subject, seq: u64) {
        self.waits.insert((object.clone(), subject.clone()), seq);
        self.waiting.put(subject, object);
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
        for subject in self.outstanding(object) {
            self.stop_waiting(&subject, object);
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
        let waiting = self.waiting.of(subject).cloned().collect();
        self.converged_for(subject, seq, &waiting)
    }

    /// For these of the objects that waited for it, the subject has included everything up to `seq`. Returns those.
    pub(super) fn converged_for(
        &mut self,
        subject: &Subject,
        seq: u64,
        objects: &BTreeSet<ObjectKey>,
    ) -> BTreeSet<ObjectKey> {
        let done = |object: &ObjectKey| self.waits.get(&(object.clone(), subject.clone())) <= Some(&seq);
        let settled: BTreeSet<ObjectKey> = objects.iter().filter(|object| done(object)).cloned().collect();
        for object in &settled {
            self.stop_waiting(subject, object);
        }
        settled
    }

    /// The subjects that an object waits for.
    pub(super) fn outstanding(&self, object: &ObjectKey) -> BTreeSet<Subject> {
        // No subject comes before everyone.
        let from = self.waits.range((object.clone(), Subject::Everyone)..);
        from.take_while(|((held, _), _)| held == object).map(|((_, subject), _)| subject.clone()).collect()
    }

    /// The objects that wait for a subject.
    pub(super) fn waiting_for(&self, subject: &Subject) -> impl Iterator<Item = &ObjectKey> {
        self.waiting.of(subject)
    }

    /// Subjects that something waits for.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.waiting.names()
    }

    /// What made a subject dirty since it last converged.
    pub(super) fn causes(&self, subject: &Subject) -> impl Iterator<Item = &Cause> {
        self.causes.get(subject).into_iter().flat_map(|causes| causes.values().map(|(cause, _)| cause))
    }

    fn stop_waiting(&mut self, subject: &Subject, object: &ObjectKey) {
        self.waits.remove(&(object.clone(), subject.clone()));
        self.waiting.take(subject, object);
    }
}
