//! Who has access, what is shared, and why: for those whom it concerns.

use serde_json::json;

use super::*;
use crate::support::world::group;

#[tokio::test]
async fn those_concerned_learn_who_can_reach_a_folder_and_others_nothing() {
    let stage = Stage::start("berdl", &["alice", "bob", "carol", "dave", "ali"]).await;
    stage.world.apply(&group("kbase", "members: [carol], readOnlyMembers: [dave]")).await;
    stage.world.ready("MinioGroup", "kbase").await;
    let path = s3a(&home("alice", "pub/"));
    stage.share("alice", &path, &["bob"], "read").await;
    let body = json!({"path": path, "with_groups": ["kbase"], "permission": "write"});
    stage.post("alice", SHARE, body).await.expect(200);
    let info = async |who: &str, path: &str| stage.post(who, INFO, json!({"path": path})).await.expect(200);
    let full = json!({"users": ["alice", "bob"], "groups": ["kbase"], "public": false, "path": path});
    let nothing = json!({"users": [], "groups": [], "public": false, "path": path});
    for (who, expected) in
        [("alice", &full), ("boss", &full), ("bob", &full), ("carol", &full), ("dave", &nothing), ("ali", &nothing)]
    {
        assert_eq!(&info(who, &path).await, expected, "{who}");
    }
    // Below it the same; around it for the owner; beside it nobody but the owner.
    let below = info("bob", &format!("{path}deep/er")).await;
    assert_eq!(below["users"], json!(["alice", "bob"]));
    let above = s3a(&home("alice", ""));
    assert_eq!(info("alice", &above).await["users"], json!(["alice", "bob"]));
    assert_eq!(info("bob", &above).await["users"], json!([]));
    assert_eq!(info("alice", &s3a(&home("alice", "pub2"))).await["users"], json!(["alice"]));
    assert_eq!(info("boss", "s3a://cdm-lake/users-general-warehouse/al").await["users"], json!([]));
    assert_eq!(info("bob", "s3a://cdm-lake/u").await["users"], json!([]), "this tells nobody who there is");
    assert_eq!(info("bob", "s3a://cdm-lake/users-general-warehouse").await["users"], json!([]));
    let all = info("boss", "s3a://cdm-lake/users-general-warehouse/").await;
    assert_eq!(all["users"], json!(["ali", "alice", "bob", "boss", "carol", "dave"]));
    let tenant = info("dave", "s3a://cdm-lake/tenant-general-warehouse/kbase/x").await;
    assert_eq!(tenant["groups"], json!(["kbase", "kbasero"]));
    assert_eq!(info("bob", "s3a://elsewhere/x").await["users"], json!([]));
    assert_eq!(stage.post("bob", INFO, json!({"path": "s3a://cdm-lake/x*"})).await.code(), (400, Some(20015)));

    let who = async |who: &str, path: &str| stage.service.person(who).get(&format!("/access/who?path={path}")).await;
    let rows = who("alice", &path).await.expect(200);
    // What no object describes is only counted; nobody knows what it gives.
    assert_eq!(rows["complete"], false);
    let unmanaged = &rows["unmanaged"]["users"];
    assert!(unmanaged.is_null() || *unmanaged == 0, "not counted yet, or none: {unmanaged}");
    let shown: Vec<String> = rows["rows"].as_array().unwrap().iter().map(shown).collect();
    let share = stage.shares().await[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let namespace = stage.world.namespace();
    assert_eq!(
        shown,
        [
            format!("Group kbase ReadWrite PathShare {namespace}/{share}"),
            format!("User alice ReadWrite MinioUser {namespace}/alice"),
            format!("User bob Read PathShare {namespace}/{share}"),
            format!("User carol ReadWrite group kbase, PathShare {namespace}/{share}"),
        ]
    );
    assert_eq!(who("boss", &path).await.status, 200);
    assert_eq!(who("bob", &path).await.code(), (403, Some(20042)));
    assert_eq!(who("alice", "x").await.code(), (400, Some(20015)));
    assert_eq!(stage.service.person("alice").get("/access/who").await.status, 422);

    let of = async |who: &str, user: &str| stage.service.person(who).get(&format!("/access/of/{user}")).await;
    let rows = of("carol", "carol").await.expect(200);
    let shared = rows["rows"].as_array().unwrap().iter().find(|row| row["path"] == path).unwrap();
    assert_eq!((&shared["access"], &shared["until"]), (&json!("ReadWrite"), &json!(null)));
    assert_eq!(shared["via"], format!("group kbase, PathShare {namespace}/{share}"));
    assert_eq!(of("boss", "carol").await.expect(200), rows);
    assert_eq!(of("bob", "carol").await.code(), (403, Some(20042)));
    assert_eq!(of("boss", "nobody").await.code(), (400, Some(20030)));
    let with_me = stage.get("carol", "/sharing/with-me").await;
    assert_eq!((&with_me["total_count"], &with_me["shares"][0]), (&json!(1), shared));
    assert_eq!(stage.get("alice", "/sharing/with-me").await["total_count"], 0);
    let mine = stage.get("alice", "/sharing/mine").await;
    assert_eq!((&mine["total_count"], &mine["shares"][0]["path"]), (&json!(1), &json!(path)));
    assert_eq!(mine["shares"][0]["object"], format!("PathShare {namespace}/{share}"));
    assert_eq!(stage.get("bob", "/sharing/mine").await["total_count"], 0);
}

fn shown(row: &serde_json::Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    [text("kind"), text("name"), text("access"), text("via")].join(" ")
}
