//! Shares: whose paths, whose quota, and what is left when an owner goes.

use jiff::Timestamp;
use minio_manager::minio::KeyState;

use super::{DISGUISE, Trust, refused};
use crate::support::{
    minio::unique,
    world::{View, World, grant, group, share, user},
};

fn owned(name: &str, path: &str, owner: &str, grants: &[&str]) -> String {
    let grants: Vec<String> = grants.iter().map(|name| grant(name, "ReadWrite")).collect();
    share(name, path, &format!("owner: {{kind: User, name: {owner}}}, grants: [{}]", grants.join(", ")))
}

#[tokio::test]
async fn only_permitted_paths_of_their_owners_are_shared() {
    let trust = Trust::enter().await;
    let [alice, lab, thief] = ["alice", "lab", "crew-thief"].map(unique);
    trust.home.apply(&user(&alice, "")).await;
    trust.home.apply(&group(&lab, "")).await;
    let alice = trust.home.person(&alice).await;
    for name in ["mallory", &thief] {
        trust.team.apply(&user(name, "")).await;
        trust.team.person(name).await;
    }
    let thief = trust.team.person(&thief).await;
    let (home, shared) = (alice.home("file"), format!("lake/teams/{lab}/file"));
    trust.home.seed(&[&home, &shared, "lake/homes/mallory/mine/file", "lake/homes/mallory2/file"]).await;
    let by = |kind: &str, name: &str| format!("owner: {{kind: {kind}, name: {name}}}, ");
    let (of_alice, of_mallory) = (by("User", &alice.name), by("User", "mallory"));
    let permitted = "s3a://lake/homes/mallory/";
    let tries = [
        (alice.home(""), of_alice.clone(), "NotPermitted", permitted),
        (alice.home("x"), of_mallory.clone(), "NotPermitted", permitted),
        (alice.home("x"), String::new(), "NotPermitted", permitted),
        ("lake/homes".to_owned(), of_mallory.clone(), "NotPermitted", permitted),
        ("lake/homes/mallory2".to_owned(), of_mallory.clone(), "NotPermitted", permitted),
        ("lake/homes/m\u{430}llory/x".to_owned(), of_mallory.clone(), "NotPermitted", permitted),
        ("pond/homes/mallory/x".to_owned(), of_mallory.clone(), "NotPermitted", permitted),
        (format!("lake/teams/{lab}"), by("Group", &lab), "NotPermitted", permitted),
        ("lake/homes/mallory/x".to_owned(), String::new(), "OwnerMismatch", "owner"),
        ("lake/homes/mallory/x".to_owned(), of_alice.clone(), "OwnerMismatch", alice.name.as_str()),
        ("lake/homes/mallory/x".to_owned(), by("Group", &lab), "OwnerMismatch", lab.as_str()),
        ("lake/teams/crew-ship/x".to_owned(), of_mallory.clone(), "OwnerMismatch", "mallory"),
    ];
    for (path, owner, reason, told) in tries {
        let name = unique("share");
        let grants = format!("grants: [{}], everyone: Read", grant(&thief.name, "ReadWrite"));
        let yaml = share(&name, &path, &format!("{owner}{grants}"))
            .replace("metadata: {", &format!("metadata: {{{DISGUISE}, "));
        trust.team.apply(&yaml).await;
        let message = trust.team.stalled("PathShare", &name, reason).await;
        assert!(message.contains(told), "{path} {owner}: {message}");
    }
    for path in [
        "homes/mallory/../alice",
        "homes/mallory//x",
        "homes/mallory/*",
        "homes/${aws:username}",
        "",
        "./homes/mallory",
    ] {
        let answer =
            trust.team.try_apply(&owned(&unique("share"), &format!("lake/{path}"), "mallory", &[&thief.name])).await;
        assert_eq!(refused(answer).0, 422, "{path}");
    }
    // Nothing is decoded: this is a folder with a strange name below one's own.
    let name = unique("share");
    let path = format!("lake/homes/mallory/%2e%2e/{}", alice.name);
    trust.team.apply(&owned(&name, &path, "mallory", &[&thief.name])).await;
    trust.team.ready("PathShare", &name).await;
    // What is permitted works, so that the others were refused for what they are.
    let name = unique("share");
    trust.team.apply(&owned(&name, "lake/homes/mallory/mine", "mallory", &[&thief.name])).await;
    trust.team.ready("PathShare", &name).await;
    thief.expect("lake/homes/mallory/mine/file", "GPDL").await;
    for path in [home.as_str(), &shared, "lake/homes/mallory2/file"] {
        thief.expect(path, "").await;
    }
    // Another owner later is no way around.
    trust.team.apply(&owned(&name, "lake/homes/mallory/mine", &alice.name, &[&thief.name])).await;
    trust.team.stalled("PathShare", &name, "OwnerMismatch").await;
    thief.expect("lake/homes/mallory/mine/file", "").await;
}

/// Objects that are made from now on are younger: their age is told in seconds.
async fn next_second(world: &World) {
    let second = Timestamp::now().as_second();
    world.eventually("another second begins", async || Timestamp::now().as_second() > second).await;
}

fn counts(active: u64, pending: u64) -> impl Fn(&View) -> bool {
    move |view| {
        let counted = view.status("/grants/active") == active && view.status("/grants/pending") == pending;
        counted && view.says("Ready", "True")
    }
}

#[tokio::test]
async fn a_quota_is_that_of_the_owner_however_many_shares_and_namespaces_use_it() {
    let trust = Trust::enter().await;
    let targets = ["crew-q1", "crew-q2", "crew-q3", "crew-q4", "crew-q5"].map(unique);
    let names: Vec<&str> = targets.iter().map(String::as_str).collect();
    trust.team.apply(&user("quota", "")).await;
    for name in &names {
        trust.team.apply(&user(name, "")).await;
    }
    trust.team.person("quota").await;
    let fourth = trust.team.person(names[3]).await;
    let fifth = trust.team.person(names[4]).await;
    let [first, second, third] = ["first", "second", "third"].map(unique);
    let path = |name: &str| format!("lake/homes/quota/{name}");
    trust.home.seed(&[&path("b/file"), &path("c/file")]).await;
    trust.team.apply(&owned(&first, &path("a"), "quota", &names[..2])).await;
    trust.team.observed("PathShare", &first, "all of it is in force", counts(2, 0)).await;
    next_second(&trust.home).await;
    trust.team.apply(&owned(&second, &path("b"), "quota", &names[2..4])).await;
    let view = trust.team.observed("PathShare", &second, "half of it is in force", counts(1, 1)).await;
    assert_eq!(view.status("/pending/0/reason"), "QuotaExceeded");
    assert_eq!(view.status("/pending/0/name"), names[3]);
    next_second(&trust.home).await;
    trust.rival.apply(&owned(&third, &path("c"), "quota", &names[4..])).await;
    trust.rival.observed("PathShare", &third, "nothing of it is in force", counts(0, 1)).await;
    fourth.expect(&path("b/file"), "").await;
    fifth.expect(&path("c/file"), "").await;
    // Made anew it is the youngest.
    trust.team.delete_and_wait("PathShare", &first).await;
    trust.team.observed("PathShare", &second, "all of it is in force", counts(2, 0)).await;
    trust.rival.observed("PathShare", &third, "there is room for it", counts(1, 0)).await;
    fourth.expect(&path("b/file"), "GPDL").await;
    fifth.expect(&path("c/file"), "GPDL").await;
    next_second(&trust.home).await;
    trust.team.apply(&owned(&first, &path("a"), "quota", &names[..2])).await;
    trust.team.observed("PathShare", &first, "nothing of it is in force", counts(0, 2)).await;
    fourth.expect(&path("b/file"), "GPDL").await;
}

#[tokio::test]
async fn nobody_uses_up_the_quota_of_others() {
    let trust = Trust::enter().await;
    let [alice, one, two, three] = ["alice", "crew-one", "crew-two", "crew-three"].map(unique);
    let targets = [one.as_str(), &two, &three];
    trust.home.apply(&user(&alice, "")).await;
    let alice = trust.home.person(&alice).await;
    for name in targets {
        trust.team.apply(&user(name, "")).await;
        trust.team.person(name).await;
    }
    for number in 0..3 {
        let name = unique("share");
        trust.team.apply(&owned(&name, &alice.home(&format!("{number}")), &alice.name, &targets)).await;
        trust.team.stalled("PathShare", &name, "NotPermitted").await;
    }
    next_second(&trust.home).await;
    let name = unique("share");
    trust.home.apply(&owned(&name, &alice.home("exp"), &alice.name, &targets)).await;
    trust.home.observed("PathShare", &name, "all of it is in force", counts(3, 0)).await;
}

#[tokio::test]
async fn a_new_owner_of_the_same_name_gets_nothing_of_the_old_one() {
    let trust = Trust::enter().await;
    let [friend, shared, etl, team] = ["crew-friend", "share", "etl", "crew-team"].map(unique);
    trust.team.apply(&user(&friend, "")).await;
    trust.team.apply(&user("phoenix", "")).await;
    let friend = trust.team.person(&friend).await;
    let old = trust.team.person("phoenix").await;
    let file = old.home("exp/file");
    trust.home.seed(&[&file]).await;
    trust.team.apply(&owned(&shared, &old.home("exp"), "phoenix", &[&friend.name])).await;
    trust.team.apply(&format!("kind: MinioAccessKey\nmetadata: {{name: {etl}}}\nspec: {{user: phoenix}}\n")).await;
    trust.team.ready("PathShare", &shared).await;
    friend.expect(&file, "GPDL").await;
    let view = trust.team.ready("MinioAccessKey", &etl).await;
    let key = trust.team.caller(view.status("/credentials/secretName").as_str().unwrap()).await;
    key.expect(&file, "GPDL").await;
    // A second object of the name waits for the first to go, and is somebody else's.
    trust.rival.apply(&user("phoenix", "")).await;
    trust.rival.stalled("MinioUser", "phoenix", "Conflict").await;
    trust.team.delete("MinioUser", "phoenix").await;
    let new = trust.rival.person("phoenix").await;
    trust.team.gone("MinioUser", "phoenix").await;
    new.expect(&file, "GPDL").await;
    let view = trust.team.ready_is("PathShare", &shared, "True", "Suspended").await;
    assert!(view.message("Ready").contains("phoenix"), "{}", view.message("Ready"));
    friend.expect(&file, "").await;
    // Although the namespace may hold keys of the name, this one was made for somebody else.
    trust.team.ready_is("MinioAccessKey", &etl, "True", "Suspended").await;
    for former in [old.credentials(), key.credentials()] {
        assert_eq!(trust.home.minio().probe(former).await.unwrap(), KeyState::Unknown, "{}", former.access_key);
    }
    assert!(trust.team.secret(&old.secret).await.is_none());
    assert!(trust.team.secret(&format!("miniokey-{etl}")).await.is_none());
    // Nor by a membership or a share that the namespace writes now: the former owner of the name has no say any more.
    let membership = format!(
        "kind: GroupMembership\nmetadata: {{name: {team}}}\nspec: {{group: {team}, members: [{{name: phoenix, access: ReadWrite}}]}}\n"
    );
    trust.team.apply(&format!("{}---\n{membership}", group(&team, ""))).await;
    trust.team.ready("GroupMembership", &team).await;
    friend.expect(&file, "").await;
    trust.rival.delete_and_wait("MinioUser", "phoenix").await;
}
