//! A deduplicating queue with delays and two urgencies: what is revoked goes first.
//!
//! A key is handed out to one worker at a time. Pushed again while it runs, it is handed out once more afterwards, so no
//! change is lost and none is worked on twice at once. The queue holds each key once: its size is bounded by the number of
//! keys, not by the number of events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Which of two keys that are due goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// In the order of arrival.
    Normal,
    /// Before everything normal: somebody loses access, or a person waits for the answer.
    Urgent,
}

/// A burst is over when nothing has changed for so long.
const QUIET: Duration = Duration::from_millis(150);

/// A burst is not waited for any longer than this.
const LONGEST_BURST: Duration = Duration::from_secs(10);

/// Bursts that are over are forgotten when more keys than this are remembered.
const BURSTS_KEPT: usize = 4096;

/// The room for so many keys is kept while nothing waits.
const ROOM_KEPT: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Instant,
    urgency: Urgency,
    order: u64,
    /// Whether it waits only for the end of a burst; then a further change lets it wait longer.
    in_burst: bool,
}

/// The changes of a key that follow each other closely.
#[derive(Clone, Copy, Debug)]
struct Burst {
    since: Instant,
    last: Instant,
}

impl Entry {
    /// The earlier time and the higher urgency of both; the place in the line stays the older one. The end of a burst is the
    /// later one of two.
    fn merge(self, other: Entry) -> Entry {
        let (due, in_burst) = match (self.in_burst, other.in_burst) {
            (true, true) => (self.due.max(other.due), true),
            _ if self.due <= other.due => (self.due, self.in_burst),
            _ => (other.due, other.in_burst),
        };
        Entry { due, in_burst, urgency: self.urgency.max(other.urgency), order: self.order.min(other.order) }
    }
}

struct State<K> {
    waiting: HashMap<K, Entry>,
    delayed: BTreeSet<(Instant, u64, K)>,
    ready: BTreeMap<(std::cmp::Reverse<Urgency>, u64), K>,
    running: HashMap<K, Option<Entry>>,
    bursts: HashMap<K, Burst>,
    /// How many bursts are remembered before those that are over are looked for.
    bursts_kept: usize,
    next_order: u64,
}

/// The queue; shared between who pushes and who works.
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    /// The same for those who take urgent keys only: a permit that one of them takes must not be missed by the others.
    changed_urgently: Notify,
}

impl<K: Clone + Eq + Hash + Ord> Default for Queue<K> {
    fn default() -> Self {
        let state = State {
            waiting: HashMap::new(),
            delayed: BTreeSet::new(),
            ready: BTreeMap::new(),
            running: HashMap::new(),
            bursts: HashMap::new(),
            bursts_kept: BURSTS_KEPT,
            next_order: 0,
        };
        Self { state: Mutex::new(state), changed: Notify::new(), changed_urgently: Notify::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// Puts a key in, to be worked on after `delay`.
    pub fn push(&self, key: K, urgency: Urgency, delay: Duration) {
        self.enter(key, urgency, |_, _| (Instant::now() + delay, false));
    }

    /// Puts a key in because something that concerns it has changed. A single change, and an urgent one, is due at once; a
    /// burst of them becomes due when it is over, so that it costs one run and not one for every change. `more_to_come` says
    /// that the burst is known to go on.
    pub fn push_change(&self, key: K, urgency: Urgency, more_to_come: bool) {
        self.enter(key, urgency, |state, key| {
            let now = Instant::now();
            if urgency == Urgency::Urgent {
                // It is worked on at once with all that came before it, which ends a burst.
                state.bursts.remove(key);
                return (now, false);
            }
            let after_burst = state.after_burst(key, now, more_to_come);
            (after_burst.unwrap_or(now), after_burst.is_some())
        });
    }

    /// Puts a key in to be worked on after `delay`, for no other reason than that it was not for a while. The end of a burst that
    /// it waits for comes soon enough.
    pub fn push_idle(&self, key: K, delay: Duration) {
        let is_in_burst = self.lock().waiting.get(&key).is_some_and(|entry| entry.in_burst);
        if !is_in_burst {
            self.push(key, Urgency::Normal, delay);
        }
    }

    fn enter(&self, key: K, urgency: Urgency, when: impl FnOnce(&mut State<K>, &K) -> (Instant, bool)) {
        let mut state = self.lock();
        let order = state.next_order;
        state.next_order += 1;
        let (due, in_burst) = when(&mut state, &key);
        let entry = Entry { due, urgency, order, in_burst };
        match state.running.get_mut(&key) {
            Some(again) => *again = Some(again.map_or(entry, |held| held.merge(entry))),
            None => state.insert(key, entry),
        }
        drop(state);
        self.notify();
    }

    /// Waits for the next key that is due and at least so urgent. The key stays with the caller until [`Queue::done`].
    pub async fn next(&self, least: Urgency) -> (K, Urgency) {
        let change = match least {
            Urgency::Normal => &self.changed,
            Urgency::Urgent => &self.changed_urgently,
        };
        loop {
            let changed = change.notified();
            let wait_until = {
                let mut state = self.lock();
                state.promote(Instant::now());
                if let Some((key, urgency)) = state.take(least) {
                    let more = state.has_ready(least);
                    drop(state);
                    if more {
                        change.notify_one();
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
            state.insert(key, again);
            drop(state);
            self.notify();
        }
    }

    /// Makes everything that is delayed due now, such as after an outage.
    pub fn hurry(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        let delayed: Vec<K> = state.delayed.iter().map(|(_, _, key)| key.clone()).collect();
        for key in delayed {
            if let Some(entry) = state.waiting.get(&key).copied() {
                state.insert(key, Entry { due: now, ..entry });
            }
        }
        drop(state);
        self.notify();
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

    fn notify(&self) {
        self.changed.notify_one();
        self.changed_urgently.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash + Ord> State<K> {
    /// Notes a change; when it belongs to a burst, says when that will be over.
    fn after_burst(&mut self, key: &K, now: Instant, more_to_come: bool) -> Option<Instant> {
        if self.bursts.len() > self.bursts_kept {
            self.bursts.retain(|_, burst| now - burst.last <= QUIET);
            // Where most are not over, the next look would find no more.
            self.bursts_kept = BURSTS_KEPT.max(2 * self.bursts.len());
        }
        // Only what comes while the change before is not in force yet begins a burst: who waits for each change before making the
        // next one shall not wait for more, however fast that is.
        let begins = more_to_come || self.running.contains_key(key);
        let burst = self.bursts.get_mut(key).filter(|burst| {
            let goes_on = burst.since < burst.last && now - burst.last <= QUIET;
            (begins || goes_on) && now - burst.since < LONGEST_BURST
        });
        let Some(burst) = burst else {
            self.bursts.insert(key.clone(), Burst { since: now, last: now });
            return None;
        };
        burst.last = now;
        Some((now + QUIET).min(burst.since + LONGEST_BURST))
    }

    fn insert(&mut self, key: K, entry: Entry) {
        let entry = match self.waiting.get(&key).copied() {
            Some(held) => {
                self.delayed.remove(&(held.due, held.order, key.clone()));
                self.ready.remove(&(std::cmp::Reverse(held.urgency), held.order));
                held.merge(entry)
            }
            None => entry,
        };
        self.waiting.insert(key.clone(), entry);
        if entry.due <= Instant::now() {
            self.ready.insert((std::cmp::Reverse(entry.urgency), entry.order), key);
        } else {
            self.delayed.insert((entry.due, entry.order, key));
        }
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

    /// Whether a key is due that is at least so urgent.
    fn has_ready(&self, least: Urgency) -> bool {
        self.ready.first_key_value().is_some_and(|((std::cmp::Reverse(urgency), _), _)| *urgency >= least)
    }

    fn take(&mut self, least: Urgency) -> Option<(K, Urgency)> {
        if !self.has_ready(least) {
            return None;
        }
        let ((std::cmp::Reverse(urgency), _), key) = self.ready.pop_first()?;
        self.waiting.remove(&key);
        // After a start, when everything was in it, most of the room is not needed any more.
        if self.waiting.capacity() > ROOM_KEPT.max(8 * self.waiting.len()) {
            self.waiting.shrink_to(2 * self.waiting.len());
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
        tokio::time::timeout(limit, queue.next(Urgency::Normal)).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn urgent_keys_overtake_and_repeats_collapse() {
        let queue = Queue::default();
        for key in ["a", "b", "a", "c"] {
            queue.push(key, Urgency::Normal, NOW);
        }
        queue.push("c", Urgency::Urgent, NOW);
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.next(Urgency::Normal).await, ("c", Urgency::Urgent));
        assert_eq!(queue.next(Urgency::Normal).await, ("a", Urgency::Normal));
        assert_eq!(queue.next(Urgency::Normal).await, ("b", Urgency::Normal));
        assert_eq!(next_within(&queue, Duration::from_secs(1)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_look_does_not_end_a_burst() {
        let queue = Queue::default();
        let change = || queue.push_change("a", Urgency::Normal, false);
        change();
        assert_eq!(queue.next(Urgency::Normal).await.0, "a");
        // Another one while the first is worked on begins the burst.
        tokio::time::advance(QUIET / 10).await;
        change();
        queue.done(&"a");
        for _ in 0..5 {
            queue.push_idle("a", QUIET / 3);
            assert_eq!(next_within(&queue, QUIET / 2).await, None);
            change();
        }
        assert!(next_within(&queue, QUIET).await.is_some());
        queue.done(&"a");
        queue.push("a", Urgency::Normal, QUIET * 100);
        queue.push_idle("a", QUIET);
        assert!(next_within(&queue, QUIET * 2).await.is_some(), "what is only scheduled is brought forward");
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_key_is_handed_out_again_only_after_it_is_done() {
        let queue = Queue::default();
        queue.push("a", Urgency::Normal, NOW);
        assert_eq!(queue.next(Urgency::Normal).await.0, "a");
        queue.push("a", Urgency::Urgent, NOW);
        assert_eq!(next_within(&queue, Duration::from_secs(1)).await, None);
        queue.done(&"a");
        assert_eq!(queue.next(Urgency::Normal).await, ("a", Urgency::Urgent));
        queue.done(&"a");
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn delays_are_kept_and_shortened_but_never_lengthened() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.push("a", Urgency::Normal, Duration::from_secs(10));
        queue.push("a", Urgency::Normal, Duration::from_secs(4));
        queue.push("a", Urgency::Normal, Duration::from_secs(20));
        assert_eq!(queue.next(Urgency::Normal).await.0, "a");
        assert_eq!(start.elapsed().as_secs(), 4);
        queue.done(&"a");
        queue.push("b", Urgency::Normal, Duration::from_secs(60));
        assert!(queue.is_empty());
        queue.hurry();
        assert_eq!(queue.len(), 1);
        assert_eq!(next_within(&queue, Duration::from_millis(1)).await, Some(("b", Urgency::Normal)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_changes_is_worked_on_when_it_begins_and_when_it_is_over() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.push_change("a", Urgency::Normal, false);
        assert_eq!(next_within(&queue, Duration::from_millis(1)).await, Some(("a", Urgency::Normal)));
        queue.push("a", Urgency::Normal, Duration::from_secs(86_400));
        for _ in 0..100 {
            tokio::time::advance(Duration::from_millis(10)).await;
            queue.push_change("a", Urgency::Normal, false);
            queue.done(&"a");
        }
        assert_eq!(queue.next(Urgency::Normal).await.0, "a");
        assert_eq!(start.elapsed().as_millis() / 10, (1000 + QUIET.as_millis()) / 10);
        queue.done(&"a");
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_holds_up_neither_urgent_nor_single_changes_nor_for_ever() {
        let queue = Queue::default();
        queue.push_change("a", Urgency::Normal, false);
        assert_eq!(queue.next(Urgency::Normal).await.0, "a");
        queue.done(&"a");
        for urgency in [Urgency::Normal, Urgency::Urgent, Urgency::Normal, Urgency::Normal] {
            queue.push_change("a", urgency, false);
            assert_eq!(
                next_within(&queue, Duration::from_millis(1)).await,
                Some(("a", urgency)),
                "one after the other"
            );
            queue.done(&"a");
        }
        queue.push_change("a", Urgency::Normal, false);
        assert_eq!(queue.next(Urgency::Normal).await.0, "a");
        queue.push_change("a", Urgency::Normal, false);
        queue.done(&"a");
        assert_eq!(next_within(&queue, Duration::from_millis(1)).await, None);
        queue.push_change("a", Urgency::Urgent, false);
        assert_eq!(next_within(&queue, Duration::from_millis(1)).await, Some(("a", Urgency::Urgent)));
        queue.done(&"a");
        queue.push_change("a", Urgency::Normal, false);
        assert_eq!(
            next_within(&queue, Duration::from_millis(1)).await,
            Some(("a", Urgency::Normal)),
            "a new beginning"
        );
        queue.done(&"a");
        queue.push_change("a", Urgency::Normal, true);
        assert_eq!(next_within(&queue, Duration::from_millis(1)).await, None, "more is known to come");
        tokio::time::advance(LONGEST_BURST).await;
        assert_eq!(queue.next(Urgency::Normal).await.0, "a");
        queue.done(&"a");
        queue.push_change("a", Urgency::Normal, true);
        assert_eq!(
            next_within(&queue, Duration::from_millis(1)).await,
            Some(("a", Urgency::Normal)),
            "a new burst begins"
        );
        queue.done(&"a");
        let start = Instant::now();
        while next_within(&queue, Duration::from_millis(10)).await.is_none() {
            queue.push_change("a", Urgency::Normal, false);
        }
        assert!(start.elapsed() <= LONGEST_BURST + QUIET, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn every_waiting_worker_gets_its_share() {
        let queue = std::sync::Arc::new(Queue::default());
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next(Urgency::Normal).await.0 })
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

    #[tokio::test(start_paused = true)]
    async fn who_takes_urgent_keys_only_leaves_the_others_to_the_others() {
        let queue = std::sync::Arc::new(Queue::default());
        let urgent = || async { tokio::time::timeout(Duration::from_secs(1), queue.next(Urgency::Urgent)).await.ok() };
        queue.push("a", Urgency::Normal, NOW);
        assert_eq!(urgent().await, None);
        queue.push("b", Urgency::Urgent, Duration::from_millis(500));
        assert_eq!(urgent().await, Some(("b", Urgency::Urgent)), "though nobody else looks at what becomes due");
        queue.push("b", Urgency::Urgent, NOW);
        assert_eq!(urgent().await, None, "it is worked on already");
        queue.done(&"b");
        assert_eq!(urgent().await, Some(("b", Urgency::Urgent)));
        queue.push("a", Urgency::Urgent, NOW);
        assert_eq!(urgent().await, Some(("a", Urgency::Urgent)), "it has become urgent");
        assert!(next_within(&queue, Duration::from_secs(1)).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn every_urgent_key_wakes_somebody() {
        let queue = std::sync::Arc::new(Queue::default());
        let take = |least| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.next(least).await.0 })
        };
        let mut workers = vec![take(Urgency::Urgent), take(Urgency::Urgent)];
        tokio::task::yield_now().await;
        for key in ["a", "b", "c"] {
            queue.push(key, Urgency::Urgent, NOW);
        }
        workers.push(take(Urgency::Normal));
        let mut seen = Vec::new();
        for worker in workers {
            seen.push(tokio::time::timeout(Duration::from_secs(1), worker).await.unwrap().unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, ["a", "b", "c"]);
    }
}
