//! Folders that everyone may read, and the end of all shares.

use serde_json::json;

use super::*;
use crate::support::s3::Try;
use crate::support::world::share;

#[tokio::test]
async fn public_is_readable_and_private_is_nobodys() {
    let stage = Stage::start("berdl", &["alice", "bob", "carol"]).await;
    let (bob, carol) = (stage.s3("bob").await, stage.s3("carol").await);
    let [file, deep, child, beside] =
        ["p/file", "p/deep/file", "p/child/file", "p2/file"].map(|rest| home("alice", rest));
    stage.world.seed(&[&file, &deep, &child, &beside]).await;
    let path = s3a(&home("alice", "p/"));
    let other = format!("s3://{}", home("alice", "p"));
    let body = stage.post("alice", PUBLIC, json!({"path": other})).await.expect(200);
    assert_eq!(body, json!({"path": other, "is_public": true}));
    bob.expect(&file, "GL").await;
    bob.expect(&beside, "").await;
    // One more of everything that has to end.
    stage.post("alice", PUBLIC, json!({"path": s3a(&home("alice", "p/deep/"))})).await.expect(200);
    stage.share("alice", &s3a(&home("alice", "p/child/")), &["carol"], "write").await;
    stage.share("alice", &path, &["carol"], "write").await;
    carol.expect(&child, "GPDL").await;
    // Everybody learns that it is public; only those concerned learn more.
    let info = |path: &str| json!({"path": path});
    let seen = stage.post("bob", INFO, info(&path)).await.expect(200);
    assert_eq!(seen, json!({"users": [], "groups": [], "public": true, "path": path}));
    let seen = stage.post("alice", INFO, info(&other)).await.expect(200);
    assert_eq!(seen["users"], json!(["alice", "carol"]));
    assert_eq!((&seen["public"], &seen["groups"]), (&json!(true), &json!(["globalusers"])));
    let seen = stage.post("bob", INFO, info(&s3a(&home("alice", "p2/")))).await.expect(200);
    assert_eq!(seen["public"], false, "a name that begins alike is another folder");
    // A share of a folder below it, made private by the folder's other spelling.
    let body = stage.post("alice", PRIVATE, json!({"path": other})).await.expect(200);
    assert_eq!(body, json!({"path": other, "is_public": false}));
    for place in [&file, &deep, &child] {
        bob.expect(place, "").await;
        carol.expect(place, "").await;
    }
    assert!(stage.shares().await.is_empty());
    stage.post("alice", PRIVATE, json!({"path": path})).await.expect(200);
    let seen = stage.post("alice", INFO, info(&path)).await.expect(200);
    assert_eq!(seen, json!({"users": ["alice"], "groups": [], "public": false, "path": path}));
}

#[tokio::test]
async fn what_a_folder_around_it_shares_is_not_called_private() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    let file = "lake/homes/alice/p/secret/file";
    stage.world.seed(&[file]).await;
    stage.post("alice", PUBLIC, json!({"path": "s3a://lake/homes/alice/p"})).await.expect(200);
    stage.share("alice", "s3a://lake/homes/alice/p/secret", &["bob"], "write").await;
    let path = "s3a://lake/homes/alice/p/secret";
    let body = stage.post("alice", PRIVATE, json!({"path": path})).await.expect(207);
    assert_eq!((&body["path"], &body["is_public"]), (&json!(path), &json!(true)));
    assert!(error_of(&body, 0).contains("everyone read access on s3a://lake/homes/alice/p/"), "{body}");
    bob.expect(file, "GL").await;
    let refused = stage.post("bob", PUBLIC, json!({"path": path})).await;
    assert_eq!(refused.code(), (403, Some(20042)));
    stage.post("alice", PRIVATE, json!({"path": "s3a://lake/homes/alice/p"})).await.expect(200);
    bob.expect(file, "").await;
}

#[tokio::test]
async fn more_folders_can_be_public_than_one_document_holds() {
    const FOLDERS: usize = 150;
    let stage = Stage::start("berdl", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    let folder = |number: usize| {
        format!("cdm-lake/users-sql-warehouse/alice/u_alice__a_database_of_mine.db/a_table_with_a_long_name_{number}")
    };
    let file = |number: usize| format!("{}/part", folder(number));
    let yaml: Vec<String> =
        (0..FOLDERS - 1).map(|number| share(&format!("open-{number}"), &folder(number), "everyone: Read")).collect();
    stage.world.apply(&yaml.join("---\n")).await;
    for number in 0..FOLDERS - 1 {
        stage.world.ready("PathShare", &format!("open-{number}")).await;
    }
    let last = FOLDERS - 1;
    stage.world.seed(&[&file(0), &file(last / 2), &file(last)]).await;
    assert!(stage.world.document("group-policy-globalusers--2").await.is_some(), "one document does not hold them");
    stage.post("alice", PUBLIC, json!({"path": s3a(&folder(last))})).await.expect(200);
    for number in [0, last / 2, last] {
        assert!(bob.may(Try::Get, &file(number)).await, "{number}");
    }
    let everyone = stage.get("bob", "/workspaces/me/groups/globalusers").await;
    assert!(everyone["accessible_paths"].as_array().unwrap().len() >= FOLDERS);
    stage.post("alice", PRIVATE, json!({"path": s3a(&folder(last))})).await.expect(200);
    assert!(!bob.may(Try::Get, &file(last)).await && bob.may(Try::Get, &file(0)).await);
}
