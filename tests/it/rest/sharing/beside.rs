//! Shares that manifests declare: neither lost nor fought over, and never denied.

use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use minio_manager::api::PathShare;
use serde_json::json;

use super::*;
use crate::support::kube::{Cluster, WAYS, kubectl};

async fn apply_as(stage: &Stage, manager: &str, spec: serde_json::Value) {
    let resource = ApiResource::erase::<PathShare>(&());
    let client = Cluster::shared().client().await;
    let api: Api<DynamicObject> = Api::namespaced_with(client, stage.world.namespace(), &resource);
    let object = json!({
        "apiVersion": "minio-manager.io/v1alpha1", "kind": "PathShare", "metadata": {"name": "from-git"}, "spec": spec,
    });
    api.patch("from-git", &PatchParams::apply(manager).force(), &Patch::Apply(&object)).await.unwrap();
    stage.world.ready("PathShare", "from-git").await;
}

#[tokio::test]
async fn what_a_manifest_gives_is_named_and_left_alone() {
    let stage = Stage::start("simple", &["alice", "bob", "carol"]).await;
    let (bob, carol) = (stage.s3("bob").await, stage.s3("carol").await);
    let file = "lake/homes/alice/x/file";
    stage.world.seed(&[file]).await;
    let path = "s3a://lake/homes/alice/x";
    let spec = json!({"path": "s3://lake/homes/alice/x/", "owner": {"kind": "User", "name": "alice"},
        "grants": [{"kind": "User", "name": "bob", "access": "ReadWrite"}]});
    apply_as(&stage, "argocd-controller", spec.clone()).await;

    // The same again needs no object; less is not possible here, and the answer says where it is.
    stage.share("alice", path, &["bob"], "write").await;
    assert_eq!(stage.shares().await.len(), 1);
    let less = json!({"path": path, "with_users": ["bob", "carol"], "permission": "read"});
    let body = stage.post("alice", SHARE, less).await.expect(207);
    assert_eq!(body["shared_with_users"], json!(["carol"]));
    let error = error_of(&body, 0);
    assert!(error.starts_with("Error sharing with user bob: PathShare "), "{error}");
    let place = format!("{}/from-git (managed by argocd-controller)", stage.world.namespace());
    assert!(error.contains(&place) && error.contains("write access"), "{error}");
    carol.expect(file, "GL").await;
    bob.expect(file, "GPDL").await;

    let body = stage.post("alice", UNSHARE, json!({"path": path, "from_users": ["bob", "carol"]})).await.expect(207);
    assert_eq!(body["unshared_from_users"], json!(["carol"]));
    let error = error_of(&body, 0);
    assert!(error.starts_with("Error unsharing from user bob: ") && error.contains(&place), "{error}");
    bob.expect(file, "GPDL").await;
    carol.expect(file, "").await;

    stage.post("alice", PUBLIC, json!({"path": path})).await.expect(200);
    carol.expect(file, "GL").await;
    let body = stage.post("alice", PRIVATE, json!({"path": "s3a://lake/homes/alice/"})).await.expect(207);
    assert_eq!(body["is_public"], false);
    assert!(error_of(&body, 0).contains(&place) && error_of(&body, 0).contains("user bob"), "{body}");
    carol.expect(file, "").await;
    bob.expect(file, "GPDL").await;
    let object = stage.world.view("PathShare", "from-git").await.0;
    assert_eq!(object["spec"]["grants"], spec["grants"], "the manifest is as it was");

    // The manifest goes on as if REST were not there: more, everyone, nothing.
    let mut more = spec.clone();
    more["everyone"] = json!("Read");
    apply_as(&stage, "argocd-controller", more).await;
    let body = stage.post("alice", PRIVATE, json!({"path": path})).await.expect(207);
    assert_eq!(body["is_public"], true);
    assert_eq!(stage.post("alice", PUBLIC, json!({"path": path})).await.expect(200)["is_public"], true);
    stage.share("alice", path, &["carol"], "write").await;
    stage.world.delete_and_wait("PathShare", "from-git").await;
    bob.expect(file, "").await;
    carol.expect(file, "GPDL").await;
}

#[tokio::test]
async fn manifests_written_in_any_way_and_rest_share_one_path_without_losing_each_others_grants() {
    let stage = Stage::start("simple", &["alice", "bob", "carol"]).await;
    let (bob, carol) = (stage.s3("bob").await, stage.s3("carol").await);
    for (number, (way, manager)) in WAYS.into_iter().enumerate() {
        let (name, path) = (format!("from-git-{number}"), format!("s3a://lake/homes/alice/x{number}"));
        let file = format!("lake/homes/alice/x{number}/file");
        stage.world.seed(&[&file]).await;
        stage.share("alice", &path, &["carol"], "write").await;
        let manifest = |access: &str| {
            let grants = json!([{"kind": "User", "name": "bob", "access": access}]);
            let spec = json!({"path": path, "owner": {"kind": "User", "name": "alice"}, "grants": grants});
            let metadata = json!({"name": name});
            json!({"apiVersion": "minio-manager.io/v1alpha1", "kind": "PathShare", "metadata": metadata, "spec": spec})
        };
        let declare = async |access: &str| {
            kubectl(stage.world.namespace(), way, &manifest(access).to_string());
            stage.world.ready("PathShare", &name).await;
        };
        if way[0] == "replace" {
            kubectl(stage.world.namespace(), &["create"], &manifest("Read").to_string());
        }
        declare("Read").await;
        bob.expect(&file, "GL").await;
        carol.expect(&file, "GPDL").await;
        // Each side changes what is its own, and leaves the other's as it is.
        stage.share("alice", &path, &["carol"], "read").await;
        declare("ReadWrite").await;
        bob.expect(&file, "GPDL").await;
        carol.expect(&file, "GL").await;
        let place = format!("{}/{name} (managed by ", stage.world.namespace());
        let unshare = json!({"path": path, "from_users": ["bob"]});
        let body = stage.post("alice", UNSHARE, unshare.clone()).await.expect(207);
        let error = error_of(&body, 0);
        assert!(error.contains(&place) && error.contains(manager), "{way:?}: {error}");
        bob.expect(&file, "GPDL").await;
        // Two objects add up: more through REST is more, and ends where REST ends it.
        declare("Read").await;
        stage.share("alice", &path, &["bob", "carol"], "write").await;
        declare("Read").await;
        bob.expect(&file, "GPDL").await;
        carol.expect(&file, "GPDL").await;
        stage.post("alice", UNSHARE, unshare).await.expect(207);
        bob.expect(&file, "GL").await;
        carol.expect(&file, "GPDL").await;
        stage.world.delete_and_wait("PathShare", &name).await;
        bob.expect(&file, "").await;
        carol.expect(&file, "GPDL").await;
    }
}

#[tokio::test]
async fn objects_of_others_under_our_names_and_locks_are_respected() {
    let stage = Stage::start("simple", &["alice", "bob"]).await;
    let bob = stage.s3("bob").await;
    let file = "lake/homes/alice/x/file";
    stage.world.seed(&[file]).await;
    let path = "s3a://lake/homes/alice/x";
    stage.share("alice", path, &["bob"], "read").await;
    let ours = stage.shares().await[0]["metadata"]["name"].as_str().unwrap().to_owned();
    stage.post("alice", PRIVATE, json!({"path": path})).await.expect(200);
    // Somebody takes the name for something else: ours gets another one.
    let other = format!("kind: PathShare\nmetadata: {{name: {ours}}}\nspec: {{path: 's3a://lake/other/y'}}\n");
    stage.world.apply(&other).await;
    stage.share("alice", path, &["bob"], "read").await;
    bob.expect(file, "GL").await;
    let names: Vec<String> =
        stage.shares().await.iter().map(|share| share["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    assert!(
        names.iter().any(|name| name.starts_with(&format!("{ours}-")) && name.len() == ours.len() + 11),
        "{names:?}"
    );
    stage.share("alice", path, &["bob"], "write").await;
    assert_eq!(stage.shares().await.len(), 2);
    bob.expect(file, "GPDL").await;
    // A lock of an administrator is not undone by sharing once more, and not denied.
    let locked = names.iter().find(|name| **name != ours).unwrap();
    stage.world.annotate("PathShare", locked, "lock", Some("under investigation")).await;
    stage.world.ready_is("PathShare", locked, "True", "Locked").await;
    let body = stage.post("alice", SHARE, json!({"path": path, "with_users": ["bob"], "permission": "read"})).await;
    let body = body.expect(207);
    assert!(error_of(&body, 0).contains("locked: under investigation"), "{body}");
    bob.expect(file, "").await;
    let body = stage.post("alice", PUBLIC, json!({"path": path})).await;
    assert_eq!(body.code(), (403, Some(20042)), "{}", body.text);
}
