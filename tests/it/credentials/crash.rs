//! A crash at any point: no second key, nothing left over, and never a Secret that does not work.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use minio_manager::controller::credentials::{Check, Step};
use minio_manager::minio::{KeyState, Urgency};

use super::stage::{Stage, credentials, now};

/// How often a run is cut short, a little later each time.
const CUTS: u64 = 30;

/// Takes `steps` steps of a run and drops it.
async fn begin(stage: &Stage, steps: usize, now: jiff::Timestamp) -> Option<Step> {
    let mut run = stage.issuer.begin(&stage.owner, Check::Watched, Urgency::Routine, now);
    let mut last = None;
    for _ in 0..steps {
        last = Some(run.advance().await.unwrap());
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_key_survives_a_crash_after_any_step() {
    for restart in [false, true] {
        let mut reached = BTreeSet::new();
        for steps in 1..=5 {
            let mut stage = Stage::set().await;
            let last = begin(&stage, steps, now()).await;
            reached.insert(format!("{last:?}"));
            let written = stage.pending().await.or(stage.secret().await).expect("the pair was written ahead");
            if restart {
                stage.restart().await;
            }
            let issued = stage.settle().await;
            let pair = stage.assert_good().await;
            assert_eq!(pair, credentials(&written), "a second pair after {last:?}");
            assert_eq!(stage.key_ids().await, BTreeSet::from([issued.access_key]), "after {last:?}");
            assert_eq!(stage.steps(Check::Proven, now()).await.last(), Some(&Step::Finish));
        }
        assert_eq!(reached.len(), 5, "{reached:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_survives_a_crash_after_any_step() {
    for steps in 1..=7 {
        let mut stage = Stage::set().await;
        let old = stage.settle().await;
        let last = begin(&stage, steps, old.next_rotation_at).await;
        // Whatever people read at this moment works.
        let held = credentials(&stage.secret().await.expect("the Secret is never away"));
        assert_eq!(stage.root.probe(&held).await.unwrap(), KeyState::Works, "after {last:?}");
        let waiting = stage.pending().await.map(|secret| credentials(&secret).access_key);
        stage.restart().await;
        let issuer = &stage.issuer;
        let at = old.next_rotation_at + SignedDuration::from_secs(9);
        let new = issuer.ensure(&stage.owner, Check::Watched, Urgency::Routine, at).await.unwrap().unwrap();
        assert!(waiting.is_none_or(|waiting| waiting == new.access_key), "a second pair after {last:?}");
        let overlap_ends = at + stage.owner.overlap;
        let previous_ends = new.previous_expires_at.expect("the former key lives on");
        let off = overlap_ends.duration_since(previous_ends);
        assert!((SignedDuration::ZERO..SignedDuration::from_secs(11)).contains(&off), "{off} after {last:?}");
        stage.assert_good().await;
        assert_eq!(stage.key_ids().await, BTreeSet::from([old.access_key, new.access_key]), "after {last:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cut_short_within_a_call_is_resumed() {
    let mut finished = 0;
    for cut in 0..CUTS {
        let mut stage = Stage::set().await;
        let short = Duration::from_micros(500 + 3_000 * cut);
        finished += usize::from(tokio::time::timeout(short, stage.ensure()).await.is_ok());
        if cut % 2 == 0 {
            stage.restart().await;
        }
        let issued = stage.settle().await;
        stage.assert_good().await;
        assert_eq!(stage.key_ids().await, BTreeSet::from([issued.access_key]), "cut after {short:?}");
    }
    assert!(finished < CUTS as usize, "nothing was cut short");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_waited_too_long_is_replaced_and_its_key_goes() {
    let mut stage = Stage::set().await;
    begin(&stage, 2, now()).await;
    let waiting = credentials(&stage.pending().await.unwrap());
    stage.restart().await;
    let later = now() + SignedDuration::from_hours(25);
    let steps = stage.steps(Check::Watched, later).await;
    assert_eq!(steps[..2], [Step::ReadSecrets, Step::DiscardPending]);
    let pair = stage.assert_good().await;
    assert_ne!(pair.access_key, waiting.access_key);
    assert_eq!(stage.key_ids().await, BTreeSet::from([pair.access_key]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_pair_whose_id_works_with_another_secret_is_replaced() {
    let mut stage = Stage::set().await;
    begin(&stage, 1, now()).await;
    let waiting = credentials(&stage.pending().await.unwrap());
    let taken = minio_manager::minio::NewAccessKey {
        parent: stage.owner.user.to_string(),
        credentials: minio_manager::minio::Credentials::new(waiting.access_key.clone(), "another-secret"),
        name: String::new(),
        description: String::new(),
        expiration: None,
        session_policy: None,
    };
    stage.root.add_access_key(&taken).await.unwrap();
    stage.restart().await;
    let issued = stage.settle().await;
    assert_ne!(issued.access_key, waiting.access_key);
    stage.assert_good().await;
    assert_eq!(stage.key_ids().await, BTreeSet::from([issued.access_key]));
}
