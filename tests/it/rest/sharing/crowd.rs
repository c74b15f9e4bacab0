//! Many calls at once, many targets in one, and a MinIO that is away.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use serde_json::json;

use super::*;
use crate::support::s3::Try;
use crate::support::world::user;

#[tokio::test]
async fn many_shares_at_once_are_all_in_force() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let names: Vec<String> = (0..20).map(|number| format!("guest{number}")).collect();
    let yaml: Vec<String> = names.iter().map(|name| user(name, "")).collect();
    stage.world.apply(&yaml.join("---\n")).await;
    let mut guests = Vec::new();
    for name in &names {
        guests.push(stage.world.person(name).await);
    }
    let file = "lake/homes/alice/x/file";
    stage.world.seed(&[file]).await;
    // One path, twenty calls.
    let shares = names.iter().map(|name| {
        stage.post(
            "alice",
            SHARE,
            json!({"path": "s3a://lake/homes/alice/x", "with_users": [name], "permission": "read"}),
        )
    });
    for answer in join_all(shares).await {
        assert_eq!(answer.expect(200)["success_count"], 1);
    }
    for guest in &guests {
        guest.expect(file, "GL").await;
    }
    assert_eq!(stage.shares().await.len(), 1);
    // The last ones out race for the object, somebody comes in: whoever is told so has it.
    let out = names
        .iter()
        .map(|name| stage.post("alice", UNSHARE, json!({"path": "s3a://lake/homes/alice/x", "from_users": [name]})));
    let into = stage.post("alice", SHARE, json!({"path": "s3a://lake/homes/alice/x", "with_users": ["bob"]}));
    let (out, into) = futures::join!(join_all(out), into);
    for answer in out {
        answer.expect(200);
    }
    into.expect(200);
    assert!(!guests[0].may(Try::Get, file).await);
    stage.s3("bob").await.expect(file, "GPDL").await;
    // Twenty paths, one target.
    let shares = (0..20).map(|number| {
        stage.post(
            "alice",
            SHARE,
            json!({"path": format!("s3a://lake/homes/alice/many/{number}"), "with_users": ["bob"]}),
        )
    });
    for answer in join_all(shares).await {
        answer.expect(200);
    }
    assert_eq!(stage.get("bob", "/sharing/with-me").await["total_count"], 21);
    stage.post("alice", PRIVATE, json!({"path": "s3a://lake/homes/alice/"})).await.expect(200);
    assert!(stage.shares().await.is_empty());
}

#[tokio::test]
async fn many_folders_of_several_owners_become_public_and_private_at_once() {
    let stage = Stage::start("simple", &["alice", "bob", "carol"]).await;
    let carol = stage.s3("carol").await;
    let folders: Vec<(&str, String)> = ["alice", "bob"]
        .into_iter()
        .flat_map(|owner| (0..8).map(move |number| (owner, format!("lake/homes/{owner}/open/{number}"))))
        .collect();
    for (_, folder) in &folders {
        stage.world.seed(&[&format!("{folder}/file")]).await;
    }
    for (route, rights) in [(PUBLIC, "GL"), (PRIVATE, "")] {
        let (stage, carol) = (&stage, &carol);
        let calls = folders.iter().map(|(owner, folder)| async move {
            stage.post(owner, route, json!({"path": s3a(folder)})).await.expect(200);
            carol.expect(&format!("{folder}/file"), rights).await;
        });
        join_all(calls).await;
    }
}

#[tokio::test]
async fn nobody_is_interrupted_while_shares_change() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let (bob, person) = (stage.s3("bob").await, stage.service.person("bob"));
    let file = "lake/homes/alice/kept/file";
    stage.world.seed(&[file]).await;
    let path = |name: &str| format!("s3a://lake/homes/alice/{name}");
    stage.share("alice", &path("kept"), &["bob"], "read").await;
    let changing = AtomicBool::new(true);
    let change = async {
        for round in 0..20 {
            let (one, other) = (path(&format!("some/{round}")), path("other"));
            stage.share("alice", &one, &["bob"], "write").await;
            stage.share("alice", &other, &["bob"], if round % 2 == 0 { "read" } else { "write" }).await;
            stage.post("alice", UNSHARE, json!({"path": one, "from_users": ["bob"]})).await.expect(200);
            stage.post("alice", PUBLIC, json!({"path": other})).await.expect(200);
            stage.post("alice", PRIVATE, json!({"path": other})).await.expect(200);
        }
        changing.store(false, Ordering::Relaxed);
    };
    let look = async {
        let mut looks = 0;
        while changing.load(Ordering::Relaxed) {
            assert!(bob.may(Try::Get, file).await, "after {looks} looks");
            let paths = person.get("/workspaces/me/accessible-paths").await.expect(200);
            assert!(paths["accessible_paths"].to_string().contains("lake/homes/alice/kept/"), "after {looks} looks");
            looks += 1;
        }
        looks
    };
    let ((), looks) = futures::join!(change, look);
    assert!(looks >= 100, "{looks} looks prove little");
}

#[tokio::test]
async fn who_is_deleted_while_others_share_does_not_come_back() {
    let names: Vec<String> = (0..6).map(|number| format!("guest{number}")).collect();
    let stage =
        Stage::start("simple", &[&["alice"], &*names.iter().map(String::as_str).collect::<Vec<_>>()].concat()).await;
    let (file, team) = ("lake/homes/alice/x/file", "lake/teams/team/file");
    stage.world.seed(&[file, team]).await;
    let boss = stage.service.person("boss");
    boss.post("/management/groups/team").await.expect(201);
    for name in &names {
        let share = json!({"path": "s3a://lake/homes/alice/x", "with_users": [name]});
        let (user, member) = (format!("/management/users/{name}"), format!("/management/groups/team/members/{name}"));
        let (deleted, shared, added) =
            futures::join!(boss.delete(&user), stage.post("alice", SHARE, share), boss.post(&member));
        deleted.expect(200);
        assert!([200, 207].contains(&shared.status), "{}", shared.text);
        assert!([200, 400, 503].contains(&added.status), "{}", added.text);
        assert_eq!(stage.world.account(name).await, None);
        assert_eq!(stage.world.document(&format!("user-home-policy-{name}")).await, None);
        // Somebody else who gets the name has nothing of it.
        boss.post(&user).await.expect(201);
        let again = stage.s3(name).await;
        again.expect(file, "").await;
        again.expect(team, "").await;
    }
}

#[tokio::test]
async fn fifty_targets_cost_one_write_of_the_object() {
    let stage = Stage::start("simple", &["alice"]).await;
    let names: Vec<String> = (0..50).map(|number| format!("guest{number}")).collect();
    let yaml: Vec<String> = names.iter().map(|name| user(name, "")).collect();
    stage.world.apply(&yaml.join("---\n")).await;
    for name in &names {
        stage.world.ready("MinioUser", name).await;
    }
    let body = json!({"path": "s3a://lake/homes/alice/fifty", "with_users": names, "permission": "read"});
    assert_eq!(stage.post("alice", SHARE, body).await.expect(200)["success_count"], 50);
    let share =
        stage.shares().await.into_iter().find(|share| share["spec"]["path"].as_str().unwrap().contains("fifty"));
    assert_eq!(share.unwrap()["metadata"]["generation"], 1);
}

#[tokio::test]
async fn with_minio_away_the_answer_is_honest_and_the_edit_takes_effect_later() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    let [shared, public, private, unshared] =
        ["s", "pub", "priv", "un"].map(|name| format!("lake/homes/alice/{name}/file"));
    stage.world.seed(&[&shared, &public, &private, &unshared]).await;
    let path = |name: &str| format!("s3a://lake/homes/alice/{name}");
    stage.share("alice", &path("priv"), &["bob"], "read").await;
    stage.share("alice", &path("un"), &["bob"], "write").await;
    stage.post("alice", PUBLIC, json!({"path": path("priv")})).await.expect(200);
    stage.world.product().minio().stop();
    let (share, unshare, make_public, make_private) = futures::join!(
        stage.post("alice", SHARE, json!({"path": path("s"), "with_users": ["bob", "nobody"]})),
        stage.post("alice", UNSHARE, json!({"path": path("un"), "from_users": ["bob"]})),
        stage.post("alice", PUBLIC, json!({"path": path("pub")})),
        stage.post("alice", PRIVATE, json!({"path": path("priv")})),
    );
    let share = share.expect(207);
    assert_eq!((&share["success_count"], share["errors"].as_array().unwrap().len()), (&json!(0), 2), "{share}");
    assert!(error_of(&share, 0).contains("it is not in force yet and will be by itself"), "{share}");
    let unshare = unshare.expect(207);
    assert_eq!(unshare["unshared_from_users"], json!([]));
    assert!(error_of(&unshare, 0).contains("it is still in force and will end by itself"), "{unshare}");
    for answer in [make_public, make_private] {
        assert_eq!(answer.code(), (503, Some(20050)), "{}", answer.text);
        assert!(answer.headers.contains_key("retry-after"));
    }
    // What is read comes from objects, so that it goes on.
    stage.get("alice", "/sharing/mine").await;
    stage.world.product().minio().start_again();
    stage.world.eventually("the share is in force", async || bob.may(Try::Get, &shared).await).await;
    stage.world.eventually("the folder is public", async || bob.may(Try::Get, &public).await).await;
    bob.expect(&shared, "GPDL").await;
    bob.expect(&public, "GL").await;
    stage.world.eventually("the third is unshared", async || !bob.may(Try::Get, &unshared).await).await;
    stage.world.eventually("the other is private", async || !bob.may(Try::Get, &private).await).await;
}
