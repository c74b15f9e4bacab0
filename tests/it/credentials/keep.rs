//! What becomes of a key later.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use minio_manager::controller::credentials::{Check, Step};
use minio_manager::minio::{KeyState, Urgency};
use serde_json::json;

use super::stage::{Stage, credentials, now, text};

/// Replaces a key, and takes away the older of two others before.
const REISSUE: [Step; 8] = [
    Step::ReadSecrets,
    Step::TrimKeys,
    Step::WritePending,
    Step::CreateKey,
    Step::ProbePending,
    Step::WriteSecret,
    Step::RemovePending,
    Step::Finish,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_comes_back_with_another_key_and_at_most_two_live() {
    let mut stage = Stage::set().await;
    let mut issued = vec![stage.settle().await.access_key];
    for round in 1..4 {
        stage.delete_secret(&stage.owner.secret_name).await;
        let latest = stage.settle().await;
        assert_eq!(stage.assert_good().await.access_key, latest.access_key);
        let previous = issued.last().unwrap();
        assert_eq!(
            stage.key_ids().await,
            BTreeSet::from([previous.clone(), latest.access_key.clone()]),
            "round {round}: the new key and the one before it"
        );
        assert!(latest.previous_expires_at.is_some());
        assert!(!issued.contains(&latest.access_key));
        issued.push(latest.access_key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_secret_is_replaced_and_foreign_notes_on_it_stay() {
    let mut stage = Stage::set().await;
    stage.settle().await;
    let edit = json!({
        "metadata": {"annotations": {"note": "kept"}, "labels": {"team": "lake"}},
        "stringData": {"AWS_SECRET_ACCESS_KEY": "not the secret"},
    });
    let name = stage.owner.secret_name.clone();
    stage.secrets.patch(&name, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    stage.relist().await;
    assert_eq!(stage.steps(Check::Watched, now()).await, REISSUE);
    stage.assert_good().await;
    let metadata = stage.secret().await.unwrap().metadata;
    assert_eq!(metadata.annotations.unwrap()["note"], "kept");
    assert_eq!(metadata.labels.unwrap()["team"], "lake");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_lost_its_label_gets_it_back_with_the_same_key() {
    let mut stage = Stage::set().await;
    let issued = stage.settle().await;
    let edit = json!({"metadata": {"labels": {"minio-manager.io/username-slug": null}}});
    let name = stage.owner.secret_name.clone();
    stage.secrets.patch(&name, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    stage.relist().await;
    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::ReadSecrets, Step::RewriteSecret, Step::Finish]);
    assert_eq!(stage.assert_good().await.access_key, issued.access_key);
    stage.restart().await;
    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_lost_is_found_by_a_close_look_and_replaced() {
    let mut stage = Stage::set().await;
    let lost = stage.settle().await;
    stage.root.delete_access_key(&lost.access_key).await.unwrap();
    assert_eq!(stage.steps(Check::Watched, now()).await, [Step::Finish]);
    let mut expected = REISSUE.to_vec();
    expected.insert(0, Step::ProbeKey);
    assert_eq!(stage.steps(Check::Proven, now()).await, expected);
    let credentials = stage.assert_good().await;
    assert_ne!(credentials.access_key, lost.access_key);
    assert_eq!(stage.key_ids().await, BTreeSet::from([credentials.access_key]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_is_replaced_and_lives_on_for_the_overlap() {
    let mut stage = Stage::set().await;
    let old = stage.settle().await;
    let pair = credentials(&stage.secret().await.unwrap());
    assert_eq!(stage.steps(Check::Watched, old.next_rotation_at - SignedDuration::from_secs(1)).await, [Step::Finish]);
    assert_eq!(stage.steps(Check::Watched, old.next_rotation_at).await, REISSUE);
    let new = stage.ensure().await.unwrap().unwrap();
    assert_ne!(new.access_key, old.access_key);
    let overlap_ends = old.next_rotation_at + stage.owner.overlap;
    assert_eq!(new.previous_expires_at.map(Timestamp::as_second), Some(overlap_ends.as_second()));
    assert_eq!(new.issued_at, old.next_rotation_at);
    assert_eq!(stage.root.probe(&pair).await.unwrap(), KeyState::Works);
    stage.assert_good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_name_gets_a_new_key_and_the_former_secret_goes() {
    let mut stage = Stage::set().await;
    let former = stage.settle().await;
    stage.owner.secret_name = "renamed".into();
    let mut expected = REISSUE[..7].to_vec();
    expected.extend([Step::RemoveFormer(former.secret_name.clone()), Step::Finish]);
    assert_eq!(stage.steps(Check::Watched, now()).await, expected);
    assert_ne!(stage.assert_good().await.access_key, former.access_key);
    assert_eq!(stage.secrets.get_opt(&former.secret_name).await.unwrap(), None);
    assert_eq!(stage.keys().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_secret_that_belongs_to_somebody_else_by_now_stays() {
    let mut stage = Stage::set().await;
    let former = stage.settle().await;
    stage.delete_secret(&former.secret_name).await;
    let foreign = stage.foreign(&former.secret_name).await;
    stage.owner.secret_name = "renamed".into();
    stage.settle().await;
    stage.issuer.retire(&stage.owner, true, Urgency::Routine).await.unwrap();
    assert_eq!(stage.secrets.get_opt(&former.secret_name).await.unwrap(), Some(foreign));
    assert_eq!(stage.secret().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changes_under_our_hands_is_read_again() {
    let mut stage = Stage::set().await;
    stage.settle().await;
    let later = now() + SignedDuration::from_hours(24);
    let mut run = stage.issuer.begin(&stage.owner, Check::Watched, Urgency::Routine, later);
    while run.advance().await.unwrap() != Step::ProbePending {}
    let edit = json!({"metadata": {"annotations": {"note": "kept"}}});
    let name = stage.owner.secret_name.clone();
    stage.secrets.patch(&name, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    let mut steps = Vec::new();
    while steps.last() != Some(&Step::Finish) {
        steps.push(run.advance().await.unwrap());
    }
    let expected = [Step::WriteSecret, Step::ReadSecrets, Step::WriteSecret, Step::RemovePending, Step::Finish];
    assert_eq!(steps, expected);
    stage.assert_good().await;
    assert_eq!(stage.secret().await.unwrap().metadata.annotations.unwrap()["note"], "kept");
    assert_eq!(text(&stage.secret().await.unwrap(), "AWS_ACCESS_KEY_ID"), run.issued().unwrap().access_key);
}
