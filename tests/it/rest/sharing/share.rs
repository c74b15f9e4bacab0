//! Sharing and unsharing of one owner.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::support::s3::Try;
use crate::support::sts::{Session, element};
use crate::support::world::{from_now, group};

#[tokio::test]
async fn what_is_shared_is_in_force_with_the_answer_and_what_is_unshared_is_not() {
    let stage = Stage::start("berdl", &["alice", "bob", "carol", "dave"]).await;
    let (bob, carol) = (stage.s3("bob").await, stage.s3("carol").await);
    let [file, sibling, above] = ["data/exp1/file", "data/exp12/file", "data/file"].map(|rest| home("alice", rest));
    stage.world.seed(&[&file, &sibling, &above]).await;
    let path = s3a(&home("alice", "data/exp1/"));

    let body = stage.share("alice", &path, &["bob"], "read").await;
    bob.expect(&file, "GL").await;
    let expected = json!({
        "path": path, "shared_with_users": ["bob"], "shared_with_groups": [], "success_count": 1, "errors": [],
        "shared_by": "alice", "shared_at": body["shared_at"],
    });
    assert_eq!(body, expected);
    for beside in [&sibling, &above] {
        bob.expect(beside, "").await;
    }
    carol.expect(&file, "").await;
    let shares = stage.shares().await;
    assert_eq!(shares.len(), 1, "{shares:?}");
    let metadata = &shares[0]["metadata"];
    let hash = "share-alice-";
    assert!(metadata["name"].as_str().unwrap().starts_with(hash), "{metadata}");
    assert_eq!(metadata["name"].as_str().unwrap().len(), hash.len() + 10);
    assert_eq!(metadata["labels"], json!({"minio-manager.io/origin": "rest", "minio-manager.io/owner": "alice"}));
    assert_eq!(shares[0]["spec"]["owner"], json!({"kind": "User", "name": "alice"}));

    // The default level is write, another spelling is the same path, and the last call holds.
    let other = format!("s3://{}", home("alice", "data/exp1"));
    let body = stage.post("alice", SHARE, json!({"path": other, "with_users": ["bob", " carol ", "bob"]})).await;
    let body = body.expect(200);
    assert_eq!((&body["shared_with_users"], &body["success_count"]), (&json!(["bob", "carol"]), &json!(2)));
    assert_eq!(body["path"], other);
    bob.expect(&file, "GPDL").await;
    carol.expect(&file, "GPDL").await;
    stage.share("alice", &path, &["carol"], "read").await;
    carol.expect(&file, "GL").await;
    bob.expect(&file, "GPDL").await;
    assert_eq!(stage.shares().await.len(), 1);

    let unshare = |from: &[&str]| json!({"path": path, "from_users": from});
    let body = stage.post("alice", UNSHARE, unshare(&["bob", "dave"])).await.expect(200);
    bob.expect(&file, "").await;
    carol.expect(&file, "GL").await;
    let expected = json!({
        "path": path, "unshared_from_users": ["bob", "dave"], "unshared_from_groups": [], "success_count": 2, "errors": [],
        "unshared_by": "alice", "unshared_at": body["unshared_at"],
    });
    assert_eq!(body, expected, "what was never shared is unshared already");
    stage.post("alice", UNSHARE, unshare(&["carol"])).await.expect(200);
    carol.expect(&file, "").await;
    assert!(stage.shares().await.is_empty(), "the last one takes the object along");

    // The home itself, and a path of tables; nothing asked for is nothing done.
    stage.share("alice", &s3a(&home("alice", "")), &["bob"], "read").await;
    bob.expect(&above, "GL").await;
    let empty = stage.post("alice", SHARE, json!({"path": path})).await.expect(200);
    assert_eq!(empty["success_count"], 0);
    assert_eq!(stage.shares().await.len(), 1);
    let table = "cdm-lake/users-sql-warehouse/alice/u_alice__sales.db/orders";
    stage.world.seed(&[&format!("{table}/part")]).await;
    stage.share("alice", &s3a(table), &["carol"], "write").await;
    carol.expect(&format!("{table}/part"), "GPDL").await;
    let audit = stage.service.audit();
    let line =
        audit.iter().find(|line| line["call"] == "POST /sharing/share" || line.to_string().contains("/sharing/share"));
    assert!(line.is_some_and(|line| line.to_string().contains("alice")), "{audit:?}");
}

#[tokio::test]
async fn a_share_below_a_shared_folder_is_one_of_its_own() {
    let stage = Stage::start("berdl", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    let [deep, beside] = ["p/c/file", "p/file"].map(|rest| home("alice", rest));
    stage.world.seed(&[&deep, &beside]).await;
    let (parent, child) = (s3a(&home("alice", "p/")), s3a(&home("alice", "p/c/")));
    stage.share("alice", &parent, &["bob"], "read").await;
    stage.share("alice", &child, &["bob"], "write").await;
    bob.expect(&deep, "GPDL").await;
    bob.expect(&beside, "GL").await;
    // The write access ends, but nobody claims that bob cannot reach it any more.
    let unshare = json!({"path": child, "from_users": ["bob"]});
    let body = stage.post("alice", UNSHARE, unshare.clone()).await.expect(207);
    bob.expect(&deep, "GL").await;
    assert_eq!((&body["success_count"], &body["unshared_from_users"]), (&json!(0), &json!([])));
    let error = error_of(&body, 0);
    assert!(error.starts_with("Error unsharing from user bob: PathShare "), "{error}");
    assert!(error.contains(&parent) && error.contains("minio-manager-rest"), "{error}");
    stage.post("alice", UNSHARE, json!({"path": parent, "from_users": ["bob"]})).await.expect(200);
    stage.post("alice", UNSHARE, unshare).await.expect(200);
    bob.expect(&deep, "").await;
}

#[tokio::test]
async fn what_looks_like_a_pattern_opens_nothing_and_ends_nothing() {
    let stage = Stage::start("berdl", &["alice", "bob", "carol"]).await;
    let (bob, carol) = (stage.s3("bob").await, stage.s3("carol").await);
    let files = ["data/file", "data/foo/file", "data/foo1/file"].map(|rest| home("alice", rest));
    stage.world.seed(&files.each_ref().map(String::as_str)).await;
    stage.share("alice", &s3a(&home("alice", "data/")), &["bob"], "read").await;
    for pattern in ["data/foo*", "data/*", "data/fo?", "data/${aws:username}"] {
        let path = s3a(&home("alice", pattern));
        for (route, body) in [
            (SHARE, json!({"path": path, "with_users": ["carol"]})),
            (UNSHARE, json!({"path": path, "from_users": ["bob"]})),
            (PUBLIC, json!({"path": path})),
            (PRIVATE, json!({"path": path})),
        ] {
            let refused = stage.post("alice", route, body).await;
            assert_eq!(refused.code(), (400, Some(20015)), "{route} {path}: {}", refused.text);
        }
    }
    for file in &files {
        bob.expect(file, "GL").await;
        carol.expect(file, "").await;
    }
    // Nor does a share of a part, when it ends, take anything of the whole along, its listing included.
    let part = s3a(&home("alice", "data/foo"));
    stage.share("alice", &part, &["bob", "carol"], "write").await;
    bob.expect(&files[1], "GPDL").await;
    let ended = stage.post("alice", UNSHARE, json!({"path": part, "from_users": ["bob", "carol"]})).await.expect(207);
    assert_eq!(ended["unshared_from_users"], json!(["carol"]));
    for file in &files {
        bob.expect(file, "GL").await;
        carol.expect(file, "").await;
    }
    assert!(bob.may(Try::List, &home("alice", "data/")).await);
}

#[tokio::test]
async fn who_may_write_a_folder_may_end_uploads_in_it_and_remove_it() {
    let stage = Stage::start("berdl", &["alice", "bob", "carol"]).await;
    let folder = "cdm-lake/users-sql-warehouse/alice/u_alice__sales.db/orders";
    stage.share("alice", &s3a(folder), &["bob"], "write").await;
    stage.share("alice", &s3a(folder), &["carol"], "read").await;
    let [alice, bob, carol] = [stage.s3("alice").await, stage.s3("bob").await, stage.s3("carol").await];
    let raw = |caller: &Caller| Session::with_key(stage.world.product().minio().endpoint(), caller.credentials());
    let file = format!("{folder}/part-0");
    for writer in [&alice, &bob] {
        let (status, begun) = raw(writer).s3("POST", &format!("{file}?uploads="), "").await;
        assert_eq!(status, 200, "{begun}");
        let upload = format!("{file}?uploadId={}", element(&begun, "UploadId"));
        assert_eq!(raw(writer).s3("PUT", &format!("{upload}&partNumber=1"), "some rows").await.0, 200);
        let (status, parts) = raw(writer).s3("GET", &upload, "").await;
        assert!(status == 200 && parts.contains("<PartNumber>1<"), "{status}: {parts}");
        for method in ["GET", "DELETE"] {
            assert_eq!(raw(&carol).s3(method, &upload, "").await.0, 403, "who reads has nothing to do with uploads");
        }
        assert_eq!(raw(writer).s3("DELETE", &upload, "").await.0, 204, "a failed upload can be taken back");
        assert_eq!(raw(writer).s3("GET", &upload, "").await.0, 404);
        // The folder's own name may be an object, as some writers make it.
        for name in [format!("{folder}/"), folder.to_owned()] {
            assert_eq!(writer.status(Try::Put, &name).await, 200, "{name}");
            assert_eq!(carol.status(Try::Delete, &name).await, 403, "{name}");
            assert_eq!(writer.status(Try::Delete, &name).await, 204, "{name}");
            assert_eq!(writer.status(Try::Get, &name).await, 404, "{name}");
        }
    }
    assert_eq!(raw(&carol).s3("POST", &format!("{file}?uploads="), "").await.0, 403);
}

#[tokio::test]
async fn groups_twins_and_stewards_share() {
    let stage = Stage::start("berdl", &["alice", "bob", "carol", "dave"]).await;
    stage.world.apply(&group("kbase", "members: [bob], readOnlyMembers: [carol], stewards: [bob]")).await;
    stage.world.ready("MinioGroup", "kbase").await;
    let (bob, carol, dave) = (stage.s3("bob").await, stage.s3("carol").await, stage.s3("dave").await);
    let file = home("alice", "g/file");
    stage.world.seed(&[&file]).await;
    let path = s3a(&home("alice", "g"));
    let body = json!({"path": path, "with_groups": ["kbase", "kbasero"], "permission": "read"});
    stage.post("alice", SHARE, body).await.expect(200);
    bob.expect(&file, "GL").await;
    carol.expect(&file, "GL").await;
    // A read-only group is never given more than reading (and the rest of the call takes place).
    let body = stage.post("alice", SHARE, json!({"path": path, "with_groups": ["kbase", "kbasero"]})).await.expect(207);
    assert_eq!(body["shared_with_groups"], json!(["kbase"]));
    assert!(error_of(&body, 0).starts_with("Error sharing with group kbasero: its members only read"), "{body}");
    bob.expect(&file, "GPDL").await;
    carol.expect(&file, "GL").await;
    let body = json!({"path": path, "from_groups": ["kbase", "kbasero"]});
    assert_eq!(
        stage.post("alice", UNSHARE, body).await.expect(200)["unshared_from_groups"],
        json!(["kbase", "kbasero"])
    );
    bob.expect(&file, "").await;
    carol.expect(&file, "").await;

    // A steward shares below the folders of the group; members do not.
    let team = "cdm-lake/tenant-general-warehouse/kbase/out/file";
    stage.world.seed(&[team]).await;
    let path = s3a("cdm-lake/tenant-general-warehouse/kbase/out/");
    stage.share("bob", &path, &["dave"], "read").await;
    dave.expect(team, "GL").await;
    let body = json!({"path": path, "with_users": ["bob"], "with_groups": ["kbase"]});
    let body = stage.post("bob", SHARE, body).await.expect(207);
    assert!(error_of(&body, 0).contains("nobody shares with themselves"), "{body}");
    assert!(error_of(&body, 1).contains("the group owns the folder"), "{body}");
    let refused = stage.post("carol", SHARE, json!({"path": path, "with_users": ["dave"]})).await;
    assert_eq!(refused.code(), (403, Some(20042)));
    let bare = json!({"path": "s3a://cdm-lake/tenant-general-warehouse/kbase", "with_users": ["dave"]});
    assert_eq!(stage.post("bob", SHARE, bare).await.code(), (403, Some(20042)));
    let mine = stage.get("bob", "/sharing/mine").await;
    assert_eq!(mine["shares"][0]["owner"], "group kbase");
    let who = stage.get("bob", &format!("/access/who?path={path}")).await;
    assert!(who["rows"].as_array().unwrap().iter().any(|row| row["name"] == "dave"), "{who}");
    let refused = stage.service.person("carol").get(&format!("/access/who?path={path}")).await;
    assert_eq!(refused.code(), (403, Some(20042)));
    stage.post("bob", PRIVATE, json!({"path": path})).await.expect(200);
    dave.expect(team, "").await;
}

#[tokio::test]
async fn a_share_ends_when_it_is_said_to_and_the_last_call_says_all() {
    let stage = Stage::start("simple", &["alice", "bob", "eve"]).await;
    let bob = stage.s3("bob").await;
    let file = "lake/homes/alice/x/file";
    stage.world.seed(&[file]).await;
    let path = "s3a://lake/homes/alice/x";
    let share = |end: serde_json::Value, reason: serde_json::Value| json!({"path": path, "with_users": ["bob"], "permission": "read", "expires_at": end, "reason": reason});
    let soon = from_now(Duration::from_secs(4));
    stage.post("alice", SHARE, share(json!(soon), json!("for the review"))).await.expect(200);
    bob.expect(file, "GL").await;
    let mine = stage.get("alice", "/sharing/mine").await;
    let grant = &mine["shares"][0]["grants"][0];
    assert_eq!((&grant["kind"], &grant["name"], &grant["access"]), (&json!("User"), &json!("bob"), &json!("Read")));
    assert_eq!(grant["reason"], "for the review");
    let end: Timestamp = grant["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(end.as_second(), soon.as_second());
    let with_me = stage.get("bob", "/sharing/with-me").await;
    assert_eq!(with_me["shares"][0]["path"], format!("{path}/"));
    assert_eq!(with_me["shares"][0]["until"], grant["expires_at"]);
    stage.world.eventually("the share ends", async || !bob.may(Try::Get, file).await).await;
    assert!(Timestamp::now() >= end, "not before its end");
    assert_eq!(stage.get("alice", "/sharing/mine").await["total_count"], 0);
    assert_eq!(stage.get("bob", "/sharing/with-me").await["total_count"], 0);
    // Another call takes an end away; and what has expired is cleaned away with the next edit.
    stage.share("alice", path, &["eve"], "read").await;
    let shares = stage.shares().await;
    assert_eq!(shares[0]["spec"]["grants"].as_array().unwrap().len(), 1, "{shares:?}");
    stage.post("alice", SHARE, share(json!("2999-01-01T00:00:00+02:00"), json!(null))).await.expect(200);
    stage.post("alice", SHARE, share(json!(null), json!(null))).await.expect(200);
    let shares = stage.shares().await;
    let of_bob = shares[0]["spec"]["grants"].as_array().unwrap().iter().find(|grant| grant["name"] == "bob").unwrap();
    assert_eq!(of_bob.get("expiresAt"), None);
    bob.expect(file, "GL").await;
    for (end, word) in [("2020-01-01T00:00:00Z", "future"), ("tomorrow", "instant"), ("2030-01-01", "instant")] {
        let refused = stage.post("alice", SHARE, share(json!(end), json!(null))).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["body", "expires_at"]), "{refused}");
        assert!(refused["message"].as_str().unwrap().contains(word), "{refused}");
    }
    let long = stage.post("alice", SHARE, share(json!(null), json!("x".repeat(513)))).await.expect(422);
    assert_eq!(long["detail"][0]["loc"], json!(["body", "reason"]));
}

#[tokio::test]
async fn a_new_owner_of_a_name_does_not_get_the_shares_of_the_former() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    let (old, new) = ("lake/homes/alice/old/file", "lake/homes/alice/new/file");
    stage.world.seed(&[old, new]).await;
    stage.share("alice", "s3a://lake/homes/alice/old", &["bob"], "write").await;
    stage.share("alice", "s3a://lake/homes/alice/new", &["bob"], "write").await;
    stage.world.delete_and_wait("MinioUser", "alice").await;
    stage.world.eventually("the shares end", async || !bob.may(Try::Get, old).await).await;
    let refused =
        stage.post("alice", SHARE, json!({"path": "s3a://lake/homes/alice/new", "with_users": ["bob"]})).await;
    assert_eq!(refused.code(), (400, Some(20030)), "{}", refused.text);
    stage.get("alice", "/credentials/").await;
    bob.expect(old, "").await;
    bob.expect(new, "").await;
    stage.share("alice", "s3a://lake/homes/alice/new", &["bob"], "read").await;
    bob.expect(new, "GL").await;
    bob.expect(old, "").await;
}
