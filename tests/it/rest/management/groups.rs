use serde_json::json;

use super::{Stage, names, refused};
use crate::support::s3::Try;
use crate::support::world::group;

#[tokio::test]
async fn groups_are_made_repeated_and_deleted() {
    let stage = Stage::begin("berdl", &["alice", "bob", "names"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    let (alice, bob) = (stage.user("alice").await, stage.user("bob").await);
    let boss_s3 = boss.at_s3(world).await;

    let made = boss.post_json("/management/groups/kbase", json!({"members": []})).await.expect(201);
    let file = stage.file_of("kbase").await;
    boss_s3.expect(&file, "GPDL").await;
    let mut expected = json!({
        "group_name": "kbase", "ro_group_name": "kbasero", "members": ["boss"], "member_count": 1,
        "policy_name": "group-policy-kbase", "operation": "create", "performed_by": "boss",
    });
    expected["timestamp"] = made["timestamp"].clone();
    assert_eq!(made, expected);
    assert_eq!(world.members("kbasero").await.unwrap_or_default().len(), 0, "the creator is not in the twin");
    let readme = "cdm-lake/tenant-general-warehouse/kbase/README.txt";
    assert_eq!(world.keys_below(readme).await.len(), 1);

    // Repeated, by anybody: true members, and nobody gets in.
    stage.add("kbase", "alice").await.expect(200);
    stage.take_out("kbase", "boss").await.expect(200);
    boss_s3.expect(&file, "").await;
    let repeated = boss.post("/management/groups/kbase").await.expect(201);
    assert_eq!((&repeated["members"], &repeated["ro_group_name"]), (&json!(["alice"]), &json!("kbasero")));
    stage.take_out("kbase", "alice").await.expect(200);
    assert_eq!(boss.post("/management/groups/kbase").await.expect(201)["members"], json!([]));
    assert_eq!(stage.entries("rest-kbase").await, Some(vec![]));
    boss_s3.expect(&file, "").await;

    // The word that an operation has in its path is a name like any other.
    for place in ["/management/groups/names", "/management/users/names"] {
        boss.post(place).await.expect(201);
    }
    stage.add("names", "names").await.expect(200);
    stage.person("names").at_s3(world).await.expect(&stage.file_of("names").await, "GPDL").await;
    assert_eq!(
        names(&boss.get("/management/groups/names").await.expect(200)["group_names"]),
        ["globalusers", "kbase", "kbasero", "names", "namesro"]
    );
    for place in ["/management/groups/names", "/management/users/names"] {
        boss.delete(place).await.expect(200);
    }

    let long = "x".repeat(63);
    for (name, status, code) in [
        ("kbasero", 403, 20042),
        ("metro", 403, 20042),
        ("metro%20", 403, 20042),
        ("Kro", 403, 20042),
        ("KBase", 400, 20040),
        ("k_b", 400, 20040),
        ("k-b", 400, 20040),
        ("1ab", 400, 20040),
        ("k", 400, 20040),
        ("admin", 400, 20040),
        ("everyone", 400, 20040),
        ("globalusers", 400, 20040),
        ("globalusersro", 403, 20042),
        (long.as_str(), 400, 20040),
    ] {
        refused(&boss.post(&format!("/management/groups/{name}")).await, status, Some(code), &[]);
        assert_eq!(
            world.document(&format!("group-policy-{name}")).await.is_some(),
            ["kbasero", "globalusers"].contains(&name)
        );
    }
    assert_eq!(world.objects("MinioGroup").await.len(), 1, "what is refused leaves nothing behind");
    // The longest name leaves room for its twin.
    let longest = "x".repeat(62);
    boss.post(&format!("/management/groups/{longest}")).await.expect(201);
    stage.add(&format!("{longest}ro"), "bob").await.expect(200);
    bob.expect(&stage.file_of(&longest).await, "GL").await;
    boss.delete(&format!("/management/groups/{longest}")).await.expect(200);
    for name in ["kbasero", "globalusers", "unknown", "KBase"] {
        refused(&boss.delete(&format!("/management/groups/{name}")).await, 400, Some(20040), &[]);
    }
    for answer in [
        stage.person("alice").post("/management/groups/other").await,
        stage.person("alice").delete("/management/groups/kbase").await,
    ] {
        refused(&answer, 403, None, &["Administrator privileges"]);
    }
    refused(&stage.service.nobody().post("/management/groups/other").await, 401, Some(10010), &[]);

    // With members on both sides it is emptied and goes, twin and membership too; the data stays.
    stage.add("kbase", "alice").await.expect(200);
    stage.add("kbasero", "bob").await.expect(200);
    alice.expect(&file, "GPDL").await;
    bob.expect(&file, "GL").await;
    let deleted = boss.delete("/management/groups/kbase").await.expect(200);
    let message = "Group kbase deleted successfully";
    assert_eq!(deleted, json!({"resource_type": "group", "resource_name": "kbase", "message": message}));
    alice.expect(&file, "").await;
    bob.expect(&file, "").await;
    for name in ["kbase", "kbasero"] {
        assert_eq!(world.members(name).await, None);
        assert_eq!(world.document(&format!("group-policy-{name}")).await, None);
    }
    assert_eq!(stage.entries("rest-kbase").await, None);
    assert_eq!(world.keys_below(&file).await.len(), 1);
    // Those who were in it are as whole as before.
    for name in ["alice", "bob"] {
        let person = stage.person(name);
        assert_eq!(person.get("/workspaces/me").await.expect(200)["groups"], json!(["globalusers"]), "{name}");
        for path in ["policies", "accessible-paths"] {
            let shown = person.get(&format!("/workspaces/me/{path}")).await.expect(200);
            assert!(!shown.to_string().contains("kbase"), "{shown}");
        }
    }
    assert_eq!(boss.get("/management/groups").await.expect(200)["total_count"], 1);
    assert_eq!(boss.get("/management/users").await.expect(200)["retrieved_count"], 3);
    refused(&boss.delete("/management/groups/kbase").await, 400, Some(20040), &["Failed to delete group kbase"]);

    // A new group of the name begins empty.
    assert_eq!(boss.post("/management/groups/kbase").await.expect(201)["members"], json!(["boss"]));
    alice.expect(&file, "").await;
    boss_s3.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn the_creator_must_have_a_user() {
    use crate::support::rest::{ServiceSetup, with_layout};
    let setup = ServiceSetup::default().person("boss", true);
    let (world, service) = with_layout("berdl", setup).await;
    let answer = service.person("boss").post("/management/groups/kbase").await;
    refused(&answer, 400, Some(20040), &["User boss does not exist"]);
    refused(&service.person("boss").post("/management/groups/kbasero").await, 403, Some(20042), &["'ro'"]);
    assert!(world.find("MinioGroup", "kbase").await.is_none());
}

#[tokio::test]
async fn groups_of_git_are_left_as_they_are() {
    let stage = Stage::begin("berdl", &["alice"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    stage.user("alice").await;
    world.apply(&group("of-git", "groupName: kbase, members: [alice], readOnlyTwin: Disabled")).await;
    world.ready("MinioGroup", "of-git").await;
    let before = world.view("MinioGroup", "of-git").await.0["spec"].clone();
    let answer = boss.post("/management/groups/kbase").await.expect(201);
    assert_eq!((&answer["members"], &answer["ro_group_name"]), (&json!(["alice"]), &json!(null)));
    assert_eq!(world.view("MinioGroup", "of-git").await.0["spec"], before);
    assert_eq!(stage.entries("rest-kbase").await, None);
    let place = format!("MinioGroup {}/of-git", world.namespace());
    refused(&boss.delete("/management/groups/kbase").await, 400, Some(20040), &[&place, "managed by"]);
    refused(&stage.add("kbasero", "alice").await, 400, Some(20040), &["Group kbasero not found"]);
}

#[tokio::test]
async fn names_of_objects_that_are_taken_are_stepped_aside() {
    let stage = Stage::begin("simple", &["alice"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    let alice = stage.user("alice").await;
    // Another group's object has the name of the group's own, and of its membership.
    world.apply(&group("team", "groupName: another")).await;
    world.apply("kind: GroupMembership\nmetadata: {name: rest-team}\nspec: {group: another, members: []}").await;
    let made = boss.post("/management/groups/team").await.expect(201);
    assert_eq!((&made["ro_group_name"], &made["members"]), (&json!("team-ro"), &json!(["boss"])));
    stage.add("team", "alice").await.expect(200);
    world.seed(&["lake/teams/team/file"]).await;
    alice.expect("lake/teams/team/file", "GPDL").await;
    boss.delete("/management/groups/team").await.expect(200);
    alice.expect("lake/teams/team/file", "").await;
    assert!(world.find("MinioGroup", "team").await.is_some());
    assert!(world.find("GroupMembership", "rest-team").await.is_some());
}

#[tokio::test]
async fn under_the_simple_layout_all_names_are_welcome() {
    let stage = Stage::begin("simple", &["alice@lab.org"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    let alice = stage.user("alice@lab.org").await;
    for (name, object) in [("Team", "team"), ("2nd", "2nd")] {
        let made = boss.post(&format!("/management/groups/{name}")).await.expect(201);
        assert_eq!((&made["group_name"], &made["ro_group_name"]), (&json!(name), &json!(format!("{name}-ro"))));
        assert_eq!(world.view("MinioGroup", object).await.0["spec"]["groupName"], json!(name));
    }
    for name in ["team", "Team.One"] {
        assert_eq!(names(&boss.post(&format!("/management/groups/{name}")).await.expect(201)["members"]), ["boss"]);
    }
    stage.add("Team.One-ro", "alice@lab.org").await.expect(200);
    world.seed(&["lake/teams/Team.One/file", "lake/teams/Team/file"]).await;
    alice.expect("lake/teams/Team.One/file", "GL").await;
    assert!(!alice.may(Try::Get, "lake/teams/Team/file").await);
    for name in ["my-ro", "metro-ro"] {
        refused(&boss.post(&format!("/management/groups/{name}")).await, 403, Some(20042), &["-ro"]);
    }
    boss.post("/management/groups/metro").await.expect(201);
    refused(&stage.add("globalusers", "alice@lab.org").await, 400, Some(20040), &[]);
    boss.delete("/management/groups/Team").await.expect(200);
    assert_eq!(boss.post("/management/groups/team").await.expect(201)["members"], json!(["boss"]));
}
