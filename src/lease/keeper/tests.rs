use std::sync::Mutex;

use tokio::time::Instant;

use super::*;
use crate::lease::{Former, LEASE, Standing};
use crate::telemetry::Metrics;

/// What a store does: who has the lease, what it can tell of the one before, and whether it answers.
struct Place {
    holder: Option<usize>,
    ends: Instant,
    former: Former,
    is_away: bool,
    /// How long an answer takes.
    delay: Duration,
    releases: usize,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Place>>);

impl Shared {
    fn new(former: Former) -> Self {
        let place =
            Place { holder: None, ends: Instant::now(), former, is_away: false, delay: Duration::ZERO, releases: 0 };
        Self(Arc::new(Mutex::new(place)))
    }

    fn change(&self, change: impl FnOnce(&mut Place)) {
        change(&mut self.0.lock().unwrap());
    }

    fn seat(&self, number: usize) -> Seat {
        Seat { place: self.clone(), number }
    }
}

/// The store as one process sees it.
struct Seat {
    place: Shared,
    number: usize,
}

impl Seat {
    async fn answer(&self) -> Result<(), Error> {
        let (delay, is_away) = {
            let place = self.place.0.lock().unwrap();
            (place.delay, place.is_away)
        };
        tokio::time::sleep(delay).await;
        if is_away { Err(Error::Timeout(TIMEOUT)) } else { Ok(()) }
    }
}

impl Store for Seat {
    async fn acquire(&mut self) -> Result<Attempt, Error> {
        self.answer().await?;
        let mut place = self.place.0.lock().unwrap();
        if place.holder.is_some() && Instant::now() < place.ends {
            return Ok(Attempt::Held);
        }
        let former = if place.holder.is_some() { Former::EndsWithin(Duration::ZERO) } else { place.former };
        (place.holder, place.ends) = (Some(self.number), Instant::now() + LEASE);
        Ok(Attempt::Acquired(former))
    }

    async fn renew(&mut self) -> Result<Renewal, Error> {
        self.answer().await?;
        let mut place = self.place.0.lock().unwrap();
        if place.holder != Some(self.number) || Instant::now() >= place.ends {
            return Ok(Renewal::Lost);
        }
        place.ends = Instant::now() + LEASE;
        Ok(Renewal::Kept)
    }

    async fn release(&mut self) -> Result<(), Error> {
        self.change_place(|place| {
            place.holder = None;
            place.former = Former::Released;
            place.releases += 1;
        });
        Ok(())
    }
}

impl Seat {
    fn change_place(&self, change: impl FnOnce(&mut Place)) {
        self.place.change(change);
    }
}

/// A process that has a lease, by a clock that goes as the timers do and may be put forward, as when the machine slept.
struct Process {
    lease: Arc<Lease>,
    metrics: Arc<Metrics>,
    slept: Arc<Mutex<Duration>>,
    end: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Process {
    fn start(store: impl Store + 'static) -> Self {
        let (started, slept) = (Instant::now(), Arc::new(Mutex::new(Duration::from_secs(1000))));
        let clock = slept.clone();
        let metrics = Arc::new(Metrics::new());
        let lease = Lease::with_clock(metrics.clone(), Arc::new(move || started.elapsed() + *clock.lock().unwrap()));
        let (lease, end) = (Arc::new(lease), CancellationToken::new());
        let task = tokio::spawn(keep(lease.clone(), store, end.clone()));
        Self { lease, metrics, slept, end, task }
    }

    /// Leads as the controller does: from the beginning of its term on.
    async fn leads(&self) -> Duration {
        let started = Instant::now();
        let mut standing = self.lease.standing();
        let standing = standing.wait_for(|standing| matches!(standing, Standing::Leading(_))).await.unwrap().clone();
        let Standing::Leading(term) = standing else { unreachable!() };
        assert!(!self.may_write(), "nothing is written before the term has begun");
        self.lease.begins(term).await;
        self.lease.admit(term);
        started.elapsed()
    }

    fn may_write(&self) -> bool {
        self.lease.may_mutate(MUTATION_DEADLINE)
    }

    async fn stops(&self) {
        let mut standing = self.lease.standing();
        standing.wait_for(|standing| !matches!(standing, Standing::Leading(_))).await.unwrap();
        assert!(!self.may_write());
    }

    async fn ends_in_order(self) {
        self.lease.close();
        assert!(!self.may_write());
        self.lease.ended_in_order();
        self.end.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_goes_on_for_as_long_as_it_renews() {
    let place = Shared::new(Former::Released);
    let process = Process::start(place.seat(1));
    assert_eq!(process.leads().await, Duration::ZERO, "who ended in order is not waited for");
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(process.may_write());
    }
    assert!(process.metrics.encode().unwrap().contains("minio_manager_leader 1\n"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_tell_nothing_is_waited_for_as_long_as_any_lease_lasts() {
    let process = Process::start(Shared::new(Former::Unknown).seat(1));
    assert!(process.leads().await >= LEASE + MUTATION_DEADLINE);
    assert!(process.may_write());
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_next_one_acts_within_fifteen_seconds_and_not_before_the_lease_is_over() {
    let place = Shared::new(Former::Released);
    let first = Process::start(place.seat(1));
    first.leads().await;
    let second = Process::start(place.seat(2));
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(first.may_write() && !second.may_write());
    first.task.abort();
    let ends = first.lease.time_left() + MUTATION_DEADLINE;
    let took = second.leads().await;
    assert!(took >= ends + MUTATION_DEADLINE && took <= Duration::from_secs(15), "{took:?}");
    assert!(second.may_write() && !first.may_write());
}

#[tokio::test(start_paused = true)]
async fn after_an_orderly_end_the_next_one_acts_at_once() {
    let place = Shared::new(Former::Released);
    let first = Process::start(place.seat(1));
    first.leads().await;
    let second = Process::start(place.seat(2));
    tokio::time::sleep(Duration::from_secs(4)).await;
    first.ends_in_order().await;
    let took = second.leads().await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_ends_before_its_term_has_begun_leaves_no_mark() {
    let place = Shared::new(Former::Unknown);
    let first = Process::start(place.seat(1));
    first.lease.standing().wait_for(|standing| matches!(standing, Standing::Leading(_))).await.unwrap();
    first.ends_in_order().await;
    place.change(|place| assert_eq!(place.releases, 0, "the leader before may still be at work"));
}

#[tokio::test(start_paused = true)]
async fn no_write_begins_that_could_end_after_the_lease_while_the_store_is_away() {
    let place = Shared::new(Former::Released);
    let process = Process::start(place.seat(1));
    process.leads().await;
    let since = Instant::now();
    place.change(|place| place.is_away = true);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(process.may_write(), "the lease lasts");
    process.stops().await;
    assert!(since.elapsed() <= LEASE - MUTATION_DEADLINE, "{:?}", since.elapsed());
    let standing = process.lease.standing().borrow().clone();
    assert!(matches!(standing, Standing::Away { led: true, .. }), "{standing:?}");
    assert!(process.lease.problem().is_some());
    tokio::time::sleep(Duration::from_secs(60)).await;
    place.change(|place| place.is_away = false);
    process.leads().await;
    assert!(process.may_write() && process.lease.problem().is_none(), "it recovers by itself");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_measured_from_before_it_was_asked_for() {
    let place = Shared::new(Former::Released);
    place.change(|place| place.delay = Duration::from_millis(1500));
    let process = Process::start(place.seat(1));
    process.leads().await;
    let left = process.lease.time_left();
    assert_eq!(left, LEASE - MUTATION_DEADLINE - Duration::from_millis(1500));
}

#[tokio::test(start_paused = true)]
async fn the_time_in_which_the_machine_slept_counts() {
    let place = Shared::new(Former::Released);
    let process = Process::start(place.seat(1));
    process.leads().await;
    *process.slept.lock().unwrap() += LEASE;
    assert!(!process.may_write(), "no timer has noticed yet");
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_in_a_former_term_cannot_go_on_in_the_next() {
    let place = Shared::new(Former::Released);
    let process = Process::start(place.seat(1));
    process.leads().await;
    let former = process.lease.standing().borrow().clone();
    place.change(|place| place.holder = None);
    let mut standing = process.lease.standing();
    standing.wait_for(|now| *now != former && matches!(now, Standing::Leading(_))).await.unwrap();
    assert!(!process.may_write(), "the next term has not been admitted");
}

#[tokio::test(start_paused = true)]
async fn of_many_processes_at_most_one_may_write_at_any_time() {
    let place = Shared::new(Former::Unknown);
    let processes: Vec<Process> = (1..=3).map(|number| Process::start(place.seat(number))).collect();
    let mut led = std::collections::BTreeSet::new();
    for second in 0..600_u64 {
        for (number, process) in processes.iter().enumerate() {
            if let Standing::Leading(term) = process.lease.standing().borrow().clone() {
                process.lease.admit(term);
                if process.may_write() {
                    led.insert(number);
                }
            }
        }
        let writers = processes.iter().filter(|process| process.may_write()).count();
        assert!(writers <= 1, "{writers} writers after {second} s");
        // The store loses what it knows, is away for a while, or answers late.
        match second % 97 {
            11 => place.change(|place| (place.holder, place.former) = (None, Former::Unknown)),
            31 => place.change(|place| place.is_away = true),
            55 => place.change(|place| place.is_away = false),
            70 => place.change(|place| place.delay = Duration::from_millis(1900)),
            80 => place.change(|place| place.delay = Duration::ZERO),
            _ => {}
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!led.is_empty(), "somebody has led");
}
