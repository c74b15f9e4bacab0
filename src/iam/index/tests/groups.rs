//! Groups and their twins, members and memberships.

use super::*;
use crate::iam::desired::Fate;

fn members(index: &Index, group: &str) -> (Vec<String>, Vec<String>) {
    let desired = desired_group(index, group);
    let texts = |set: &BTreeSet<UserName>| set.iter().map(ToString::to_string).collect();
    (texts(&desired.main.members), texts(&desired.twin.members))
}

fn people() -> [Declared; 3] {
    [user("alice"), user("bob"), user("carol")]
}

fn rest(declared: Declared) -> Declared {
    declared.with(|meta| meta.rest = true)
}

#[test]
fn a_group_has_folders_members_and_a_reading_twin() {
    let mut index = index_of(people());
    put(&mut index, group("kbase", &["alice"], &["bob"]).with_policies(&["p1"]));
    let kbase = desired_group(&index, "kbase");
    assert_eq!(kbase.fate, Fate::Present);
    assert_eq!((names(&kbase.main.members), names(&kbase.twin.members)), (vec!["alice"], vec!["bob"]));
    assert_eq!(kbase.twin.group.as_str(), "kbase-ro");
    assert_eq!(kbase.main.family.workspace.get(&path("teams/kbase").scope()), Some(WRITE));
    assert_eq!(kbase.twin.family.workspace.get(&path("teams/kbase").scope()), Some(READ));
    assert_eq!(
        (kbase.main.policies.len(), kbase.twin.policies.len()),
        (1, 0),
        "policies are the group's, not the twin's"
    );
    assert!(!kbase.main.family.guard);
}

#[test]
fn members_come_and_go_with_their_users() {
    let kbase = group("kbase", &["alice", "dave"], &[]);
    let mut index = index_of([user("alice"), kbase.clone()]);
    assert_eq!(members(&index, "kbase").0, ["alice"]);
    assert_eq!(pending(&index, &kbase), ["User dave UserNotFound"]);
    assert_eq!(reason(&index, &kbase), "", "missing members do not make a group less ready");

    let dirty = put(&mut index, user("dave"));
    assert_eq!(urgencies(&dirty)["group kbase"], Urgency::Normal);
    assert_eq!(members(&index, "kbase").0, ["alice", "dave"]);

    let dirty = put(&mut index, user("dave").deleting());
    assert_eq!(urgencies(&dirty)["group kbase"], Urgency::Revocation);
    assert_eq!(members(&index, "kbase").0, ["alice"]);
    assert_eq!(index.dependents(&name("dave")), [group_name("kbase")].into());
}

#[test]
fn somebody_elses_account_is_no_member_until_it_is_claimed() {
    let unclaimed = |name: &str| user(name).with(|meta| meta.origin = None);
    let kbase = group("kbase", &["bob"], &[]);
    let more = membership("m1", "kbase", &[("carol", terms(READ))]);
    let mut index = index_of([unclaimed("bob"), unclaimed("carol"), kbase.clone(), more.clone()]);
    let subject = Subject::Group(group_name("kbase"));
    index.converged(&subject, index.seq());
    assert_eq!(members(&index, "kbase"), (vec![], vec![]));
    assert!(index.groups_of(&name("bob"), NOW).is_empty());
    assert_eq!((pending(&index, &kbase).len(), pending(&index, &more).len()), (0, 0), "the users are declared");
    assert_eq!(verdict(&index, &kbase).members, Some(Members { read_write: 0, read_only: 0 }));

    let dirty = put(&mut index, user("bob"));
    assert_eq!(urgencies(&dirty)["group kbase"], Urgency::Normal);
    assert_eq!(index.outstanding(kbase.key()), [subject.clone()].into(), "the group waits for its new member");
    let dirty = put(&mut index, user("carol").with(|meta| meta.origin = Some(Origin::Adopted)));
    assert_eq!(urgencies(&dirty)["group kbase"], Urgency::Normal);
    assert!(index.outstanding(more.key()).contains(&subject));
    assert_eq!(members(&index, "kbase"), (vec!["bob".into()], vec!["carol".into()]));

    let dirty = put(&mut index, unclaimed("bob"));
    assert_eq!(urgencies(&dirty)["group kbase"], Urgency::Revocation);
    assert_eq!(members(&index, "kbase"), (vec![], vec!["carol".into()]));

    let mut observing = Index::new(IndexConfig { origin_required: false, ..config() });
    put_all(&mut observing, [unclaimed("bob"), kbase]);
    assert_eq!(members(&observing, "kbase").0, ["bob"], "nobody writes origins");
}

#[test]
fn memberships_add_up_and_write_wins() {
    let kbase = group("kbase", &["alice"], &["alice", "bob"]);
    let more = membership("m1", "kbase", &[("bob", terms(WRITE)), ("carol", terms(READ))]);
    let mut index = index_of(people().into_iter().chain([kbase.clone(), more.clone()]));
    assert_eq!(members(&index, "kbase"), (vec!["alice".into(), "bob".into()], vec!["carol".into()]));
    let verdict = verdict(&index, &kbase);
    assert_eq!(verdict.notes, ["listed as members and as read-only members, and may write: alice, bob"]);
    assert_eq!(verdict.members, Some(Members { read_write: 2, read_only: 1 }));
    assert_eq!(counts(&index, &more), (2, 0, 0));
    let groups = index.groups_of(&name("bob"), NOW);
    let groups: Vec<String> = groups.iter().map(|(group, via)| format!("{group} {}", via.len())).collect();
    assert_eq!(groups, ["kbase 2"]);

    let dirty = put(&mut index, more.deleting());
    assert_eq!(urgencies(&dirty)["group kbase"], Urgency::Revocation);
    assert_eq!(
        members(&index, "kbase"),
        (vec!["alice".into()], vec!["bob".into()]),
        "a membership under deletion is gone"
    );
}

#[test]
fn memberships_wait_for_group_user_and_twin() {
    let early = membership("m", "kbase", &[("alice", terms(WRITE)), ("bob", terms(READ)), ("nobody", terms(WRITE))]);
    let mut index = index_of(people().into_iter().chain([early.clone()]));
    assert_eq!(counts(&index, &early), (0, 3, 0));
    assert_eq!(pending(&index, &early), ["Group kbase GroupNotFound"]);
    let dirty = put(&mut index, group("kbase", &[], &[]).with_group(|group| group.twin = false));
    assert!(dirty.objects.contains(early.key()));
    assert_eq!(pending(&index, &early), ["User bob TwinDisabled", "User nobody UserNotFound"]);
    assert_eq!(counts(&index, &early), (1, 2, 0));
    let desired = desired_group(&index, "kbase");
    assert!(!desired.twin.present && desired.twin.members.is_empty() && desired.twin.family.is_empty());
}

#[test]
fn memberships_end() {
    let summer = membership("m", "kbase", &[("alice", until(WRITE, 50)), ("bob", until(WRITE, -1))]);
    let mut index = index_of(people().into_iter().chain([group("kbase", &[], &[]), summer.clone()]));
    assert_eq!(members(&index, "kbase").0, ["alice"]);
    assert_eq!(counts(&index, &summer), (1, 0, 1));
    assert_eq!(verdict(&index, &summer).next_expiry, Some(at(50)));
    assert_eq!(index.next_expiry(NOW), Some(at(50)));
    index.tick(NOW);
    let dirty = index.tick(at(50));
    assert_eq!(urgencies(&dirty), [("group kbase".to_owned(), Urgency::Revocation)].into());
    assert!(
        matches!(index.desired(&Subject::Group(group_name("kbase")), at(50)), Desired::Group(group) if group.main.members.is_empty())
    );
}

#[test]
fn a_disabled_or_locked_group_gives_nothing_and_keeps_its_members() {
    let given = share("s", "data", &[(to_group("kbase"), terms(READ))]);
    for kbase in [
        group("kbase", &["alice"], &["bob"]).with_policies(&["p1"]).with_group(|group| group.enabled = false),
        group("kbase", &["alice"], &["bob"]).with_policies(&["p1"]).with(|meta| meta.lock = Some(String::new())),
    ] {
        let index = index_of(people().into_iter().chain([kbase.clone(), given.clone()]));
        let desired = desired_group(&index, "kbase");
        assert!(desired.main.family.is_empty() && desired.twin.family.is_empty() && desired.main.policies.is_empty());
        assert_eq!(members(&index, "kbase"), (vec!["alice".into()], vec!["bob".into()]));
        assert_eq!(desired.fate, Fate::Present);
        assert_eq!(counts(&index, &given), (1, 0, 0), "a grant to a disabled group is active");
        assert!(["Disabled", "Locked"].contains(&reason(&index, &kbase)));
    }
}

#[test]
fn a_twin_is_a_claim_and_a_group_holds_both_names_or_none() {
    let base = group("kbase", &[], &[]);
    let clash = group("kbase-ro", &["alice"], &[]).with(|meta| meta.created = at(-10));
    let third = group("kbase-ro-ro", &[], &[]).with(|meta| meta.created = at(-5));
    let mut index = index_of(people().into_iter().chain([clash.clone(), third.clone(), base.clone()]));
    assert_eq!((reason(&index, &base), reason(&index, &clash), reason(&index, &third)), ("", "Conflict", ""));
    let text = message(&index, &clash);
    assert!(text.contains("group kbase-ro is held by MinioGroup lake/kbase;"), "{text}");
    assert_eq!(desired_group(&index, "kbase-ro").fate, Fate::Untouched);
    assert_eq!(index.server_group(&ServerGroup::parse("kbase-ro").unwrap()), Some((&group_name("kbase"), true)));

    let dirty = remove(&mut index, &base);
    assert_eq!((reason(&index, &clash), reason(&index, &third)), ("", "Conflict"), "the chain shifts by one");
    assert!(message(&index, &third).contains("group kbase-ro-ro is held by MinioGroup lake/kbase-ro"));
    assert_eq!(desired_group(&index, "kbase-ro").fate, Fate::Present);
    assert_eq!(desired_group(&index, "kbase-ro-ro").fate, Fate::Untouched);
    for subject in ["group kbase", "group kbase-ro", "group kbase-ro-ro"] {
        assert!(urgencies(&dirty).contains_key(subject), "{subject}");
    }
}

#[test]
fn the_loser_of_a_twin_learns_which_name_it_lacks() {
    let older = group("kbase-ro", &[], &[]);
    let newer = group("kbase", &[], &[]).with(|meta| meta.created = at(-10));
    let index = index_of([older, newer.clone()]);
    let text = message(&index, &newer);
    assert!(text.starts_with("group kbase-ro (the read-only twin) is held by MinioGroup lake/kbase-ro;"), "{text}");
}

#[test]
fn a_new_group_does_not_get_the_members_that_rest_put_into_the_old_one() {
    let of_rest = rest(membership("rest-kbase", "kbase", &[("alice", terms(WRITE))]))
        .with(|meta| meta.bound_uid = Some("old".into()));
    let of_git = membership("git", "kbase", &[("bob", terms(WRITE))]).with(|meta| meta.bound_uid = Some("old".into()));
    let index = index_of(people().into_iter().chain([group("kbase", &[], &[]), of_rest.clone(), of_git.clone()]));
    assert_eq!(members(&index, "kbase").0, ["bob"]);
    assert_eq!(reason(&index, &of_rest), "Suspended");
    assert!(message(&index, &of_rest).contains("another group kbase exists now"));
    assert_eq!(verdict(&index, &of_rest).bound_uid.as_deref(), Some("old"));
    assert_eq!(verdict(&index, &of_git).bound_uid.as_deref(), Some("uid-kbase"));
}

#[test]
fn rest_goes_first() {
    let mut index = index_of(people().into_iter().chain([group("kbase", &[], &[])]));
    let dirty = put(&mut index, rest(membership("rest-kbase", "kbase", &[("alice", terms(WRITE))])));
    assert_eq!(urgencies(&dirty)["group kbase"], Urgency::Revocation);
}

#[test]
fn a_membership_needs_the_permission_for_its_group() {
    let rules = serde_saphyr::from_str("groups: ['spark-*']").unwrap();
    let mut index =
        Index::new(IndexConfig { namespaces: [(OTHER.to_owned(), rules)].into_iter().collect(), ..config() });
    let foreign = membership("m", "kbase", &[("alice", terms(WRITE))]).with(|meta| in_namespace(meta, OTHER));
    put_all(&mut index, people());
    put_all(&mut index, [group("kbase", &[], &[]), foreign.clone()]);
    assert_eq!(reason(&index, &foreign), "NotPermitted");
    assert!(members(&index, "kbase").0.is_empty());
}

#[test]
fn a_group_under_deletion_takes_its_memberships_and_grants_out_of_force() {
    let m = membership("m", "kbase", &[("alice", terms(WRITE))]);
    let s = share("s", "data", &[(to_group("kbase"), terms(READ))]);
    let mut index = index_of(people().into_iter().chain([group("kbase", &[], &[]), m.clone(), s.clone()]));
    put(&mut index, group("kbase", &[], &[]).deleting());
    assert_eq!(desired_group(&index, "kbase").fate, Fate::Deleted);
    assert_eq!(pending(&index, &m), ["Group kbase GroupNotFound"]);
    assert_eq!(pending(&index, &s), ["Group kbase GroupNotFound"]);
}

#[test]
fn a_twin_with_a_reserved_name_is_refused() {
    let spec: LayoutSpec = serde_saphyr::from_str(
        "{name: x, user: {home: [{bucket: lake, prefix: 'h/{user}'}]}, group: {twin: '{group}users'}}",
    )
    .unwrap();
    let layout = Layout::new(&spec, &BerdlParameters::default()).unwrap();
    let mut index = Index::new(IndexConfig::new(layout, HOME));
    let global = group("global", &[], &[]);
    put(&mut index, global.clone());
    assert_eq!(reason(&index, &global), "Reserved");
}

/// What the index says of one user and of one side must be what it says of whole groups.
fn assert_sides_agree(index: &Index, people: &[&str], groups: &[&str]) {
    for group in groups {
        let desired = desired_group(index, group);
        for side in [&desired.main, &desired.twin] {
            let family = index.side_family(&side.group, NOW);
            assert_eq!(family, side.present.then(|| side.family.clone()), "{}", side.group);
            for person in people {
                let listed = index.groups_of(&name(person), NOW).contains_key(&side.group);
                assert_eq!(listed, side.members.contains(&name(person)), "{person} in {}", side.group);
            }
        }
    }
}

#[test]
fn the_groups_of_a_user_are_those_that_have_it_as_a_member() {
    let (people, groups) = (["alice", "bob", "carol", "dave", "erin", "frank"], ["kbase", "lone", "gone", "off"]);
    let mut index = index_of(["alice", "bob", "carol", "dave"].map(user));
    put(&mut index, user("erin").with(|meta| meta.origin = None));
    put(&mut index, group("kbase", &["alice", "bob", "erin", "frank"], &["bob", "carol"]));
    put(&mut index, group("lone", &["alice"], &["bob"]).with_group(|group| group.twin = false));
    put(&mut index, group("gone", &["alice"], &["bob"]).deleting());
    put(&mut index, group("off", &["alice"], &["bob"]).with_group(|group| group.enabled = false));
    let listed = [("dave", terms(READ)), ("carol", terms(WRITE)), ("alice", until(WRITE, -1))];
    put(&mut index, membership("more", "kbase", &listed));
    put(&mut index, membership("more-lone", "lone", &[("carol", terms(READ)), ("dave", terms(WRITE))]));
    put(&mut index, membership("nowhere", "nothing", &[("alice", terms(WRITE))]));
    let loser = Declared { meta: meta(Kind::MinioGroup, "second"), ..group("kbase", &["dave"], &[]) };
    put(&mut index, loser.with(|meta| meta.created = at(-1)));
    put(
        &mut index,
        share("to-twin", "data/x", &[(to_group("kbase-ro"), terms(READ)), (to_group("lone"), terms(WRITE))]),
    );
    assert_sides_agree(&index, &people, &groups);

    let of = |person: &str| -> Vec<String> {
        let groups = index.groups_of(&name(person), NOW);
        let via = |keys: &BTreeSet<ObjectKey>| keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>().join("+");
        groups.iter().map(|(group, keys)| format!("{group} by {}", via(keys))).collect()
    };
    assert_eq!(of("alice"), ["kbase by kbase", "lone by lone", "off by off"]);
    assert_eq!(of("carol"), ["kbase by kbase+more"]);
    assert_eq!(of("dave"), ["kbase-ro by more", "lone by more-lone"]);
    assert_eq!((of("erin"), of("frank")), (vec![], vec![]));
}

#[test]
fn users_and_groups_are_listed_by_name_without_those_that_go() {
    let mut index = index_of([user("bob"), user("Zoe"), user("alice"), user("gone").deleting()]);
    put(&mut index, user("off").with_user(|user| user.enabled = Some(false)));
    put(&mut index, user("locked").with(|meta| meta.lock = Some("leak".to_owned())));
    put(&mut index, user("unclaimed").with(|meta| meta.origin = None));
    let users: Vec<&str> = index.users().map(|(_, user)| user.name.as_str()).collect();
    assert_eq!(users, ["Zoe", "alice", "bob", "locked", "off", "unclaimed"]);
    assert_eq!(index.enabled_users().map(UserName::as_str).collect::<Vec<_>>(), ["Zoe", "alice", "bob"]);

    put_all(&mut index, [group("kbase", &[], &[]), group("abc", &[], &[]), group("end", &[], &[]).deleting()]);
    assert_eq!(index.groups().map(|(_, group)| group.name.as_str()).collect::<Vec<_>>(), ["abc", "kbase"]);
}
