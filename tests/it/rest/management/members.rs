use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{Stage, member, names, refused};
use crate::support::rest::Person;
use crate::support::s3::Try;
use crate::support::world::{from_now, group};

#[tokio::test]
async fn members_come_and_go_with_their_access() {
    let stage = Stage::begin("berdl", &["alice", "bob"]).await;
    let boss = &stage.boss;
    let (alice, bob) = (stage.user("alice").await, stage.user("bob").await);
    let file = stage.group("kbase").await;

    let answer = stage.add("kbase", "bob").await.expect(200);
    bob.expect(&file, "GPDL").await;
    let mut expected = json!({
        "group_name": "kbase", "ro_group_name": null, "members": ["bob", "boss"], "member_count": 2,
        "policy_name": "group-policy-kbase", "operation": "add_member", "performed_by": "boss",
    });
    expected["timestamp"] = answer["timestamp"].clone();
    assert_eq!(answer, expected);
    assert_eq!(stage.add("kbase", "bob").await.expect(200)["members"], json!(["bob", "boss"]), "repeats succeed");

    // An entry has one level, whichever was asked for last.
    let answer = stage.add("kbasero", "bob").await.expect(200);
    bob.expect(&file, "GL").await;
    assert_eq!((&answer["group_name"], &answer["members"]), (&json!("kbasero"), &json!(["bob"])));
    assert_eq!(answer["policy_name"], "group-policy-kbasero");
    assert_eq!(stage.take_out("kbase", "bob").await.expect(200)["members"], json!(["boss"]), "is not in it");
    bob.expect(&file, "GL").await;
    assert_eq!(stage.add("kbase", "bob").await.expect(200)["members"], json!(["bob", "boss"]));
    bob.expect(&file, "GPDL").await;
    assert_eq!(stage.take_out("kbasero", "bob").await.expect(200)["members"], json!([]));
    bob.expect(&file, "GPDL").await;
    let answer = stage.take_out("kbase", "bob").await.expect(200);
    bob.expect(&file, "").await;
    assert_eq!((&answer["members"], &answer["operation"]), (&json!(["boss"]), &json!("remove_member")));
    assert_eq!(stage.take_out("kbase", "bob").await.expect(200)["members"], json!(["boss"]), "repeats succeed");

    for (answer, words) in [
        (stage.add("kbase", "nobody").await, "User nobody does not exist"),
        (stage.take_out("kbase", "nobody").await, "Failed to remove user from group: "),
        (stage.add("unknown", "alice").await, "Group unknown not found"),
        (stage.take_out("unknown", "alice").await, "Group unknown not found"),
        (stage.add("K_B", "alice").await, "K_B"),
        (stage.add("globalusers", "alice").await, "cannot be changed"),
        (stage.take_out("globalusers", "alice").await, "cannot be changed"),
        (stage.add("globalusersro", "alice").await, ""),
    ] {
        refused(&answer, 400, Some(20040), &[words]);
    }
    refused(&stage.add("kbase", "a..b").await, 400, Some(20030), &[]);
    refused(&stage.service.nobody().post(&member("kbase", "bob")).await, 401, Some(10010), &[]);
    assert_eq!(boss.post("/management/groups/kbase/members/a%2Fb").await.status, 404);
    assert_eq!(boss.get(&member("kbase", "bob")).await.status, 405);
    alice.expect(&file, "").await;
}

async fn with_body(person: &Person, path: &str, body: &'static str) -> u16 {
    Person::send(person.request(Method::POST, path).body(body)).await.status
}

#[tokio::test]
async fn memberships_end_when_they_were_told_to() {
    let stage = Stage::begin("berdl", &["alice"]).await;
    let alice = stage.user("alice").await;
    let file = stage.group("kbase").await;
    let path = member("kbase", "alice");
    for ignored in ["{\"members\": []}", "not json", "[]", "null", ""] {
        assert_eq!(with_body(&stage.boss, &path, ignored).await, 200, "{ignored}");
    }
    alice.expect(&file, "GPDL").await;
    for strict in [
        "{\"expires_at\": \"tomorrow\"}",
        "{\"expires_at\": \"2001-01-01T00:00:00Z\"}",
        "{\"expires_at\": \"3000-01-01T00:00:00Z\"}",
        "{\"reason\": 5}",
    ] {
        assert_eq!(with_body(&stage.boss, &path, strict).await, 422, "{strict}");
    }
    // What claims to be JSON may have an end in it that cannot be read.
    let broken = stage.boss.request(Method::POST, &path).header("Content-Type", "application/json");
    Person::send(broken.body("{\"expires_at\": \"2999-01-01T00:00:00Z\"")).await.expect(422);
    let end = from_now(Duration::from_secs(6));
    let body = json!({"expires_at": end.to_string(), "reason": "summer project"});
    stage.boss.post_json(&path, body).await.expect(200);
    let held = &stage.world.view("GroupMembership", "rest-kbase").await.0["spec"]["members"][1];
    assert_eq!((&held["name"], &held["reason"]), (&json!("alice"), &json!("summer project")));
    stage.world.eventually("the membership has ended", async || !alice.may(Try::Get, &file).await).await;
    alice.expect(&file, "").await;
    assert!(jiff::Timestamp::now() >= end - Duration::from_secs(1), "not before its end");
    assert_eq!(stage.take_out("kbase", "boss").await.expect(200)["members"], json!([]));
    assert_eq!(stage.entries("rest-kbase").await, Some(vec![]), "what has ended went with the next change");
}

#[tokio::test]
async fn stewards_manage_the_members_of_their_group_only() {
    let stage = Stage::begin("berdl", &["stella", "bob", "carol"]).await;
    let (stella, world) = (stage.person("stella"), &stage.world);
    let bob = stage.user("bob").await;
    stage.user("stella").await;
    world.apply(&[group("kbase", "stewards: [stella]"), group("other", "")].join("---\n")).await;
    world.ready("MinioGroup", "kbase").await;
    world.ready("MinioGroup", "other").await;
    let file = stage.file_of("kbase").await;
    assert_eq!(stella.post(&member("kbase", "bob")).await.expect(200)["performed_by"], "stella");
    bob.expect(&file, "GPDL").await;
    stella.post(&member("kbasero", "bob")).await.expect(200);
    bob.expect(&file, "GL").await;
    stella.delete(&member("kbasero", "bob")).await.expect(200);
    bob.expect(&file, "").await;
    for answer in [
        stella.post(&member("other", "bob")).await,
        stella.post(&member("unknown", "bob")).await,
        stella.post(&member("K_B", "bob")).await,
        stella.delete(&member("other", "bob")).await,
        stella.post("/management/groups/kbase").await,
        stella.delete("/management/groups/kbase").await,
        stage.person("bob").post(&member("kbase", "bob")).await,
        stage.person("carol").delete(&member("kbase", "bob")).await,
    ] {
        refused(&answer, 403, None, &["Administrator privileges required for this operation"]);
        assert_eq!(answer.body["error"], json!(null));
    }
    bob.expect(&file, "").await;
    // A steward who is off is none.
    let path = "s3a://cdm-lake/tenant-general-warehouse/kbase/data";
    let who = format!("/access/who?path={path}");
    let info = async || {
        let answer = stella.post_json("/sharing/get_path_access_info", json!({"path": path})).await;
        answer.expect(200)["groups"].clone()
    };
    let manages = || async { stella.post(&member("kbase", "bob")).await.status == 200 };
    let manages_nothing = || async { stella.post(&member("kbase", "bob")).await.status == 403 };
    assert_eq!(stella.get(&who).await.status, 200);
    assert_eq!(info().await, json!(["kbase", "kbasero"]));
    for (off, on) in [
        (
            json!({"metadata": {"annotations": {"minio-manager.io/lock": "left"}}}),
            json!({"metadata": {"annotations": {"minio-manager.io/lock": null}}}),
        ),
        (json!({"spec": {"enabled": false}}), json!({"spec": {"enabled": true}})),
    ] {
        world.patch("MinioUser", "stella", off).await;
        world.eventually("stella manages nothing", manages_nothing).await;
        refused(&stella.delete(&member("kbase", "bob")).await, 403, None, &["Administrator privileges required"]);
        assert_eq!(stella.get(&who).await.code(), (403, Some(20042)));
        assert_eq!(info().await, json!([]));
        assert_eq!(stella.get("/sharing/mine").await.expect(200)["total_count"], 0);
        world.patch("MinioUser", "stella", on).await;
        world.eventually("stella manages the group again", manages).await;
    }
    // No longer a steward.
    world.apply(&group("kbase", "stewards: []")).await;
    world.eventually("stella is no steward", manages_nothing).await;
    // A steward whose user is gone.
    world.apply(&group("kbase", "stewards: [stella]")).await;
    world.eventually("stella is a steward again", manages).await;
    stage.boss.delete("/management/users/stella").await.expect(200);
    refused(&stella.post(&member("kbase", "bob")).await, 403, None, &["Administrator privileges required"]);
}

#[tokio::test]
async fn many_callers_at_once_all_succeed_and_write_little() {
    let people: Vec<String> = (0..20).map(|number| format!("user{number}")).collect();
    let stage = Stage::begin("berdl", &[]).await;
    let world = &stage.world;
    let yaml: Vec<String> = people.iter().map(|name| crate::support::world::user(name, "")).collect();
    world.apply(&yaml.join("---\n")).await;
    for name in &people {
        world.ready("MinioUser", name).await;
    }
    stage.group("kbase").await;
    let generation = |view: &crate::support::world::View| view.0["metadata"]["generation"].as_i64().unwrap();
    let before = generation(&world.view("GroupMembership", "rest-kbase").await);
    let answers = join_all(people.iter().map(|name| stage.add("kbase", name))).await;
    for (answer, name) in answers.into_iter().zip(&people) {
        assert!(names(&answer.expect(200)["members"]).contains(name));
    }
    let on_server = world.members("kbase").await.unwrap();
    assert_eq!(on_server.len(), 21);
    let after = generation(&world.view("GroupMembership", "rest-kbase").await);
    assert!(after - before < 20, "{} writes for 20 members", after - before);
    let (leaving, staying) = people.split_at(10);
    let moves = join_all(staying.iter().map(|name| stage.add("kbasero", name)));
    let answers = tokio::join!(join_all(leaving.iter().map(|name| stage.take_out("kbase", name))), moves);
    for answer in answers.0.into_iter().chain(answers.1) {
        answer.expect(200);
    }
    assert_eq!(world.members("kbase").await.unwrap(), ["boss".to_owned()].into());
    assert_eq!(world.members("kbasero").await.unwrap(), staying.iter().cloned().collect());
}

#[tokio::test]
async fn two_services_change_one_group_at_once() {
    use crate::support::rest::{Service, ServiceSetup};
    let people: Vec<String> = (0..8).map(|number| format!("user{number}")).collect();
    let stage = Stage::begin("berdl", &[]).await;
    let setup = ServiceSetup::default().person("boss", true).with(&["--layout", "berdl"]);
    let other = Service::start(&stage.world, setup).await.person("boss");
    for name in &people {
        stage.boss.post(&format!("/management/users/{name}")).await.expect(201);
    }
    // Both make the group, too.
    let (one, two) = tokio::join!(stage.boss.post("/management/groups/kbase"), other.post("/management/groups/kbase"));
    assert_eq!(
        (one.expect(201)["members"].clone(), two.expect(201)["members"].clone()),
        (json!(["boss"]), json!(["boss"]))
    );
    let through = |number: usize| if number.is_multiple_of(2) { &stage.boss } else { &other };
    let adds = people.iter().enumerate().map(|(number, name)| {
        let path = member("kbase", name);
        async move { through(number).post(&path).await }
    });
    for answer in join_all(adds).await {
        answer.expect(200);
    }
    assert_eq!(stage.world.members("kbase").await.unwrap().len(), people.len() + 1);
}
