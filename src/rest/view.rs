//! What the objects say: an index of its own, fed by watches, and the states that the controller reports.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::access::Reported;
use crate::api::MinioInstance;
use crate::api::meta::{condition, reason};
use crate::iam::declared::Declared;
use crate::iam::index::{Dirty, Event, Index};
use crate::iam::subject::{Cause, Kind, ObjectKey};
use crate::kubernetes::status::{Said, condition_of_type};
use crate::kubernetes::watch::Sink;
use crate::kubernetes::{Decoded, Seen};
use crate::telemetry::metrics::Ready;

/// How often a wait looks again without news, as a safeguard.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The objects, as the watches show them.
pub struct Known {
    /// What they declare.
    pub index: Index,
    /// Metadata and status of each.
    pub seen: HashMap<ObjectKey, Box<Seen>>,
    /// What the controller says of the server.
    pub reported: Reported,
}

/// What a status says of the generation that a call wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is in force.
    InForce,
    /// A person has to change something first.
    Stalled {
        /// The reason of the condition.
        reason: String,
        /// The condition in words.
        message: String,
    },
    /// The object is gone.
    Gone,
    /// Nothing of it in time; the last words of the controller, if any.
    TimedOut {
        /// What the controller last said.
        message: String,
    },
}

/// One version of one object that a call has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Which object.
    pub key: ObjectKey,
    /// `metadata.uid`
    pub uid: Arc<str>,
    /// `metadata.generation`
    pub generation: i64,
}

impl Written {
    /// An object in the version that was seen.
    pub fn of(declared: &Declared) -> Self {
        let meta = &declared.meta;
        Self { key: meta.key.clone(), uid: meta.uid.clone(), generation: meta.generation }
    }

    /// The version as the audit trail names it.
    pub fn cause(self) -> Cause {
        Cause { object: self.key, uid: self.uid, generation: self.generation }
    }
}

/// The objects and a way to wait for what becomes of them.
pub struct View {
    known: RwLock<Known>,
    changes: watch::Sender<()>,
}

impl View {
    /// A view that has seen nothing yet.
    pub fn new(index: Index) -> Self {
        Self {
            known: RwLock::new(Known { index, seen: HashMap::new(), reported: Reported::default() }),
            changes: watch::Sender::new(()),
        }
    }

    /// Looks at the objects as they are at this moment.
    pub fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `find` finds something in the objects, or until `deadline`.
    pub async fn wait_for<T>(&self, deadline: Instant, mut find: impl FnMut(&Known) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.read(&mut find) {
                return Some(found);
            }
            let look_again = (Instant::now() + LOOK_AGAIN).min(deadline);
            // The sender lives as long as `self`; only the time can end this.
            let _ = tokio::time::timeout_at(look_again, changes.changed()).await;
            if Instant::now() >= deadline {
                return self.read(&mut find);
            }
        }
    }

    /// Waits until what was written is in force, or stalls, or its object is gone.
    pub async fn settled(&self, written: &Written, deadline: Instant) -> Settled {
        // What was just created may not have been seen yet; only what was there can be gone.
        let mut was_there = false;
        let look = |known: &Known| {
            let seen = known.seen.get(&written.key).filter(|seen| *seen.uid() == *written.uid);
            was_there |= seen.is_some();
            seen.map_or_else(|| was_there.then_some(Settled::Gone), |seen| settled_at(seen, written.generation))
        };
        let found = self.wait_for(deadline, look).await;
        found.unwrap_or_else(|| Settled::TimedOut { message: self.read(|known| known.message(&written.key)) })
    }

    /// Waits until an object is gone; false where it is still there at the deadline.
    pub async fn gone(&self, key: &ObjectKey, uid: &str, deadline: Instant) -> bool {
        let gone = |known: &Known| (!known.shows(key, uid)).then_some(());
        self.wait_for(deadline, gone).await.is_some()
    }

    /// Takes in what the controller says of the server.
    pub fn see_instance(&self, instance: MinioInstance) {
        let reported = Reported::of(instance);
        self.change(|known| known.reported = reported);
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        {
            let mut known: RwLockWriteGuard<'_, Known> = self.known.write().unwrap_or_else(PoisonError::into_inner);
            change(&mut known);
        }
        self.changes.send_replace(());
    }
}

impl Known {
    /// Whether an object is there, as far as the watches have come.
    pub fn shows(&self, key: &ObjectKey, uid: &str) -> bool {
        self.seen.get(key).is_some_and(|seen| seen.uid() == uid)
    }

    /// What the controller says of an object.
    pub fn message(&self, key: &ObjectKey) -> String {
        let ready = self.seen.get(key).and_then(|seen| seen.status.condition(condition::READY));
        ready.map(|ready| ready.message).unwrap_or_else(|| "the controller has not looked at it yet".to_owned())
    }

    fn absorb(&mut self, event: Event) {
        // Whenever a grant ends, the controller tells so in a status; what it leaves of a quota is free from then on.
        for Dirty { subjects, seq, .. } in [self.index.tick(Timestamp::now()), self.index.apply(event)] {
            // Nothing is converged here, so nothing shall be kept for it.
            for subject in subjects.keys() {
                self.index.converged(subject, seq);
            }
        }
    }

    fn upsert(&mut self, object: Decoded) {
        let Decoded { key, mut seen, event } = object;
        if let Some(held) = self.seen.get(&key)
            && matches!(event, Event::Undecodable(..))
        {
            seen.status.clone_from(&held.status);
        }
        self.seen.insert(key, seen);
        self.absorb(event);
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.seen.remove(key);
        self.absorb(Event::Delete(key.clone()));
    }
}

impl Sink for View {
    fn relist(&self, kind: Kind, namespace: &str, objects: Vec<Decoded>) {
        self.change(|known| {
            let listed: HashSet<ObjectKey> = objects.iter().map(|object| object.key.clone()).collect();
            let in_scope = |key: &&ObjectKey| key.kind == kind && key.namespace == namespace && !listed.contains(*key);
            let gone: Vec<ObjectKey> = known.seen.keys().filter(in_scope).cloned().collect();
            for object in objects {
                known.upsert(object);
            }
            for key in gone {
                known.delete(&key);
            }
        });
    }

    fn upsert(&self, object: Decoded) {
        self.change(|known| known.upsert(object));
    }

    fn delete(&self, key: &ObjectKey) {
        self.change(|known| known.delete(key));
    }
}

/// What a status says of a generation; `None` while nothing final does.
fn settled_at(seen: &Seen, generation: i64) -> Option<Settled> {
    if seen.status.generation()? < generation {
        return None;
    }
    if let Some(Said { reason, message, .. }) = stall_of(seen) {
        return Some(Settled::Stalled { reason, message });
    }
    (seen.status.ready() == Ready::True).then_some(Settled::InForce)
}

/// Why an object does not get any further, if that is so: what a person has to change.
pub fn stall_of(seen: &Seen) -> Option<Said> {
    if !seen.status.is_stalled() {
        return None;
    }
    seen.status.condition(condition::STALLED)
}

/// Whether the object is ready because it is disabled or locked, or in force without a key because the account that it took over
/// was disabled on the server.
pub fn is_off(seen: &Seen) -> bool {
    let fields = seen.status.fields();
    let why = |kind: &str| condition_of_type(&fields, kind)?.get("reason").and_then(Value::as_str);
    matches!(why(condition::READY), Some(reason::DISABLED | reason::LOCKED))
        || why(condition::CREDENTIALS_READY) == Some(reason::DISABLED)
}
