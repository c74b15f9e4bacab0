//! `minio-manager release`: afterwards objects can be deleted without a controller, and MinIO stays as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Instant,
};

use futures::StreamExt;
use minio_manager::minio::UserEntry;
use serde_json::{Value, json};

use crate::support::{
    minio::unique,
    product::Setup,
    redis::Redis,
    world::{Person, World, grant, group, share},
};

const KINDS: [&str; 6] = ["PathShare", "GroupMembership", "MinioGroup", "MinioPolicy", "MinioAccessKey", "MinioUser"];
const FINALIZER: &str = "minio-manager.io/finalizer";

/// How many shares are released at once, and the variable that says otherwise. More than two pages of a list.
const SHARES: usize = 1_100;
const SHARES_VARIABLE: &str = "MINIO_MANAGER_RELEASE_OBJECTS";

/// A user who shares with another one, and a team.
struct Scene {
    world: World,
    alice: Person,
    bob: Person,
    file: String,
}

impl Scene {
    async fn set(setup: Setup) -> Self {
        let world = World::own(setup.with(&["--large-change-limit", "0"])).await;
        let [alice, bob] = world.users(["alice", "bob"]).await;
        let file = alice.home("exp/file");
        world.seed(&[&file]).await;
        world.apply(&share("exp", &alice.home("exp"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
        world.apply(&group("team", &format!("members: [{}]", bob.name))).await;
        world.apply(&format!("kind: MinioAccessKey\nmetadata: {{name: etl}}\nspec: {{user: {}}}\n", bob.name)).await;
        for (kind, name) in [("PathShare", "exp"), ("MinioGroup", "team"), ("MinioAccessKey", "etl")] {
            world.ready(kind, name).await;
        }
        Self { world, alice, bob, file }
    }

    fn release(&self, lease: &str, arguments: &[&str]) -> (i32, Value, String) {
        let arguments = [&["--lease", lease, "-o", "json"], arguments].concat();
        let (code, stdout, stderr) = self.world.product().run("release", &arguments);
        (code, serde_json::from_str(&stdout).unwrap_or_default(), stderr)
    }

    /// How the installation is.
    fn status(&self) -> Value {
        let (_, stdout, stderr) = self.world.product().run("status", &["-o", "json"]);
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"))
    }

    /// How many objects carry our finalizer.
    async fn held(&self) -> usize {
        let mut held = 0;
        for kind in KINDS {
            let finalizers = |object: &Value| object["metadata"]["finalizers"] == json!([FINALIZER]);
            held += self.world.objects(kind).await.iter().filter(|view| finalizers(&view.0)).count();
        }
        held
    }

    /// What the server holds.
    async fn server(&self) -> (BTreeMap<String, UserEntry>, Option<BTreeSet<String>>, Vec<Option<Value>>, usize) {
        let home = |name: &str| format!("user-home-policy-{name}");
        let mut documents = Vec::new();
        for name in [home(&self.alice.name), home(&self.bob.name), "group-policy-team".to_owned()] {
            documents.push(self.world.meaning(&name).await);
        }
        let accounts = self.world.minio().list_users().await.unwrap();
        let keys = self.world.access_keys(&self.bob.name).await.len();
        (accounts.into_iter().collect(), self.world.members("team").await, documents, keys)
    }
}

#[tokio::test]
async fn after_a_release_an_uninstall_leaves_minio_as_it_is() {
    let scene = Scene::set(Setup { lease: Some("kubernetes".to_owned()), ..Setup::default() }).await;
    let before = scene.server().await;
    scene.world.ready("MinioInstance", "default").await;
    let leader = scene.status();
    assert!(leader["leader"]["holder"].is_string() && leader["attention"] == json!([]), "{leader:#}");
    let (code, _, stderr) = scene.release("kubernetes", &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("a controller leads") && stderr.contains("--force"), "{stderr}");
    assert_eq!(scene.held().await, 5, "nothing was done");

    assert!(scene.world.product().terminate().success());
    let nobody = scene.status();
    assert!(
        nobody["attention"][0]["what"].as_str().is_some_and(|what| what.contains("no controller leads")),
        "{nobody:#}"
    );
    scene.world.product().minio().stop();
    // One is under deletion already: it goes at once.
    scene.world.delete("PathShare", "exp").await;
    let (code, released, stderr) = scene.release("kubernetes", &[]);
    assert_eq!((code, &released["released"], &released["failed"]), (0, &json!(5), &json!(0)), "{stderr}{released:#}");
    let row = |kind: &str| released["kinds"].as_array().unwrap().iter().find(|row| row["kind"] == kind).cloned();
    assert_eq!(
        row("PathShare").unwrap(),
        json!({"namespace": scene.world.namespace(), "kind": "PathShare", "objects": 1, "released": 1, "let_go": 1})
    );
    assert_eq!(row("MinioUser").unwrap()["released"], 2);
    assert!(scene.world.find("PathShare", "exp").await.is_none());
    assert_eq!(scene.held().await, 0);
    let (code, again, _) = scene.release("kubernetes", &[]);
    assert_eq!((code, &again["released"]), (0, &json!(0)), "nothing is left to do");

    for kind in KINDS {
        for view in scene.world.objects(kind).await {
            scene.world.delete_and_wait(kind, view.0["metadata"]["name"].as_str().unwrap()).await;
        }
    }
    scene.world.product().minio().start_again();
    assert_eq!(scene.server().await, before);
    scene.bob.expect(&scene.file, "GL").await;
}

#[tokio::test]
async fn a_controller_that_starts_after_a_release_takes_everything_back() {
    let redis = Redis::start();
    let setup = Setup {
        lease: Some("redis".to_owned()),
        variables: vec![("REDIS_URL".to_owned(), redis.url())],
        ..Setup::default()
    };
    let scene = Scene::set(setup).await;
    let (before, secret) = (scene.server().await, scene.world.secret(&scene.bob.secret).await);
    let (code, _, stderr) = scene.release("redis", &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("a controller leads"), "{stderr}");
    // After a crash its lease is watched until it has run out.
    scene.world.product().kill();
    let (code, released, stderr) = scene.release("redis", &[]);
    assert_eq!((code, &released["released"]), (0, &json!(5)), "{stderr}");

    scene.world.product().launch();
    scene.world.eventually("all are taken back", async || scene.held().await == 5).await;
    for kind in ["MinioUser", "MinioGroup", "PathShare", "MinioAccessKey"] {
        for view in scene.world.objects(kind).await {
            let name = view.0["metadata"]["name"].as_str().unwrap();
            let view = scene.world.ready(kind, name).await;
            if ["MinioUser", "MinioGroup"].contains(&kind) {
                assert_eq!(view.status("/origin"), "Created", "{kind} {name}");
            }
        }
    }
    assert_eq!(scene.server().await, before);
    assert_eq!(scene.world.secret(&scene.bob.secret).await, secret, "people go on with the keys that they have");
    scene.bob.expect(&scene.file, "GL").await;

    // Who insists gets what he wants; here the controller takes the objects back.
    let (code, released, stderr) = scene.release("redis", &["--force"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(released["released"].as_u64().unwrap() >= 5, "{released:#}");
    drop(redis);
    let (code, _, stderr) = scene.release("redis", &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("nobody can tell") && stderr.contains("--force"), "{stderr}");
}

#[tokio::test]
async fn many_objects_are_released_page_by_page_and_other_finalizers_stay() {
    let world = World::own(Setup::default()).await;
    world.product().kill();
    let count = env::var(SHARES_VARIABLE).ok().map_or(SHARES, |count| count.parse().expect("a number"));
    let finalizers = |number: usize| match number % 3 {
        0 => "",
        1 => "finalizers: [minio-manager.io/finalizer], ",
        _ => "finalizers: [example.com/other, minio-manager.io/finalizer], ",
    };
    let manifest = |number: usize| {
        format!(
            "kind: PathShare\nmetadata: {{{}name: share-{number}}}\nspec: {{path: 's3a://lake/x/{number}', grants: []}}\n",
            finalizers(number)
        )
    };
    futures::stream::iter(0..count)
        .for_each_concurrent(16, |number| {
            let (world, manifest) = (&world, manifest(number));
            async move { world.apply(&manifest).await }
        })
        .await;
    let started = Instant::now();
    let (code, stdout, stderr) = world.product().run("release", &["--lease", "none"]);
    println!("{count} objects were released within {:?}", started.elapsed());
    let ours = (0..count).filter(|number| number % 3 != 0).count();
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains(&format!("{ours} released")) && stderr.is_empty(), "{stdout}{stderr}");
    let left: BTreeSet<String> =
        world.objects("PathShare").await.iter().map(|view| view.0["metadata"]["finalizers"].to_string()).collect();
    assert_eq!(left, BTreeSet::from(["null".to_owned(), "[\"example.com/other\"]".to_owned()]));
    let name = unique("untouched");
    assert!(world.find("PathShare", &name).await.is_none());
}
