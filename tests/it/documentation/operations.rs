//! docs/operations.md, followed: a cluster with nothing of ours, a MinIO, Helm, and pods whose containers run as processes.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use minio_manager::minio::Credentials;

use super::{coverage::MANUAL, story::Story};
use crate::support::{
    kube::Cluster,
    kubelet::Node,
    minio::Server,
    s3::{Caller, Try},
    world::PATIENCE,
};

const PAGE: &str = "docs/operations.md";
const SECURITY: &str = "docs/security.md";
const CHART: &str = "charts/minio-manager/README.md";
const RELEASE: &str = "minio-manager";
const HOME: &str = "lake";
const PAUSE: Duration = Duration::from_millis(100);

/// People beside Alice, a team, and a share: what has to be there after everything that happens.
const SCENE: &str = r#"
apiVersion: minio-manager.io/v1alpha1
kind: MinioUser
metadata: {name: bob, namespace: lake}
spec: {}
---
apiVersion: minio-manager.io/v1alpha1
kind: MinioUser
metadata: {name: carol, namespace: lake}
spec: {}
---
apiVersion: minio-manager.io/v1alpha1
kind: MinioUser
metadata: {name: dave, namespace: lake}
spec: {}
---
apiVersion: minio-manager.io/v1alpha1
kind: MinioGroup
metadata: {name: team, namespace: lake}
spec: {members: [alice, bob, carol]}
---
apiVersion: minio-manager.io/v1alpha1
kind: PathShare
metadata: {name: hello, namespace: lake}
spec:
  path: s3a://lake/homes/alice/
  owner: {kind: User, name: alice}
  grants: [{kind: User, name: bob, access: Read}]
"#;
/// What the first user wrote, which is shared with Bob.
const FILE: &str = "lake/homes/alice/hello.txt";
const TEAM_FILE: &str = "lake/teams/team/file";

/// The reason of a condition of the MinioInstance.
const REASON: &str =
    "kubectl -n lake get minioinstance default -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].reason}'";

struct Scene {
    node: Node,
    minio: Server,
    cluster: Arc<Cluster>,
    story: Story,
}

impl Scene {
    async fn set() -> Self {
        let cluster = Arc::new(Cluster::empty().await);
        let (minio, node) = (Server::start(), Node::start(&cluster, RELEASE));
        let mut story = Story::begin(MANUAL, Some(cluster.kubeconfig()));
        let (root, endpoint) = (minio.root(), minio.endpoint().to_string());
        story.means("access-key=...", &format!("access-key={}", root.access_key));
        story.means("secret-key=...", &format!("secret-key={}", root.secret.expose()));
        story.means("https://minio.example.com", &endpoint);
        // So that few removals are many.
        let few = r"createHomeNamespace=true --set converge.largeChangeLimit='2\,1%'";
        story.means("createHomeNamespace=true", few);
        story.set("MINIO_ENDPOINT", &endpoint);
        story.set("MINIO_ROOT_USER", &root.access_key);
        story.set("MINIO_ROOT_PASSWORD", root.secret.expose());
        Self { node, minio, cluster, story }
    }

    fn run(&mut self, heading: &str) -> Vec<String> {
        self.story.run(PAGE, heading)
    }

    /// Whoever has the key that is in a user's Secret now.
    async fn caller(&self, user: &str) -> Caller {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client().await, HOME);
        let data = secrets.get(&format!("minio-{user}")).await.unwrap().data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        Caller::new(self.minio.client(), Credentials::new(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY")))
    }

    /// Everybody has with the key in their Secret what the objects say.
    async fn all_is_as_declared(&self) {
        self.caller("alice").await.expect(FILE, "GPDL").await;
        self.caller("bob").await.expect(FILE, "GL").await;
        self.caller("carol").await.expect(FILE, "").await;
    }

    fn is_ready(&self) {
        self.story
            .shell("kubectl -n lake wait miniouser,miniogroup,pathshare --all --for=condition=Ready --timeout=120s");
    }

    /// Waits until every controller has said something in its log.
    async fn all_say(&self, what: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let logs: Vec<String> = self.node.containers("controller").iter().map(|running| running.log()).collect();
            if logs.len() == 2 && logs.iter().all(|log| log.matches(what).count() >= times) {
                return;
            }
            assert!(Instant::now() < deadline, "not every log of {} says {what:?}", logs.len());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[tokio::test]
async fn the_manual_is_followed_from_install_to_uninstall() {
    let mut scene = Scene::set().await;
    let said = scene.run("Install");
    assert_eq!(said.last().unwrap(), "hello\n", "the first user reads what it wrote");
    scene.story.repeats("README.md", "In the cluster");
    scene.story.repeats(CHART, "Install");
    scene.run("Is it well?");
    scene.story.shell(&format!("kubectl apply -f - <<'END'{SCENE}END"));
    scene.is_ready();
    scene.all_is_as_declared().await;

    let older = scene.story.path("older");
    scene.minio.stop();
    scene.minio.back_up(&older);
    scene.minio.start_again();
    let revoked = somebody_is_locked_out(&mut scene).await;
    minio_is_older(&mut scene, &older, &revoked).await;
    a_list_is_emptied(&mut scene).await;
    scene.run("Upgrade");
    let revisions = scene.run("Roll back");
    assert!(revisions[0].contains("superseded") && revisions[0].contains("deployed"), "{}", revisions[0]);
    scene.is_ready();
    scene.run("Back up");

    minio_is_empty(&mut scene).await;
    the_identity_changes(&mut scene).await;
    scene.run("A snapshot of etcd was restored");
    the_namespace_is_gone(&mut scene).await;

    security_is_as_its_page_says(&mut scene).await;

    let alice = scene.caller("alice").await;
    scene.run("Uninstall");
    scene.story.repeats(CHART, "Uninstall");
    scene.story.until("kubectl get crd -o name", "");
    alice.expect(FILE, "GPDL").await;
    scene.story.finish();
}

/// Answers who has the key that was revoked.
async fn somebody_is_locked_out(scene: &mut Scene) -> Caller {
    let before = scene.caller("alice").await;
    let mut commands = scene.story.commands(PAGE, "Lock somebody out");
    let later = commands.split_off(2);
    for command in &commands {
        scene.story.run_command(command);
    }
    before.expect(FILE, "").await;
    for command in &later {
        scene.story.run_command(command);
    }
    scene.is_ready();
    assert_ne!(scene.caller("alice").await.credentials().access_key, before.credentials().access_key);
    assert_eq!(before.status(Try::Get, FILE).await, 403, "the former key has ended");
    scene.all_is_as_declared().await;
    before
}

/// Most comes back by itself. What had ended and is there again is what the manual says.
async fn minio_is_older(scene: &mut Scene, older: &Path, revoked: &Caller) {
    let dave = scene.caller("dave").await;
    scene.story.shell("kubectl -n lake delete miniouser dave --timeout=60s");
    assert_eq!(dave.status(Try::List, "lake/homes/dave/").await, 403, "the account is gone");
    scene.minio.stop();
    scene.minio.restore(older);
    scene.minio.start_again();
    let deadline = Instant::now() + PATIENCE;
    while revoked.status(Try::Get, FILE).await != 403 {
        assert!(Instant::now() < deadline, "what was revoked since works again");
        tokio::time::sleep(PAUSE).await;
    }
    // Her key is younger than what was restored.
    while scene.caller("alice").await.status(Try::Get, FILE).await != 200 {
        assert!(Instant::now() < deadline, "alice has no key that works");
        tokio::time::sleep(PAUSE).await;
    }
    scene.is_ready();
    scene.all_is_as_declared().await;
    assert_eq!(dave.status(Try::List, "lake/homes/dave/").await, 200, "who was deleted since is there again");
    scene.run("Into an older state");
    scene.is_ready();
    let plan = scene.story.shell("minio-manager plan --home-namespace lake || test $? -eq 2");
    let (_, undescribed) = plan.split_once("Described by no object").unwrap_or_else(|| panic!("{plan}"));
    assert!(undescribed.contains("user dave"), "{plan}");
    scene.story.shell("mc alias set root \"$MINIO_ENDPOINT\" \"$MINIO_ROOT_USER\" \"$MINIO_ROOT_PASSWORD\"");
    scene.story.shell("mc admin user rm root dave");
    assert_eq!(dave.status(Try::List, "lake/homes/dave/").await, 403);
}

async fn a_list_is_emptied(scene: &mut Scene) {
    let bob = scene.caller("bob").await;
    assert!(bob.may(Try::Put, TEAM_FILE).await);
    scene.story.shell(r#"kubectl -n lake patch miniogroup team --type=merge -p '{"spec": {"members": []}}'"#);
    scene.story.until(REASON, "LargeChange");
    bob.expect(TEAM_FILE, "GPDL").await;
    let said = scene.run("Much would be taken away");
    assert!(said[0].contains("\"removals\":3"), "{}", said[0]);
    scene.is_ready();
    bob.expect(TEAM_FILE, "").await;
}

async fn minio_is_empty(scene: &mut Scene) {
    let before = scene.caller("alice").await;
    scene.minio.stop();
    scene.minio.wipe();
    scene.minio.start_again();
    scene.story.until(REASON, "LargeChange");
    assert_eq!(before.status(Try::Get, FILE).await, 403, "nobody knows the key");
    scene.run("Into nothing");
    let alice = scene.caller("alice").await;
    assert!(alice.may(Try::Put, FILE).await);
    scene.all_is_as_declared().await;
}

async fn the_identity_changes(scene: &mut Scene) {
    let commands = scene.story.commands(PAGE, "The identity for MinIO");
    let (delete, change) = commands.split_last().unwrap();
    // First from root to a key, then from this key to another one: only the second time is there a key to delete.
    for time in 1..=2 {
        for command in change {
            scene.story.run_command(command);
        }
        scene.all_say("the MinIO credentials have changed", time).await;
    }
    scene.story.run_command(delete);
    scene.story.shell("kubectl -n lake annotate miniouser carol minio-manager.io/lock=probe");
    scene.story.shell(
        "kubectl -n lake wait miniouser/carol --timeout=60s \
        --for=jsonpath='{.status.conditions[?(@.type==\"Ready\")].reason}'=Locked",
    );
    scene.story.shell("kubectl -n lake annotate miniouser carol minio-manager.io/lock-");
    scene.is_ready();
}

async fn security_is_as_its_page_says(scene: &mut Scene) {
    let secret = Credentials::generate().secret;
    scene.story.shell(r#"mc alias set M "$MINIO_ENDPOINT" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD""#);
    scene.story.means("user add M minio-manager", &format!("user add M minio-manager {}", secret.expose()));
    scene.story.set("MINIO_ACCESS_KEY", RELEASE);
    scene.story.set("MINIO_SECRET_KEY", secret.expose());
    let said = scene.story.run(SECURITY, "The controller's identity on MinIO");
    assert!(said.last().unwrap().contains(" 0 fail"), "{said:#?}");
    scene.story.run(SECURITY, "Where secrets are");
    let reason = "kubectl -n lake get miniouser alice -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].reason}'";
    scene.story.until(reason, "Locked");
    scene.story.shell("kubectl -n lake annotate miniouser alice minio-manager.io/lock-");
    scene.story.until(reason, "Converged");
    scene.is_ready();
}

async fn the_namespace_is_gone(scene: &mut Scene) {
    let before = scene.caller("bob").await;
    scene.story.shell("kubectl -n minio-manager scale deployment/minio-manager --replicas=0");
    while !scene.node.containers("controller").is_empty() {
        tokio::time::sleep(PAUSE).await;
    }
    scene.story.shell("minio-manager release --home-namespace lake");
    scene.story.shell("kubectl delete namespace lake --timeout=120s");
    before.expect(FILE, "GL").await;
    scene.run("The namespace is gone");
    scene.story.shell("kubectl -n minio-manager rollout status deployment/minio-manager --timeout=5m");
    scene.run("Objects are gone");
    scene.is_ready();
    before.expect(FILE, "GL").await;
    scene.all_is_as_declared().await;
    scene.story.until(REASON, "Converged");
}
