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
