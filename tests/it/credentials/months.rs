//! Months of a key's life on the real server: every rotation at its time, and what is found after a long absence.
//!
//! The server knows real time only, and takes keys that end within 15 minutes to 365 days. So the clock of the issuer is set:
//! it begins so long ago that the first key ends a little after now, and goes on into the future from there.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use minio_manager::controller::credentials::{Check, Issued, Step};
use minio_manager::minio::{AccessKey, Credentials, KeyState, Urgency};
use serde_json::json;

use super::stage::{Stage, now};

const NOTHING: SignedDuration = SignedDuration::ZERO;
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How much later than now the first key ends: the server takes 15 minutes, and a test may be slow.
const MARGIN: SignedDuration = SignedDuration::from_mins(30);

const fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// How long a key of these intervals lives.
fn life(interval: SignedDuration, overlap: SignedDuration) -> SignedDuration {
    (interval + overlap).clamp(SignedDuration::from_mins(16), days(364))
}

/// A user and a clock that can be set.
struct Scene {
    stage: Stage,
    clock: Timestamp,
    issued: Issued,
    current: Credentials,
    previous: Option<Credentials>,
    /// What the server listed last: a list takes both sides a tenth of a second of a processor.
    listed: Vec<AccessKey>,
}

impl Scene {
    /// A user with a first key, made so long ago that it ends a little after now.
    async fn begin(interval: SignedDuration, overlap: SignedDuration) -> Self {
        Self::begin_at(now() + MARGIN - life(interval, overlap), interval, overlap).await
    }

    /// A user with a first key, made at this time.
    async fn begin_at(clock: Timestamp, interval: SignedDuration, overlap: SignedDuration) -> Self {
        let mut stage = Stage::set().await;
        (stage.owner.interval, stage.owner.overlap) = (interval, overlap);
        let issued = run(&mut stage, clock).await;
        let current = stage.assert_good().await;
        let mut scene = Self { stage, clock, issued, current, previous: None, listed: Vec::new() };
        scene.assert_exact().await;
        scene
    }

    async fn works(&self, key: &Credentials) -> bool {
        self.stage.root.probe(key).await.unwrap() == KeyState::Works
    }

    /// On the server are the key in the Secret and the one before it, if it still has time, and no others.
    async fn assert_exact(&mut self) {
        self.listed = self.stage.keys().await;

        let expected: BTreeSet<String> = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .map(|key| key.access_key.clone())
            .collect();
        assert_eq!(self.listed.iter().map(|key| key.access_key.clone()).collect::<BTreeSet<_>>(), expected);
        assert_eq!(self.previous.is_some(), self.issued.previous_expires_at.is_some(), "{:?}", self.issued);
        let on_server = self.listed.iter().find(|key| key.access_key == self.issued.access_key);
        assert_eq!(on_server.unwrap().expiration, Some(self.issued.expires_at));
        let owner = &self.stage.owner;
        let lives = self.issued.expires_at.duration_since(self.issued.issued_at);
        assert_eq!(lives, life(owner.interval, owner.overlap));
    }

    /// Nothing is done a second before the next visit: what works goes on working until then.
    async fn assert_calm_until_next_visit(&self) {
        let before = self.issued.next_visit_at() - SECOND;
        if before > self.clock {
            assert_eq!(self.stage.steps(Check::Watched, before).await, [Step::Finish]);
        }
        for key in [Some(&self.current), self.previous.as_ref()].into_iter().flatten() {
            assert!(self.works(key).await, "{} ended before {}", key.access_key, self.issued.next_visit_at());
        }
    }

    /// The controller looks at the user at this time; whether it issued another key.
    async fn look(&mut self, at: Timestamp) -> bool {
        assert!(at >= self.clock, "time does not go back");
        self.clock = at;
        self.server_drops_the_expired(at).await;
        let before = std::mem::replace(&mut self.issued, run(&mut self.stage, at).await);
        let is_new = self.issued.access_key != before.access_key;
        let older = if is_new {
            let former = std::mem::replace(&mut self.current, self.stage.assert_good().await);
            self.previous.replace(former)
        } else {
            assert_eq!(self.stage.assert_good().await, self.current);
            None
        };
        assert_eq!(self.current.access_key, self.issued.access_key);
        let ended = if self.issued.previous_expires_at.is_none() { self.previous.take() } else { None };
        for key in [older, ended].into_iter().flatten() {
            assert!(!self.works(&key).await, "{} outlives its time", key.access_key);
        }
        self.assert_exact().await;
        is_new
    }

    /// A look at the time that the last one asked for; whether it issued another key.
    async fn look_in_time(&mut self) -> bool {
        self.assert_calm_until_next_visit().await;
        let former = self.issued.clone();
        let at = former.next_visit_at();
        let is_new = self.look(at).await;
        assert!(at < former.expires_at || self.stage.owner.overlap == NOTHING, "a key is replaced before it ends");
        if is_new {
            let age = self.issued.issued_at.duration_since(former.issued_at);
            let interval = self.stage.owner.interval;
            assert!(age <= interval && age >= interval - interval / 10, "{age} of {interval}");
            let overlap_ends = former.expires_at.min(self.issued.issued_at + self.stage.owner.overlap);
            let expected = (overlap_ends > self.clock).then_some(overlap_ends);
            assert_eq!(self.issued.previous_expires_at, expected);
        } else {
            assert_eq!(Some(at), former.previous_expires_at, "only the end of a key is another reason");
        }
        is_new
    }

    /// Plays the part of the server, whose clock cannot be set: keys whose time is over are gone.
    async fn server_drops_the_expired(&mut self, at: Timestamp) {
        for key in &self.listed {
            if key.expiration.is_some_and(|end| end <= at) {
                self.stage.root.delete_access_key(&key.access_key).await.unwrap();
            }
        }
        let previous_is_gone = match &self.previous {
            Some(previous) => !self.works(previous).await,
            None => false,
        };
        if previous_is_gone {
            self.previous = None;
        }
    }
}

/// A run that proves the key, as after a start, and what the status would then remember.
async fn run(stage: &mut Stage, at: Timestamp) -> Issued {
    let issued = stage.issuer.ensure(&stage.owner, Check::Proven, Urgency::Routine, at).await.unwrap();
    let issued = issued.expect("an enabled user has a key");
    stage.record(&issued);
    issued
}

/// So many scheduled rotations, one after the other; every second one is seen to by another process.
async fn rotate_for_long(interval: SignedDuration, overlap: SignedDuration, rotations: usize) {
    let mut scene = Scene::begin(interval, overlap).await;
    let began = scene.clock;
    let mut done = 0;
    let mut looks = 0;
    while done < rotations {
        if scene.look_in_time().await {
            done += 1;
        }
        looks += 1;
        assert!(looks <= 2 * rotations, "{looks} looks for {done} rotations");
        if looks % 2 == 0 {
            scene.stage.restart().await;
        }
    }
    let passed = scene.clock.duration_since(began);
    let all = i32::try_from(rotations).unwrap();
    assert!(passed <= interval * all && passed >= interval * all * 9 / 10, "{passed} for {rotations} of {interval}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_hour_follow_each_other_without_a_gap() {
    for overlap in [NOTHING, SignedDuration::from_mins(30), HOUR] {
        rotate_for_long(HOUR, overlap, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_day_follow_each_other_without_a_gap() {
    for overlap in [NOTHING, HOUR, DAY] {
        rotate_for_long(DAY, overlap, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_month_follow_each_other_without_a_gap() {
    for overlap in [NOTHING, HOUR, days(30)] {
        rotate_for_long(days(30), overlap, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_half_a_year_follow_each_other_without_a_gap() {
    // As many as fit between a year ago and what the server takes.
    for overlap in [NOTHING, HOUR, days(180)] {
        rotate_for_long(days(180), overlap, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_live_as_long_as_the_server_lets_them() {
    for (interval, overlap, lives) in [
        (HOUR, NOTHING, HOUR),
        (SignedDuration::from_mins(1), NOTHING, SignedDuration::from_mins(16)),
        (days(180), days(180), days(360)),
        (days(180), days(184), days(364)),
        (days(180), days(300), days(364)),
    ] {
        let mut stage = Stage::set().await;
        (stage.owner.interval, stage.owner.overlap) = (interval, overlap);
        // The server takes it from its own, real now on.
        let issued = run(&mut stage, now()).await;
        assert_eq!(issued.expires_at.duration_since(issued.issued_at), lives, "{interval} and {overlap}");
        assert_eq!(stage.keys().await[0].expiration, Some(issued.expires_at));
        stage.assert_good().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_for_longer_than_the_overlap_costs_one_rotation() {
    let mut scene = Scene::begin(DAY, HOUR).await;
    let first = scene.issued.clone();
    scene.stage.restart().await;
    assert!(scene.look(first.issued_at + DAY).await, "the key is due");
    assert_eq!(
        scene.issued.previous_expires_at,
        Some(first.expires_at),
        "an hour at most, and no longer than it lives"
    );
    // Away again, until the time of the former key is over and the new one has none to spare.
    let away = scene.issued.issued_at + DAY;
    scene.stage.restart().await;
    assert!(scene.look(away).await);
    assert!(!scene.look(away + HOUR + SECOND).await, "only the former key ends");
    assert_eq!(scene.previous, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_should_have_ended_during_an_absence_ends_with_the_next_look() {
    let mut scene = Scene::begin(days(30), HOUR).await;
    // A rotation on request, so that the server would keep the former key for weeks.
    scene.stage.owner.requests.rotate = Some("1".into());
    assert!(scene.look(scene.clock + DAY).await);
    let end = scene.issued.previous_expires_at.expect("the former key has its overlap");
    assert_eq!(end.as_second(), (scene.clock + HOUR).as_second());
    scene.stage.restart().await;
    assert!(scene.works(scene.previous.as_ref().unwrap()).await, "nobody was there to end it");
    assert!(!scene.look(end + days(7)).await, "the new key is not due");
    assert_eq!(scene.previous, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_for_longer_than_the_key_lives_is_over_with_the_next_look() {
    for absence in [days(2), days(300)] {
        let mut scene = Scene::begin(DAY, HOUR).await;
        let back = scene.clock + absence;
        scene.stage.restart().await;
        assert!(scene.look(back).await);
        assert_eq!(scene.previous, None, "nothing was left to overlap with");
        assert_eq!(scene.stage.steps(Check::Proven, back).await, [Step::ProbeKey, Step::Finish]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_that_began_in_the_middle_of_a_rotation_leaves_nothing_behind() {
    for absence in [SignedDuration::from_mins(10), SignedDuration::from_hours(12), days(2)] {
        // Up to the write of the Secret, and to the removal of what waited.
        for steps in 3..=7 {
            let mut scene = Scene::begin(DAY, HOUR).await;
            let due = scene.issued.next_rotation_at;
            let mut rotation = scene.stage.issuer.begin(&scene.stage.owner, Check::Watched, Urgency::Routine, due);
            let mut last = None;
            for _ in 0..steps {
                last = Some(rotation.advance().await.unwrap());
            }
            drop(rotation);
            let back = due + absence;
            scene.listed = scene.stage.keys().await;
            scene.server_drops_the_expired(back).await;
            scene.stage.restart().await;
            let issued = run(&mut scene.stage, back).await;
            let current = scene.stage.assert_good().await;
            assert_eq!(current.access_key, issued.access_key, "after {last:?} and {absence}");
            let former_lives = scene.works(&scene.current).await;
            let expected = if former_lives { vec![&scene.current, &current] } else { vec![&current] };
            let expected: BTreeSet<String> = expected.iter().map(|key| key.access_key.clone()).collect();
            assert_eq!(scene.stage.key_ids().await, expected, "after {last:?} and {absence}");
            assert_eq!(former_lives, issued.previous_expires_at.is_some(), "after {last:?} and {absence}");
            assert_eq!(former_lives, absence < HOUR, "after {last:?} and {absence}: its own end is the overlap's");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_own_user_deleted_is_replaced() {
    let mut scene = Scene::begin(DAY, HOUR).await;
    let own = scene.stage.root.with_credentials(scene.current.clone());
    assert!(own.delete_access_key(&scene.current.access_key).await.unwrap(), "a user may delete its own keys");
    assert!(!scene.works(&scene.current).await);
    assert!(scene.look(scene.clock + SignedDuration::from_mins(1)).await);
    assert_eq!(scene.previous, None);

    // And where the one before it still lives, that one stays.
    let kept = scene.current.clone();
    scene.stage.owner.requests.rotate = Some("1".into());
    assert!(scene.look(scene.clock + HOUR).await);
    let own = scene.stage.root.with_credentials(scene.current.clone());
    own.delete_access_key(&scene.current.access_key).await.unwrap();
    let issued = run(&mut scene.stage, scene.clock + SignedDuration::from_mins(1)).await;
    let again = scene.stage.assert_good().await;
    assert_eq!(scene.stage.key_ids().await, BTreeSet::from([kept.access_key.clone(), issued.access_key]));
    assert!(scene.works(&kept).await && scene.works(&again).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_lost_or_damaged_during_an_absence_comes_back() {
    for lost in [true, false] {
        let mut scene = Scene::begin(DAY, HOUR).await;
        let name = scene.stage.owner.secret_name.clone();
        if lost {
            scene.stage.delete_secret(&name).await;
        } else {
            let edit = json!({"data": {"AWS_SECRET_ACCESS_KEY": null}});
            scene.stage.secrets.patch(&name, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
        }
        let back = scene.clock + days(2);
        scene.stage.restart().await;
        assert!(scene.look(back).await);
        assert_eq!(scene.previous, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_intervals_hold_from_the_next_look_on() {
    let mut scene = Scene::begin_at(now() - days(3), days(30), DAY).await;
    // Shorter: the key is older than wanted at once.
    scene.clock += days(3);
    (scene.stage.owner.interval, scene.stage.owner.overlap) = (DAY, HOUR);
    assert!(scene.look(scene.clock).await);
    assert_eq!(scene.issued.previous_expires_at.map(Timestamp::as_second), Some((scene.clock + HOUR).as_second()));
    // Longer: the key that was made for a day is replaced before it ends.
    (scene.stage.owner.interval, scene.stage.owner.overlap) = (days(30), HOUR);
    let at = run(&mut scene.stage, scene.clock + SECOND).await.next_rotation_at;
    let age = at.duration_since(scene.issued.issued_at);
    assert!(age >= DAY * 9 / 10 && at <= scene.issued.expires_at - HOUR, "{age}");
    assert!(scene.look(at).await);
}

/// Waits for more than a quarter of an hour, which is the shortest that the server lets a key live.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 16 minutes"]
async fn the_server_drops_a_key_by_itself_and_the_next_look_issues_another() {
    let mut stage = Stage::set().await;
    (stage.owner.interval, stage.owner.overlap) = (SignedDuration::from_mins(16), NOTHING);
    let issued = run(&mut stage, now()).await;
    let expired = stage.assert_good().await;
    let before_the_end = std::time::Duration::try_from(issued.expires_at.duration_since(now()) - SECOND * 5).unwrap();
    tokio::time::sleep(before_the_end).await;
    assert_eq!(stage.root.probe(&expired).await.unwrap(), KeyState::Works);
    while stage.root.probe(&expired).await.unwrap() == KeyState::Works {
        assert!(now() < issued.expires_at + SignedDuration::from_mins(5), "the key outlives its end");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert!(now() >= issued.expires_at);
    println!("refused {} after its end", now().duration_since(issued.expires_at));
    stage.restart().await;
    let again = run(&mut stage, now()).await;
    assert_ne!(again.access_key, issued.access_key);
    assert_eq!(stage.assert_good().await.access_key, again.access_key);
    assert_eq!(again.previous_expires_at, None);
    // The server may go on listing what it refuses until it loads its IAM anew.
    let mut left = stage.key_ids().await;
    left.remove(&issued.access_key);
    assert_eq!(left, BTreeSet::from([again.access_key]));
    assert_eq!(stage.root.probe(&expired).await.unwrap(), KeyState::Unknown);
}
