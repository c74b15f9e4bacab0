use kube::api::ApiResource;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::*;
use crate::api::MinioUser;
use crate::iam::subject::ObjectKey;

fn found(kind: Kind, object: Value) -> Found {
    // Nothing is sent.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = crate::kubernetes::client(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let api = kube::Api::namespaced_with(client, "lake", &ApiResource::erase::<MinioUser>(&()));
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    Found { key: ObjectKey::new(kind, "lake", "exp"), api, object }
}

fn of_kind(kind: Kind) -> Found {
    found(kind, json!({"metadata": {"name": "exp"}, "spec": {}}))
}

fn refused(wish: &Wish, found: &Found) -> String {
    ask_for(wish, found).unwrap_err().to_string()
}

#[tokio::test]
async fn what_a_kind_cannot_do_is_refused_with_what_it_can() {
    let lock = Wish::Lock(None);
    for kind in [Kind::MinioUser, Kind::MinioGroup, Kind::PathShare, Kind::MinioAccessKey] {
        assert_eq!(ask_for(&lock, &of_kind(kind)).unwrap(), Asked::Lock(NO_REASON.to_owned()), "{kind}");
    }
    assert!(refused(&lock, &of_kind(Kind::GroupMembership)).contains("lock its group"));
    assert!(refused(&Wish::Unlock, &of_kind(Kind::MinioPolicy)).contains("lock the users"));
    assert!(refused(&Wish::Rotate, &of_kind(Kind::PathShare)).contains("lock it"));
    assert!(refused(&Wish::Revoke { confirmed: true }, &of_kind(Kind::MinioGroup)).contains("lock it"));
    assert!(matches!(ask_for(&Wish::Rotate, &of_kind(Kind::MinioUser)).unwrap(), Asked::Rotate(_)));
}

#[tokio::test]
async fn who_locked_it_before_has_said_why() {
    let locked = json!({"metadata": {"name": "exp", "annotations": {"minio-manager.io/lock": "leak"}}, "spec": {}});
    let locked = found(Kind::PathShare, locked);
    assert_eq!(ask_for(&Wish::Lock(None), &locked).unwrap(), Asked::Lock("leak".to_owned()));
    let why = Wish::Lock(Some("audit".to_owned()));
    assert_eq!(ask_for(&why, &locked).unwrap(), Asked::Lock("audit".to_owned()));
}

#[tokio::test]
async fn who_is_disabled_gets_no_key_and_can_be_revoked() {
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Disabled", "message": "spec.enabled is false",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let object = json!({"metadata": {"name": "exp"}, "spec": {}, "status": {"conditions": [ready]}});
    let user = found(Kind::MinioUser, object.clone());
    assert!(refused(&Wish::Rotate, &user).contains("spec.enabled is false"));
    let revoke = Wish::Revoke { confirmed: true };
    assert!(matches!(ask_for(&revoke, &user).unwrap(), Asked::Revoke(_)));
    assert!(refused(&revoke, &found(Kind::MinioAccessKey, object)).contains("nothing was done"));
}

#[tokio::test]
async fn the_report_says_what_was_done_and_the_way_back() {
    let user = of_kind(Kind::MinioUser);
    let mut report = begun(&user, &Asked::Lock("incident 4711".to_owned()));
    assert!(
        text::of(&report).starts_with("MinioUser lake/exp is to be locked: incident 4711\n"),
        "{}",
        text::of(&report)
    );
    (report.carried_out, report.seconds) = (true, Some(0.3));
    report.status = "Ready=True, Locked: locked: incident 4711".to_owned();
    report.minio = vec!["user exp is disabled".to_owned()];
    let said = text::of(&report);
    for line in [
        "MinioUser lake/exp is locked: incident 4711\n",
        "  status  Ready=True, Locked: locked: incident 4711 (after 0.3 s)\n",
        "  MinIO   user exp is disabled\n",
        "unlock user/exp -n lake\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    let credentials = json!({
        "accessKey": "NEW", "secretName": "minio-exp", "expiresAt": "2026-01-03T00:00:00Z",
        "previousExpiresAt": "2026-01-02T00:00:00Z",
    });
    let mut report = begun(&user, &Asked::Rotate("1".to_owned()));
    (report.carried_out, report.seconds, report.former_key) = (true, Some(1.0), Some("OLD".to_owned()));
    report.credentials = Some(serde_json::from_value(credentials).unwrap());
    let said = text::of(&report);
    assert!(said.contains("  key     NEW in Secret lake/minio-exp, until 2026-01-03T00:00:00Z\n"), "{said}");
    assert!(said.contains("  former  OLD works until 2026-01-02T00:00:00Z\n"), "{said}");
}

#[test]
fn a_reason_is_one_line() {
    assert_eq!(why(" incident 4711 "), Ok("incident 4711".to_owned()));
    for wrong in ["", "  ", "a\nb", &"x".repeat(REASON_MAX + 1)] {
        assert!(why(wrong).unwrap_err().contains("one line"));
    }
}
