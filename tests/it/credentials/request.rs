//! A new key on request, and the end of all others, also where a crash comes in between.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use minio_manager::controller::credentials::{Check, Issued, Step};
use minio_manager::iam::declared::KeyRequests;
use minio_manager::minio::{Credentials, KeyState, NewAccessKey, Urgency};

use super::stage::{Stage, credentials, now};

impl Stage {
    fn ask(&mut self, rotate: Option<&str>, revoke: Option<&str>) {
        self.owner.requests = KeyRequests { rotate: rotate.map(str::to_owned), revoke: revoke.map(str::to_owned) };
    }

    /// Runs to the end and records what the status would.
    async fn handle(&mut self) -> Issued {
        let issued = self.settle().await;
        self.owner.handled = self.owner.handled_by_a_run().or(&self.owner.handled);
        issued
    }

    /// A key that somebody else made for the user.
    async fn foreign_key(&self) -> Credentials {
        let key = NewAccessKey {
            parent: self.owner.user.to_string(),
            credentials: Credentials::generate(),
            name: "laptop".into(),
            description: String::new(),
            expiration: None,
            session_policy: None,
        };
        self.root.add_access_key(&key).await.unwrap();
        key.credentials
    }

    async fn pair(&self) -> Credentials {
        credentials(&self.secret().await.expect("the Secret is never away"))
    }

    async fn works(&self, credentials: &Credentials) -> bool {
        self.root.probe(credentials).await.unwrap() == KeyState::Works
    }

    /// Takes `steps` steps of a run and drops it, as a crash does; then another process begins.
    async fn crash_after(&mut self, steps: usize) -> Option<Step> {
        let mut run = self.issuer.begin(&self.owner, Check::Watched, Urgency::Urgent, now());
        let mut last = None;
        for _ in 0..steps {
            last = Some(run.advance().await.unwrap());
            // Whatever people read at this moment works.
            assert!(self.works(&self.pair().await).await, "after {last:?}");
        }
        drop(run);
        self.restart().await;
        last
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_costs_one_key_and_the_next_one_takes_the_oldest() {
    let mut stage = Stage::set().await;
    let first = (stage.handle().await, stage.pair().await);
    stage.ask(Some("1"), None);
    stage.calls();
    let second = (stage.handle().await, stage.pair().await);
    let calls = stage.calls().into_keys().collect::<Vec<_>>();
    assert_eq!(calls, ["add-service-account", "list-service-accounts", "probe"]);
    assert_ne!(second.0.access_key, first.0.access_key);
    assert!(stage.works(&first.1).await && stage.works(&second.1).await);
    let end = second.0.previous_expires_at.expect("the former key lives on");
    assert!(end <= now() + stage.owner.overlap && end < first.0.expires_at, "{end}");

    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish], "the value has been handled");
    stage.owner.handled = KeyRequests::default();
    stage.restart().await;
    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish], "also where the status was not written");

    stage.ask(Some("2"), None);
    let third = stage.handle().await;
    assert!(!stage.works(&first.1).await && stage.works(&second.1).await);
    assert_eq!(stage.key_ids().await, BTreeSet::from([second.0.access_key, third.access_key]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_former_key_ends_with_the_overlap() {
    let mut stage = Stage::set().await;
    stage.owner.overlap = SignedDuration::from_hours(1);
    stage.handle().await;
    let former = stage.pair().await;
    stage.ask(Some("1"), None);
    let issued = stage.handle().await;
    let end = issued.previous_expires_at.expect("the former key lives on");
    assert_eq!(issued.next_visit_at(), end);
    let before = end - SignedDuration::from_secs(1);
    assert_eq!(stage.steps(Check::Watched, before).await, [Step::Finish]);
    assert!(stage.works(&former).await);
    // The process that knew of it is gone.
    stage.restart().await;
    let steps = stage.steps(Check::Watched, end).await;
    assert_eq!(steps, [Step::ReadSecrets, Step::TrimKeys, Step::RewriteSecret, Step::Finish]);
    assert!(!stage.works(&former).await);
    let kept = stage.settle().await;
    assert_eq!((kept.access_key, kept.previous_expires_at), (issued.access_key.clone(), None));
    assert_eq!(stage.assert_good().await.access_key, issued.access_key);
    assert_eq!(stage.steps(Check::Watched, end).await, [Step::Finish]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_overlap_the_former_key_ends_at_once() {
    let mut stage = Stage::set().await;
    stage.owner.overlap = SignedDuration::ZERO;
    stage.handle().await;
    let former = stage.pair().await;
    stage.ask(Some("1"), None);
    let issued = stage.handle().await;
    assert!(!stage.works(&former).await);
    assert_eq!(issued.previous_expires_at, None);
    assert_eq!(stage.key_ids().await, BTreeSet::from([stage.assert_good().await.access_key]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_survives_a_crash_after_any_step() {
    for steps in 0..=8 {
        let mut stage = Stage::set().await;
        let old = (stage.handle().await, stage.pair().await);
        stage.ask(Some("1"), None);
        let last = stage.crash_after(steps).await;
        let waiting = stage.pending().await.map(|secret| credentials(&secret).access_key);
        let new = stage.handle().await;
        assert_ne!(new.access_key, old.0.access_key, "after {last:?}");
        assert!(waiting.is_none_or(|waiting| waiting == new.access_key), "a second pair after {last:?}");
        assert_eq!(stage.assert_good().await.access_key, new.access_key, "after {last:?}");
        assert!(stage.works(&old.1).await, "after {last:?}");
        assert_eq!(stage.key_ids().await, BTreeSet::from([old.0.access_key, new.access_key]), "after {last:?}");
        assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish], "after {last:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_leaves_one_key_also_after_a_crash_after_any_step() {
    let mut reached = BTreeSet::new();
    for steps in 0..=9 {
        let mut stage = Stage::set().await;
        stage.handle().await;
        let older = stage.pair().await;
        stage.ask(Some("1"), None);
        stage.handle().await;
        let (old, foreign) = (stage.pair().await, stage.foreign_key().await);
        stage.ask(Some("1"), Some("stolen"));
        let last = stage.crash_after(steps).await;
        reached.insert(format!("{last:?}"));
        let new = stage.handle().await;
        assert_eq!(stage.assert_good().await.access_key, new.access_key, "after {last:?}");
        for key in [&older, &old, &foreign] {
            assert!(!stage.works(key).await, "{} works after {last:?}", key.access_key);
        }
        assert_eq!(stage.key_ids().await, BTreeSet::from([new.access_key]), "after {last:?}");
        assert_eq!(new.previous_expires_at, None, "after {last:?}");
        let more = stage.foreign_key().await;
        assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish], "after {last:?}");
        assert!(stage.works(&more).await, "what has been handled is not handled again");
    }
    assert!(reached.contains(&format!("{:?}", Some(Step::RevokeKeys))), "{reached:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_waited_since_before_the_revocation_is_not_published() {
    let mut stage = Stage::set().await;
    stage.handle().await;
    stage.ask(Some("1"), None);
    assert_eq!(stage.crash_after(4).await, Some(Step::CreateKey));
    let waiting = credentials(&stage.pending().await.unwrap());
    assert!(stage.works(&waiting).await);
    stage.ask(Some("1"), Some("stolen"));
    let new = stage.handle().await;
    assert_ne!(new.access_key, waiting.access_key);
    assert!(!stage.works(&waiting).await);
    assert_eq!(stage.key_ids().await, BTreeSet::from([stage.assert_good().await.access_key]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_nobody_has_had_is_the_new_key_that_is_asked_for() {
    let mut stage = Stage::set().await;
    let old = stage.handle().await;
    stage.ask(Some("1"), None);
    assert_eq!(stage.crash_after(4).await, Some(Step::CreateKey));
    let waiting = credentials(&stage.pending().await.unwrap());
    stage.ask(Some("2"), None);
    let new = stage.handle().await;
    assert_eq!(new.access_key, waiting.access_key);
    assert_eq!(stage.key_ids().await, BTreeSet::from([old.access_key, new.access_key]));
    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_user_is_revoked_at_once_and_rotated_when_enabled() {
    let mut stage = Stage::set().await;
    stage.handle().await;
    let (old, foreign, user) = (stage.pair().await, stage.foreign_key().await, stage.owner.user.to_string());
    stage.root.set_user_status(&user, false).await.unwrap();
    stage.owner.enabled = false;
    stage.ask(Some("1"), Some("stolen"));
    assert_eq!(stage.ensure().await.unwrap(), None, "the key in the Secret is none any more");
    stage.owner.handled = stage.owner.handled_by_a_run();
    assert_eq!(stage.owner.handled.rotate, None);
    assert_eq!(stage.key_ids().await, BTreeSet::new());
    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish]);

    stage.root.set_user_status(&user, true).await.unwrap();
    assert!(!stage.works(&old).await && !stage.works(&foreign).await);
    stage.owner.enabled = true;
    let more = stage.foreign_key().await;
    let new = stage.handle().await;
    assert_ne!(new.access_key, old.access_key);
    assert_eq!(stage.assert_good().await.access_key, new.access_key);
    assert!(stage.works(&more).await, "the revocation has been handled");
    assert_eq!(stage.owner.handled, stage.owner.requests);
    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_disabled_between_the_new_key_and_the_end_of_the_old_ones_keeps_the_new_one() {
    let mut stage = Stage::set().await;
    stage.handle().await;
    let (old, user) = (stage.pair().await, stage.owner.user.to_string());
    stage.ask(None, Some("stolen"));
    assert_eq!(stage.crash_after(6).await, Some(Step::WriteSecret));
    let new = stage.pair().await;
    stage.root.set_user_status(&user, false).await.unwrap();
    stage.owner.enabled = false;
    stage.handle().await;
    stage.root.set_user_status(&user, true).await.unwrap();
    stage.owner.enabled = true;
    assert!(stage.works(&new).await && !stage.works(&old).await);
    assert_eq!(stage.handle().await.access_key, new.access_key);
    assert_eq!(stage.key_ids().await, BTreeSet::from([stage.assert_good().await.access_key]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_way_keeps_no_key_alive() {
    let mut stage = Stage::set().await;
    let name = stage.owner.secret_name.clone();
    stage.handle().await;
    let (old, foreign) = (stage.pair().await, stage.foreign_key().await);
    stage.delete_secret(&name).await;
    let in_the_way = stage.foreign(&name).await;
    stage.relist().await;
    stage.ask(None, Some("stolen"));
    let error = stage.ensure().await.unwrap_err();
    assert_eq!(error.reason(), "SecretConflict");
    assert!(!stage.works(&old).await && !stage.works(&foreign).await);
    assert_eq!(stage.secret().await, Some(in_the_way));
}
