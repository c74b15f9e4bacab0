//! Shares: owners, targets, quotas, cover, everyone.

use super::*;

fn everyone(index: &Index) -> Vec<String> {
    match index.desired(&Subject::Everyone, NOW) {
        Desired::Everyone(family) => {
            assert!(family.guard, "the everyone document always exists");
            shown(&family)
        }
        other => panic!("{other:?}"),
    }
}

fn bob() -> Target {
    to_user("bob")
}

fn exp1() -> Declared {
    share("exp1", "homes/alice/exp1", &[(bob(), terms(READ))]).owned_by("alice")
}

#[test]
fn grants_reach_users_groups_and_twins() {
    let given = share(
        "s",
        "data",
        &[(bob(), terms(READ)), (to_group("kbase"), terms(WRITE)), (to_group("kbase-ro"), terms(READ))],
    );
    let index = index_of([user("bob"), group("kbase", &[], &[]), given.clone()]);
    assert_eq!(grants_of(&index, "bob"), ["data Read"]);
    let kbase = desired_group(&index, "kbase");
    assert_eq!(shown(&kbase.main.family), ["data ReadWrite"]);
    assert_eq!(shown(&kbase.twin.family), ["data Read"]);
    assert_eq!(counts(&index, &given), (3, 0, 0));
}

#[test]
fn a_grant_to_the_group_does_not_reach_its_readers() {
    let index = index_of([group("kbase", &[], &[]), share("s", "data", &[(to_group("kbase"), terms(READ))])]);
    assert!(desired_group(&index, "kbase").twin.family.grants.is_empty());
}

#[test]
fn targets_that_are_missing_or_cannot_have_it_are_pending() {
    let off = group("off", &[], &[]).with_group(|group| group.twin = false);
    let given = share(
        "s",
        "data",
        &[
            (bob(), terms(READ)),
            (to_group("later"), terms(READ)),
            (to_group("kbase-ro"), terms(WRITE)),
            (to_group("off-ro"), terms(READ)),
            (Target::Impossible(crate::api::SubjectKind::User, "admin".into()), terms(READ)),
        ],
    );
    let mut index = index_of([group("kbase", &[], &[]), off, given.clone()]);
    assert_eq!(
        pending(&index, &given),
        [
            "User admin UserNotFound",
            "User bob UserNotFound",
            "Group kbase-ro ReadOnlyGroup",
            "Group later GroupNotFound",
            "Group off-ro TwinDisabled",
        ]
    );
    assert_eq!(counts(&index, &given), (0, 5, 0));
    assert_eq!(reason(&index, &given), "");

    let dirty = put(&mut index, user("bob"));
    assert!(dirty.objects.contains(given.key()), "the share becomes active by itself");
    assert_eq!(counts(&index, &given), (1, 4, 0));
    assert_eq!(verdict(&index, &given).outstanding, [Subject::User(name("bob"))].into());
    assert_eq!(grants_of(&index, "bob"), ["data Read"]);
}

#[test]
fn a_removed_grantee_is_dirty_and_the_share_waits_for_it() {
    let both = share("s", "data", &[(bob(), terms(READ)), (to_user("carol"), terms(READ))]);
    let one = share("s", "data", &[(to_user("carol"), terms(READ))]);
    let mut index = index_of([user("bob"), user("carol"), both]);
    for subject in index.subjects() {
        index.converged(&subject, index.seq());
    }
    let dirty = put(&mut index, one.clone());
    assert_eq!(urgencies(&dirty), [("user bob".to_owned(), Urgency::Revocation)].into());
    assert!(!verdict(&index, &one).is_settled());
    let settled = index.converged(&Subject::User(name("bob")), dirty.seq);
    assert!(settled.contains(one.key()) && verdict(&index, &one).is_settled());
}

#[test]
fn less_is_a_revocation_and_more_is_not() {
    let level = |access| share("s", "data", &[(bob(), access)]);
    let mut index = index_of([user("bob"), level(terms(READ))]);
    let urgency = |dirty: Dirty| urgencies(&dirty)["user bob"];
    assert_eq!(urgency(put(&mut index, level(terms(WRITE)))), Urgency::Normal);
    assert_eq!(urgency(put(&mut index, level(terms(READ)))), Urgency::Revocation);
    assert_eq!(urgency(put(&mut index, level(until(READ, 99)))), Urgency::Revocation);
    assert_eq!(urgency(put(&mut index, level(until(READ, 999)))), Urgency::Normal);
    assert_eq!(
        urgency(put(&mut index, level(until(READ, 999)).with_share(|share| share.suspended = true))),
        Urgency::Revocation
    );
}

#[test]
fn suspended_and_locked_shares_give_nothing() {
    let suspended = exp1().with_share(|share| (share.suspended, share.everyone) = (true, true));
    let locked = exp1().with(|meta| meta.lock = Some("leak".into()));
    for (object, expected) in [(suspended, "Suspended"), (locked, "Locked")] {
        let index = index_of([user("alice"), user("bob"), object.clone()]);
        assert_eq!(reason(&index, &object), expected);
        assert!(grants_of(&index, "bob").is_empty() && everyone(&index).is_empty());
        assert_eq!(counts(&index, &object), (0, 0, 0));
    }
}

#[test]
fn the_path_must_be_below_a_folder_of_the_owner() {
    let wrong = [
        share("s", "homes/alice2/x", &[]).owned_by("alice"),
        share("s", "homes", &[]).owned_by("alice"),
        share("s", "teams/alice/x", &[]).owned_by("alice"),
    ];
    for object in wrong {
        let index = index_of([user("alice"), object.clone()]);
        assert_eq!(reason(&index, &object), "OwnerMismatch");
        assert!(message(&index, &object).contains("s3a://lake/homes/alice/"), "{}", message(&index, &object));
    }
    let by_group = |key| share("s", key, &[]).with_share(|share| share.owner = Some(Owner::Group(group_name("kbase"))));
    let index = index_of([group("kbase", &[], &[]), by_group("teams/kbase/x")]);
    assert_eq!(reason(&index, &by_group("teams/kbase/x")), "");
    let index = index_of([group("kbase", &[], &[]), by_group("homes/kbase/x")]);
    assert_eq!(reason(&index, &by_group("homes/kbase/x")), "OwnerMismatch");
}

#[test]
fn an_owner_without_workspace_owns_nothing() {
    let mut index = index_of([user("alice"), user("bob"), exp1()]);
    assert_eq!(grants_of(&index, "bob"), ["homes/alice/exp1 Read"]);
    let dirty = put(&mut index, user("alice").with_user(|user| user.workspace = Workspace::None));
    assert_eq!(urgencies(&dirty)["user bob"], Urgency::Revocation);
    assert_eq!(reason(&index, &exp1()), "OwnerMismatch");
    assert!(grants_of(&index, "bob").is_empty());
}

#[test]
fn outside_the_home_namespace_owner_and_permission_are_required() {
    let rules = serde_saphyr::from_str("paths: ['s3a://lake/homes/alice/']").unwrap();
    let config = IndexConfig { namespaces: [(OTHER.to_owned(), rules)].into_iter().collect(), ..config() };
    let mut index = Index::new(config);
    let other = |object: Declared| object.with(|meta| in_namespace(meta, OTHER));
    put_all(&mut index, [user("alice"), user("bob")]);
    let owned = other(exp1());
    let without = other(share("t", "homes/alice/exp1", &[(bob(), terms(READ))]));
    let outside = other(share("u", "homes/bob/x", &[]).owned_by("bob"));
    put_all(&mut index, [owned.clone(), without.clone(), outside.clone()]);
    assert_eq!(reason(&index, &owned), "");
    assert_eq!(reason(&index, &without), "OwnerMismatch");
    assert_eq!(reason(&index, &outside), "NotPermitted");
}

#[test]
fn without_its_owner_a_share_waits_and_after_it_the_share_is_suspended() {
    let mut index = index_of([user("bob"), exp1()]);
    assert_eq!(reason(&index, &exp1()), "OwnerNotFound");
    assert!(grants_of(&index, "bob").is_empty());

    let dirty = put(&mut index, user("alice"));
    assert_eq!(urgencies(&dirty)["user bob"], Urgency::Normal);
    assert_eq!(grants_of(&index, "bob"), ["homes/alice/exp1 Read"]);
    assert_eq!(verdict(&index, &exp1()).bound_uid.as_deref(), Some("uid-alice"));
    let bound = exp1().with(|meta| meta.bound_uid = Some("uid-alice".into()));
    assert!(put(&mut index, bound.clone()).subjects.is_empty(), "the status of it changes nothing");

    let dirty = put(&mut index, user("alice").deleting());
    assert_eq!(urgencies(&dirty)["user bob"], Urgency::Revocation);
    assert_eq!(reason(&index, &bound), "Suspended");
    assert!(message(&index, &bound).contains("user alice, the owner of the path, was deleted"));

    remove(&mut index, &user("alice"));
    put(&mut index, user("alice").with(|meta| meta.uid = "uid-alice-the-second".into()));
    assert_eq!(reason(&index, &bound), "Suspended", "a new owner of the same name revives nothing");
    assert!(message(&index, &bound).contains("another user alice exists now"));
    assert!(grants_of(&index, "bob").is_empty());
    assert_eq!(verdict(&index, &bound).bound_uid.as_deref(), Some("uid-alice"));
}

#[test]
fn an_owner_replaced_between_two_lists_is_noticed() {
    let bound = exp1().with(|meta| meta.bound_uid = Some("uid-alice".into()));
    let mut index = index_of([user("alice"), user("bob"), bound.clone()]);
    let dirty = put(&mut index, user("alice").with(|meta| meta.uid = "uid-alice-the-second".into()));
    assert_eq!(urgencies(&dirty)["user bob"], Urgency::Revocation);
    assert_eq!(reason(&index, &bound), "Suspended");
}

#[test]
fn the_quota_cuts_the_newest_shares_first() {
    let of = |object: &str, created: i64, key: &str, targets: &[&str]| {
        let grants: Vec<_> = targets.iter().map(|target| (to_user(target), terms(READ))).collect();
        share(object, &format!("homes/alice/{key}"), &grants).owned_by("alice").with(|meta| meta.created = at(created))
    };
    let config = IndexConfig { grants_per_owner: 3, ..config() };
    let mut index = Index::new(config);
    put_all(&mut index, [user("alice"), user("bob"), user("carol"), user("dave")]);
    let old = of("z-old", -300, "old", &["bob", "carol"]);
    let new = of("a-new", -100, "new", &["bob", "carol"]);
    put_all(&mut index, [new.clone(), old.clone(), share("free", "data", &[(bob(), terms(READ))])]);
    assert_eq!(counts(&index, &old), (2, 0, 0));
    assert_eq!(pending(&index, &new), ["User carol QuotaExceeded"]);
    assert_eq!(grants_of(&index, "bob"), ["data Read", "homes/alice/new Read", "homes/alice/old Read"]);
    assert_eq!(grants_of(&index, "carol"), ["homes/alice/old Read"]);

    let dirty = put(&mut index, of("z-old", -300, "old", &["bob"]));
    assert!(dirty.subjects.contains_key(&Subject::User(name("carol"))));
    assert!(dirty.objects.contains(new.key()));
    assert_eq!(counts(&index, &new), (2, 0, 0));
    assert_eq!(grants_of(&index, "carol"), ["homes/alice/new Read"]);
}

#[test]
fn a_status_written_back_does_not_set_off_the_shares_of_an_owner_above_its_quota() {
    let mut index = Index::new(IndexConfig { grants_per_owner: 1, ..config() });
    put_all(&mut index, [user("alice"), user("bob"), user("carol")]);
    let of = |object: &str, created: i64, target: &str| {
        let share = share(object, &format!("homes/alice/{object}"), &[(to_user(target), terms(READ))]);
        share.owned_by("alice").with(|meta| meta.created = at(created))
    };
    let (old, new) = (of("old", -300, "bob"), of("new", -100, "carol"));
    put_all(&mut index, [old.clone(), new.clone()]);
    assert_eq!(pending(&index, &new), ["User carol QuotaExceeded"]);
    let echo = |share: &Declared| {
        share.clone().with(|meta| {
            (meta.observed, meta.settled) = (true, true);
            meta.bound_uid = Some("uid-alice".into());
        })
    };
    for share in [&old, &new] {
        let dirty = put(&mut index, echo(share));
        assert!(dirty.subjects.is_empty(), "{dirty:?}");
        assert_eq!(dirty.objects, [share.key().clone()].into());
    }

    let dirty = put(&mut index, echo(&old).with_share(|share| share.suspended = true));
    assert_eq!(urgencies(&dirty).keys().collect::<Vec<_>>(), ["user bob"], "what is suspended uses the quota");
    let ending = echo(&old).with_share(|share| share.grants = [(to_user("bob"), until(READ, 9))].into());
    let dirty = put(&mut index, ending);
    assert_eq!(urgencies(&dirty).keys().collect::<Vec<_>>(), ["user bob"], "the quota is free at the end");
    let dirty = put(&mut index, echo(&old).deleting());
    assert_eq!(urgencies(&dirty)["user carol"], Urgency::Normal, "there is room for more");
    assert_eq!(grants_of(&index, "carol"), ["homes/alice/new Read"]);
}

#[test]
fn expired_grants_do_not_use_up_the_quota() {
    let mut index = Index::new(IndexConfig { grants_per_owner: 1, ..config() });
    put_all(&mut index, [user("alice"), user("bob"), user("carol")]);
    let first = share("a", "homes/alice/a", &[(bob(), until(READ, 50))]).owned_by("alice");
    let second = share("b", "homes/alice/b", &[(to_user("carol"), terms(READ))]).owned_by("alice");
    put_all(&mut index, [first.clone(), second.clone()]);
    assert_eq!(pending(&index, &second), ["User carol QuotaExceeded"]);
    index.tick(NOW);
    let dirty = index.tick(at(50));
    assert!(dirty.subjects.contains_key(&Subject::User(name("carol"))));
    assert_eq!(index.outcome(second.key(), at(50)).unwrap().counts.active, 1);
}

#[test]
fn covered_grants_count_and_come_back() {
    let wide = share("wide", "data", &[(bob(), terms(WRITE))]);
    let narrow = share("narrow", "data/a", &[(bob(), terms(READ))]);
    let own = share("own", "homes/bob/x", &[(bob(), terms(READ))]);
    let mut index = index_of([user("bob"), wide.clone(), narrow.clone(), own.clone()]);
    assert_eq!(grants_of(&index, "bob"), ["data ReadWrite"]);
    assert_eq!((counts(&index, &narrow), counts(&index, &own)), ((1, 0, 0), (1, 0, 0)));
    remove(&mut index, &wide);
    assert_eq!(grants_of(&index, "bob"), ["data/a Read"]);
}

#[test]
fn two_shares_of_one_path_add_up() {
    let index = index_of([
        user("bob"),
        share("a", "data", &[(bob(), terms(READ))]),
        share("b", "data", &[(bob(), terms(WRITE))]),
    ]);
    assert_eq!(grants_of(&index, "bob"), ["data ReadWrite"]);
}

#[test]
fn everyone_reads_what_is_shared_with_everyone() {
    let public =
        exp1().with_share(|share| (share.everyone, share.grants) = (true, crate::iam::sorted::SortedMap::default()));
    let mut index = index_of([user("alice"), public.clone()]);
    assert_eq!(everyone(&index), ["homes/alice/exp1 Read"]);
    assert_eq!(counts(&index, &public), (0, 0, 0), "everyone is not counted");
    let dirty = put(&mut index, exp1());
    assert_eq!(urgencies(&dirty)["everyone"], Urgency::Revocation);
    assert!(everyone(&index).is_empty());
}

#[test]
fn everyone_has_the_folders_of_the_layout() {
    let berdl = Layout::new(&LayoutSpec::Berdl, &BerdlParameters::default()).unwrap();
    let mut index = Index::new(IndexConfig::new(berdl, HOME));
    put(&mut index, user("alice"));
    let Desired::Everyone(family) = index.desired(&Subject::Everyone, NOW) else { panic!() };
    assert_eq!(family.workspace.len(), 3);
    let alice = desired_user(&index, "alice");
    assert_eq!((alice.home.workspace.len(), alice.system.workspace.len()), (3, 3));
}

#[test]
fn a_share_under_deletion_is_gone_at_once_and_finishes_when_revoked() {
    let mut index = index_of([user("alice"), user("bob"), exp1()]);
    index.compared();
    let dying = exp1().deleting();
    let dirty = put(&mut index, dying.clone());
    assert!(grants_of(&index, "bob").is_empty());
    assert!(!verdict(&index, &dying).may_finish);
    index.converged(&Subject::User(name("bob")), dirty.seq);
    assert!(verdict(&index, &dying).may_finish);
}

#[test]
fn after_a_start_former_versions_are_unknown_until_all_was_compared() {
    let changed = exp1().with(|meta| (meta.generation, meta.observed) = (2, true));
    let ready = share("ready", "data", &[]).with(|meta| (meta.observed, meta.settled) = (true, true));
    let fresh = share("fresh", "data/x", &[]);
    let dying = share("dying", "data/y", &[]).deleting().with(|meta| (meta.observed, meta.settled) = (true, true));
    let mut index = index_of([changed.clone(), ready.clone(), fresh.clone(), dying.clone()]);
    let settled = |index: &Index, object: &Declared| verdict(index, object).is_settled();
    assert!(!settled(&index, &changed) && settled(&index, &ready) && settled(&index, &fresh));
    assert!(!verdict(&index, &dying).may_finish, "nothing is left that says what it gave");
    let waited = index.compared();
    assert_eq!(waited, [changed.key().clone(), dying.key().clone()].into());
    assert!(settled(&index, &changed) && verdict(&index, &dying).may_finish);
}

#[test]
fn an_unreadable_version_keeps_the_last_one_and_an_unknown_object_only_widens() {
    let mut index = index_of([user("alice"), user("bob"), exp1()]);
    let bob = Subject::User(name("bob"));
    break_off(&mut index, &exp1());
    assert_eq!(grants_of(&index, "bob"), ["homes/alice/exp1 Read"]);
    assert_eq!(verdict(&index, &exp1()).undecodable.as_deref(), Some("unknown field"));
    assert!(!index.widen_only(&bob));

    let unknown = share("unknown", "data", &[]);
    break_off(&mut index, &unknown);
    assert!(index.widen_only(&bob) && index.widen_only(&Subject::Everyone));
    assert!(!index.widen_only(&Subject::Policy(policy_name("p1"))));
    assert_eq!(index.undecodable().len(), 2);
    let dirty = put(&mut index, unknown);
    assert!(!index.widen_only(&bob) && dirty.subjects.contains_key(&bob), "what was held back is due now");

    let seen = index.apply(Event::Relist {
        kind: Kind::PathShare,
        namespace: HOME.into(),
        objects: vec![],
        undecodable: vec![broken(&exp1())],
    });
    assert!(seen.objects.contains(exp1().key()));
    assert_eq!(grants_of(&index, "bob"), ["homes/alice/exp1 Read"], "unreadable is not gone");
    let seen = index.apply(Event::Relist {
        kind: Kind::PathShare,
        namespace: HOME.into(),
        objects: vec![],
        undecodable: vec![],
    });
    assert_eq!(urgencies(&seen)["user bob"], Urgency::Revocation);
    assert!(grants_of(&index, "bob").is_empty() && index.undecodable().is_empty());
}

#[test]
fn an_unreadable_share_under_deletion_is_gone_all_the_same() {
    let mut index = index_of([user("alice"), user("bob"), exp1()]);
    index.compared();
    let bob = Subject::User(name("bob"));
    index.converged(&bob, index.seq());
    break_off(&mut index, &exp1());
    let dying = exp1().deleting().with(|meta| meta.force_delete = true);
    let dirty = break_off(&mut index, &dying);
    assert_eq!(urgencies(&dirty)["user bob"], Urgency::Revocation);
    assert!(grants_of(&index, "bob").is_empty());
    assert_eq!(verdict(&index, &dying).standing, Standing::Deleting);
    assert!(index.get(dying.key()).unwrap().meta.force_delete && !verdict(&index, &dying).may_finish);
    index.converged(&bob, dirty.seq);
    assert!(verdict(&index, &dying).may_finish);
    assert!(break_off(&mut index, &dying).subjects.is_empty(), "nothing new");
}

#[test]
fn an_unreadable_share_can_be_locked_and_speaks_for_no_other_of_its_name() {
    let mut index = index_of([user("alice"), user("bob"), exp1()]);
    let dirty = break_off(&mut index, &exp1().with(|meta| meta.lock = Some("leak".to_owned())));
    assert_eq!(urgencies(&dirty)["user bob"], Urgency::Revocation);
    assert_eq!(reason(&index, &exp1()), "Locked");

    put(&mut index, exp1());
    let dirty = break_off(&mut index, &exp1().with(|meta| meta.uid = "uid-another".into()));
    assert_eq!(urgencies(&dirty)["user bob"], Urgency::Revocation);
    assert!(grants_of(&index, "bob").is_empty(), "the share that could be read is gone");
    assert!(index.widen_only(&Subject::User(name("bob"))), "and nobody knows what the other gives");
}

#[test]
fn an_object_that_was_never_readable_holds_nothing_back_under_deletion() {
    let mut index = index_of([user("bob")]);
    let bob = Subject::User(name("bob"));
    let unknown = share("unknown", "data", &[]);
    break_off(&mut index, &unknown);
    assert!(index.widen_only(&bob) && !index.may_finish_unread(unknown.key()));
    let dying = unknown.deleting();
    let dirty = break_off(&mut index, &dying);
    assert!(!index.widen_only(&bob) && dirty.subjects.contains_key(&bob), "what was held back is due now");
    index.compared();
    assert!(!index.may_finish_unread(dying.key()), "what it gave may be in force");
    for subject in dirty.subjects.keys() {
        index.converged(subject, dirty.seq);
    }
    assert!(index.may_finish_unread(dying.key()));
    assert!(remove(&mut index, &dying).subjects.is_empty(), "that was seen to");

    let mut started = index_of([user("bob")]);
    break_off(&mut started, &dying);
    assert!(!started.widen_only(&bob) && !started.may_finish_unread(dying.key()));
    started.compared();
    assert!(started.may_finish_unread(dying.key()));
}

#[test]
fn questions_about_shares_are_answered() {
    let index = index_of([
        user("alice"),
        user("bob"),
        exp1(),
        exp1()
            .with(|meta| meta.key = ObjectKey::new(Kind::PathShare, HOME, "public"))
            .with_share(|share| share.everyone = true),
    ]);
    assert_eq!(index.shares_of(&Owner::User(name("alice"))).count(), 2);
    assert_eq!(index.grants_to(&bob(), NOW).count(), 2);
    assert_eq!(index.shares_for_everyone().count(), 1);
    assert_eq!(index.objects_of(Kind::PathShare).count(), 2);
    assert_eq!(index.objects_of(Kind::MinioPolicy).count(), 0);
    assert!(index.may_hold_key(HOME, &name("bob")) && !index.may_hold_key(OTHER, &name("bob")));
}

#[test]
fn what_ends_after_the_clock_was_set_back_ends_all_the_same() {
    let mut index = Index::new(config());
    put_all(&mut index, [user("alice"), user("bob")]);
    index.tick(at(100));
    put(&mut index, share("late", "homes/alice/late", &[(to_user("bob"), until(READ, 50))]));
    assert!(index.tick(at(10)).is_empty(), "the clock was wrong, nothing ends");
    assert_eq!(index.next_expiry(at(10)), Some(at(50)));
    assert!(index.tick(at(50)).subjects.contains_key(&Subject::User(name("bob"))));
}

#[test]
fn what_is_on_its_way_out_is_known_until_it_is_gone() {
    let leaving = |index: &Index| index.leaving().map(|declared| declared.key().clone()).collect::<Vec<_>>();
    let mut index = index_of([user("alice"), exp1()]);
    assert_eq!(leaving(&index), []);
    put(&mut index, exp1().deleting());
    assert_eq!(leaving(&index), [exp1().key().clone()]);
    assert!(index.shares_within(&path("homes/alice")).next().is_none());
    index.apply(Event::Delete(exp1().key().clone()));
    assert_eq!(leaving(&index), []);
    put(&mut index, exp1().deleting());
    put(&mut index, exp1());
    assert_eq!(leaving(&index), [], "another object of the name is there to stay");
}
