//! Access keys of workloads: who may hold one, what ends it, and whom it follows.

use super::*;
use crate::iam::desired::{DesiredKey, Fate};
use crate::iam::subject::KeyName;

fn subject(key: &Declared) -> Subject {
    Subject::Key(KeyName::from(key.key()))
}

fn desired(index: &Index, key: &Declared, now: Timestamp) -> DesiredKey {
    match index.desired(&subject(key), now) {
        Desired::Key(key) => key,
        other => panic!("{other:?}"),
    }
}

fn fate(index: &Index, key: &Declared) -> Fate {
    desired(index, key, NOW).fate
}

/// What an event makes of the subject of a key.
fn urgency(dirty: &Dirty, key: &Declared) -> Option<Urgency> {
    dirty.subjects.get(&subject(key)).copied()
}

fn elsewhere(key: Declared) -> Declared {
    key.with(|meta| in_namespace(meta, OTHER))
}

fn with_keys_for(user: &str) -> IndexConfig {
    let rules: NamespaceRules = serde_saphyr::from_str(&format!("keysFor: ['{user}']")).unwrap();
    IndexConfig { namespaces: [(OTHER.to_owned(), rules)].into_iter().collect(), ..config() }
}

#[test]
fn a_key_comes_and_goes_with_its_user() {
    let (alice, key) = (user("alice"), access_key("etl", "alice"));
    let mut index = index_of([key.clone()]);
    assert_eq!((fate(&index, &key), reason(&index, &key)), (Fate::Deleted, "OwnerNotFound"));
    assert_eq!(verdict(&index, &key).bound_uid, None);

    assert_eq!(urgency(&put(&mut index, alice.clone()), &key), Some(Urgency::Normal));
    assert_eq!((fate(&index, &key), reason(&index, &key)), (Fate::Present, ""));
    assert_eq!(verdict(&index, &key).bound_uid.as_deref(), Some("uid-alice"));
    assert!(desired(&index, &key, NOW).is_user_managed);
    assert_eq!(index.keys_of(&name("alice")).count(), 1);

    let bound = key.clone().with(|meta| meta.bound_uid = Some("uid-alice".into()));
    put(&mut index, bound.clone());
    assert_eq!(urgency(&put(&mut index, alice.clone().deleting()), &key), Some(Urgency::Revocation));
    assert_eq!((fate(&index, &key), reason(&index, &key)), (Fate::Deleted, "Suspended"));
    remove(&mut index, &alice);

    // Another person of the name does not get the key.
    put(&mut index, alice.with(|meta| meta.uid = "another".into()));
    assert_eq!((fate(&index, &key), reason(&index, &key)), (Fate::Deleted, "Suspended"));
    assert!(message(&index, &key).contains("another user alice exists now"));
    assert_eq!(verdict(&index, &key).bound_uid.as_deref(), Some("uid-alice"));
}

#[test]
fn an_account_that_is_not_ours_gets_no_key() {
    let key = access_key("etl", "alice");
    let mut index = index_of([user("alice").with(|meta| meta.origin = None), key.clone()]);
    assert!(!desired(&index, &key, NOW).is_user_managed);
    assert_eq!(urgency(&put(&mut index, user("alice")), &key), Some(Urgency::Revocation));
    assert!(desired(&index, &key, NOW).is_user_managed);
}

#[test]
fn another_namespace_needs_to_be_permitted() {
    let key = elsewhere(access_key("etl", "alice"));
    let mut index = index_of([user("alice"), key.clone()]);
    assert_eq!((fate(&index, &key), reason(&index, &key)), (Fate::Deleted, "NotPermitted"));
    assert!(message(&index, &key).contains("namespaces.spark.keysFor"), "{}", message(&index, &key));
    // The namespace of the user needs no permission.
    put(&mut index, user("alice").with(|meta| in_namespace(meta, OTHER)));
    assert_eq!(reason(&index, &key), "NotPermitted", "another namespace may not even declare the user");

    for (permitted, expected) in [("alice", Fate::Present), ("al*", Fate::Present), ("bob", Fate::Deleted)] {
        let mut index = Index::new(with_keys_for(permitted));
        put_all(&mut index, [user("alice"), key.clone()]);
        assert_eq!(fate(&index, &key), expected, "keysFor {permitted}");
    }
    let mut permissive = with_keys_for("bob");
    let rules = permissive.namespaces.get_mut(OTHER).unwrap();
    rules.usernames = vec![Glob::new("alice")];
    let mut index = Index::new(permissive);
    put_all(&mut index, [elsewhere(user("alice")), key.clone()]);
    assert_eq!(fate(&index, &key), Fate::Present, "a user's own namespace holds its keys");
}

#[test]
fn a_lock_and_a_deletion_take_the_key_and_a_pause_leaves_it() {
    let key = access_key("etl", "alice");
    let mut index = index_of([user("alice"), key.clone()]);
    let locked = key.clone().with(|meta| meta.lock = Some("leaked".to_owned()));
    assert_eq!(urgency(&put(&mut index, locked), &key), Some(Urgency::Revocation));
    assert_eq!((fate(&index, &key), message(&index, &key).as_str()), (Fate::Deleted, "locked: leaked"));
    assert_eq!(urgency(&put(&mut index, key.clone()), &key), Some(Urgency::Normal));
    put(&mut index, key.clone().with(|meta| meta.paused = true));
    assert_eq!((fate(&index, &key), reason(&index, &key)), (Fate::Untouched, "Paused"));
    assert_eq!(urgency(&put(&mut index, key.clone().deleting()), &key), Some(Urgency::Revocation));
    assert_eq!(fate(&index, &key), Fate::Deleted);
    assert!(!verdict(&index, &key).may_finish, "the key is still there");
    index.converged(&subject(&key), index.seq());
    index.compared();
    assert!(verdict(&index, &key).may_finish);
}

#[test]
fn a_key_of_a_disabled_user_stays_and_is_not_renewed() {
    let key = access_key("etl", "alice");
    let off = |user: &mut UserDecl| user.enabled = Some(false);
    let mut index = index_of([user("alice"), key.clone()]);
    assert_eq!(urgency(&put(&mut index, user("alice").with_user(off)), &key), Some(Urgency::Revocation));
    assert_eq!((fate(&index, &key), reason(&index, &key)), (Fate::Present, "Disabled"));
}

#[test]
fn a_key_ends_at_its_instant() {
    let key = access_key("etl", "alice").with_key(|key| key.expires_at = Some(at(10)));
    let mut index = index_of([user("alice"), key.clone()]);
    assert_eq!(index.next_expiry(NOW), Some(at(10)));
    assert_eq!((desired(&index, &key, at(9)).fate, desired(&index, &key, at(10)).fate), (Fate::Present, Fate::Deleted));
    assert!(index.tick(at(9)).is_empty());
    assert_eq!(urgency(&index.tick(at(10)), &key), Some(Urgency::Revocation));
    assert_eq!(reason(&index, &key), "Suspended");
    // The clock is set back.
    assert_eq!(urgency(&index.tick(at(5)), &key), Some(Urgency::Normal));
    assert_eq!(reason(&index, &key), "");
}

#[test]
fn a_refused_scope_leaves_what_is_there() {
    let key = access_key("etl", "alice").with_key(|key| key.scope = Ok(Some(confined_to("homes/alice/out"))));
    let mut index = index_of([user("alice"), key.clone()]);
    assert_eq!(desired(&index, &key, NOW).scope, Some(confined_to("homes/alice/out")));
    let narrower = key.clone().with_key(|key| key.scope = Ok(Some(confined_to("homes/alice/out/a"))));
    assert_eq!(urgency(&put(&mut index, narrower), &key), Some(Urgency::Revocation));
    put(&mut index, key.clone().with_key(|key| key.scope = Err(refused_scope())));
    assert_eq!((fate(&index, &key), reason(&index, &key)), (Fate::Untouched, "InvalidScope"));
}

#[test]
fn a_user_that_cannot_be_read_is_not_taken_for_absent() {
    let (alice, key) = (user("alice"), access_key("etl", "alice"));
    let mut index = index_of([key.clone()]);
    assert_eq!(fate(&index, &key), Fate::Deleted);
    assert_eq!(urgency(&break_off(&mut index, &alice), &key), Some(Urgency::Normal));
    assert_eq!(fate(&index, &key), Fate::Untouched);
    assert_eq!(urgency(&put(&mut index, alice), &key), Some(Urgency::Normal));
    assert_eq!(fate(&index, &key), Fate::Present);
}

#[test]
fn requests_are_urgent_unless_the_object_brings_them_along() {
    let asking = |value: &str| {
        let requests = KeyRequests { rotate: Some(value.to_owned()), revoke: None };
        access_key("etl", "alice").with(|meta| meta.requests = requests)
    };
    let mut index = index_of([user("alice")]);
    let key = asking("1");
    assert_eq!(urgency(&put(&mut index, key.clone()), &key), Some(Urgency::Normal));
    assert_eq!(urgency(&put(&mut index, asking("2")), &key), Some(Urgency::Revocation));
}

#[test]
fn a_key_that_was_to_go_before_its_object_is_waited_for() {
    let key = access_key("etl", "alice");
    let mut index = index_of([user("alice"), key.clone()]);
    put(&mut index, user("alice").deleting());
    index.converged(&subject(&key), index.seq());
    assert_eq!(fate(&index, &key), Fate::Deleted);
    // What was done for it then may have failed.
    let dirty = put(&mut index, key.clone().deleting());
    assert_eq!(urgency(&dirty, &key), Some(Urgency::Revocation));
    assert!(!verdict(&index, &key).may_finish);
    index.converged(&subject(&key), index.seq());
    index.compared();
    assert!(verdict(&index, &key).may_finish);
}
