//! Killed again and again while keys are issued, replaced and taken away: what is there in the end is what was asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::{Duration, Instant},
};

use minio_manager::minio::{AccessKey, Credentials, KeyState};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{
    minio::unique,
    product::Setup,
    random::Random,
    world::{View, World, user},
};

/// How often each of the three tests kills, where nothing is said.
const KILLS: usize = 16;
/// So many have to leave a pair that waited; until then it goes on, ...
const HALFWAY: usize = 2;
/// ... but not beyond so many times as often.
const MOST: usize = 6;
/// The variable that says how often.
const HOW_OFTEN: &str = "MINIO_MANAGER_KILLS";
/// The longest time to the kill from readiness, or from so many looks at subjects, in milliseconds.
const LONGEST_LIFE: usize = 400;
const MOST_RUNS: usize = 8;
const USERS: usize = 20;
/// The first users are never deleted, and the workloads of all but the last of them have keys that nobody else revokes.
const LASTING: usize = 3;
const WORKLOADS: usize = 4;
const SAMPLES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// A user or a key of a workload, as it was declared.
#[derive(Clone, Debug)]
struct Holder {
    kind: &'static str,
    name: String,
    user: String,
    secret: String,
}

struct Scene {
    world: World,
    random: Random,
    users: Vec<Holder>,
    workloads: Vec<Holder>,
    /// The last keys of what was deleted.
    dead: Vec<Credentials>,
    deleted: Vec<Holder>,
    values: usize,
    kills: usize,
    /// Kills that left a key to be issued or to be acknowledged.
    unfinished: usize,
    /// Kills that left a pair which had been written ahead.
    halfway: usize,
}

impl Scene {
    async fn set(purpose: &str) -> Self {
        let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
        let random = Random::from_environment(purpose);
        let (users, workloads, dead, deleted) = (vec![], vec![], vec![], vec![]);
        let mut scene =
            Self { world, random, users, workloads, dead, deleted, values: 0, kills: 0, unfinished: 0, halfway: 0 };
        for _ in 0..USERS {
            scene.create_user().await;
        }
        for number in 0..WORKLOADS {
            scene.create_workload(number % LASTING).await;
        }
        scene.expect_calm().await;
        scene.world.product().kill();
        scene
    }

    async fn create_user(&mut self) {
        let name = unique("user");
        self.world.apply(&user(&name, "")).await;
        let secret = format!("minio-{name}");
        self.users.push(Holder { kind: "MinioUser", user: name.clone(), name, secret });
    }

    async fn create_workload(&mut self, of: usize) {
        let (name, user) = (unique("etl"), self.users[of].name.clone());
        self.world.apply(&format!("kind: MinioAccessKey\nmetadata: {{name: {name}}}\nspec: {{user: {user}}}\n")).await;
        let secret = format!("miniokey-{name}");
        self.workloads.push(Holder { kind: "MinioAccessKey", name, user, secret });
    }

    fn all(&self) -> impl Iterator<Item = &Holder> {
        self.users.iter().chain(&self.workloads)
    }

    /// Gives the product something to do with keys.
    async fn disturb(&mut self) {
        let chance = self.random.below(100);
        let any_user = self.random.below(self.users.len());
        let user = self.users[any_user].clone();
        let any_workload = self.random.below(self.workloads.len());
        let workload = self.workloads[any_workload].clone();
        match chance {
            0..30 => self.ask(&user, "rotate").await,
            30..45 if any_user + 1 >= LASTING => self.ask(&user, "revoke").await,
            45..60 => self.delete_secret(&user).await,
            60..70 if self.users.len() < USERS + 4 => self.create_user().await,
            60..78 if any_user >= LASTING => {
                self.users.remove(any_user);
                self.delete(user).await;
            }
            78..88 => self.ask(&workload, "rotate").await,
            88..92 => self.ask(&workload, "revoke").await,
            92..94 => self.delete_secret(&workload).await,
            94..97 if self.workloads.len() < WORKLOADS + 2 => self.create_workload(any_user % LASTING).await,
            94..100 if self.workloads.len() > 1 => {
                self.workloads.remove(any_workload);
                self.delete(workload).await;
            }
            _ => self.ask(&user, "rotate").await,
        }
    }

    async fn ask(&mut self, of: &Holder, annotation: &str) {
        self.values += 1;
        self.world.annotate(of.kind, &of.name, annotation, Some(&self.values.to_string())).await;
    }

    async fn delete_secret(&self, of: &Holder) {
        if self.world.secret(&of.secret).await.is_some() {
            self.world.delete("Secret", &of.secret).await;
        }
    }

    async fn delete(&mut self, holder: Holder) {
        if self.world.secret(&holder.secret).await.is_some() {
            self.dead.push(self.world.caller(&holder.secret).await.credentials().clone());
        }
        self.world.delete(holder.kind, &holder.name).await;
        self.deleted.push(holder);
    }

    /// Starts the product, gives it something to do before and after, and kills it at any moment.
    async fn live_and_die(&mut self) {
        for _ in 0..1 + self.random.below(4) {
            self.disturb().await;
        }
        self.world.product().launch();
        self.world.eventually("it has its first lists", async || self.world.product().get("/ready").0 == 200).await;
        for _ in 0..self.random.below(3) {
            self.disturb().await;
        }
        if self.random.percent(70) {
            // However slow the machine is, most lives come to something.
            let runs = 1 + self.random.below(MOST_RUNS);
            let converged = || self.world.product().metrics().sum("minio_manager_converge_total", &[]);
            self.world.eventually("it has looked at some subjects", async || converged() >= runs as f64).await;
        }
        tokio::time::sleep(Duration::from_millis(self.random.below(LONGEST_LIFE) as u64)).await;
        if self.random.percent(50) {
            self.sample().await;
        }
        self.world.product().kill();
        self.kills += 1;
        self.count().await;
        self.sample().await;
    }

    /// What was left to be done.
    async fn count(&mut self) {
        let secrets = self.world.secret_names().await;
        let is_halfway = secrets.iter().any(|name| name.ends_with(".pending"));
        let mut is_unfinished = is_halfway || self.all().any(|holder| !secrets.contains(&holder.secret));
        for view in self.views().await.values() {
            is_unfinished |= !is_acknowledged(view);
        }
        self.unfinished += usize::from(is_unfinished);
        self.halfway += usize::from(is_halfway);
    }

    /// What people read from a Secret works, also while it is being replaced.
    async fn sample(&mut self) {
        for _ in 0..SAMPLES {
            let workloads =
                self.workloads.iter().filter(|one| self.users[..LASTING - 1].iter().any(|u| u.name == one.user));
            let holders: Vec<&Holder> = self.users.iter().chain(workloads).collect();
            let holder = (*self.random.pick(&holders)).clone();
            self.expect_working(&holder).await;
        }
    }

    async fn expect_working(&self, holder: &Holder) {
        loop {
            if self.world.secret(&holder.secret).await.is_none() {
                return;
            }
            let held = self.world.caller(&holder.secret).await.credentials().clone();
            if self.state(&held).await == KeyState::Works {
                return;
            }
            // Only another key in its place is an excuse.
            let Some(_) = self.world.secret(&holder.secret).await else { return };
            let now = self.world.caller(&holder.secret).await.credentials().clone();
            assert_ne!(now, held, "{holder:?} holds a key that does not work after {} kills", self.kills);
        }
    }

    async fn state(&self, credentials: &Credentials) -> KeyState {
        self.world.minio().probe(credentials).await.unwrap()
    }

    /// Every object with keys that is not on its way out, by kind and name.
    async fn views(&self) -> BTreeMap<(&'static str, String), View> {
        let mut views = BTreeMap::new();
        for kind in ["MinioUser", "MinioAccessKey"] {
            for view in self.world.objects(kind).await {
                if view.0["metadata"]["deletionTimestamp"].is_null() {
                    views.insert((kind, view.0["metadata"]["name"].as_str().unwrap().to_owned()), view);
                }
            }
        }
        views
    }

    /// Waits until nothing is to be said against what is there.
    async fn expect_calm(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let complaints = self.complaints().await;
            if complaints.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "after {} kills:\n{}", self.kills, complaints.join("\n"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything that is not as it should be: in the statuses and Secrets, and where nothing is amiss there, on the server,
    /// which seals each list of keys at some cost.
    async fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let views = self.views().await;
        let mut held: BTreeMap<&str, Vec<(&Holder, &View)>> = BTreeMap::new();
        for holder in self.all() {
            let Some(view) = views.get(&(holder.kind, holder.name.clone())) else {
                complaints.push(format!("{holder:?} does not exist"));
                continue;
            };
            match self.against_secret(holder, view).await {
                Ok(()) => held.entry(&holder.user).or_default().push((holder, view)),
                Err(complaint) => complaints.push(format!("{} {}: {complaint}", holder.kind, holder.name)),
            }
        }
        if complaints.is_empty() {
            complaints.extend(self.against_the_rest().await);
        }
        if complaints.is_empty() {
            for user in &self.users {
                complaints.extend(self.against_keys(user, &held[user.name.as_str()]).await);
            }
        }
        complaints
    }

    /// What is wrong with one object and its Secret.
    async fn against_secret(&self, holder: &Holder, view: &View) -> Result<(), String> {
        let ready = view.says("Ready", "True")
            && view.0["status"]["observedGeneration"] == view.0["metadata"]["generation"]
            && is_acknowledged(view);
        if !ready {
            return Err(format!("is not Ready, or has not answered: {:#}", view.0["status"]));
        }
        if self.world.secret(&holder.secret).await.is_none() {
            return Err("has no Secret".to_owned());
        }
        let held = self.world.caller(&holder.secret).await.credentials().clone();
        if view.status("/credentials/accessKey") != held.access_key.as_str() {
            return Err(format!("the Secret holds {}, the status says {:#}", held.access_key, view.0["status"]));
        }
        if self.state(&held).await != KeyState::Works {
            return Err(format!("{} does not work", held.access_key));
        }
        Ok(())
    }

    /// What is wrong with the keys of a user on the server: those of the objects that act as it, and no others.
    async fn against_keys(&self, user: &Holder, holders: &[(&Holder, &View)]) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut keys = self.world.access_keys(&user.name).await;
        for (holder, view) in holders {
            let (own, others) = keys.into_iter().partition(|key| key.name == mark(view));
            keys = others;
            let own: Vec<String> = own.into_iter().map(|key: AccessKey| key.access_key).collect();
            let may_be_more = usize::from(!view.status("/credentials/previousExpiresAt").is_null());
            let has_current = own.iter().any(|key| view.status("/credentials/accessKey") == key.as_str());
            if !has_current || own.len() > 1 + may_be_more {
                complaints.push(format!("{holder:?} has the keys {own:?}, the status says {:#}", view.0["status"]));
            }
        }
        complaints.extend(keys.iter().map(|key| format!("{} of {} is nobody's: {key:?}", key.access_key, user.name)));
        complaints
    }

    /// What is left of what was deleted, or belongs to nobody.
    async fn against_the_rest(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let accounts: BTreeSet<String> = self.world.minio().list_users().await.unwrap().into_keys().collect();
        let meant: BTreeSet<String> = self.users.iter().map(|user| user.name.clone()).collect();
        if accounts != meant {
            complaints.push(format!("the users on the server are {accounts:?}, not {meant:?}"));
        }
        let (secrets, meant) =
            (self.world.secret_names().await, self.all().map(|holder| holder.secret.clone()).collect());
        if secrets != meant {
            complaints.push(format!("the Secrets are {secrets:?}, not {meant:?}"));
        }
        for holder in &self.deleted {
            if self.world.find(holder.kind, &holder.name).await.is_some() {
                complaints.push(format!("{holder:?} is still there"));
            }
        }
        for key in &self.dead {
            if self.state(key).await != KeyState::Unknown {
                complaints.push(format!("{} of a deleted object works", key.access_key));
            }
        }
        complaints
    }
}

/// The name of every key of an object on the server.
fn mark(view: &View) -> String {
    let uid = view.0["metadata"]["uid"].as_str().expect("an object has a uid");
    format!("minio-manager-{}", hex::encode(&Sha256::digest(uid)[..8]))
}

/// Whether everything that was asked of the key of an object has been answered.
fn is_acknowledged(view: &View) -> bool {
    let asked = |name: &str| view.0["metadata"]["annotations"][format!("minio-manager.io/{name}")].clone();
    let answered = |field: &str| view.status(&format!("/credentials/{field}")).clone();
    let is_so = |asked: Value, answered: Value| asked.is_null() || asked == answered;
    is_so(asked("rotate"), answered("lastHandledRotate")) && is_so(asked("revoke"), answered("lastHandledRevoke"))
}

async fn kill_again_and_again(purpose: &str) {
    let mut scene = Scene::set(purpose).await;
    let kills = env::var(HOW_OFTEN).map_or(KILLS, |text| text.parse().expect("a number of kills"));
    // How many hit the moments that matter is a matter of luck.
    while scene.kills < kills || (scene.halfway < HALFWAY && scene.kills < MOST * kills) {
        scene.live_and_die().await;
    }
    scene.world.product().launch();
    scene.expect_calm().await;
    let Scene { kills, unfinished, halfway, .. } = scene;
    println!("{purpose}: of {kills} kills {unfinished} left something to be done, {halfway} a pair that waited");
    assert!(unfinished * 4 > kills, "{unfinished} of {kills} kills left something to be done");
    assert!(halfway >= HALFWAY, "{halfway} of {kills} kills left a pair that waited");
}

#[tokio::test]
async fn exactly_the_intended_keys_are_there_after_many_kills() {
    kill_again_and_again("kills, first").await;
}

#[tokio::test]
async fn exactly_the_intended_keys_are_there_after_many_other_kills() {
    kill_again_and_again("kills, second").await;
}

#[tokio::test]
async fn exactly_the_intended_keys_are_there_after_still_more_kills() {
    kill_again_and_again("kills, third").await;
}
