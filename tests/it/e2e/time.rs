use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::support::{
    minio::unique,
    s3::Try,
    world::{Person, World, from_now, group, share},
};

/// How late access may end.
const TOLERANCE: Duration = Duration::from_millis(1200);

/// Reads until it is refused, and answers how late after `end` that was.
async fn refused_after(person: &Person, path: &str, end: Timestamp) -> Duration {
    let patience = Instant::now() + Duration::from_secs(30);
    while person.may(Try::Get, path).await {
        assert!(Instant::now() < patience, "access does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let late = Timestamp::now().duration_since(end);
    assert!(!late.is_negative(), "access ended {late} before its time");
    late.unsigned_abs()
}

#[tokio::test]
async fn a_grant_ends_at_its_instant() {
    let world = World::shared().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let name = unique("share");
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    let end = from_now(Duration::from_secs(4));
    let grants = format!(
        "grants: [{{kind: User, name: {}, access: Read, expiresAt: '{end}'}}, {{kind: User, name: {}, access: Read}}]",
        bob.name, carol.name
    );
    world.apply(&share(&name, &alice.home("exp"), &grants)).await;
    let view = world.ready("PathShare", &name).await;
    assert_eq!(view.status("/grants/active"), 2);
    assert!(!view.status("/nextExpiry").is_null());
    bob.expect(&file, "GL").await;
    let late = refused_after(&bob, &file, end).await;
    assert!(late < TOLERANCE, "{late:?} late");
    carol.expect(&file, "GL").await;
    let view =
        world.observed("PathShare", &name, "a grant is expired", |view| view.status("/grants/expired") == 1).await;
    assert_eq!(view.status("/grants/active"), 1);
}

#[tokio::test]
async fn a_membership_ends_at_its_instant() {
    let world = World::shared().await;
    let bob = world.user("bob").await;
    let (team, extra) = (unique("team"), unique("extra"));
    let file = format!("lake/teams/{team}/file");
    world.seed(&[&file]).await;
    let end = from_now(Duration::from_secs(4));
    world.apply(&group(&team, "")).await;
    world
        .apply(&format!(
            "kind: GroupMembership\nmetadata: {{name: {extra}}}\nspec: {{group: {team}, members: [\
             {{name: {}, access: ReadWrite, expiresAt: '{end}'}}]}}",
            bob.name
        ))
        .await;
    world.ready("GroupMembership", &extra).await;
    bob.expect(&file, "GPDL").await;
    let late = refused_after(&bob, &file, end).await;
    assert!(late < TOLERANCE, "{late:?} late");
    world.observed("GroupMembership", &extra, "it is expired", |view| view.status("/grants/expired") == 1).await;
    assert!(!world.members(&team).await.unwrap().contains(&bob.name));
}

#[tokio::test]
async fn a_grant_whose_time_is_over_gives_nothing_and_can_be_renewed() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let name = unique("share");
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;
    let with = |end: &str| {
        let grant = format!("{{kind: User, name: {}, access: Read, expiresAt: '{end}'}}", bob.name);
        share(&name, &alice.home("exp"), &format!("grants: [{grant}]"))
    };
    world.apply(&with("2020-01-01T00:00:00Z")).await;
    let view = world.ready("PathShare", &name).await;
    assert_eq!(view.status("/grants/expired"), 1);
    bob.expect(&file, "").await;
    world.apply(&with("2037-01-01T00:00:00Z")).await;
    world.ready("PathShare", &name).await;
    bob.expect(&file, "GL").await;
}

#[tokio::test]
async fn a_member_that_may_read_on_when_its_writing_ends_can() {
    let world = World::shared().await;
    let bob = world.user("bob").await;
    let (team, extra) = (unique("team"), unique("extra"));
    let file = format!("lake/teams/{team}/file");
    world.seed(&[&file]).await;
    let end = from_now(Duration::from_secs(3));
    world.apply(&group(&team, &format!("readOnlyMembers: [{}]", bob.name))).await;
    world
        .apply(&format!(
            "kind: GroupMembership\nmetadata: {{name: {extra}}}\nspec: {{group: {team}, members: [\
             {{name: {}, access: ReadWrite, expiresAt: '{end}'}}]}}",
            bob.name
        ))
        .await;
    world.ready("GroupMembership", &extra).await;
    bob.expect(&file, "GPDL").await;
    while bob.may(Try::Put, &file).await {
        assert!(from_now(Duration::ZERO) < end + TOLERANCE, "writing does not end in time");
        // What stays allowed is never interrupted.
        assert!(bob.may(Try::Get, &file).await);
    }
    assert!(from_now(Duration::ZERO) >= end, "writing ended before its time");
    world.observed("GroupMembership", &extra, "it is expired", |view| view.status("/grants/expired") == 1).await;
    bob.expect(&file, "GL").await;
}
