//! docs/from-mc.md, step by step: one server is changed by hand, another one by manifests, and both do the same.

use std::{collections::BTreeMap, sync::Arc};

use minio_manager::minio::Credentials;
use serde_json::Value;

use super::{coverage::FROM_MC, story::Story};
use crate::support::{
    kube::Cluster,
    minio::Server,
    product::Setup,
    s3::{Caller, Try},
    world::World,
};

const PAGE: &str = "docs/from-mc.md";
const USER: &str = "newuser";
const GROUP: &str = "newgroup";
/// The aliases of mc.
const BY_HAND: &str = "myminio";
const MANAGED: &str = "managed";
/// What is tried, and the letter for it.
const TRIES: [(char, Try, &str); 5] = [
    ('G', Try::Get, "my-bucketname/my-objectname"),
    ('P', Try::Put, "my-bucketname/new-object"),
    ('I', Try::Put, "my-bucketname/inbox/new-object"),
    ('L', Try::List, "my-bucketname/"),
    ('O', Try::Get, "other-bucket/my-objectname"),
];

/// The steps of the page that change something, with what `newuser` may do after each.
const STEPS: [(&str, &str); 11] = [
    ("Create a policy", ""),
    ("Create a user with a policy", "G"),
    ("Create a group with a policy", "GPI"),
    ("Disable a user", ""),
    ("Enable a user", "GPI"),
    // MinIO itself takes more; see below.
    ("Disable a group", "G"),
    ("Enable a group", "GPI"),
    ("Change the policies of a user or a group", "GPI"),
    ("Change a policy", "GI"),
    ("Remove a user from a group", "I"),
    ("Remove users, groups and policies", ""),
];

/// What is on a server, as mc tells it, without what is made of objects.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// Whether the user is on, and the policies of one who is.
    user: Option<(String, Vec<String>)>,
    /// The members, and the policies.
    group: Option<(Vec<String>, Vec<String>)>,
    policies: BTreeMap<String, Value>,
}

struct Scene {
    story: Story,
    by_hand: Server,
    world: World,
    /// Whoever has the key of `newuser` on the managed server, as soon as there is one.
    key: Option<Caller>,
}

impl Scene {
    async fn set() -> Self {
        let minio = Arc::new(Server::start());
        let setup = Setup { minio: Some(Arc::clone(&minio)), ..Setup::default() };
        let (by_hand, world) = (Server::start(), World::own(setup).await);
        let mut story = Story::begin(FROM_MC, Some(Cluster::shared().kubeconfig()));
        story.means("-n lake", &format!("-n {}", world.namespace()));
        story.means("https://minio.example.com", &by_hand.endpoint().to_string());
        let root = by_hand.root();
        story.means("minio-admin minio-password", &format!("{} {}", root.access_key, root.secret.expose()));
        story.set("HOME_NAMESPACE", world.namespace());
        let root = minio.root();
        let host = format!("http://{}:{}@{}", root.access_key, root.secret.expose(), minio.endpoint().authority());
        story.set(&format!("MC_HOST_{MANAGED}"), &host);
        story.set("MINIO_ENDPOINT", &minio.endpoint().to_string());
        story.set("MINIO_ACCESS_KEY", &root.access_key);
        story.set("MINIO_SECRET_KEY", root.secret.expose());
        story.set("INSTANCE_ID", world.namespace());
        Self { story, by_hand, world, key: None }
    }

    /// The same buckets and objects on both servers.
    fn fill(&self) {
        for alias in [BY_HAND, MANAGED] {
            self.story.shell(&format!(
                "mc mb {alias}/my-bucketname {alias}/other-bucket
                for bucket in my-bucketname other-bucket; do echo hello | mc pipe {alias}/$bucket/my-objectname; done"
            ));
        }
    }

    /// What mc says in JSON; nothing where it fails.
    fn mc(&self, words: &str) -> Vec<Value> {
        let said = self.story.shell(&format!("mc --json admin {words} || true"));
        let lines = serde_json::Deserializer::from_str(&said).into_iter::<Value>().map(Result::unwrap);
        lines.filter(|line| line["status"] == "success").collect()
    }

    fn told(&self, alias: &str) -> Told {
        let mut told = Told::default();
        if let Some(user) = self.mc(&format!("user info {alias} {USER}")).pop() {
            // What is attached to somebody who is disabled gives nothing, and is taken off here.
            let is_on = user["userStatus"] == "enabled";
            let attached = if is_on { policies(&user["policyName"]) } else { vec![] };
            told.user = Some((text(&user["userStatus"]), attached));
        }
        if let Some(group) = self.mc(&format!("group info {alias} {GROUP}")).pop() {
            let members = group["members"].as_array().into_iter().flatten().map(text).collect();
            told.group = Some((members, policies(&group["groupPolicy"])));
        }
        for name in ["getonly", "putonly"] {
            if let Some(policy) = self.mc(&format!("policy info {alias} {name}")).pop() {
                told.policies.insert(name.to_owned(), meaning(&policy["policyInfo"]["Policy"]));
            }
        }
        told
    }

    /// What `newuser` may do on the server that is changed by hand.
    async fn may_by_hand(&self) -> String {
        let user = Credentials::new(USER, "newuser123");
        may(&Caller::new(self.by_hand.client(), user)).await
    }

    /// What `newuser` may do on the managed server.
    async fn may_by_manifest(&self) -> String {
        match &self.key {
            Some(key) => may(key).await,
            None => String::new(),
        }
    }
}

async fn may(caller: &Caller) -> String {
    let mut letters = String::new();
    for (letter, what, path) in TRIES {
        if caller.may(what, path).await {
            letters.push(letter);
        }
    }
    letters
}

/// A document without the names of its statements, which say whose it is.
fn meaning(document: &Value) -> Value {
    let mut document = document.clone();
    for statement in document["Statement"].as_array_mut().into_iter().flatten() {
        statement.as_object_mut().map(|statement| statement.remove("Sid"));
    }
    document
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The policies in a list with commas that somebody has written.
fn policies(list: &Value) -> Vec<String> {
    let ours = |name: &&str| ["user-home-policy-", "group-policy-"].iter().any(|prefix| name.starts_with(prefix));
    let list = text(list);
    let mut names: Vec<String> =
        list.split(',').filter(|name| !name.is_empty() && !ours(name)).map(str::to_owned).collect();
    names.sort();
    names
}

#[tokio::test]
async fn each_step_by_hand_has_the_same_effect_as_its_manifest() {
    let mut scene = Scene::set().await;
    scene.story.run(PAGE, "Start");
    scene.fill();
    for (step, expected) in STEPS {
        if step == "Remove a user from a group" {
            nothing_changes_by_looking(&mut scene).await;
        }
        scene.story.run(PAGE, step);
        if step == "Create a user with a policy" {
            scene.key = Some(scene.world.person(USER).await.caller);
        }
        let by_hand = if step == "Disable a group" { "" } else { expected };
        assert_eq!(scene.may_by_hand().await, by_hand, "by hand, after {step:?}");
        let told = scene.told(BY_HAND);
        let is_as_by_hand = async || {
            let (may, managed) = (scene.may_by_manifest().await, scene.told(MANAGED));
            let is_same = may == expected && managed == told;
            if !is_same {
                println!("after {step:?}, by manifest {may:?} {managed:?}\nby hand {expected:?} {told:?}");
            }
            is_same
        };
        scene.world.eventually(&format!("the same by hand and by manifest, after {step:?}"), is_as_by_hand).await;
    }
    scene.story.finish();
}

/// The steps of the page that only look, by which nothing changes.
async fn nothing_changes_by_looking(scene: &mut Scene) {
    let said = scene.story.run(PAGE, "List users and groups");
    let all = said.join("\n");
    assert!(all.matches(USER).count() > 5 && all.matches(GROUP).count() > 3 && all.contains("getonly"), "{all}");
    let said = scene.story.run(PAGE, "Configure mc for a user");
    let read: Vec<&String> = said.iter().filter(|said| said.trim() == "hello").collect();
    assert_eq!(read.len(), 2, "both keys read the object: {said:#?}");
    what_nobody_declared_is_named_and_adopted(scene).await;
}

/// Somebody has made a user, a group and a policy by hand on both servers.
async fn what_nobody_declared_is_named_and_adopted(scene: &mut Scene) {
    for alias in [BY_HAND, MANAGED] {
        scene.story.shell(&format!(
            "mc admin policy create {alias} oldpolicy getonly.json
            mc admin user add {alias} olduser olduser123
            mc admin group add {alias} oldgroup olduser
            mc admin policy attach {alias} oldpolicy --user olduser"
        ));
    }
    let said = scene.story.run(PAGE, "Find what nobody has declared");
    for name in ["olduser", "oldgroup", "oldpolicy"] {
        let naming = said.iter().filter(|said| said.contains(name)).count();
        assert!(naming >= 4, "{name} is named by mc, status, plan, and kubectl: {said:#?}");
    }
    for (kind, name) in [("MinioUser", "olduser"), ("MinioGroup", "oldgroup"), ("MinioPolicy", "oldpolicy")] {
        scene.world.ready(kind, name).await;
    }
    let old = Caller::new(scene.world.minio().clone(), Credentials::new("olduser", "olduser123"));
    assert_eq!(may(&old).await, "G", "what is adopted keeps what it has");
}
