use std::sync::Mutex as StdMutex;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;

type Log = Arc<StdMutex<Vec<(&'static str, u64)>>>;

/// Makes one change that takes no time; notes its name and the milliseconds since `start`.
fn change(pacer: &Pacer, log: &Log, start: Instant, name: &'static str, urgency: Urgency) -> JoinHandle<()> {
    let (pacer, log) = (pacer.clone(), Arc::clone(log));
    tokio::spawn(async move {
        let _permit = pacer.acquire(urgency).await;
        let passed = u64::try_from(start.elapsed().as_millis()).unwrap();
        log.lock().unwrap().push((name, passed));
    })
}

/// Lets spawned tasks come to the point where they wait.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn take(pacer: &Pacer, count: usize, urgency: Urgency) {
    for _ in 0..count {
        drop(pacer.acquire(urgency).await);
    }
}

#[tokio::test(start_paused = true)]
async fn routine_changes_keep_the_rate_after_one_seconds_worth() {
    let pacer = Pacer::new(10);
    let start = Instant::now();
    take(&pacer, 10, Urgency::Routine).await;
    assert_eq!(start.elapsed().as_millis(), 0);
    take(&pacer, 10, Urgency::Routine).await;
    let passed = start.elapsed().as_millis();
    assert!((1_000..=1_020).contains(&passed), "{passed}");
}

#[tokio::test(start_paused = true)]
async fn idle_time_earns_one_seconds_worth_at_most() {
    let pacer = Pacer::new(10);
    take(&pacer, 10, Urgency::Routine).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let start = Instant::now();
    take(&pacer, 10, Urgency::Routine).await;
    assert_eq!(start.elapsed().as_millis(), 0);
    take(&pacer, 1, Urgency::Routine).await;
    assert!(start.elapsed().as_millis() >= 100);
}

#[tokio::test(start_paused = true)]
async fn urgent_changes_never_wait_for_tokens_but_use_them_up() {
    let pacer = Pacer::new(10);
    let start = Instant::now();
    take(&pacer, 1_000, Urgency::Urgent).await;
    assert_eq!(start.elapsed().as_millis(), 0);
    // The debt is one second's worth, however many there were: 1 s to be even, 0.1 s for the next token.
    take(&pacer, 1, Urgency::Routine).await;
    let passed = start.elapsed().as_millis();
    assert!((1_100..=1_110).contains(&passed), "{passed}");
}

#[tokio::test(start_paused = true)]
async fn unpaced_means_no_waiting() {
    let pacer = Pacer::new(0);
    let start = Instant::now();
    take(&pacer, 10_000, Urgency::Routine).await;
    assert_eq!(start.elapsed().as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_one_change_is_in_flight() {
    let pacer = Pacer::new(0);
    let permit = pacer.acquire(Urgency::Urgent).await;
    let (log, start) = (Log::default(), Instant::now());
    let routine = change(&pacer, &log, start, "routine", Urgency::Routine);
    let urgent = change(&pacer, &log, start, "urgent", Urgency::Urgent);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(log.lock().unwrap().is_empty());
    drop(permit);
    routine.await.unwrap();
    urgent.await.unwrap();
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn urgent_changes_overtake_routine_ones_that_came_first() {
    let pacer = Pacer::new(1_000);
    let permit = pacer.acquire(Urgency::Routine).await;
    let (log, start) = (Log::default(), Instant::now());
    let mut tasks = Vec::new();
    for (name, urgency) in [
        ("r1", Urgency::Routine),
        ("r2", Urgency::Routine),
        ("u1", Urgency::Urgent),
        ("r3", Urgency::Routine),
        ("u2", Urgency::Urgent),
    ] {
        tasks.push(change(&pacer, &log, start, name, urgency));
        settle().await;
    }
    drop(permit);
    for task in tasks {
        task.await.unwrap();
    }
    let order: Vec<_> = log.lock().unwrap().iter().map(|(name, _)| *name).collect();
    assert_eq!(order, ["u1", "u2", "r1", "r2", "r3"]);
}

#[tokio::test(start_paused = true)]
async fn an_urgent_change_overtakes_one_that_waits_for_a_token() {
    let pacer = Pacer::new(1);
    take(&pacer, 1, Urgency::Routine).await;
    let (log, start) = (Log::default(), Instant::now());
    let routine = change(&pacer, &log, start, "routine", Urgency::Routine);
    tokio::time::sleep(Duration::from_millis(500)).await;
    change(&pacer, &log, start, "urgent", Urgency::Urgent).await.unwrap();
    routine.await.unwrap();
    let log = log.lock().unwrap();
    assert_eq!(log[0], ("urgent", 500));
    // Half a token was there, one was taken: one and a half are missing.
    assert!(log[1].0 == "routine" && (2_000..=2_010).contains(&log[1].1), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn giving_up_blocks_nobody() {
    let pacer = Pacer::new(0);
    let permit = pacer.acquire(Urgency::Routine).await;
    let (log, start) = (Log::default(), Instant::now());
    let mut tasks = Vec::new();
    for (name, urgency) in
        [("u1", Urgency::Urgent), ("r1", Urgency::Routine), ("u2", Urgency::Urgent), ("r2", Urgency::Routine)]
    {
        tasks.push(change(&pacer, &log, start, name, urgency));
        settle().await;
    }
    // Both who are first in their line give up, and both who are behind them follow.
    for index in [0, 1] {
        tasks[index].abort();
    }
    settle().await;
    drop(permit);
    for task in tasks.drain(2..) {
        task.await.unwrap();
    }
    let order: Vec<_> = log.lock().unwrap().iter().map(|(name, _)| *name).collect();
    assert_eq!(order, ["u2", "r2"]);
    let late = tokio::time::timeout(Duration::from_secs(1), pacer.acquire(Urgency::Routine)).await;
    assert!(late.is_ok(), "no urgent caller is counted as waiting any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_never_share_a_turn() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (pacer, inside, most) = (Pacer::new(0), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..400)
        .map(|index| {
            let (pacer, inside, most) = (pacer.clone(), Arc::clone(&inside), Arc::clone(&most));
            tokio::spawn(async move {
                let urgency = if index % 3 == 0 { Urgency::Urgent } else { Urgency::Routine };
                let _permit = pacer.acquire(urgency).await;
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(30), task).await.expect("nobody is forgotten").unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
}
