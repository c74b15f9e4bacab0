//! The first key, and what it may.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use minio_manager::controller::credentials::{Check, Class, Error, KeyOwner, Step};
use minio_manager::iam::document::{Document, Effect, Statement};
use minio_manager::minio::{Class as MinioClass, Credentials, KeyState, NewAccessKey, Urgency, generate_secret};

use super::stage::{Stage, credentials, now, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_gets_a_key_that_works() {
    let mut stage = Stage::set().await;
    let before = now();
    let issued = stage.settle().await;
    assert!(issued.is_new);
    let credentials = stage.assert_good().await;
    assert_eq!(credentials.access_key, issued.access_key);
    assert_eq!((credentials.access_key.len(), credentials.secret.expose().len()), (20, 40));

    let secret = stage.secret().await.unwrap();
    assert_eq!(text(&secret, "S3_USER"), stage.owner.user.as_str());
    assert_eq!(text(&secret, "S3_EXPIRATION"), issued.expires_at.to_string());
    let file: serde_json::Value = serde_json::from_str(&text(&secret, "credential.json")).unwrap();
    assert_eq!(file["AccessKeyId"], credentials.access_key);
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, stage.owner.uid);

    let keys = stage.keys().await;
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].expiration, Some(issued.expires_at), "the server knows another end than the Secret");
    let life = issued.expires_at.duration_since(before);
    assert!(life >= SignedDuration::from_hours(48) - SignedDuration::from_secs(1), "{life}");
    let kept = issued.next_rotation_at.duration_since(issued.issued_at).as_secs();
    assert!((24 * 3600 * 9 / 10..=24 * 3600).contains(&kept), "{kept} s are not a day less at most a tenth");
    assert!(keys[0].description.contains(&format!("for MinioUser {}/somebody", stage.owner.namespace)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_costs_five_calls_and_a_settled_one_none() {
    let mut stage = Stage::set().await;
    let steps = stage.steps(Check::Watched, now()).await;
    let expected =
        [Step::WritePending, Step::CreateKey, Step::ProbePending, Step::WriteSecret, Step::RemovePending, Step::Finish];
    assert_eq!(steps, expected);
    assert_eq!(stage.calls(), BTreeMap::from([("add-service-account", 1), ("probe", 1)]));

    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish]);
    assert_eq!(stage.calls(), BTreeMap::new());
    let again = stage.settle().await;
    assert!(!again.is_new);

    stage.restart().await;
    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish]);
    assert_eq!(stage.steps(Check::Proven, now()).await, [Step::ProbeKey, Step::Finish]);
    assert_eq!(stage.calls(), BTreeMap::from([("probe", 1)]));
    assert_eq!(stage.settle().await, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_somebody_else_is_left_alone() {
    let mut stage = Stage::set().await;
    let foreign = stage.foreign(&stage.owner.secret_name).await;
    for attempt in 0..3 {
        let error = stage.ensure().await.unwrap_err();
        assert_eq!((error.class(), error.reason()), (Class::WaitForChange, "SecretConflict"));
        assert!(error.to_string().contains(&stage.owner.secret_name), "{error}");
        assert_eq!((stage.secret().await, stage.pending().await), (Some(foreign.clone()), None));
        assert_eq!(stage.keys().await, [], "nobody can have a key");
        let calls = stage.calls();
        assert!(attempt == 0 || calls.is_empty(), "another attempt makes no key: {calls:?}");
    }
    stage.delete_secret(&stage.owner.secret_name).await;
    let issued = stage.settle().await;
    assert_eq!(stage.assert_good().await.access_key, issued.access_key);
    assert_eq!(stage.keys().await.len(), 1);
}

/// Two objects that find the name free at the same moment: the pair of the one that was slower is no obstacle to the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_comes_too_late_does_not_wait_in_the_way() {
    let mut stage = Stage::set().await;
    let slower = KeyOwner { uid: "another".into(), ..stage.owner.clone() };
    let issuer = stage.issuer.clone();
    // What it knows from the beginning is that the name is free.
    let mut late = issuer.begin(&slower, Check::Watched, Urgency::Routine, now());
    stage.settle().await;
    let held = stage.secret().await;
    let error = loop {
        match late.advance().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "SecretConflict");
    assert_eq!((stage.secret().await, stage.pending().await), (held, None));
    assert_eq!(stage.keys().await.len(), 1);
    stage.owner.requests.rotate = Some("1".into());
    stage.settle().await;
    stage.assert_good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_somebody_else_is_left_alone_where_the_pair_waits() {
    let stage = Stage::set().await;
    let name = format!("{}.pending", stage.owner.secret_name);
    let foreign = stage.foreign(&name).await;
    let error = stage.ensure().await.unwrap_err();
    assert!(matches!(&error, Error::SecretConflict { name: at, .. } if *at == name), "{error}");
    assert_eq!((stage.pending().await, stage.secret().await), (Some(foreign), None));
    assert!(stage.keys().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_objects_that_want_one_secret_do_not_share_it() {
    let mut stage = Stage::set().await;
    stage.settle().await;
    let held = stage.secret().await;
    let owner = stage.owner.clone();
    (stage.owner.uid, stage.owner.object_name) = ("another".into(), "somebody-else".into());
    stage.owner.last = None;
    let error = stage.ensure().await.unwrap_err().to_string();
    assert!(error.contains("belongs to MinioUser somebody"), "{error}");
    stage.issuer.retire(&stage.owner, true, Urgency::Routine).await.unwrap();
    assert_eq!(stage.secret().await, held);
    stage.owner = owner;
    stage.assert_good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_user_gets_no_key_and_keeps_its_secret() {
    let mut stage = Stage::set().await;
    stage.owner.enabled = false;
    assert_eq!(stage.ensure().await.unwrap(), None);
    assert_eq!((stage.secret().await, stage.pending().await), (None, None));

    stage.owner.enabled = true;
    let issued = stage.settle().await;
    let held = stage.secret().await;
    stage.owner.enabled = false;
    stage.restart().await;
    let much_later = now() + SignedDuration::from_hours(100);
    assert_eq!(stage.steps(Check::Proven, much_later).await, [Step::Finish]);
    assert_eq!(stage.ensure().await.unwrap().unwrap().access_key, issued.access_key);
    assert_eq!(stage.secret().await, held);
    assert_eq!(stage.keys().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_policy_confines_the_key() {
    let mut stage = Stage::set().await;
    let reading = Statement::new(Effect::Allow, ["s3:GetObject"], [format!("arn:aws:s3:::{}/home/*", stage.bucket)]);
    stage.owner.session_policy = Some(Document::new(vec![reading]));
    stage.settle().await;
    stage.root.put_object(&stage.bucket, "home/file", "text", false).await.unwrap();
    let client = stage.root.with_credentials(credentials(&stage.secret().await.unwrap()));
    assert!(client.get_object(&stage.bucket, "home/file").await.unwrap().is_some());
    let denied = client.put_object(&stage.bucket, "home/file", "more", false).await.unwrap_err();
    assert_eq!(denied.class(), MinioClass::Refused);

    stage.owner.session_policy = None;
    stage.settle().await;
    stage.assert_good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_without_the_lease() {
    let mut stage = Stage::set().await;
    stage.leader.store(false, Ordering::Relaxed);
    let error = stage.ensure().await.unwrap_err();
    assert_eq!((error.class(), error.reason()), (Class::Retry, "LeaseUnavailable"));
    assert_eq!((stage.secret().await, stage.pending().await, stage.keys().await), (None, None, vec![]));
    stage.leader.store(true, Ordering::Relaxed);
    stage.settle().await;
    let held = stage.secret().await;
    stage.leader.store(false, Ordering::Relaxed);
    stage.issuer.retire(&stage.owner, true, Urgency::Urgent).await.unwrap_err();
    assert_eq!((stage.secret().await, stage.keys().await.len()), (held, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_does_not_exist_yet_is_tried_again() {
    let mut stage = Stage::set().await;
    let user = stage.owner.user.to_string();
    stage.root.remove_user(&user).await.unwrap();
    let error = stage.ensure().await.unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    let pair = credentials(&stage.pending().await.expect("the pair waits"));
    assert_eq!(stage.root.probe(&pair).await.unwrap(), KeyState::Unknown);
    stage.root.add_user(&user, &generate_secret(), true).await.unwrap();
    let issued = stage.settle().await;
    assert_eq!(issued.access_key, pair.access_key);
    assert_eq!(credentials(&stage.secret().await.unwrap()), pair);
}

#[tokio::test(flavor = "multi_thread")]
async fn retiring_takes_what_was_issued_and_nothing_else() {
    let mut stage = Stage::set().await;
    stage.settle().await;
    stage.delete_secret(&stage.owner.secret_name).await;
    stage.settle().await;
    assert_eq!(stage.keys().await.len(), 2);
    let own = NewAccessKey {
        parent: stage.owner.user.to_string(),
        credentials: Credentials::generate(),
        name: "laptop".into(),
        description: String::new(),
        expiration: None,
        session_policy: None,
    };
    stage.root.add_access_key(&own).await.unwrap();
    stage.issuer.retire(&stage.owner, true, Urgency::Routine).await.unwrap();
    assert_eq!(stage.key_ids().await, BTreeSet::from([own.credentials.access_key]));
    assert_eq!((stage.secret().await, stage.pending().await), (None, None));
    stage.issuer.retire(&stage.owner, true, Urgency::Routine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn retiring_without_the_keys_leaves_them_to_their_end() {
    let mut stage = Stage::set().await;
    stage.settle().await;
    let (foreign, keys) = (stage.foreign("unrelated").await, stage.key_ids().await);
    stage.issuer.retire(&stage.owner, false, Urgency::Routine).await.unwrap();
    assert_eq!((stage.secret().await, stage.key_ids().await), (None, keys));
    assert_eq!(stage.secrets.get_opt("unrelated").await.unwrap(), Some(foreign));
}

#[tokio::test(flavor = "multi_thread")]
async fn retiring_a_user_that_is_gone_takes_its_secrets() {
    let mut stage = Stage::set().await;
    stage.settle().await;
    stage.root.remove_user(stage.owner.user.as_str()).await.unwrap();
    stage.issuer.retire(&stage.owner, true, Urgency::Routine).await.unwrap();
    assert_eq!(stage.secret().await, None);
}
