use proptest::prelude::*;

use super::*;
use crate::iam::names::UserName;

const LIMIT: LargeChangeLimit = LargeChangeLimit::AtLeast { removals: 3, percent: 10 };
const MINUTE: Duration = Duration::from_secs(60);

fn name(number: usize) -> UserName {
    UserName::parse(&format!("user{number}")).unwrap()
}

fn subject(number: usize) -> Subject {
    Subject::User(name(number))
}

/// The loss of the user of this number: its account.
fn one(number: usize) -> BTreeSet<Loss> {
    BTreeSet::from([Loss::User(name(number))])
}

fn many(numbers: std::ops::Range<usize>) -> BTreeSet<Loss> {
    numbers.flat_map(one).collect()
}

fn breaker() -> Breaker {
    Breaker::new(LIMIT, 1)
}

/// Whether the loss of its account may go.
fn goes(breaker: &mut Breaker, number: usize, now: Instant) -> bool {
    breaker.judge(&subject(number), one(number), now).is_empty()
}

/// What is shown once nothing changes any more.
fn shown(breaker: &mut Breaker) -> Notice {
    breaker.publish();
    breaker.publish().cloned().expect("something is held")
}

#[test]
fn the_limit_is_the_larger_of_both() {
    let limit = LargeChangeLimit::AtLeast { removals: 20, percent: 10 };
    assert_eq!([limit.allowed(0), limit.allowed(200), limit.allowed(1000)], [Some(20), Some(20), Some(100)]);
    assert_eq!(LargeChangeLimit::Off.allowed(5), None);
}

#[test]
fn what_goes_beyond_the_limit_waits_and_all_that_follows() {
    let (mut breaker, now) = (breaker(), Instant::now());
    assert!((0..3).all(|number| goes(&mut breaker, number, now)));
    assert!(!goes(&mut breaker, 3, now));
    // Time alone releases nothing, and makes no room for others either.
    let later = now + 100 * MINUTE;
    assert!(!goes(&mut breaker, 3, later) && !goes(&mut breaker, 4, later));
    let notice = shown(&mut breaker);
    assert_eq!(
        (notice.removals, notice.sample),
        (2, vec!["user user3 is deleted".into(), "user user4 is deleted".into()])
    );
}

#[test]
fn a_plan_goes_as_a_whole_or_not_at_all() {
    let (mut breaker, now) = (breaker(), Instant::now());
    assert_eq!(breaker.judge(&subject(0), many(0..4), now), many(0..4));
    // The objects ask for less: still held, until they ask for nothing.
    assert_eq!(breaker.judge(&subject(0), many(0..1), now), many(0..1));
    assert_eq!(breaker.judge(&subject(0), BTreeSet::new(), now), BTreeSet::new());
    assert_eq!(breaker.publish(), None);
    assert!(goes(&mut breaker, 1, now));
}

#[test]
fn removals_count_for_ten_minutes() {
    let (mut breaker, now) = (breaker(), Instant::now());
    for number in 0..30 {
        assert!(goes(&mut breaker, number, now + MINUTE * 4 * u32::try_from(number).unwrap()), "{number}");
    }
}

#[test]
fn a_removal_that_is_tried_again_counts_once() {
    let (mut breaker, now) = (breaker(), Instant::now());
    for _ in 0..10 {
        assert!(goes(&mut breaker, 0, now) && goes(&mut breaker, 1, now));
    }
    breaker.carried_out(&subject(0), &one(0));
    assert!(goes(&mut breaker, 2, now) && !goes(&mut breaker, 3, now));
    // What was let go before something was held is finished; what was finished is not begun again.
    assert!(goes(&mut breaker, 1, now) && !goes(&mut breaker, 0, now));
}

#[test]
fn a_tenth_of_what_was_in_force_ten_minutes_ago_may_go() {
    let (mut breaker, now) = (breaker(), Instant::now());
    breaker.sample(now, || 100);
    for minute in 1..15 {
        breaker.sample(now + MINUTE * minute, || 20);
    }
    // At the eleventh minute that of the first has been forgotten.
    let at = now + MINUTE * 14;
    assert_eq!(breaker.judge(&subject(0), many(0..4), at), many(0..4));
    let mut fresh = self::breaker();
    fresh.sample(now, || 91);
    assert_eq!(fresh.judge(&subject(0), many(0..10), now), BTreeSet::new(), "with the nine that go it was a hundred");
    assert!(!goes(&mut fresh, 10, now));
}

#[test]
fn an_acknowledgement_releases_exactly_what_was_shown() {
    let (mut breaker, now) = (breaker(), Instant::now());
    breaker.judge(&subject(0), many(0..4), now);
    let first = shown(&mut breaker);
    breaker.judge(&subject(9), one(9), now);
    assert_eq!(breaker.acknowledge("00000001-0000000000000000"), BTreeSet::new());
    assert_eq!(breaker.acknowledge(&first.hash), BTreeSet::from([subject(0)]), "what came since is not among it");
    assert_eq!(breaker.judge(&subject(0), many(0..5), now), one(4), "of what was named nothing waits, all else does");
    assert!(!goes(&mut breaker, 9, now));
    let second = shown(&mut breaker);
    assert_eq!(breaker.acknowledge(&first.hash), BTreeSet::new());
    assert_eq!(breaker.acknowledge(&second.hash), BTreeSet::from([subject(0), subject(9)]));
    assert!(breaker.judge(&subject(0), many(0..5), now).is_empty() && goes(&mut breaker, 9, now));
    breaker.settled(&subject(0));
    // The same once more is another change.
    assert_eq!(breaker.judge(&subject(0), many(0..5), now), many(0..5));
    let third = shown(&mut breaker);
    assert!(third.hash != first.hash && third.hash != second.hash);
    assert_eq!(breaker.acknowledge(&second.hash), BTreeSet::new());
}

#[test]
fn what_was_taken_back_before_the_acknowledgement_is_not_released() {
    let (mut breaker, now) = (breaker(), Instant::now());
    breaker.judge(&subject(0), many(0..4), now);
    breaker.judge(&subject(9), one(9), now);
    let notice = shown(&mut breaker);
    breaker.settled(&subject(9));
    breaker.acknowledge(&notice.hash);
    breaker.judge(&subject(5), many(20..30), now);
    assert!(!goes(&mut breaker, 9, now));
}

#[test]
fn what_grows_is_shown_when_it_has_come_to_rest() {
    let (mut breaker, now) = (breaker(), Instant::now());
    breaker.judge(&subject(0), many(0..4), now);
    assert_eq!(breaker.publish().map(|notice| notice.removals), Some(4));
    breaker.judge(&subject(5), one(5), now);
    assert_eq!(breaker.publish().map(|notice| notice.removals), Some(4));
    assert_eq!(breaker.publish().map(|notice| notice.removals), Some(5));
}

#[test]
fn a_comparison_is_judged_as_a_whole() {
    let now = Instant::now();
    let subjects = |count: usize| (0..count).map(subject).collect::<BTreeSet<_>>();
    let compare = |count: usize| {
        let mut breaker = breaker();
        breaker.begin_comparison(&subjects(count));
        let mut freed = BTreeSet::new();
        for number in 0..count {
            assert!(!goes(&mut breaker, number, now) && !breaker.is_holding() && breaker.publish().is_none());
            freed.extend(breaker.compared(&subject(number), now));
        }
        (breaker, freed)
    };
    let (mut within, freed) = compare(3);
    assert_eq!(freed, subjects(3));
    assert!((0..3).all(|number| goes(&mut within, number, now)) && !goes(&mut within, 3, now));
    let (mut beyond, freed) = compare(4);
    assert!(freed.is_empty());
    assert_eq!(shown(&mut beyond).removals, 4);
}

#[test]
fn what_was_held_before_a_start_is_held_after_it_under_its_hash() {
    let now = Instant::now();
    let mut before = breaker();
    before.judge(&subject(0), many(0..4), now);
    let notice = shown(&mut before);
    let mut after = Breaker::new(LIMIT, 77);
    after.begin_term(Some(&notice.hash));
    after.begin_comparison(&BTreeSet::from([subject(0)]));
    after.judge(&subject(0), many(0..4), now);
    assert_eq!(after.compared(&subject(0), now), BTreeSet::new());
    assert_eq!(shown(&mut after), notice);
    // A part of it was taken back meanwhile: still held although the limit would let it pass, and under another hash.
    after.begin_term(Some(&notice.hash));
    after.begin_comparison(&BTreeSet::from([subject(0)]));
    after.judge(&subject(0), many(0..2), now);
    assert_eq!(after.compared(&subject(0), now), BTreeSet::new());
    assert_ne!(shown(&mut after).hash, notice.hash);
    // All of it was: nothing is held any more.
    after.begin_term(Some(&notice.hash));
    after.begin_comparison(&BTreeSet::from([subject(0)]));
    after.compared(&subject(0), now);
    assert!(goes(&mut after, 0, now));
}

#[test]
fn without_a_limit_nothing_is_held() {
    let mut breaker = Breaker::new(LargeChangeLimit::Off, 1);
    breaker.begin_comparison(&BTreeSet::from([subject(0)]));
    assert_eq!(breaker.judge(&subject(0), many(0..1000), Instant::now()), BTreeSet::new());
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// A subject is looked at: so much would be taken from it.
    Look(usize, BTreeSet<usize>),
    /// What it may lose is lost.
    Finish(usize),
    /// A person looks, and acknowledges what is shown, or something older.
    Acknowledge { old: bool },
    /// Minutes pass.
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let look =
        (0..4_usize, prop::collection::btree_set(0..4_usize, 0..4)).prop_map(|(who, what)| Step::Look(who, what));
    let step = prop_oneof![
        6 => look,
        3 => (0..4_usize).prop_map(Step::Finish),
        1 => any::<bool>().prop_map(|old| Step::Acknowledge { old }),
        1 => (1..12_u32).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// In any ten minutes no more goes than the limit, but for what a person has seen and named.
    #[test]
    fn no_more_goes_than_the_limit_and_what_was_seen(steps in steps()) {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        let losses = |who: usize, what: &BTreeSet<usize>| -> BTreeSet<Loss> {
            what.iter().flat_map(|number| one(10 * who + number)).collect()
        };
        // By subject: what waits, what may go and has not yet, and what of that a person has named.
        let (mut held, mut going, mut named): (Losses, Losses, Losses) = Default::default();
        let mut counted: Vec<(Instant, Loss)> = Vec::new();
        let mut hashes: BTreeSet<String> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Look(who, what) => {
                    let (who, asked) = (subject(who), losses(who, &what));
                    let waits = breaker.judge(&who, asked.clone(), now);
                    prop_assert!(waits.is_subset(&asked));
                    prop_assert_eq!(breaker.holds(&who), !waits.is_empty());
                    let (going, named) = (going.entry(who.clone()).or_default(), named.entry(who.clone()).or_default());
                    for loss in asked.difference(&waits).filter(|loss| !named.contains(*loss)) {
                        if going.insert(loss.clone()) {
                            counted.push((now, loss.clone()));
                        }
                    }
                    held.insert(who, waits);
                }
                Step::Finish(who) => {
                    let who = subject(who);
                    let done = &going.remove(&who).unwrap_or_default() | &named.remove(&who).unwrap_or_default();
                    breaker.carried_out(&who, &done);
                    if !breaker.holds(&who) {
                        breaker.settled(&who);
                    }
                }
                Step::Acknowledge { old: true } => {
                    let current = breaker.published().map(|notice| notice.hash.clone());
                    for hash in hashes.iter().filter(|hash| Some(*hash) != current.as_ref()) {
                        prop_assert!(breaker.acknowledge(hash).is_empty());
                    }
                }
                Step::Acknowledge { old: false } => {
                    let Some(notice) = breaker.publish().cloned() else { continue };
                    prop_assert!(hashes.insert(notice.hash.clone()), "no hash comes twice");
                    for who in breaker.acknowledge(&notice.hash) {
                        let held = held.get_mut(&who).unwrap();
                        let released = &notice.held[&who] & held;
                        held.retain(|loss| !released.contains(loss));
                        named.entry(who).or_default().extend(released);
                    }
                }
                Step::Wait(minutes) => now += MINUTE * minutes,
            }
            let recent: BTreeSet<&Loss> =
                counted.iter().filter(|(at, _)| now.duration_since(*at) < WINDOW).map(|(_, loss)| loss).collect();
            prop_assert!(recent.len() <= 3, "{recent:?}");
        }
    }
}
