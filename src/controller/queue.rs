//! A deduplicating queue with delays and two urgencies: what is revoked goes first.
//!
//! A key is handed out to one worker at a time. Pushed again while it runs, it is handed out once more afterwards, so no
//! change is lost and none is worked on twice at once. The queue holds each key once: its size is bounded by the number of
//! keys, not by the number of events.
//!
//! In a queue that gathers, a key that was pushed while it ran is in a burst: more is likely to follow, and one run for all of
//! it costs the server less than one for each. The key is handed out when nothing has come for a moment, or has come for too
//! long. What is urgent never waits for that, and neither does a change that comes after the last one was worked on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// For how long nothing must come before a burst is over.
const QUIET: Duration = Duration::from_millis(20);

/// The same where it is known that more is coming.
const QUIET_AMID: Duration = Duration::from_millis(250);

/// For how long after a run a burst may go on.
const AFTERMATH: Duration = Duration::from_millis(300);

/// How long a burst is gathered at most.
const GATHER_LIMIT: Duration = Duration::from_secs(1);

/// Which of two keys that are due goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// In the order of arrival.
    Normal,
    /// Before everything normal: somebody loses access, or a person waits for the answer.
    Urgent,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Instant,
    urgency: Urgency,
    order: u64,
    /// Until when a burst is gathered.
    gathers_until: Option<Instant>,
}

impl Entry {
    /// The earlier time and the higher urgency of both; the place in the line stays the older one.
    fn merge(self, other: Entry, now: Instant) -> Entry {
        let urgency = self.urgency.max(other.urgency);
        let earlier = self.due.min(other.due);
        let (due, gathers_until) = match (self.gathers_until, other.gathers_until) {
            _ if urgency == Urgency::Urgent => (earlier, None),
            (Some(limit), Some(_)) => (limit.min(other.due), Some(limit)),
            (Some(limit), None) if other.due <= now => (limit.min(now + QUIET), Some(limit)),
            (Some(limit), None) => (earlier, Some(limit)),
            // What is only scheduled has no part in the burst.
            (None, Some(limit)) if self.due > now => (earlier, Some(limit)),
            (None, _) => (earlier, None),
        };
        Entry { due, urgency, order: self.order.min(other.order), gathers_until }
    }

    /// The entry of a key that more is likely to come for within `quiet`.
    fn in_a_burst(self, now: Instant, quiet: Duration) -> Entry {
        if self.urgency == Urgency::Urgent || self.due > now || self.gathers_until.is_some() {
            return self;
        }
        Entry { due: now + quiet, gathers_until: Some(now + GATHER_LIMIT), ..self }
    }
}

struct State<K> {
    waiting: HashMap<K, Entry>,
    delayed: BTreeSet<(Instant, u64, K)>,
    ready: BTreeMap<(std::cmp::Reverse<Urgency>, u64), K>,
    running: HashMap<K, Option<Entry>>,
    /// Until when keys whose burst was worked on are taken to be in it still.
    bursts: HashMap<K, Instant>,
    next_order: u64,
}

/// The queue; shared between who pushes and who works.
pub struct Queue<K> {
    /// Whether one run is wanted for a whole burst.
    gathers: bool,
    state: Mutex<State<K>>,
    changed: Notify,
}

impl<K: Clone + Eq + Hash + Ord> Default for Queue<K> {
    fn default() -> Self {
        let state = State {
            waiting: HashMap::new(),
            delayed: BTreeSet::new(),
            ready: BTreeMap::new(),
            running: HashMap::new(),
            bursts: HashMap::new(),
            next_order: 0,
        };
        Self { gathers: false, state: Mutex::new(state), changed: Notify::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// A queue that gathers bursts.
    pub fn gathering() -> Self {
        Self { gathers: true, ..Self::default() }
    }

    /// Puts a key in, to be worked on after `delay`.
    pub fn push(&self, key: K, urgency: Urgency, delay: Duration) {
        let mut state = self.lock();
        let order = state.next_order;
        state.next_order += 1;
        let now = Instant::now();
        let entry = Entry { due: now + delay, urgency, order, gathers_until: None };
        match state.running.get_mut(&key) {
            Some(again) => *again = Some(again.map_or(entry, |held| held.merge(entry, now))),
            None => state.insert(key, entry),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// As [`Queue::push`], of a change that is known not to be the last of several that come together.
    pub fn push_in_a_burst(&self, key: K) {
        let mut state = self.lock();
        let order = state.next_order;
        state.next_order += 1;
        let now = Instant::now();
        let entry =
            Entry { due: now, urgency: Urgency::Normal, order, gathers_until: None }.in_a_burst(now, QUIET_AMID);
        match state.running.get_mut(&key) {
            Some(again) => *again = Some(again.map_or(entry, |held| held.merge(entry, now))),
            None => state.insert(key, entry),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for the next key that is due. The key stays with the caller until [`Queue::done`].
    pub async fn next(&self) -> (K, Urgency) {
        loop {
            let changed = self.changed.notified();
            let wait_until = {
                let mut state = self.lock();
                state.promote(Instant::now());
                if let Some((key, urgency)) = state.take() {
                    let more = !state.ready.is_empty();
                    drop(state);
                    if more {
                        self.changed.notify_one();
                    }
                    return (key, urgency);
                }
                state.delayed.first().map(|(due, _, _)| *due)
            };
            match wait_until {
                Some(due) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Gives a key back; what was pushed meanwhile becomes due as it was pushed.
    pub fn done(&self, key: &K) {
        let mut state = self.lock();
        if let Some((key, Some(again))) = state.running.remove_entry(key) {
            let again = if self.gathers { again.in_a_burst(Instant::now(), QUIET) } else { again };
            state.insert(key, again);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Makes everything that is delayed due now, such as after an outage.
    pub fn hurry(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        let delayed: Vec<K> = state.delayed.iter().map(|(_, _, key)| key.clone()).collect();
        for key in delayed {
            if let Some(entry) = state.waiting.get(&key).copied() {
                state.remove(&key, entry);
                state.insert(key, Entry { due: now, gathers_until: None, ..entry });
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// How many keys are due or worked on; what is only scheduled, such as the renewal of a key, waits for nobody.
    pub fn len(&self) -> usize {
        let state = self.lock();
        let now = Instant::now();
        let due = state.delayed.iter().take_while(|(due, _, _)| *due <= now).count();
        state.ready.len() + due + state.running.len()
    }

    /// Whether nothing is due and nothing is worked on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash + Ord> State<K> {
    fn insert(&mut self, key: K, entry: Entry) {
        let now = Instant::now();
        let entry = if self.is_in_a_burst(&key, now) { entry.in_a_burst(now, QUIET) } else { entry };
        let entry = match self.waiting.get(&key).copied() {
            Some(held) => {
                self.remove(&key, held);
                held.merge(entry, now)
            }
            None => entry,
        };
        self.waiting.insert(key.clone(), entry);
        if entry.due <= now {
            self.ready.insert((std::cmp::Reverse(entry.urgency), entry.order), key);
        } else {
            self.delayed.insert((entry.due, entry.order, key));
        }
    }

    fn remove(&mut self, key: &K, held: Entry) {
        self.waiting.remove(key);
        self.delayed.remove(&(held.due, held.order, key.clone()));
        self.ready.remove(&(std::cmp::Reverse(held.urgency), held.order));
    }

    fn is_in_a_burst(&mut self, key: &K, now: Instant) -> bool {
        let lasts = self.bursts.get(key).is_some_and(|until| *until > now);
        if !lasts {
            self.bursts.remove(key);
        }
        lasts
    }

    fn promote(&mut self, now: Instant) {
        while let Some((due, order, key)) = self.delayed.pop_first() {
            if due > now {
                self.delayed.insert((due, order, key));
                return;
            }
            if let Some(entry) = self.waiting.get(&key) {
                self.ready.insert((std::cmp::Reverse(entry.urgency), entry.order), key);
            }
        }
    }

    fn take(&mut self) -> Option<(K, Urgency)> {
        let ((std::cmp::Reverse(urgency), _), key) = self.ready.pop_first()?;
        let entry = self.waiting.remove(&key);
        if entry.is_some_and(|entry| entry.gathers_until.is_some()) {
            self.bursts.insert(key.clone(), Instant::now() + AFTERMATH);
        }
        self.running.insert(key.clone(), None);
        Some((key, urgency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    async fn next_within(queue: &Queue<&'static str>, limit: Duration) -> Option<(&'static str, Urgency)> {
        tokio::time::timeout(limit, queue.next()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn urgent_keys_overtake_and_repeats_collapse() {
        let queue = Queue::default();
        for key in ["a", "b", "a", "c"] {
            queue.push(key, Urgency::Normal, NOW);
        }
        queue.push("c", Urgency::Urgent, NOW);
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.next().await, ("c", Urgency::Urgent));
        assert_eq!(queue.next().await, ("a", Urgency::Normal));
        assert_eq!(queue.next().await, ("b", Urgency::Normal));
        assert_eq!(next_within(&queue, Duration::from_secs(1)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_key_is_handed_out_again_only_after_it_is_done() {
        let queue = Queue::default();
        queue.push("a", Urgency::Normal, NOW);
        assert_eq!(queue.next().await.0, "a");
        queue.push("a", Urgency::Urgent, NOW);
        assert_eq!(next_within(&queue, Duration::from_secs(1)).await, None);
        queue.done(&"a");
        assert_eq!(queue.next().await, ("a", Urgency::Urgent));
        queue.done(&"a");
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_gathered_and_what_is_urgent_ends_that() {
        let queue = Queue::gathering();
        let start = Instant::now();
        queue.push("a", Urgency::Normal, NOW);
        assert_eq!(next_within(&queue, NOW).await, Some(("a", Urgency::Normal)), "the first is not kept waiting");
        queue.push("a", Urgency::Normal, NOW);
        queue.done(&"a");
        for _ in 0..10 {
            assert_eq!(next_within(&queue, QUIET / 2).await, None);
            queue.push("a", Urgency::Normal, NOW);
        }
        assert_eq!(next_within(&queue, QUIET * 2).await, Some(("a", Urgency::Normal)), "it is quiet");
        assert_eq!(start.elapsed(), QUIET / 2 * 10 + QUIET);
        // One that never ends.
        queue.push("a", Urgency::Normal, NOW);
        queue.done(&"a");
        let start = Instant::now();
        while next_within(&queue, QUIET / 2).await.is_none() {
            queue.push("a", Urgency::Normal, NOW);
        }
        assert_eq!(start.elapsed(), GATHER_LIMIT);
        queue.push("a", Urgency::Normal, NOW);
        queue.done(&"a");
        queue.push("a", Urgency::Urgent, NOW);
        assert_eq!(next_within(&queue, NOW).await, Some(("a", Urgency::Urgent)));
        queue.done(&"a");
        queue.push("a", Urgency::Normal, NOW);
        assert_eq!(next_within(&queue, QUIET / 2).await, None, "it may go on");
        assert_eq!(next_within(&queue, QUIET).await, Some(("a", Urgency::Normal)));
        queue.done(&"a");
        tokio::time::sleep(AFTERMATH * 2).await;
        queue.push("a", Urgency::Normal, NOW);
        assert_eq!(next_within(&queue, NOW).await, Some(("a", Urgency::Normal)), "it is over");
        queue.done(&"a");
        // After the end everything is as before.
        queue.push("b", Urgency::Normal, NOW);
        queue.push_in_a_burst("b");
        assert_eq!(next_within(&queue, NOW).await, Some(("b", Urgency::Normal)), "the first is not kept waiting");
        queue.push_in_a_burst("b");
        queue.done(&"b");
        assert_eq!(next_within(&queue, QUIET_AMID / 2).await, None);
        queue.push("b", Urgency::Normal, NOW);
        assert_eq!(next_within(&queue, QUIET * 2).await, Some(("b", Urgency::Normal)), "that was the last");
        queue.done(&"b");
        tokio::time::sleep(AFTERMATH * 2).await;
        queue.push("b", Urgency::Normal, Duration::from_secs(3600));
        queue.push_in_a_burst("b");
        tokio::time::sleep(QUIET_AMID / 2).await;
        queue.push_in_a_burst("b");
        assert_eq!(next_within(&queue, QUIET_AMID - QUIET).await, None, "what is scheduled changes nothing");
        assert_eq!(next_within(&queue, QUIET * 2).await, Some(("b", Urgency::Normal)));
        queue.push("a", Urgency::Normal, NOW);
        assert_eq!(next_within(&queue, NOW).await, Some(("a", Urgency::Normal)));
    }

    #[tokio::test(start_paused = true)]
    async fn delays_are_kept_and_shortened_but_never_lengthened() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.push("a", Urgency::Normal, Duration::from_secs(10));
        queue.push("a", Urgency::Normal, Duration::from_secs(4));
        queue.push("a", Urgency::Normal, Duration::from_secs(20));
        assert_eq!(queue.next().await.0, "a");
        assert_eq!(start.elapsed().as_secs(), 4);
        queue.done(&"a");
        queue.push("b", Urgency::Normal, Duration::from_secs(60));
        assert!(queue.is_empty());
        queue.hurry();
        assert_eq!(queue.len(), 1);
        assert_eq!(next_within(&queue, Duration::from_millis(1)).await, Some(("b", Urgency::Normal)));
    }

    #[tokio::test(start_paused = true)]
    async fn every_waiting_worker_gets_its_share() {
        let queue = std::sync::Arc::new(Queue::default());
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await.0 })
            })
            .collect();
        tokio::task::yield_now().await;
        for key in ["a", "b", "c"] {
            queue.push(key, Urgency::Normal, NOW);
        }
        let mut seen = Vec::new();
        for worker in workers {
            seen.push(tokio::time::timeout(Duration::from_secs(1), worker).await.unwrap().unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, ["a", "b", "c"]);
    }
}
