//! What this replica may do at present, and what it has under way.
//!
//! All replicas watch and know; one acts. What waits in the queues of the others is worked on when they lead.

use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, watch};

use crate::api::{Claim, ClaimState};

use super::queue::{Queue, Urgency};

/// How much may be done; each phase includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing but watching: somebody else leads.
    Idle,
    /// Telling what waits: this replica led last, and the store of the lease is away.
    Telling,
    /// Every write in Kubernetes: finalizers, statuses, events.
    Admitting,
    /// Everything.
    Converging,
}

/// What this replica may do, shared by all loops.
pub struct Duty {
    phase: watch::Sender<Phase>,
    /// Held shared by whatever is under way.
    under_way: RwLock<()>,
    claim: Mutex<Option<Claim>>,
    /// Whether another installation claims the server: then no write passes the fence.
    is_foreign: Arc<AtomicBool>,
    /// Whether a foreign claim is to be replaced, once.
    take_over: AtomicBool,
    closed: AtomicBool,
}

impl Duty {
    /// Nothing is to be done yet. `is_foreign` is what the fence looks at.
    pub fn new(is_foreign: Arc<AtomicBool>, take_over: bool) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Idle),
            under_way: RwLock::new(()),
            claim: Mutex::default(),
            is_foreign,
            take_over: AtomicBool::new(take_over),
            closed: AtomicBool::new(false),
        }
    }

    /// The phase at present.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Begins a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|held| {
            let phase = if self.closed.load(Ordering::Acquire) { Phase::Idle } else { phase };
            std::mem::replace(held, phase) != phase
        });
    }

    /// Ends everything for good.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.enter(Phase::Idle);
    }

    /// Waits until so much may be done.
    pub async fn reaches(&self, needed: Phase) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.phase.subscribe().wait_for(|phase| *phase >= needed).await;
    }

    /// Waits until so much may not be done any more.
    pub async fn falls_below(&self, needed: Phase) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase < needed).await;
    }

    /// The next key of a queue that is at least so urgent, while so much may be done. It stays with the caller until
    /// [`Queue::done`].
    pub async fn next<K: Clone + Eq + Hash + Ord>(
        &self,
        queue: &Queue<K>,
        least: Urgency,
        needed: Phase,
    ) -> (K, Urgency) {
        loop {
            self.reaches(needed).await;
            tokio::select! {
                next = queue.next(least) => return next,
                () = self.falls_below(needed) => {}
            }
        }
    }

    /// Begins a piece of work, which ends when the answer is dropped. `None` where so much may not be done any more.
    pub async fn begin(&self, needed: Phase) -> Option<RwLockReadGuard<'_, ()>> {
        let under_way = self.under_way.read().await;
        (self.phase() >= needed).then_some(under_way)
    }

    /// Works on a key from a queue if so much may still be done; else it goes back.
    pub async fn carry_out<K: Clone + Eq + Hash + Ord>(
        &self,
        queue: &Queue<K>,
        needed: Phase,
        (key, urgency): (K, Urgency),
        work: impl Future<Output = ()>,
    ) {
        match self.begin(needed).await {
            Some(_under_way) => work.await,
            None => queue.push(key.clone(), urgency, Duration::ZERO),
        }
        queue.done(&key);
    }

    /// Waits until nothing is under way that was begun before.
    pub async fn drained(&self) {
        drop(self.under_way.write().await);
    }

    /// Who claims the server, as far as this replica has looked.
    pub fn claim(&self) -> Option<Claim> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why nothing is done although this replica leads: another installation claims the server.
    pub fn foreign_claim(&self) -> Option<String> {
        let claim = self.claim().filter(|claim| claim.state == ClaimState::Foreign)?;
        Some(format!(
            "the installation {} looks after this MinIO, so nothing is written; end it, and start this one with --take-over",
            claim.instance
        ))
    }

    /// Notes who claims the server. Says whether that is news.
    pub fn set_claim(&self, claim: Claim) -> bool {
        self.is_foreign.store(claim.state == ClaimState::Foreign, Ordering::Release);
        let mut held = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = held.as_ref() != Some(&claim);
        *held = Some(claim);
        is_news
    }

    /// Whether a foreign claim is to be replaced.
    pub fn takes_over(&self) -> bool {
        self.take_over.load(Ordering::Acquire)
    }

    /// From now on a foreign claim stays: two installations that were told to take over would go on for ever.
    pub fn has_taken_over(&self) {
        self.take_over.store(false, Ordering::Release);
    }

    /// Opens the fence for writing the claim itself.
    pub fn open_for_claim(&self) {
        self.is_foreign.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duty() -> Duty {
        Duty::new(Arc::default(), true)
    }

    async fn soon<T>(waited: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(Duration::from_secs(1), waited).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_worked_on_only_in_its_phase() {
        let (duty, queue) = (duty(), Queue::default());
        queue.push("a", Urgency::Normal, Duration::ZERO);
        duty.enter(Phase::Admitting);
        assert_eq!(soon(duty.next(&queue, Urgency::Normal, Phase::Converging)).await, None);
        duty.enter(Phase::Converging);
        let next = soon(duty.next(&queue, Urgency::Normal, Phase::Converging)).await.unwrap();
        duty.enter(Phase::Idle);
        duty.carry_out(&queue, Phase::Converging, next, async { panic!("it was begun too late") }).await;
        duty.enter(Phase::Converging);
        assert_eq!(
            soon(duty.next(&queue, Urgency::Normal, Phase::Converging)).await,
            Some(("a", Urgency::Normal)),
            "it came back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_drained_when_all_that_was_begun_has_ended() {
        let duty = duty();
        duty.enter(Phase::Converging);
        let under_way = duty.begin(Phase::Converging).await;
        assert!(under_way.is_some());
        assert_eq!(soon(duty.drained()).await, None);
        drop(under_way);
        assert_eq!(soon(duty.drained()).await, Some(()));
        duty.close();
        duty.enter(Phase::Converging);
        assert_eq!(duty.phase(), Phase::Idle, "closed for good");
    }

    #[test]
    fn a_claim_is_taken_over_once() {
        let is_foreign = Arc::<AtomicBool>::default();
        let duty = Duty::new(is_foreign.clone(), true);
        let claim = Claim { instance: "other".to_owned(), state: ClaimState::Foreign };
        assert!(duty.set_claim(claim.clone()) && !duty.set_claim(claim));
        assert!(is_foreign.load(Ordering::Acquire) && duty.foreign_claim().unwrap().contains("--take-over"));
        assert!(duty.takes_over());
        duty.has_taken_over();
        assert!(!duty.takes_over());
    }
}
