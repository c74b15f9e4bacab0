//! Timers, and the cost of large sets.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_grant_ends_at_its_instant() {
    let ending = share("s", "data", &[(to_user("bob"), until(READ, 100)), (to_user("carol"), until(READ, 200))]);
    let config = IndexConfig { expiry_warning: jiff::SignedDuration::from_secs(30), ..config() };
    let mut index = Index::new(config);
    put_all(&mut index, [user("bob"), user("carol"), ending.clone()]);
    index.tick(NOW);
    assert_eq!(index.next_expiry(NOW), Some(at(70)), "first the warning");

    let warned = index.tick(at(70));
    assert!(warned.subjects.is_empty() && warned.objects.contains(user("bob").key()));
    assert_eq!(index.outcome(user("bob").key(), at(70)).unwrap().user_grants.unwrap().expiring, 1);
    assert!(index.tick(at(99)).is_empty());
    assert_eq!(index.next_expiry(at(99)), Some(at(100)));

    let ended = index.tick(at(100));
    assert_eq!(urgencies(&ended), [("user bob".to_owned(), Urgency::Revocation)].into());
    assert!(ended.objects.contains(ending.key()));
    let verdict = index.outcome(ending.key(), at(100)).unwrap();
    assert_eq!((verdict.counts.active, verdict.counts.expired, verdict.next_expiry), (1, 1, Some(at(200))));
    assert_eq!(verdict.outstanding.len(), 2, "it waits until the end has reached the server");
    let Desired::User(bob) = index.desired(&Subject::User(name("bob")), at(100)) else { panic!() };
    assert!(bob.home.grants.is_empty());
}

#[test]
fn timers_go_with_their_objects() {
    let ending = share("s", "data", &[(to_user("bob"), until(READ, 100))]);
    let mut index = index_of([user("bob"), ending.clone()]);
    index.tick(NOW);
    put(&mut index, share("s", "data", &[(to_user("bob"), until(READ, 500))]));
    assert!(index.tick(at(100)).subjects.is_empty());
    remove(&mut index, &ending);
    assert_eq!(index.next_expiry(at(100)), None);
}

#[test]
fn ten_thousand_grants_to_one_user_are_quick() {
    let mut index = index_of([user("bob")]);
    let begin = Instant::now();
    for number in 0..10_000 {
        put(
            &mut index,
            share(&format!("s{number}"), &format!("data/{}/{number}", number % 100), &[(to_user("bob"), terms(READ))]),
        );
    }
    let filled = begin.elapsed();
    assert_eq!(desired_user(&index, "bob").home.grants.len(), 10_000);
    let compiled = begin.elapsed() - filled;
    assert!(filled < Duration::from_secs(10), "filling took {filled:?}");
    assert!(compiled < Duration::from_secs(2), "compiling took {compiled:?}");
}

#[test]
fn one_event_among_many_objects_is_quick() {
    let mut index = Index::new(config());
    for number in 0..5_000 {
        put(&mut index, user(&format!("user{number}")));
        put(
            &mut index,
            share(
                &format!("s{number}"),
                &format!("data/{number}"),
                &[(to_user(&format!("user{number}")), terms(READ))],
            ),
        );
    }
    let begin = Instant::now();
    for number in 0..1_000 {
        let dirty = put(
            &mut index,
            share(
                &format!("s{number}"),
                &format!("data/{number}"),
                &[(to_user(&format!("user{number}")), terms(WRITE))],
            ),
        );
        assert_eq!(dirty.subjects.len(), 1);
    }
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}
