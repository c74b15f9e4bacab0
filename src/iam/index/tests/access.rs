//! Who can reach what, as the index tells it.

use super::*;
use crate::iam::access::{of, reaches, who};

fn who_can(index: &Index, key: &str) -> Vec<String> {
    let shown = |row: crate::iam::access::Reach| {
        let until = row.until.map(|end| format!(" until {}", end.as_second())).unwrap_or_default();
        format!("{} {} {:?} via {}{until}", row.who.kind(), row.who.name(), row.access, row.via)
    };
    who(index, &path(key), NOW).into_iter().map(shown).collect()
}

fn reach_of(index: &Index, user: &str) -> Vec<String> {
    let shown = |row: crate::iam::access::Reachable| {
        let until = row.until.map(|end| format!(" until {}", end.as_second())).unwrap_or_default();
        format!("{} {:?} via {}{until}", row.scope, row.access, row.via)
    };
    of(index, &name(user), NOW).into_iter().map(shown).collect()
}

fn world() -> Index {
    index_of([
        user("alice"),
        user("bob"),
        user("carol"),
        user("dave").with_user(|user| user.enabled = Some(false)),
        user("erin"),
        group("team", &["bob", "dave"], &["carol"]),
        membership("extra", "team", &[("erin", until(WRITE, 90))]),
        share(
            "one",
            "homes/alice/a",
            &[
                (to_user("carol"), until(WRITE, 50)),
                (to_group("team"), until(READ, 70)),
                (to_user("ghost"), terms(READ)),
            ],
        )
        .owned_by("alice"),
        share("all", "homes/alice/a/b", &[]).owned_by("alice").with_share(|share| share.everyone = true),
        share("off", "homes/alice/a", &[(to_user("erin"), terms(READ))]).with_share(|share| share.suspended = true),
        share("past", "homes/alice/a", &[(to_user("erin"), until(READ, -5))]),
    ])
}

#[test]
fn everybody_is_found_with_what_lets_them_in() {
    let index = world();
    assert_eq!(
        who_can(&index, "homes/alice/a/x"),
        [
            "Group team Read via PathShare lake/one until 70",
            "User alice ReadWrite via MinioUser lake/alice",
            "User bob Read via group team, PathShare lake/one until 70",
            "User carol ReadWrite via PathShare lake/one until 50",
            "User erin Read via group team, PathShare lake/one until 70",
        ]
    );
    assert_eq!(who_can(&index, "homes/alice/ab"), ["User alice ReadWrite via MinioUser lake/alice"]);
    assert_eq!(who_can(&index, "homes/alice/a/b")[0], "Everyone everyone Read via PathShare lake/all");
    assert_eq!(
        who_can(&index, "teams/team/x"),
        [
            "Group team ReadWrite via MinioGroup lake/team",
            "Group team-ro Read via MinioGroup lake/team",
            "User bob ReadWrite via group team, MinioGroup lake/team",
            "User carol Read via group team-ro, MinioGroup lake/team",
            "User erin ReadWrite via group team, MinioGroup lake/team until 90",
        ]
    );
    assert!(who_can(&index, "homes/dave/x").is_empty(), "a disabled user reaches nothing, not even the own home");
    assert!(who_can(&index, "homes").is_empty() && who_can(&index, "homes/nobody/x").is_empty());
}

#[test]
fn a_user_is_told_everything_and_the_two_answers_agree() {
    let index = world();
    assert_eq!(
        reach_of(&index, "carol"),
        [
            "s3a://lake/homes/alice/a/ ReadWrite via PathShare lake/one until 50",
            "s3a://lake/homes/alice/a/b/ Read via everyone, PathShare lake/all",
            "s3a://lake/homes/carol/ ReadWrite via MinioUser lake/carol",
            "s3a://lake/teams/team/ Read via group team-ro, MinioGroup lake/team",
        ]
    );
    assert!(reach_of(&index, "dave").is_empty() && reach_of(&index, "nobody").is_empty());
    for user in ["alice", "bob", "carol", "erin"] {
        for row in of(&index, &name(user), NOW).into_iter().filter(|row| !row.scope.is_open()) {
            let place = S3Path::parse(&row.scope.to_string()).unwrap();
            let found = who(&index, &place, NOW);
            assert!(
                found.iter().any(|one| one.access == row.access && one.via.source == row.via.source),
                "{user}: {row:?}"
            );
            let by_public = row.via.to_string().starts_with("everyone");
            assert!(by_public || reaches(&index, &name(user), &place, NOW), "{user}: {row:?}");
        }
        assert!(user == "alice" || !reaches(&index, &name(user), &path("homes/alice"), NOW));
    }
}

#[test]
fn shares_are_found_by_their_place() {
    let mut index = world();
    let given = |index: &Index, key: &str| {
        let shares = index.given_at(&path(key), NOW).into_iter();
        shares.map(|given| given.declared.key().name.clone()).collect::<Vec<_>>()
    };
    let below = |index: &Index, key: &str| {
        let shares = index.given_below(&path(key), NOW).into_iter();
        shares.map(|given| given.declared.key().name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(given(&index, "homes/alice/a/b/c"), ["all", "one"], "the nearest first");
    assert_eq!(below(&index, "homes/alice"), ["one", "all"]);
    assert_eq!(below(&index, "homes/alice/a"), ["all"]);
    assert!(below(&index, "homes/alic").is_empty() && below(&index, "homes/alice/a/b").is_empty());
    assert_eq!(index.shares_within(&path("homes/alice/a")).count(), 4, "whatever they can do");
    remove(&mut index, &share("all", "homes/alice/a/b", &[]));
    assert_eq!(given(&index, "homes/alice/a/b/c"), ["one"]);
}
