//! Deletions that are asked for again, and changes of members of which some are refused.

use futures::future::join_all;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use minio_manager::api::GroupMembership;
use serde_json::{Value, json};

use super::{Stage, member, refused};
use crate::support::kube::Cluster;
use crate::support::minio::unique;

const HELD: &str = "example.org/held";

#[tokio::test]
async fn a_deletion_that_is_asked_for_again_waits_for_all_that_goes_with_it() {
    let stage = Stage::begin("berdl", &["alice"]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    stage.user("alice").await;
    stage.group("kbase").await;
    let labels = "labels: {minio-manager.io/origin: rest, minio-manager.io/owner: boss}";
    let grants = "grants: [{kind: User, name: boss, access: Read}]";
    let shares = [
        ("of-alice", "users-general-warehouse/alice", "{kind: User, name: alice}"),
        ("of-kbase", "tenant-general-warehouse/kbase", "{kind: Group, name: kbase}"),
    ];
    for (name, folder, owner) in shares {
        world
            .apply(&format!(
                "kind: PathShare\nmetadata: {{name: {name}, {labels}, finalizers: [{HELD}]}}\n\
                 spec: {{path: 's3a://cdm-lake/{folder}/data', owner: {owner}, {grants}}}"
            ))
            .await;
        world.ready("PathShare", name).await;
    }
    // Somebody holds everything up, and then only the shares.
    for (kind, name) in [("MinioUser", "alice"), ("MinioGroup", "kbase")] {
        hold(&stage, kind, name).await;
    }
    let paths = ["/management/users/alice", "/management/groups/kbase"];
    for answer in join_all(paths.map(|path| boss.delete(path))).await {
        refused(&answer, 503, Some(20050), &["is being deleted"]);
    }
    let again = join_all(paths.map(|path| boss.delete(path)));
    let letting_go = async {
        let_go(&stage, "MinioUser", "alice").await;
        let_go(&stage, "MinioGroup", "kbase").await;
    };
    for answer in futures::join!(again, letting_go).0 {
        refused(&answer, 503, Some(20050), &["is being deleted"]);
    }
    for (name, ..) in shares {
        assert!(world.find("PathShare", name).await.is_some(), "{name} is held");
    }
    let again = join_all(paths.map(|path| boss.delete(path)));
    let letting_go = async {
        for (name, ..) in shares {
            let_go(&stage, "PathShare", name).await;
        }
    };
    // Whoever comes after the last one is gone learns that there is nothing any more.
    for answer in futures::join!(again, letting_go).0 {
        assert!([200, 400].contains(&answer.status), "{}", answer.text);
    }
    for (name, ..) in shares {
        assert!(world.find("PathShare", name).await.is_none(), "{name} is gone with the answer");
    }
    for path in paths {
        assert_eq!(boss.delete(path).await.status, 400);
    }
}

async fn hold(stage: &Stage, kind: &str, name: &str) {
    let object = stage.world.view(kind, name).await.0;
    let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    finalizers.push(json!(HELD));
    stage.world.patch(kind, name, json!({"metadata": {"finalizers": finalizers}})).await;
}

/// Takes away what [`hold`] added, once it is the last thing that holds the object.
async fn let_go(stage: &Stage, kind: &str, name: &str) {
    let is_last = async || stage.world.view(kind, name).await.0["metadata"]["finalizers"] == json!([HELD]);
    stage.world.eventually("all else is done", is_last).await;
    stage.world.patch(kind, name, json!({"metadata": {"finalizers": null}})).await;
}

#[tokio::test]
async fn a_refused_change_of_one_member_is_nobody_elses() {
    let people: Vec<String> = (0..12).map(|number| format!("user{number}")).collect();
    let stage = Stage::begin("berdl", &[]).await;
    let (boss, world) = (&stage.boss, &stage.world);
    for name in people.iter().chain([&"mallory".to_owned()]) {
        boss.post(&format!("/management/users/{name}")).await.expect(201);
    }
    stage.group("kbase").await;
    stage.add("kbase", "user0").await.expect(200);
    let policy = Policy::against("mallory", world.namespace()).await;
    for _ in 0..3 {
        let (first, last) = people.split_at(6);
        let add = async |names: &[String]| join_all(names.iter().map(|name| stage.add("kbase", name))).await;
        let (before, mallory, after) = futures::join!(add(first), stage.add("kbase", "mallory"), add(last));
        refused(&mallory, 400, None, &["mallory is not welcome"]);
        for answer in before.into_iter().chain(after) {
            answer.expect(200);
        }
        assert_eq!(world.members("kbase").await.unwrap().len(), people.len() + 1);
        let take_out = |name: &String| {
            let path = member("kbase", name);
            async move { boss.delete(&path).await }
        };
        let (left, mallory) = futures::join!(join_all(people.iter().map(take_out)), stage.add("kbase", "mallory"));
        refused(&mallory, 400, None, &["mallory is not welcome"]);
        for answer in left {
            answer.expect(200);
        }
        assert_eq!(world.members("kbase").await.unwrap(), ["boss".to_owned()].into());
    }
    policy.remove().await;
    let refusals: Vec<Value> = stage.service.audit().into_iter().filter(|line| line["status"] == 400).collect();
    assert!(refusals.is_empty(), "who was refused has written nothing: {refusals:?}");
}

/// An admission policy of the cluster that keeps somebody out of all groups of a namespace.
struct Policy(String);

impl Policy {
    async fn against(user: &str, namespace: &str) -> Self {
        let policy = Self(unique("not-welcome"));
        policy.create("ValidatingAdmissionPolicy", json!({
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [{"apiGroups": ["minio-manager.io"], "apiVersions": ["*"], "resources": ["groupmemberships"], "operations": ["CREATE", "UPDATE"]}],
            },
            "validations": [{
                "expression": format!("!has(object.spec.members) || !object.spec.members.exists(member, member.name == '{user}')"),
                "message": format!("{user} is not welcome"),
            }],
        })).await;
        let binding = json!({"policyName": policy.0, "validationActions": ["Deny"]});
        policy.create("ValidatingAdmissionPolicyBinding", binding).await;
        policy.wait_until_in_force(user, namespace).await;
        policy
    }

    async fn api(kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind));
        Api::all_with(Cluster::shared().client().await, &resource)
    }

    async fn create(&self, kind: &str, spec: Value) {
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": self.0}, "spec": spec,
        });
        Self::api(kind).await.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    async fn wait_until_in_force(&self, user: &str, namespace: &str) {
        let api: Api<GroupMembership> = Api::namespaced(Cluster::shared().client().await, namespace);
        let probe = json!({
            "apiVersion": "minio-manager.io/v1alpha1", "kind": "GroupMembership", "metadata": {"name": "probe"},
            "spec": {"group": "kbase", "members": [{"name": user, "access": "Read"}]},
        });
        let probe: GroupMembership = serde_json::from_value(probe).unwrap();
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        while api.create(&dry_run, &probe).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    async fn remove(self) {
        for kind in ["ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"] {
            Self::api(kind).await.delete(&self.0, &Default::default()).await.unwrap();
        }
    }
}
