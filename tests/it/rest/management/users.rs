use minio_manager::minio::generate_secret;
use serde_json::json;

use super::{Stage, member, refused};
use crate::support::identity::RestIdentity;
use crate::support::kube::Cluster;
use crate::support::rest::{Service, ServiceSetup};
use crate::support::s3::Try;
use crate::support::world::{World, user};

const NOT_ADMIN: &str = "Administrator privileges required for this operation";

#[tokio::test]
async fn users_are_made_repeated_and_deleted() {
    let stage = Stage::begin("berdl", &["alice", "bob", "carol"]).await;
    let (boss, world) = (&stage.boss, &stage.world);

    let made = boss.post("/management/users/alice").await.expect(201);
    let homes = ["users-general-warehouse", "users-sql-warehouse"].map(|home| format!("s3a://cdm-lake/{home}/alice/"));
    assert_eq!(made["home_paths"], json!(homes));
    assert_eq!((&made["username"], &made["operation"]), (&json!("alice"), &json!("create")));
    assert_eq!((&made["performed_by"], &made["groups"]), (&json!("boss"), &json!(["globalusers"])));
    assert_eq!(made["total_policies"], 3, "home, system, and that of the group of everybody");
    let alice = stage.person("alice").at_s3(world).await;
    assert_eq!(alice.credentials().secret.expose(), made["secret_key"].as_str().unwrap());
    assert_eq!(alice.credentials().access_key, made["access_key"].as_str().unwrap());
    let file = "cdm-lake/users-general-warehouse/alice/data/file";
    assert!(alice.may(Try::Put, file).await);

    // Repeated: the same key, the true groups; a body is ignored.
    stage.group("kbase").await;
    stage.add("kbase", "alice").await.expect(200);
    let repeated = boss.post_json("/management/users/alice", json!({"members": []})).await.expect(201);
    assert_eq!(repeated["secret_key"], made["secret_key"]);
    assert_eq!((&repeated["groups"], &repeated["total_policies"]), (&json!(["globalusers", "kbase"]), &json!(4)));
    assert_eq!(boss.post("/management/users/%20alice/").await.expect(201)["username"], "alice", "blanks are taken off");

    let long = "x".repeat(65);
    for bad in ["a", "admin", "Root", "a..b", "-ab", "a@b", long.as_str()] {
        refused(&boss.post(&format!("/management/users/{bad}")).await, 400, Some(20030), &[]);
        refused(&boss.delete(&format!("/management/users/{bad}")).await, 400, Some(20030), &[]);
    }
    assert_eq!(boss.post("/management/users/a%2Fb").await.status, 404);
    for (answer, status, code) in [
        (stage.person("alice").post("/management/users/alice").await, 403, None),
        (stage.person("alice").delete("/management/users/alice").await, 403, None),
        (stage.person("alice").post("/management/users/alice/rotate-credentials").await, 403, None),
        (stage.service.nobody().post("/management/users/alice").await, 401, Some(10010)),
    ] {
        refused(&answer, status, code, &[]);
        assert!(status != 403 || answer.body["detail"] == NOT_ADMIN);
    }

    // Deleted: no access, no account, but the data, and nothing that somebody of the same name would get.
    world.seed(&["cdm-lake/users-general-warehouse/boss/shared/file"]).await;
    let labels = "labels: {minio-manager.io/origin: rest, minio-manager.io/owner: boss}";
    let grant = "grants: [{kind: User, name: alice, access: Read}]";
    for (name, more) in [("to-alice", ""), ("to-many", ", everyone: Read")] {
        world
            .apply(&format!(
                "kind: PathShare\nmetadata: {{name: {name}, {labels}}}\nspec: {{path: 's3a://cdm-lake/users-general-warehouse/boss/{name}', \
                 owner: {{kind: User, name: boss}}, {grant}{more}}}"
            ))
            .await;
    }
    world
        .apply(&format!(
            "kind: PathShare\nmetadata: {{name: of-alice, {labels}}}\nspec: {{path: 's3a://cdm-lake/users-general-warehouse/alice/data', \
             owner: {{kind: User, name: alice}}, grants: [{{kind: User, name: boss, access: Read}}]}}"
        ))
        .await;
    world.ready("PathShare", "to-alice").await;
    world.ready("PathShare", "of-alice").await;
    let boss_s3 = boss.at_s3(world).await;
    assert!(boss_s3.may(Try::Get, file).await);
    assert!(alice.may(Try::List, "cdm-lake/users-general-warehouse/boss/to-alice/").await);
    let deleted = boss.delete("/management/users/alice").await.expect(200);
    assert_eq!(
        deleted,
        json!({"resource_type": "user", "resource_name": "alice", "message": "User alice deleted successfully"})
    );
    assert!(!alice.may(Try::Get, file).await && !boss_s3.may(Try::Get, file).await);
    assert_eq!(world.account("alice").await, None);
    assert!(world.keys_below("cdm-lake/users-general-warehouse/alice/").await.iter().any(|key| key.ends_with("file")));
    for name in ["to-alice", "of-alice"] {
        assert!(world.find("PathShare", name).await.is_none(), "{name} gives nothing more");
    }
    assert_eq!(world.view("PathShare", "to-many").await.0["spec"]["grants"], json!(null));
    for unknown in ["alice", "nobody"] {
        let answer = boss.delete(&format!("/management/users/{unknown}")).await;
        refused(&answer, 400, Some(20030), &[&format!("Failed to delete user {unknown}")]);
        let answer = boss.post(&format!("/management/users/{unknown}/rotate-credentials")).await;
        refused(&answer, 400, Some(20030), &[&format!("User {unknown} not found")]);
    }
    let again = boss.post("/management/users/alice").await.expect(201);
    assert_eq!(again["groups"], json!(["globalusers"]));
    let alice = stage.person("alice").at_s3(world).await;
    assert!(!alice.may(Try::List, "cdm-lake/users-general-warehouse/boss/to-alice/").await);
    assert!(!alice.may(Try::List, "cdm-lake/tenant-general-warehouse/kbase/").await);
}

#[tokio::test]
async fn users_of_others_are_shown_and_not_deleted() {
    let stage = Stage::begin("berdl", &["gina", "dora", "lucy"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    world.apply(&[user("gina", ""), user("dora", "enabled: false")].join("---\n")).await;
    let secret = boss.post("/management/users/gina").await.expect(201)["secret_key"].clone();
    let gina = stage.person("gina").at_s3(world).await;
    assert_eq!(secret, gina.credentials().secret.expose());
    assert!(gina.may(Try::Put, "cdm-lake/users-general-warehouse/gina/file").await);
    let place = format!("MinioUser {}/gina", world.namespace());
    refused(&boss.delete("/management/users/gina").await, 400, Some(20030), &[&place, "managed by"]);
    assert!(gina.may(Try::Put, "cdm-lake/users-general-warehouse/gina/file").await);
    world.ready_is("MinioUser", "dora", "True", "Disabled").await;
    refused(&boss.post("/management/users/dora").await, 403, Some(20030), &["disabled"]);

    // One that would stay on MinIO.
    world.minio().add_user("adam", &generate_secret(), true).await.unwrap();
    world
        .apply("kind: MinioUser\nmetadata: {name: adam, labels: {minio-manager.io/origin: rest}}\nspec: {adoptionPolicy: Adopt}")
        .await;
    world.ready("MinioUser", "adam").await;
    refused(&boss.delete("/management/users/adam").await, 400, Some(20030), &["spec.deletionPolicy"]);
    assert!(world.account("adam").await.is_some());

    stage.user("lucy").await;
    world.annotate("MinioUser", "lucy", "lock", Some("under investigation")).await;
    let locked = |stage: &Stage| {
        let boss = stage.boss.clone();
        async move { boss.delete("/management/users/lucy").await }
    };
    world.ready_is("MinioUser", "lucy", "True", "Locked").await;
    world.eventually("REST knows of the lock", || async { locked(&stage).await.status == 400 }).await;
    refused(&locked(&stage).await, 400, Some(20030), &["under investigation"]);
    world.annotate("MinioUser", "lucy", "lock", None).await;
    world.ready_is("MinioUser", "lucy", "True", "Converged").await;
    world.eventually("it can be deleted again", || async { locked(&stage).await.status == 200 }).await;
}

#[tokio::test]
async fn rotation_gives_a_new_key_that_works() {
    let stage = Stage::begin("berdl", &["alice"]).await;
    let before = stage.user("alice").await;
    let rotated = stage.boss.post("/management/users/alice/rotate-credentials").await.expect(200);
    assert_eq!((&rotated["operation"], &rotated["performed_by"]), (&json!("rotate"), &json!("boss")));
    assert_eq!((&rotated["groups"], &rotated["total_policies"]), (&json!(["globalusers"]), &json!(3)));
    let after = stage.person("alice").at_s3(&stage.world).await;
    assert_eq!(after.credentials().secret.expose(), rotated["secret_key"].as_str().unwrap());
    assert_ne!(after.credentials().access_key, before.credentials().access_key);
    let file = "cdm-lake/users-general-warehouse/alice/file";
    assert!(after.may(Try::Put, file).await);
    assert!(before.may(Try::Get, file).await, "the former key lives on for the overlap");
}

#[tokio::test]
async fn data_goes_with_its_owner_where_that_is_configured_and_permitted() {
    let people = ["alice", "alice2"];
    let stage = Stage::with("berdl", &people, &["--rest-deletes-data"]).await;
    let world = &stage.world;
    for name in people {
        stage.user(name).await;
        world.seed(&[&format!("cdm-lake/users-general-warehouse/{name}/data/file")]).await;
    }
    world.seed(&["cdm-spark-job-logs/spark-job-logs/alice2/log"]).await;
    let file = stage.group("kbase").await;
    stage.add("kbase", "alice").await.expect(200);

    // The installation does not permit it as it comes, and nothing has happened then.
    for path in ["/management/users/alice", "/management/groups/kbase"] {
        refused(&stage.boss.delete(path).await, 403, Some(20042), &["spec.dataDeletionPolicy"]);
    }
    assert_eq!(stage.add("kbase", "boss").await.expect(200)["members"], json!(["alice", "boss"]));

    let identity = RestIdentity::install(Cluster::shared(), world.namespace()).await;
    identity.permit_deletion_of_data().await;
    let setup = ServiceSetup {
        kubeconfig: Some(identity.kubeconfig().to_owned()),
        ..ServiceSetup::default().person("boss", true).with(&["--layout", "berdl", "--rest-deletes-data"])
    };
    let boss = Service::start(world, setup).await.person("boss");
    boss.delete("/management/users/alice").await.expect(200);
    boss.delete("/management/groups/kbase").await.expect(200);
    assert_eq!(world.keys_below("cdm-lake/users-general-warehouse/alice/").await, Vec::<String>::new());
    assert_eq!(world.keys_below(&file).await, Vec::<String>::new());
    for kept in ["cdm-lake/users-general-warehouse/alice2/data/file", "cdm-spark-job-logs/spark-job-logs/alice2/log"] {
        assert_eq!(world.keys_below(kept).await.len(), 1, "{kept} is somebody else's");
    }
}

#[tokio::test]
async fn while_minio_is_down_changes_wait_and_take_effect_later() {
    let stage = Stage::begin("berdl", &["alice", "bob", "carol", "late"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    let (alice, bob) = (stage.user("alice").await, stage.user("bob").await);
    let carol = stage.user("carol").await;
    let file = stage.group("kbase").await;
    stage.group("former").await;
    for name in ["bob", "carol"] {
        stage.add("kbase", name).await.expect(200);
    }
    world.product().minio().stop();
    let person = stage.person("alice");
    let (add, remove, user, group, no_user, no_group, key, unknown) = tokio::join!(
        stage.add("kbase", "alice"),
        stage.take_out("kbase", "bob"),
        boss.post("/management/users/late"),
        boss.post("/management/groups/later"),
        boss.delete("/management/users/carol"),
        boss.delete("/management/groups/former"),
        person.post("/credentials/rotate"),
        stage.take_out("kbase", "nobody"),
    );
    for answer in [&add, &remove, &user, &group, &no_user, &no_group, &key] {
        refused(answer, 503, Some(20050), &[]);
        assert!(answer.headers.contains_key("retry-after"));
    }
    refused(&unknown, 400, Some(20040), &["User nobody does not exist"]);
    world.product().minio().start_again();
    world.ready("GroupMembership", "rest-kbase").await;
    alice.expect(&file, "GPDL").await;
    bob.expect(&file, "").await;
    let former = &alice.credentials().access_key;
    let rotated = async || person.at_s3(world).await.credentials().access_key != *former;
    world.eventually("alice has another key", rotated).await;
    // Asked again, the deletion is waited for to its end; or it was done meanwhile.
    for path in ["/management/users/carol", "/management/groups/former"] {
        assert!([200, 400].contains(&boss.delete(path).await.status));
    }
    carol.expect(&file, "").await;
    assert_eq!((world.account("carol").await, world.members("former").await), (None, None));
    world.ready("MinioUser", "late").await;
    world.ready("MinioGroup", "later").await;
    assert_eq!(boss.post("/management/groups/later").await.expect(201)["members"], json!(["boss"]));
    assert_eq!(boss.post(&member("kbase", "alice")).await.expect(200)["members"], json!(["alice", "boss"]));
}

#[tokio::test]
async fn an_outage_at_any_moment_takes_no_share_away() {
    let stage = Stage::begin("berdl", &["alice", "bob"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    let (alice, bob) = (stage.user("alice").await, stage.user("bob").await);
    let [shared, open] = ["shared", "open"].map(|folder| format!("cdm-lake/users-general-warehouse/alice/{folder}"));
    let team = stage.group("kbase").await;
    stage.add("kbase", "bob").await.expect(200);
    let files = [format!("{shared}/file"), format!("{open}/file"), team];
    world.seed(&files.each_ref().map(String::as_str)).await;
    let owner = stage.person("alice");
    let body = json!({"path": format!("s3a://{shared}"), "with_users": ["bob"]});
    owner.post_json("/sharing/share", body).await.expect(200);
    owner.post_json("/sharing/make-public", json!({"path": format!("s3a://{open}")})).await.expect(200);
    let changes = world.product().audit().len();
    world.product().minio().stop();
    // Who exists is asked for once more while nothing can be found out, and the controller starts anew meanwhile.
    let repeated =
        async |name: &str| boss.post(&format!("/management/users/{name}")).await.expect(201)["groups"].clone();
    assert_eq!(repeated("bob").await, json!(["globalusers", "kbase"]));
    assert_eq!(repeated("alice").await, json!(["globalusers"]));
    world.product().kill();
    world.product().launch();
    world.ready_is("MinioInstance", "default", "Unknown", "MinioUnavailable").await;
    repeated("bob").await;
    world.product().minio().start_again();
    world.ready("MinioInstance", "default").await;
    repeated("bob").await;
    world.eventually("everything was compared", async || compared(world)).await;
    for (file, rights) in files.iter().zip(["GPDL", "GL", "GPDL"]) {
        bob.expect(file, rights).await;
    }
    alice.expect(&files[0], "GPDL").await;
    assert_eq!(world.product().audit().len(), changes, "nothing was written after all this");
}

/// Whether the controller has compared everything with the server since its last start.
fn compared(world: &World) -> bool {
    let log = world.product().stderr();
    let since = log.rfind("\"message\":\"starting\"").map_or(&*log, |at| &log[at..]);
    since.contains("everything has been compared with the server")
}

#[tokio::test]
async fn what_people_did_with_texts_and_markers_is_left_alone() {
    let stage = Stage::begin("berdl", &["alice"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    let alice = stage.user("alice").await;
    stage.group("kbase").await;
    stage.add("kbase", "alice").await.expect(200);
    let texts = ["users-general-warehouse/alice/README.txt", "tenant-general-warehouse/kbase/README.txt"];
    let marker = "users-general-warehouse/alice/notebooks/";
    let markers = async || world.keys_below(&format!("cdm-lake/{marker}")).await;
    assert!(!markers().await.is_empty());
    for text in texts {
        assert!(alice.may(Try::Put, &format!("cdm-lake/{text}")).await);
        world.minio().put_object("cdm-lake", text, "what people wrote", false).await.unwrap();
    }
    for key in markers().await {
        assert!(alice.may(Try::Delete, &format!("cdm-lake/{key}")).await);
    }
    let repeat = async || {
        boss.post("/management/users/alice").await.expect(201);
        boss.post("/management/groups/kbase").await.expect(201);
        stage.person("alice").get("/credentials/").await.expect(200);
        stage.take_out("kbase", "boss").await.expect(200);
        stage.add("kbase", "boss").await.expect(200);
    };
    repeat().await;
    world.product().kill();
    world.product().launch();
    repeat().await;
    world.eventually("everything was compared", async || compared(world)).await;
    for text in texts {
        let held = world.minio().get_object("cdm-lake", text).await.unwrap();
        assert_eq!(held.as_deref(), Some(&b"what people wrote"[..]), "{text}");
    }
    assert_eq!(markers().await, Vec::<String>::new(), "what was deleted does not come back");
}
