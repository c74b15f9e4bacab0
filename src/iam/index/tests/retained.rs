//! Objects that go because of their CRD, or because somebody insists.

use super::*;
use crate::iam::desired::Fate;

/// All subjects have been compared with the server, with everything that was applied.
fn settle(index: &mut Index) {
    for subject in index.subjects() {
        index.converged(&subject, index.seq());
    }
    index.compared();
}

fn subject_of(user: &str) -> Subject {
    Subject::User(name(user))
}

#[test]
fn a_kind_that_goes_takes_nothing_along() {
    let exp = share("exp", "homes/alice/exp", &[(to_user("bob"), terms(READ))]);
    let mut index = index_of([user("alice"), user("bob"), exp.clone()]);
    settle(&mut index);
    let (dirty, is_news) = index.retain_kind(Kind::PathShare);
    assert!(is_news && dirty.subjects.is_empty() && dirty.objects.contains(exp.key()));
    assert!(!index.retain_kind(Kind::PathShare).1);
    let everyone = [Subject::Everyone, subject_of("bob"), Subject::Group(group_name("team"))];
    assert!(everyone.iter().all(|subject| index.widen_only(subject)));
    assert!(!index.widen_only(&Subject::Policy(policy_name("rule"))), "no share could touch it");

    put(&mut index, exp.clone().deleting());
    assert!(verdict(&index, &exp).may_finish, "what bob keeps must not hold it up");
    remove(&mut index, &exp);
    // An object that is seen meanwhile goes as well.
    let late = share("late", "homes/alice/late", &[(to_user("bob"), terms(READ))]);
    put(&mut index, late.clone().deleting());
    assert!(verdict(&index, &late).may_finish);
    // Who waits for bob is told why that does not end.
    put(&mut index, user("bob").deleting());
    assert_eq!(verdict(&index, &user("bob")).missing_kinds, [Kind::PathShare]);
    assert!(!verdict(&index, &user("bob")).may_finish);

    let dirty = index.kind_is_back(Kind::PathShare);
    assert!(urgencies(&dirty).contains_key("user bob") && urgencies(&dirty).contains_key("everyone"));
    assert!(!index.widen_only(&subject_of("bob")));
    settle(&mut index);
    assert!(verdict(&index, &user("bob")).may_finish);
}

#[test]
fn what_has_a_name_stays_when_its_kind_goes_and_waits_for_the_end_of_its_keys() {
    let fate = |index: &Index| index.desired(&subject_of("alice"), NOW).fate();
    let mut index = index_of([user("alice"), group("team", &["alice"], &[])]);
    settle(&mut index);
    put(&mut index, user("alice").deleting());
    assert_eq!(fate(&index), Fate::Deleted);
    let (dirty, _) = index.retain_kind(Kind::MinioUser);
    assert!(urgencies(&dirty).contains_key("user alice"));
    assert_eq!(fate(&index), Fate::Untouched);
    assert_eq!(verdict(&index, &user("alice")).outstanding, BTreeSet::from([subject_of("alice")]));
    index.converged(&subject_of("alice"), index.seq());
    assert!(verdict(&index, &user("alice")).may_finish, "the team is not waited for");
    index.kind_is_back(Kind::MinioUser);
    assert_eq!(fate(&index), Fate::Deleted);
    assert!(!verdict(&index, &user("alice")).may_finish, "now it is to be taken away");
    settle(&mut index);
    assert!(verdict(&index, &user("alice")).may_finish);
}

#[test]
fn who_insists_lets_go_of_what_has_a_name() {
    let insists = user("alice").deleting().with(|meta| meta.force_delete = true);
    let index = index_of([insists]);
    assert_eq!(index.desired(&subject_of("alice"), NOW).fate(), Fate::Untouched);
    let here = user("bob").with(|meta| meta.force_delete = true);
    let index = index_of([here]);
    assert_eq!(index.desired(&subject_of("bob"), NOW).fate(), Fate::Present, "nobody deletes it");
}
