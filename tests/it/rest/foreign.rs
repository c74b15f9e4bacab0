//! What others made or changed on MinIO, past the objects: it breaks nobody's answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use minio_manager::minio::Holder;
use serde_json::{Value, json};

use crate::support::rest::{Service, ServiceSetup, with_layout};
use crate::support::s3::Try;

const PATH: &str = "s3a://cdm-lake/users-general-warehouse/alice/data/";

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// All that people and administrators read of users, groups and policies.
async fn shown(service: &Arc<Service>) -> Vec<Value> {
    let mut answers = Vec::new();
    for name in ["alice", "bob"] {
        for path in ["", "/groups", "/policies", "/accessible-paths", "/namespace-prefix?tenant=kbase"] {
            answers.push(service.person(name).get(&format!("/workspaces/me{path}")).await.expect(200));
        }
        let info = service.person(name).post_json("/sharing/get_path_access_info", json!({"path": PATH})).await;
        answers.push(info.expect(200));
    }
    for path in ["users", "users/names", "groups", "groups/names", "policies?page_size=500"] {
        answers.push(service.person("boss").get(&format!("/management/{path}")).await.expect(200));
    }
    answers
}

#[tokio::test]
async fn groups_and_policies_that_others_made_or_edited_change_no_answer() {
    let people = ServiceSetup::default().person("boss", true).person("alice", false).person("bob", false);
    let (world, service) = with_layout("berdl", people).await;
    for name in ["boss", "alice", "bob"] {
        service.person(name).get("/credentials/").await.expect(200);
    }
    let (boss, alice) = (service.person("boss"), service.person("alice"));
    boss.post("/management/groups/kbase").await.expect(201);
    for name in ["alice", "bob"] {
        boss.post(&format!("/management/groups/kbase/members/{name}")).await.expect(200);
    }
    let body = json!({"path": PATH, "with_users": ["bob"], "permission": "read"});
    alice.post_json("/sharing/share", body).await.expect(200);
    let before = shown(&service).await;

    let minio = world.minio();
    // A group as the console makes it, with a name that nothing here could have, and what people do to documents by hand.
    minio.update_group_members("Data_Team", &set(&["alice", "bob"]), false).await.unwrap();
    let by_hand = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObjectTagging"], "Resource": ["arn:aws:s3:::cdm-lake/*"]},
        {"Effect": "Deny", "Action": ["s3:DeleteObject"], "Resource": ["arn:aws:s3:::cdm-lake/*"]},
        {"Effect": "Allow", "NotAction": ["s3:PutObject"], "Resource": ["arn:aws:s3:::cts/*"]},
    ]});
    for policy in ["user-home-policy-bob", "group-policy-kbase", "group-policy-Data_Team", "group-policy-nobodys"] {
        minio.put_policy(policy, by_hand.to_string()).await.unwrap();
    }
    minio.set_mapping(&Holder::Group("Data_Team".to_owned()), &set(&["group-policy-Data_Team"])).await.unwrap();
    minio.remove_policy("user-system-policy-alice").await.ok();
    assert_eq!(shown(&service).await, before, "answers follow from what is declared");

    // And calls that change something go on too, in force with their answers.
    alice.post_json("/sharing/make-public", json!({"path": PATH})).await.expect(200);
    let private = alice.post_json("/sharing/make-private", json!({"path": PATH})).await.expect(200);
    assert_eq!(private["is_public"], false);
    boss.delete("/management/groups/kbase/members/bob").await.expect(200);
    boss.delete("/management/groups/kbase").await.expect(200);
    service.person("boss").post("/management/users/newcomer").await.expect(201);
    let groups = alice.get("/workspaces/me/groups").await.expect(200);
    assert_eq!(groups["groups"], json!(["globalusers"]));
    // The group is nobody's here, so it stays as it was made.
    assert_eq!(world.members("Data_Team").await, Some(set(&["alice", "bob"])));

    // Bob's document is as declared again once the controller has compared it.
    minio.set_mapping(&Holder::Group("Data_Team".to_owned()), &set(&[])).await.unwrap();
    let bob = service.person("bob").at_s3(&world).await;
    let (own, foreign) = ("cdm-lake/users-general-warehouse/bob/file", "cdm-lake/users-general-warehouse/alice/file");
    world.seed(&[own, foreign]).await;
    world.product().kill();
    minio.put_policy("user-home-policy-bob", by_hand.to_string()).await.unwrap();
    assert!(bob.may(Try::Get, foreign).await && !bob.may(Try::Put, own).await, "it was changed");
    world.product().launch();
    world.eventually("it is put right", async || bob.may(Try::Put, own).await).await;
    bob.expect(own, "GPDL").await;
    bob.expect(foreign, "").await;
}
