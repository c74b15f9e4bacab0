//! What somebody else changes on MinIO is undone: at once where the server's trace tells of it, else with the next audit.

use std::{
    collections::BTreeSet,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use minio_manager::minio::Holder;

use crate::support::{
    minio::{Server, unique},
    product::Setup,
    proxy::Proxy,
    s3::Try,
    somebody::{EVERYTHING, Somebody, is_followed, without_trace},
    world::{Person, World, group},
};

/// Long enough that no audit can have undone anything.
const RARELY: [&str; 2] = ["--audit-interval", "10m"];

/// As often as possible.
const OFTEN: [&str; 2] = ["--audit-interval", "1s"];

/// How long an immediate repair may take here, where many tests share a small machine.
const SOON: Duration = Duration::from_secs(10);

/// Alice and bob, and a team that alice is in and that holds a policy.
struct Scene {
    world: World,
    somebody: Somebody,
    alice: Person,
    bob: Person,
    team: String,
    policy: String,
}

impl Scene {
    async fn set(world: World) -> Self {
        let [alice, bob] = world.users(["alice", "bob"]).await;
        let [team, policy] = ["team", "policy"].map(unique);
        world
            .apply(&format!(
                "kind: MinioPolicy\nmetadata: {{name: {policy}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
                 Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::other-bucket/*']}}]"
            ))
            .await;
        world.apply(&group(&team, &format!("members: [{}], policies: [{policy}]", alice.name))).await;
        world.ready("MinioPolicy", &policy).await;
        world.ready("MinioGroup", &team).await;
        let somebody = Somebody::of(&world).await;
        Self { world, somebody, alice, bob, team, policy }
    }

    /// All that the server holds of it.
    async fn held(&self) -> Vec<String> {
        let mut held = Vec::new();
        for person in [&self.alice, &self.bob] {
            held.push(format!("{} {:?}", person.name, self.world.account(&person.name).await));
            held.push(format!("{:?}", self.meaning(&format!("user-home-policy-{}", person.name)).await));
        }
        for team in [self.team.clone(), format!("{}-ro", self.team)] {
            held.push(format!("{team} {:?}", self.world.minio().group_info(&team).await.unwrap()));
            held.push(format!("{:?}", self.meaning(&format!("group-policy-{team}")).await));
        }
        held.push(format!("{:?}", self.meaning(&self.policy).await));
        held.push(format!("{:?}", self.meaning("group-policy-globalusers").await));
        held
    }

    /// The server orders what is in a document as it likes.
    async fn meaning(&self, document: &str) -> Option<minio_manager::iam::document::Document> {
        let policy = self.world.minio().policy_info(document).await.unwrap();
        policy.map(|policy| minio_manager::iam::document::Document::from_value(&policy.document).unwrap())
    }

    /// Has something changed, and waits until everything is as it was before.
    async fn is_undone(&self, what: &str, change: impl Future<Output = ()>) -> Duration {
        let before = self.held().await;
        change.await;
        let changed = Instant::now();
        self.world.eventually(&format!("undone: {what}"), async || self.held().await == before).await;
        let took = changed.elapsed();
        println!("{what}: undone after {took:?}");
        took
    }

    /// How many changes of a kind have been undone.
    fn repairs(&self, kind: &str) -> f64 {
        self.world.product().metrics().sum("minio_manager_drift_repairs_total", &[&format!("kind=\"{kind}\"")])
    }
}

/// A policy document in a file, for `mc`.
fn everything_allowed() -> String {
    let path = std::env::temp_dir().join(unique("everything"));
    fs::write(&path, EVERYTHING).unwrap();
    path.display().to_string()
}

/// Every kind of foreign change, and the kind of the repair.
fn foreign_changes(scene: &Scene) -> Vec<(&'static str, String)> {
    let (alice, bob, team, policy) = (&scene.alice.name, &scene.bob.name, &scene.team, &scene.policy);
    let everything = everything_allowed();
    vec![
        ("attachment", format!("policy attach M readwrite --user {bob}")),
        ("attachment", format!("policy detach M user-home-policy-{bob} --user {bob}")),
        ("attachment", format!("policy attach M readwrite --group {team}")),
        ("attachment", format!("policy detach M group-policy-{team} --group {team}")),
        ("membership", format!("group add M {team} {bob}")),
        ("membership", format!("group rm M {team} {alice}")),
        ("document", format!("policy create M user-home-policy-{bob} {everything}")),
        ("document", format!("policy create M group-policy-{team} {everything}")),
        ("document", format!("policy create M group-policy-globalusers {everything}")),
        ("document", format!("policy create M {policy} {everything}")),
        ("user", format!("user disable M {bob}")),
        ("group", format!("group disable M {team}")),
    ]
}

#[tokio::test]
async fn with_the_trace_every_foreign_change_is_undone_at_once() {
    let scene = Scene::set(World::own(Setup::default().with(&RARELY)).await).await;
    is_followed(&scene.world).await;
    for (kind, words) in foreign_changes(&scene) {
        let repairs = scene.repairs(kind);
        let took = scene.is_undone(&words, async { scene.somebody.does(&words) }).await;
        assert!(took < SOON, "{words}: {took:?}");
        scene.world.eventually("it is counted", async || scene.repairs(kind) > repairs).await;
    }
    for (kind, name) in [("MinioUser", &scene.bob.name), ("MinioGroup", &scene.team), ("MinioPolicy", &scene.policy)] {
        let told = async || scene.world.event_reasons(kind, name).await.contains("DriftRepaired");
        scene.world.eventually("an event tells of it", told).await;
    }
    // In one request, as scripts do it.
    let alice = Holder::User(scene.alice.name.clone());
    let mapping = async { scene.somebody.client.set_mapping(&alice, &BTreeSet::new()).await.unwrap() };
    assert!(scene.is_undone("set-user-or-group-policy", mapping).await < SOON);
}

#[tokio::test]
async fn with_the_trace_deleted_things_come_back_at_once() {
    let scene = Scene::set(World::own(Setup::default().with(&RARELY)).await).await;
    let (world, somebody) = (&scene.world, &scene.somebody);
    is_followed(world).await;
    let file = scene.alice.home("file");
    world.seed(&[&file, "other-bucket/file"]).await;
    let deletion = async {
        // What is attached again cannot be deleted.
        world.product().freeze();
        somebody.does(&format!("policy detach M {} --group {}", scene.policy, scene.team));
        somebody.does(&format!("policy rm M {}", scene.policy));
        world.product().thaw();
    };
    assert!(scene.is_undone("policy rm", deletion).await < 2 * SOON);
    let old = scene.alice.credentials().access_key.clone();
    let took = scene.is_undone("user rm", async { somebody.does(&format!("user rm M {}", scene.alice.name)) }).await;
    assert!(took < SOON, "{took:?}");
    let alice = another_key(world, &scene.alice.name, &old).await;
    alice.expect(&file, "GPDL").await;
    assert!(alice.may(Try::Get, "other-bucket/file").await, "through the team");
    for words in ["user svcacct rm M", "user svcacct disable M"] {
        let old = world.person(&scene.bob.name).await.credentials().access_key.clone();
        let started = Instant::now();
        somebody.does(&format!("{words} {old}"));
        another_key(world, &scene.bob.name, &old).await;
        println!("{words}: undone after {:?}", started.elapsed());
        assert!(started.elapsed() < SOON);
    }
    assert!(scene.repairs("key") >= 2.0);
}

/// The person once it has another key than that.
async fn another_key(world: &World, name: &str, old: &str) -> Person {
    world
        .observed("MinioUser", name, "it has another key", |view| {
            view.status("/credentials/accessKey").as_str().is_some_and(|key| key != old)
        })
        .await;
    world.person(name).await
}

#[tokio::test]
async fn without_the_trace_the_audit_undoes_every_foreign_change() {
    let (minio, identity) = without_trace().await;
    let setup = Setup { minio: Some(minio), credentials: Some(identity), ..Setup::default() };
    let scene = Scene::set(World::own(setup.with(&OFTEN)).await).await;
    let view = scene
        .world
        .observed("MinioInstance", "default", "it says what the missing trace costs", |view| {
            view.status("/missingCapabilities/0/name") == "admin:ServerTrace"
        })
        .await;
    assert!(view.status("/missingCapabilities/0/cost").as_str().unwrap().contains("audit interval"));
    for (kind, words) in foreign_changes(&scene) {
        let repairs = scene.repairs(kind);
        scene.is_undone(&words, async { scene.somebody.does(&words) }).await;
        scene.world.eventually("it is counted", async || scene.repairs(kind) > repairs).await;
    }
    let refusals = scene.world.product().stderr().matches("the trace of MinIO is refused").count();
    assert_eq!(refusals, 1, "said once");
    assert_eq!(scene.world.product().metrics().requests(&["trace"]), 1, "and not asked for again and again");
}

#[tokio::test]
async fn what_was_changed_while_the_trace_was_away_is_found_when_it_is_back() {
    let minio = Arc::new(Server::start());
    let proxy = Proxy::start(minio.endpoint().authority().parse().unwrap());
    let endpoint = format!("http://{}", proxy.address()).parse().unwrap();
    let setup = Setup { minio: Some(minio), endpoint: Some(endpoint), ..Setup::default() }.with(&RARELY);
    let scene = Scene::set(World::own(setup).await).await;
    is_followed(&scene.world).await;
    let changes = async {
        proxy.cut();
        for (_, words) in foreign_changes(&scene) {
            scene.somebody.does(&words);
        }
        proxy.mend();
    };
    scene.is_undone("everything at once", changes).await;
}

#[tokio::test]
async fn nothing_is_done_where_nothing_was_changed_and_what_is_not_ours_is_counted() {
    let scene = Scene::set(World::own(Setup::default().with(&OFTEN)).await).await;
    let (world, somebody) = (&scene.world, &scene.somebody);
    let [stranger, club, foreign] = ["stranger", "club", "foreign"].map(unique);
    somebody.does(&format!("user add M {stranger} some-secret-of-12"));
    somebody.does(&format!("group add M {club} {stranger}"));
    somebody.does(&format!("policy create M {foreign} {}", everything_allowed()));
    somebody.does(&format!("policy attach M {foreign} --group {club}"));
    let unmanaged =
        |kind: &str| world.product().metrics().sum("minio_manager_unmanaged", &[&format!("kind=\"{kind}\"")]);
    // The other administrator is nobody's user either.
    let is_counted = async || ["users", "groups", "policies"].map(unmanaged) == [2.0, 1.0, 1.0];
    world.eventually("they are counted", is_counted).await;
    world
        .observed("MinioInstance", "default", "it says so", |view| {
            view.status("/unmanaged/users") == 2
                && view.status("/unmanaged/groups") == 1
                && view.status("/unmanaged/policies") == 1
                && view.status("/lastAudit").is_string()
        })
        .await;
    let before = world.product().metrics();
    let audits =
        |metrics: &crate::support::product::Metrics| metrics.sum("minio_manager_audit_duration_seconds_count", &[]);
    let enough = async || audits(&world.product().metrics()) >= audits(&before) + 4.0;
    world.eventually("four more audits", enough).await;
    let after = world.product().metrics();
    assert_eq!(after.writes(), before.writes());
    let lists = after.requests(&["list-users"]) - before.requests(&["list-users"]);
    assert!(lists as f64 <= audits(&after) - audits(&before) + 1.0, "{lists} lists of users");
    assert_eq!(after.requests(&["groups", "list-canned-policies", "export-iam"]), 0);
    assert_eq!(["attachment", "document", "membership", "user", "group"].map(|kind| scene.repairs(kind)), [0.0; 5]);
}

#[tokio::test]
async fn a_server_that_lost_everything_gets_all_but_keys_until_somebody_has_looked() {
    for arguments in [RARELY, OFTEN] {
        let scene = Scene::set(World::own(Setup::default().with(&arguments)).await).await;
        let world = &scene.world;
        let before = scene.held().await;
        world.product().minio().stop();
        world.product().minio().wipe();
        world.product().minio().start_again();
        world.eventually("all is made again", async || scene.held().await == before).await;
        world.eventually("the bucket, too", async || world.minio().bucket_exists("lake").await.unwrap()).await;
        for restart in [false, true] {
            if restart {
                assert!(world.product().terminate().success());
                world.product().launch();
            }
            for person in [&scene.alice, &scene.bob] {
                let why = world.stalled("MinioUser", &person.name, "LargeChange").await;
                assert!(why.contains("acknowledge-large-change"), "{why}");
                assert_eq!(world.access_keys(&person.name).await, []);
            }
        }
        world.stalled("MinioInstance", "default", "LargeChange").await;
        let view = world.view("MinioInstance", "default").await;
        let hash = view.status("/heldChange/hash").as_str().expect("it is held").to_owned();
        world.annotate("MinioInstance", "default", "acknowledge-large-change", Some("something-else")).await;
        world.annotate("MinioInstance", "default", "acknowledge-large-change", Some(&hash)).await;
        for person in [&scene.alice, &scene.bob] {
            let again = another_key(world, &person.name, &person.credentials().access_key).await;
            let file = again.home("file");
            assert!(again.may(Try::Put, &file).await);
        }
        world
            .observed("MinioInstance", "default", "nothing is held", |view| view.status("/heldChange").is_null())
            .await;
        world.ready("MinioInstance", "default").await;
    }
}

#[tokio::test]
async fn new_users_cost_no_list_of_all_users_each() {
    let world = World::own(Setup::default().with(&RARELY)).await;
    is_followed(&world).await;
    let before = world.product().metrics();
    world
        .users(["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| name.repeat(3)).each_ref().map(String::as_str))
        .await;
    let after = world.product().metrics();
    assert_eq!(after.requests(&["list-users"]), before.requests(&["list-users"]));
}
