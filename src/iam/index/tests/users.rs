//! Users: claims on names, account status, policies, deletion.

use super::*;
use crate::api::DeletionPolicy;
use crate::iam::desired::{Extras, Fate};

fn fate(index: &Index, user: &str) -> Fate {
    desired_user(index, user).fate
}

fn in_other(declared: Declared) -> Declared {
    declared.with(|meta| in_namespace(meta, OTHER))
}

fn policies(index: &Index, user: &str) -> Vec<String> {
    desired_user(index, user).policies.iter().map(ToString::to_string).collect()
}

fn permissive() -> IndexConfig {
    let rules =
        serde_saphyr::from_str("{usernames: ['*'], groups: ['*'], policies: ['p*'], paths: ['s3a://lake/']}").unwrap();
    IndexConfig { namespaces: [(OTHER.to_owned(), rules)].into_iter().collect(), ..config() }
}

#[test]
fn a_user_has_home_guard_and_the_everyone_document() {
    let index = index_of([user("alice")]);
    let alice = desired_user(&index, "alice");
    assert_eq!(alice.fate, Fate::Present);
    assert_eq!(alice.enabled, Some(true));
    assert_eq!(alice.extras, Extras::Remove);
    assert!(alice.home.guard && alice.home.workspace.get(&path("homes/alice").scope()) == Some(WRITE));
    assert!(alice.system.is_empty());
    assert_eq!(policies(&index, "alice"), ["group-policy-globalusers"]);
    assert_eq!(index.subjects(), [Subject::Everyone, Subject::User(name("alice"))].into_iter().collect());
}

#[test]
fn without_workspace_the_guard_stays() {
    let index = index_of([user("alice").with_user(|user| user.workspace = Workspace::None)]);
    let home = desired_user(&index, "alice").home;
    assert!(home.guard && home.workspace.is_empty() && !home.is_empty());
}

#[test]
fn nobody_declares_an_unknown_user() {
    let index = index_of([share("s", "data", &[(to_user("alice"), terms(READ))])]);
    assert_eq!(fate(&index, "alice"), Fate::Untouched);
    assert!(desired_user(&index, "alice").policies.is_empty());
    assert!(!index.subjects().contains(&Subject::User(name("alice"))));
}

#[test]
fn an_absent_enabled_is_true_for_created_users_and_leaves_adopted_ones() {
    let origin = |origin| index_of([user("alice").with(|meta| meta.origin = origin)]);
    assert_eq!(desired_user(&origin(Some(Origin::Created)), "alice").enabled, Some(true));
    let adopted = desired_user(&origin(Some(Origin::Adopted)), "alice");
    assert_eq!((adopted.enabled, adopted.extras), (None, Extras::Keep));
    assert_eq!(desired_user(&origin(None), "alice").enabled, None);
    let prune = IndexConfig { adopted_extras: Extras::Remove, ..config() };
    let mut index = Index::new(prune);
    put(&mut index, user("alice").with(|meta| meta.origin = Some(Origin::Adopted)));
    assert_eq!(desired_user(&index, "alice").extras, Extras::Remove);
}

#[test]
fn a_lock_disables_whatever_the_spec_says() {
    let mut index = index_of([user("alice").with_user(|user| user.enabled = Some(true)).with_policies(&["p1"])]);
    assert_eq!(policies(&index, "alice"), ["group-policy-globalusers", "p1"]);
    let locked = user("alice").with_user(|user| user.enabled = Some(true)).with_policies(&["p1"]);
    let locked = locked.with(|meta| meta.lock = Some("stolen laptop".to_owned()));
    let dirty = put(&mut index, locked.clone());
    assert_eq!(urgencies(&dirty)["user alice"], Urgency::Revocation);
    assert_eq!(desired_user(&index, "alice").enabled, Some(false));
    assert_eq!(policies(&index, "alice"), ["group-policy-globalusers"], "the mapping of a disabled user is reduced");
    assert_eq!((reason(&index, &locked), message(&index, &locked).as_str()), ("Locked", "locked: stolen laptop"));
}

#[test]
fn a_request_for_the_key_is_urgent_unless_the_object_brings_it_along() {
    let asking = |rotate: Option<&str>, revoke: Option<&str>| {
        let requests = KeyRequests { rotate: rotate.map(str::to_owned), revoke: revoke.map(str::to_owned) };
        user("alice").with(|meta| meta.requests = requests)
    };
    let mut index = Index::new(config());
    assert_eq!(urgencies(&put(&mut index, asking(Some("1"), Some("1"))))["user alice"], Urgency::Normal);
    for (request, urgency) in [
        (asking(Some("2"), Some("1")), Some(Urgency::Revocation)),
        (asking(Some("2"), Some("1")), None),
        (asking(Some("2"), Some("2")), Some(Urgency::Revocation)),
        (asking(None, Some("2")), Some(Urgency::Normal)),
        (asking(Some("2"), None), Some(Urgency::Revocation)),
    ] {
        let dirty = put(&mut index, request.clone());
        assert_eq!(urgencies(&dirty).get("user alice").copied(), urgency, "{:?}", request.meta.requests);
        assert!(urgency.is_none() || !verdict(&index, &request).is_settled());
        index.converged(&Subject::User(name("alice")), index.seq());
    }
    assert_eq!(urgencies(&break_off(&mut index, &asking(None, Some("3"))))["user alice"], Urgency::Revocation);
}

#[test]
fn disabled_users_keep_their_grants() {
    let disabled = user("alice").with_user(|user| user.enabled = Some(false));
    let granted = share("s", "data", &[(to_user("alice"), terms(READ))]);
    let index = index_of([disabled.clone(), granted.clone()]);
    assert_eq!(grants_of(&index, "alice"), ["data Read"]);
    assert_eq!(counts(&index, &granted), (1, 0, 0));
    assert_eq!(reason(&index, &disabled), "Disabled");
}

#[test]
fn paused_users_are_left_alone() {
    let paused = user("alice").with(|meta| meta.paused = true);
    let index = index_of([paused.clone(), group("kbase", &["alice"], &[])]);
    assert_eq!(fate(&index, "alice"), Fate::Untouched);
    assert_eq!(reason(&index, &paused), "Paused");
    assert_eq!(names(&desired_group(&index, "kbase").main.members), ["alice"], "it is managed all the same");
}

#[test]
fn the_older_object_holds_the_name_and_the_other_is_told() {
    let old = user("alice");
    let new = in_other(user("alice")).with(|meta| (meta.created, meta.uid) = (at(-10), "uid-new".into()));
    let mut index = Index::new(permissive());
    put_all(&mut index, [new.clone(), old.clone()]);
    assert_eq!(index.user(&name("alice")).unwrap().key(), old.key());
    assert_eq!(reason(&index, &new), "Conflict");
    assert!(message(&index, &new).contains("user alice is held by MinioUser lake/alice"), "{}", message(&index, &new));
    assert_eq!(reason(&index, &old), "");

    let dirty = remove(&mut index, &old);
    assert_eq!(index.user(&name("alice")).unwrap().key(), new.key(), "the loser takes over");
    assert_eq!(reason(&index, &new), "");
    assert!(dirty.subjects.contains_key(&Subject::User(name("alice"))) && dirty.objects.contains(new.key()));
}

#[test]
fn the_incumbent_wins_over_the_older_and_equal_ages_go_by_uid() {
    let old = user("alice");
    let held = in_other(user("alice")).with(|meta| (meta.created, meta.incumbent) = (at(-10), true));
    let mut index = Index::new(permissive());
    put_all(&mut index, [old.clone(), held.clone()]);
    assert_eq!(index.user(&name("alice")).unwrap().key(), held.key());
    assert_eq!(reason(&index, &old), "Conflict");

    let twin = in_other(user("alice")).with(|meta| meta.uid = "a-smaller-uid".into());
    let mut index = Index::new(permissive());
    put_all(&mut index, [old.clone(), twin.clone()]);
    assert_eq!(index.user(&name("alice")).unwrap().key(), twin.key());
}

#[test]
fn a_name_is_held_until_its_object_is_gone() {
    let dying = user("alice").deleting();
    let next = in_other(user("alice")).with(|meta| meta.created = at(-10));
    let mut index = Index::new(permissive());
    put_all(&mut index, [dying.clone(), next.clone()]);
    assert_eq!(fate(&index, "alice"), Fate::Deleted);
    assert_eq!(reason(&index, &next), "Conflict");
    remove(&mut index, &dying);
    assert_eq!(fate(&index, "alice"), Fate::Present);
}

#[test]
fn namespaces_declare_what_they_are_permitted_only() {
    let mut index = index_of([in_other(user("alice"))]);
    assert_eq!(reason(&index, &in_other(user("alice"))), "NotPermitted");
    assert_eq!(fate(&index, "alice"), Fate::Untouched);
    put(&mut index, user("alice").with(|meta| meta.created = at(500)));
    assert_eq!(fate(&index, "alice"), Fate::Present, "what is not permitted holds no name");

    let rules = serde_saphyr::from_str("usernames: ['b*']").unwrap();
    let mut index =
        Index::new(IndexConfig { namespaces: [(HOME.to_owned(), rules)].into_iter().collect(), ..config() });
    put_all(&mut index, [user("alice"), user("bob")]);
    assert_eq!((reason(&index, &user("alice")), reason(&index, &user("bob"))), ("NotPermitted", ""));
}

#[test]
fn accounts_of_the_server_are_reserved() {
    let mut index = Index::new(IndexConfig { reserved_users: ["operator".to_owned()].into(), ..config() });
    put(&mut index, user("operator"));
    assert_eq!(reason(&index, &user("operator")), "Reserved");
    assert_eq!(fate(&index, "operator"), Fate::Untouched);
}

#[test]
fn a_policy_with_admin_actions_stalls_and_the_rest_converges() {
    let alice = user("alice").with_policies(&["consoleAdmin", "readonly", "secret-admin"]);
    let mut index = index_of([alice.clone()]);
    assert_eq!(policies(&index, "alice"), ["group-policy-globalusers", "readonly", "secret-admin"]);
    assert_eq!(reason(&index, &alice), "NotPermitted");
    assert!(message(&index, &alice).contains("consoleAdmin"));

    // What the server says of a policy that nobody declares counts too.
    let seen = ServerPolicies { absent: BTreeSet::new(), admin: [policy_name("secret-admin")].into() };
    let dirty = index.apply(Event::Policies(seen));
    assert_eq!(urgencies(&dirty)["user alice"], Urgency::Revocation);
    assert_eq!(policies(&index, "alice"), ["group-policy-globalusers", "readonly"]);

    let allowed = [policy_name("consoleAdmin")].into();
    let mut index = Index::new(IndexConfig { allowed_admin_policies: allowed, ..config() });
    put(&mut index, user("alice").with_policies(&["consoleAdmin"]));
    assert_eq!(policies(&index, "alice"), ["consoleAdmin", "group-policy-globalusers"]);
}

#[test]
fn policies_are_pending_once_the_server_was_asked_for_them() {
    let alice = user("alice").with_policies(&["declared", "missing", "readonly", "there"]);
    let bob = user("bob").with_policies(&["missing-too"]);
    let mut index = index_of([alice.clone(), bob.clone(), policy("declared", "s3:GetObject")]);
    assert!(pending(&index, &alice).is_empty());
    let absent = |names: &[&str]| {
        let absent = names.iter().map(|name| policy_name(name)).collect();
        Event::Policies(ServerPolicies { absent, admin: BTreeSet::new() })
    };
    let dirty = index.apply(absent(&["missing", "declared", "readonly"]));
    assert_eq!(pending(&index, &alice), ["Policy missing PolicyNotFound"]);
    assert!(pending(&index, &bob).is_empty(), "nobody has looked for its policy");
    assert!(dirty.objects.contains(alice.key()) && !dirty.objects.contains(bob.key()));
    let dirty = index.apply(absent(&["missing-too"]));
    assert!(dirty.objects.contains(alice.key()) && dirty.objects.contains(bob.key()));
    assert!(pending(&index, &alice).is_empty());
}

#[test]
fn what_a_subject_refers_to_is_known_also_where_it_may_not_have_it() {
    let mut index = index_of([user("alice").with_policies(&["p1", "p2"]), group("kbase", &[], &[])]);
    let alice = Subject::User(name("alice"));
    let seen = ServerPolicies { absent: BTreeSet::new(), admin: [policy_name("p1")].into() };
    index.apply(Event::Policies(seen));
    assert_eq!(policies(&index, "alice"), ["group-policy-globalusers", "p2"]);
    assert_eq!(index.referred_policies(&alice), [policy_name("p1"), policy_name("p2")].into());
    put(&mut index, group("kbase", &[], &[]).with_policies(&["p3"]));
    assert_eq!(index.referred_policies(&Subject::Group(group_name("kbase"))), [policy_name("p3")].into());
    assert!(index.referred_policies(&Subject::Everyone).is_empty());
    assert!(index.referred_policies(&Subject::User(name("nobody"))).is_empty());
}

#[test]
fn a_policy_under_deletion_is_taken_off_its_users() {
    let mut index = index_of([user("alice").with_policies(&["p1"]), policy("p1", "s3:GetObject")]);
    let dirty = put(&mut index, policy("p1", "s3:GetObject").deleting());
    assert_eq!(urgencies(&dirty)["user alice"], Urgency::Revocation);
    assert_eq!(policies(&index, "alice"), ["group-policy-globalusers"]);
}

#[test]
fn a_refused_document_leaves_the_last_good_one() {
    let document = |index: &Index| match index.desired(&Subject::Policy(policy_name("p1")), NOW) {
        Desired::Policy(policy) => policy.document,
        other => panic!("{other:?}"),
    };
    let good = policy("p1", "s3:GetObject");
    let mut bad = good.clone();
    if let Ok(Body::Policy(policy)) = &mut bad.body {
        policy.document = Err(Invalid::new(StallReason::InvalidDocument, "Statement[0].Action: unknown"));
    }
    let mut index = index_of([good.clone()]);
    let before = document(&index);
    assert!(before.is_some());
    assert!(put(&mut index, bad.clone()).subjects.is_empty());
    assert_eq!(document(&index), before);
    assert_eq!(reason(&index, &bad), "InvalidDocument");
    put(&mut index, policy("p1", "admin:ServerInfo"));
    assert_eq!(document(&index), before, "a document with admin actions needs to be allowed");
    assert_eq!(reason(&index, &bad), "NotPermitted");
    put(&mut index, bad.with(|meta| meta.uid = "another".into()));
    assert_eq!(document(&index), None, "the document of another object does not count");
}

#[test]
fn deletion_follows_policy_and_origin() {
    let dying = |policy, origin| {
        let user = user("alice").with_user(|user| user.deletion = policy).with(|meta| meta.origin = origin);
        fate(&index_of([user.deleting()]), "alice")
    };
    assert_eq!(dying(None, Some(Origin::Created)), Fate::Deleted);
    assert_eq!(dying(None, Some(Origin::Adopted)), Fate::Untouched);
    assert_eq!(dying(Some(DeletionPolicy::Retain), Some(Origin::Created)), Fate::Untouched);
    assert_eq!(dying(Some(DeletionPolicy::Delete), Some(Origin::Adopted)), Fate::Deleted);
    let paused = user("alice").deleting().with(|meta| meta.paused = true);
    let index = index_of([paused.clone()]);
    assert_eq!(fate(&index, "alice"), Fate::Untouched);
}

#[test]
fn what_was_never_claimed_is_not_deleted_with_its_object() {
    let unclaimed = |object: Declared| object.with(|meta| (meta.origin, meta.finalizer) = (None, false)).deleting();
    let insisting = user("alice").with_user(|user| user.deletion = Some(DeletionPolicy::Delete));
    for object in [user("alice"), insisting] {
        assert_eq!(fate(&index_of([unclaimed(object)]), "alice"), Fate::Untouched, "the account is somebody else's");
    }
    let index = index_of([unclaimed(group("kbase", &[], &[]))]);
    assert_eq!(desired_group(&index, "kbase").fate, Fate::Untouched);

    let mut index = index_of([unclaimed(policy("p1", "s3:GetObject")), user("alice").with_policies(&["p1"])]);
    let Desired::Policy(p1) = index.desired(&Subject::Policy(policy_name("p1")), NOW) else { panic!() };
    assert_eq!(p1.fate, Fate::Untouched);
    assert_eq!(policies(&index, "alice"), ["group-policy-globalusers", "p1"], "nor is it taken off anybody");

    let paused = unclaimed(user("bob")).with(|meta| meta.paused = true);
    put(&mut index, paused.clone());
    index.compared();
    index.converged(&Subject::User(name("bob")), index.seq());
    assert!(verdict(&index, &paused).may_finish, "there is nothing for which a pause would have to end");
}

#[test]
fn deletion_finishes_when_the_subject_has_converged() {
    let mut index = index_of([user("alice")]);
    index.compared();
    let alice = Subject::User(name("alice"));
    index.converged(&alice, index.seq());
    let dying = user("alice").deleting();
    let dirty = put(&mut index, dying.clone());
    assert_eq!(urgencies(&dirty)["user alice"], Urgency::Revocation);
    assert!(!verdict(&index, &dying).may_finish);
    assert!(index.converged(&alice, dirty.seq - 1).is_empty(), "an older run does not count");
    assert!(!verdict(&index, &dying).may_finish);
    assert_eq!(index.converged(&alice, dirty.seq), [dying.key().clone()].into());
    assert!(verdict(&index, &dying).may_finish);
}

#[test]
fn a_paused_deletion_waits_and_a_retained_one_does_not() {
    let finished = |object: Declared| {
        let mut index = index_of([object.clone()]);
        index.compared();
        for subject in index.subjects() {
            index.converged(&subject, index.seq());
        }
        verdict(&index, &object).may_finish
    };
    let paused = user("alice").deleting().with(|meta| meta.paused = true);
    assert!(!finished(paused.clone()));
    assert!(finished(paused.with_user(|user| user.deletion = Some(DeletionPolicy::Retain))));
}

#[test]
fn grants_are_counted_at_the_user() {
    let index = index_of([
        user("alice"),
        share("a", "data/a", &[(to_user("alice"), until(READ, 3600))]),
        share("b", "data/a/b", &[(to_user("alice"), until(READ, 3600 * 48))]),
        share("c", "data/c", &[(to_user("alice"), until(READ, -5))]),
        share("d", "data/d", &[(to_group("kbase"), terms(READ))]),
    ]);
    let grants = verdict(&index, &user("alice")).user_grants.unwrap();
    assert_eq!((grants.active, grants.expiring), (2, 1));
    assert_eq!(verdict(&index, &user("alice")).next_expiry, Some(at(3600)));
}

#[test]
fn a_status_written_back_changes_nothing() {
    let mut index = index_of([user("alice"), group("kbase", &["alice"], &[])]);
    let echo = user("alice").with(|meta| (meta.observed, meta.settled, meta.incumbent) = (true, true, true));
    let dirty = put(&mut index, echo.clone());
    assert!(dirty.subjects.is_empty(), "{dirty:?}");
    assert!(put(&mut index, echo).is_empty());
}

#[test]
fn causes_are_what_changed_and_else_what_is_declared() {
    let granted = share("s", "data", &[(to_user("alice"), terms(READ))]);
    let mut index = index_of([user("alice"), granted.clone()]);
    let alice = Subject::User(name("alice"));
    index.converged(&alice, index.seq());
    let names =
        |index: &Index| index.causes(&alice).into_iter().map(|cause| cause.object.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&index), ["MinioUser lake/alice", "PathShare lake/s"]);
    remove(&mut index, &granted);
    assert_eq!(names(&index), ["PathShare lake/s"], "a deleted object is the cause of what it takes away");
    index.converged(&alice, index.seq());
    assert_eq!(names(&index), ["MinioUser lake/alice"]);
}
