//! Owners above their quota: which grants give way, and that a change costs what it changes.

use super::*;

const QUOTA: usize = 10;
const SHARES: i64 = 200;

/// A share of alice's folder with one user of its own.
fn share_of_age(number: i64, age: i64) -> Declared {
    let share = share(
        &format!("s{number:03}"),
        &format!("homes/alice/{number}"),
        &[(to_user(&format!("u{number:03}")), terms(READ))],
    );
    share.owned_by("alice").with(|meta| meta.created = at(-age))
}

/// Alice, all whom she shares with, and a quota.
fn index_without_shares() -> Index {
    let mut index = Index::new(IndexConfig { grants_per_owner: QUOTA, ..config() });
    put(&mut index, user("alice"));
    put_all(&mut index, (0..SHARES).map(|number| user(&format!("u{number:03}"))));
    index
}

#[test]
fn a_share_more_or_less_touches_itself_and_what_crosses_the_quota() {
    for age in [|number: i64| number + 1, |number| SHARES - number, |number| number * 77 % SHARES + 1] {
        let mut index = index_without_shares();
        let shares: Vec<Declared> = (0..SHARES).map(|number| share_of_age(number, age(number))).collect();
        let mut most = 0;
        let mut events: Vec<Dirty> = shares.iter().cloned().map(|share| put(&mut index, share)).collect();
        events.extend(shares.iter().map(|share| remove(&mut index, share)));
        for dirty in events {
            most = most.max(dirty.subjects.len());
            // The two shares, and the two users that they name.
            assert!(dirty.subjects.len() <= 2 && dirty.objects.len() <= 4, "{} {dirty:?}", dirty.objects.len());
        }
        assert!(most >= 1);
    }
}

#[test]
fn a_relist_touches_nothing_that_stays_as_it_was() {
    let mut index = index_without_shares();
    let mut shares: Vec<Declared> = (0..SHARES).map(|number| share_of_age(number, number + 1)).collect();
    let list = |index: &mut Index, objects: &[Declared]| {
        let objects = objects.to_vec();
        index.apply(Event::Relist { kind: Kind::PathShare, namespace: HOME.to_owned(), objects, undecodable: vec![] })
    };
    assert_eq!(list(&mut index, &shares).objects.len(), 2 * shares.len());
    assert!(list(&mut index, &shares).is_empty());
    shares.pop();
    let dirty = list(&mut index, &shares);
    let [last, next] =
        [SHARES - 1, SHARES - 1 - i64::try_from(QUOTA).unwrap()].map(|number| format!("user u{number:03}"));
    assert_eq!(urgencies(&dirty), [(last, Urgency::Revocation), (next, Urgency::Normal)].into());
}

#[test]
fn a_grant_that_gives_way_to_an_older_one_is_taken_away_first() {
    let mut index = index_without_shares();
    let quota = i64::try_from(QUOTA).unwrap();
    put_all(&mut index, (0..quota).map(|number| share_of_age(number, 100 - number)));
    let dirty = put(&mut index, share_of_age(quota, 500));
    let [new, last] = [quota, quota - 1].map(|number| format!("user u{number:03}"));
    assert_eq!(urgencies(&dirty), [(new, Urgency::Normal), (last, Urgency::Revocation)].into());
    let late = share_of_age(quota + 1, 0);
    assert_eq!(put(&mut index, late.clone()).subjects.into_values().collect::<Vec<_>>(), [Urgency::Normal]);
    assert_eq!(pending(&index, &late), [format!("User u{:03} QuotaExceeded", quota + 1)]);
}

#[test]
fn what_ends_frees_the_quota_and_takes_it_again_when_the_clock_is_set_back() {
    let mut index = Index::new(IndexConfig { grants_per_owner: 1, ..config() });
    put_all(&mut index, [user("alice"), user("bob"), user("carol"), user("dave")]);
    let of = |object: &str, target: &str, terms: Terms| {
        share(object, &format!("homes/alice/{object}"), &[(to_user(target), terms)]).owned_by("alice")
    };
    let (first, second, third) =
        (of("a", "bob", until(READ, 50)), of("b", "carol", until(READ, 60)), of("c", "dave", terms(READ)));
    index.tick(NOW);
    put_all(&mut index, [first.clone(), second.clone(), third.clone()]);
    let active = |index: &Index, second_of_time: i64| {
        let count = |share: &Declared| index.outcome(share.key(), at(second_of_time)).unwrap().counts.active;
        [&first, &second, &third].map(count)
    };
    assert_eq!(active(&index, 0), [1, 0, 0]);
    let both_end = index.clone().tick(at(60));
    assert_eq!(urgencies(&both_end)["user dave"], Urgency::Normal);
    assert_eq!(urgencies(&index.tick(at(50)))["user carol"], Urgency::Normal);
    assert_eq!(active(&index, 50), [0, 1, 0]);
    assert!(urgencies(&index.tick(at(60))).contains_key("user dave"));
    assert_eq!(active(&index, 60), [0, 0, 1]);
    assert_eq!(urgencies(&index.tick(at(55)))["user dave"], Urgency::Revocation, "the clock is set back");
    assert_eq!(active(&index, 55), [0, 1, 0]);
    index.tick(at(40));
    assert_eq!(active(&index, 40), [1, 0, 0]);
    index.tick(at(70));
    assert_eq!(active(&index, 70), [0, 0, 1]);
    put(&mut index, of("0", "bob", until(READ, 65)));
    assert_eq!(active(&index, 70), [0, 0, 1], "what has ended when it comes uses nothing");
}

#[test]
fn a_grant_more_may_push_out_one_of_the_same_share() {
    let mut index = Index::new(IndexConfig { grants_per_owner: 2, ..config() });
    put_all(&mut index, ["alice", "bob", "carol", "dave"].map(user));
    let of = |targets: &[&str]| {
        let grants: Vec<_> = targets.iter().map(|target| (to_user(target), terms(READ))).collect();
        share("a", "homes/alice/a", &grants).owned_by("alice")
    };
    put(&mut index, of(&["carol", "dave"]));
    let dirty = put(&mut index, of(&["bob", "carol", "dave"]));
    let expected = [("user bob", Urgency::Normal), ("user dave", Urgency::Revocation)];
    assert_eq!(urgencies(&dirty), expected.map(|(subject, urgency)| (subject.to_owned(), urgency)).into());
    assert_eq!(pending(&index, &of(&[])), ["User dave QuotaExceeded"]);
}

#[test]
fn a_share_made_anew_under_its_name_goes_to_the_end_of_the_line() {
    let mut index = Index::new(IndexConfig { grants_per_owner: 1, ..config() });
    put_all(&mut index, ["alice", "bob", "carol"].map(user));
    let of = |object: &str, target: &str, created: i64| {
        let share = share(object, &format!("homes/alice/{object}"), &[(to_user(target), terms(READ))]);
        share
            .owned_by("alice")
            .with(|meta| (meta.created, meta.uid) = (at(created), format!("{object}{created}").into()))
    };
    put_all(&mut index, [of("a", "bob", -30), of("b", "carol", -20)]);
    let dirty = put(&mut index, of("a", "bob", -10));
    let expected = [("user bob", Urgency::Revocation), ("user carol", Urgency::Normal)];
    assert_eq!(urgencies(&dirty), expected.map(|(subject, urgency)| (subject.to_owned(), urgency)).into());
}
