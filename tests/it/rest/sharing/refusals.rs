//! What is refused, with which code, and in which order.

use reqwest::Method;
use serde_json::json;

use super::*;
use crate::support::minio::unique;
use crate::support::product::Setup;
use crate::support::rest::Person;

#[tokio::test]
async fn paths_bodies_and_callers_are_refused_in_the_order_of_the_contract() {
    let stage = Stage::start("berdl", &["alice", "bob"]).await;
    let post = async |body: serde_json::Value| stage.post("alice", SHARE, body).await;
    let in_home = |rest: &str| s3a(&home("alice", rest));
    let long = in_home(&"k".repeat(1100));
    for (path, code) in [
        ("/x", (400, 20015)),
        ("s3a://cdm-lake", (400, 20015)),
        ("s3a://cdm-lake/", (400, 20015)),
        ("s3a://Cdm-Lake/x", (400, 30020)),
        ("s3a://a.b/x", (400, 30020)),
        (&*in_home("../bob/"), (400, 20015)),
        (&*in_home("/x"), (400, 20015)),
        (&*in_home("data/foo*"), (400, 20015)),
        (&*in_home("a?b"), (400, 20015)),
        (&*in_home("${aws:username}"), (400, 20015)),
        (&*long, (400, 20015)),
        ("s3a://otherbucket/users-general-warehouse/alice/x/", (400, 20015)),
        ("s3a://otherbucket/users-general-warehouse/bob/x/", (400, 20015)),
        ("s3a://cdm-spark-job-logs/spark-job-logs/alice/", (400, 20015)),
        ("s3a://cdm-lake/users-general-warehouse/alice", (403, 20042)),
        ("s3a://cdm-lake/users-general-warehouse/bob/x/", (403, 20042)),
        ("s3a://cdm-lake/users-general-warehouse/alice2/x/", (403, 20042)),
        ("s3a://cdm-lake/tenant-general-warehouse/kbase/x/", (403, 20042)),
        ("s3a://cdm-lake/x", (403, 20042)),
    ] {
        for route in [SHARE, UNSHARE, PUBLIC, PRIVATE] {
            let refused = stage.post("alice", route, json!({"path": path})).await;
            assert_eq!(refused.code(), (code.0, Some(code.1)), "{route} {path}: {}", refused.text);
        }
        // The path comes ahead of the other errors of a body, its owner does not.
        let refused = post(json!({"path": path, "extra": 1})).await;
        let ahead = code.0 == 400 && !path.starts_with("s3a://otherbucket") && !path.contains("spark-job-logs");
        assert_eq!(refused.status, if ahead { 400 } else { 422 }, "{path}: {}", refused.text);
    }
    let refused = post(json!({"path": "s3a://cdm-lake/users-general-warehouse/bob/x/"})).await.expect(403);
    let message = "User alice does not have admin privileges for path s3a://cdm-lake/users-general-warehouse/bob/x/";
    assert_eq!((&refused["message"], &refused["detail"]), (&json!(message), &json!(message)));
    let refused = stage.post("boss", SHARE, json!({"path": in_home("x"), "with_users": ["bob"]})).await;
    assert_eq!(refused.code(), (403, Some(20042)), "administrators own no other homes");

    for (body, loc) in [
        (json!({}), json!(["body", "path"])),
        (json!({"path": "  "}), json!(["body", "path"])),
        (json!({"path": 7}), json!(["body", "path"])),
        (json!({"path": in_home("x"), "permission": "admin"}), json!(["body", "permission"])),
        (json!({"path": in_home("x"), "permission": null}), json!(["body", "permission"])),
        (json!({"path": in_home("x"), "extra": 1}), json!(["body", "extra"])),
        (json!({"path": in_home("x"), "with_users": "bob"}), json!(["body", "with_users"])),
        (json!({"path": in_home("x"), "with_groups": null}), json!(["body", "with_groups"])),
        (json!({"path": in_home("x"), "with_users": ["bob", 7]}), json!(["body", "with_users", 1])),
    ] {
        let refused = post(body.clone()).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], loc, "{body}: {refused}");
    }
    let names = |from: usize, to: usize| (from..to).map(|n| format!("user{n}")).collect::<Vec<_>>();
    let too_many = post(json!({"path": in_home("x"), "with_users": names(0, 60), "with_groups": names(0, 41)})).await;
    assert_eq!(too_many.status, 422, "{}", too_many.text);
    let repeated = vec!["bob"; 150];
    let body = post(json!({"path": in_home("x"), "with_users": repeated})).await.expect(200);
    assert_eq!(body["success_count"], 1, "a name counts once");

    let text = stage.service.person("alice").request(Method::POST, SHARE).header("Content-Type", "text/plain");
    assert_eq!(Person::send(text.body(json!({"path": in_home("x")}).to_string())).await.status, 422);
    let nobody = stage.service.nobody();
    assert_eq!(nobody.post_json(SHARE, json!({"path": in_home("x")})).await.code(), (401, Some(10010)));
    assert_eq!(nobody.request(Method::POST, SHARE).body("{").send().await.unwrap().status(), 422);
    for route in ["/sharing/mine", "/sharing/with-me", "/access/of/alice", "/access/who?path=s3a://cdm-lake/x"] {
        assert_eq!(nobody.get(route).await.code(), (401, Some(10010)));
    }
}

#[tokio::test]
async fn each_target_is_told_why_it_was_not_possible() {
    let stage = Stage::start("berdl", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    let (file, own) = (home("alice", "data/file"), home("alice", "file"));
    stage.world.seed(&[&file, &own]).await;
    let path = s3a(&home("alice", "data/"));
    let body = json!({
        "path": path, "with_users": ["bob", "nobody", "alice", "root", "x", "a b", "..", ""],
        "with_groups": ["nogroup", "globalusers", "globalusersro", "Team", "admin"], "permission": "read",
    });
    let body = stage.post("alice", SHARE, body).await.expect(207);
    bob.expect(&file, "GL").await;
    assert_eq!((&body["shared_with_users"], &body["success_count"]), (&json!(["bob"]), &json!(1)));
    let expected = [
        "Error sharing with user nobody: user nobody does not exist",
        "Error sharing with user alice: nobody shares with themselves",
        "Error sharing with user root: username \"root\" is reserved",
        "Error sharing with user x: username \"x\" has 1 characters",
        "Error sharing with user a b: username \"a b\" must be",
        "Error sharing with user ..: username \"..\"",
        "Error sharing with user : username \"\"",
        "Error sharing with group nogroup: group nogroup does not exist",
        "Error sharing with group globalusers: everybody is in it",
        "Error sharing with group globalusersro: ",
        "Error sharing with group Team: group name \"Team\" must consist",
        "Error sharing with group admin: groupName \"admin\" is reserved",
    ];
    assert_eq!(body["errors"].as_array().unwrap().len(), expected.len(), "{body}");
    for (number, start) in expected.iter().enumerate() {
        assert!(error_of(&body, number).starts_with(start), "{start}: {body}");
    }
    let body =
        json!({"path": path, "from_users": ["bob", "nobody", "alice"], "from_groups": ["nogroup", "globalusers"]});
    let body = stage.post("alice", UNSHARE, body).await.expect(207);
    bob.expect(&file, "").await;
    assert_eq!(body["unshared_from_users"], json!(["bob"]));
    assert_eq!(error_of(&body, 0), "Error unsharing from user nobody: user nobody does not exist");
    assert_eq!(body["errors"].as_array().unwrap().len(), 4, "{body}");
    // Nobody loses the own home by it.
    stage.s3("alice").await.expect(&own, "GPDL").await;
    let only = stage.post("alice", SHARE, json!({"path": path, "with_users": ["nobody"]})).await.expect(207);
    assert_eq!(only["success_count"], 0);
    assert!(stage.shares().await.is_empty(), "a call that shares with nobody leaves nothing behind");
    // Somebody who is disabled neither shares nor is a reason to fail.
    stage.world.patch("MinioUser", "bob", json!({"spec": {"enabled": false}})).await;
    stage.world.ready_is("MinioUser", "bob", "True", "Disabled").await;
    stage.share("alice", &path, &["bob"], "read").await;
    let refused = stage.post("bob", SHARE, json!({"path": s3a(&home("bob", "x")), "with_users": ["alice"]})).await;
    assert_eq!(refused.code(), (403, Some(20030)), "{}", refused.text);
    stage.world.patch("MinioUser", "bob", json!({"spec": {"enabled": true}})).await;
    stage.world.ready("MinioUser", "bob").await;
    bob.expect(&file, "GL").await;
}

#[tokio::test]
async fn who_has_shared_as_much_as_is_allowed_is_told_so() {
    let directory = std::env::temp_dir().join(unique("minio-manager-quota"));
    std::fs::create_dir_all(&directory).unwrap();
    let config = directory.join("config.yaml");
    std::fs::write(&config, "layout: simple\ngrantsPerOwner: 2\n").unwrap();
    let config = ["--config", config.to_str().unwrap()];
    let world = World::own(Setup::default().with(&config)).await;
    let people = ["alice", "bob", "carol", "dave"];
    let setup = people.iter().fold(ServiceSetup::default().with(&config), |setup, name| setup.person(name, false));
    let service = Service::start(&world, setup).await;
    for name in people {
        service.person(name).get("/credentials/").await.expect(200);
    }
    let stage = Stage { world, service };
    let dave = stage.s3("dave").await;
    let file = "lake/homes/alice/x/file";
    stage.world.seed(&[file]).await;
    let path = "s3a://lake/homes/alice/x";
    let body = json!({"path": path, "with_users": ["bob", "carol", "dave"], "permission": "read"});
    let body = stage.post("alice", SHARE, body).await.expect(207);
    assert_eq!(body["shared_with_users"], json!(["bob", "carol"]));
    assert!(
        error_of(&body, 0).starts_with("Error sharing with user dave: the owner of the folder has 2 shares"),
        "{body}"
    );
    dave.expect(file, "").await;
    stage.share("alice", path, &["bob", "carol"], "write").await;
    stage.post("alice", UNSHARE, json!({"path": path, "from_users": ["bob"]})).await.expect(200);
    stage.share("alice", path, &["dave"], "read").await;
    dave.expect(file, "GL").await;
    std::fs::remove_dir_all(directory).unwrap();
}
