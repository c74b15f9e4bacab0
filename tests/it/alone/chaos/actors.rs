//! People who change things all the time, each those of their own, and who remember what they were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::join_all;
use minio_manager::minio::Holder;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::scene::{BOSS, GROUPS, GUESTS, OWNERS, SERVICES, Scene};
use crate::support::{
    random::Random,
    rest::{Answer, Person},
    world::{grant, share, user},
};

/// How many folders everybody who shares has.
pub const FOLDERS: usize = 4;
/// Between two changes of one person.
const PACE: Duration = Duration::from_millis(40);

/// What an acknowledged call has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Access of this level.
    Has(&'static str),
    /// No access.
    HasNot,
    /// The last call was not answered, or not with a success.
    Unsure,
}

/// Everybody who changes something.
pub struct Actors {
    appliers: Vec<Applier>,
    sharers: Vec<Sharer>,
    boss: Boss,
    host: Host,
    foe: Foe,
}

impl Actors {
    /// Everybody with a random mind of their own.
    pub fn new(random: &mut Random) -> Self {
        let mut mind = || Random::new(random.below(usize::MAX) as u64);
        Self {
            appliers: OWNERS[..2].iter().map(|owner| Applier { owner, random: mind() }).collect(),
            sharers: OWNERS[2..4].iter().map(|owner| Sharer { owner, random: mind(), told: BTreeMap::new() }).collect(),
            boss: Boss { random: mind(), told: BTreeMap::new() },
            host: Host { random: mind() },
            foe: Foe { random: mind() },
        }
    }

    /// They act until the scene says that it is enough.
    pub async fn act(&mut self, scene: &Scene) {
        scene.go_on_acting();
        scene.let_other_admin_in().await;
        let Self { appliers, sharers, boss, host, foe } = self;
        let appliers = join_all(appliers.iter_mut().map(|applier| go_on(applier, scene)));
        let sharers = join_all(sharers.iter_mut().map(|sharer| go_on(sharer, scene)));
        tokio::join!(appliers, sharers, go_on(boss, scene), go_on(host, scene), go_on(foe, scene));
    }

    /// What was acknowledged of grants: folder, user and level.
    pub fn told_of_grants(&self) -> impl Iterator<Item = (String, &'static str, Told)> {
        let of = |sharer: &Sharer| {
            sharer.told.iter().map(|(key, told)| (folder(key.0, "shared", key.1), key.2, *told)).collect::<Vec<_>>()
        };
        self.sharers.iter().flat_map(of)
    }

    /// What was acknowledged of members: group, user and whether they are in it.
    pub fn told_of_members(&self) -> impl Iterator<Item = (&'static str, &'static str, Told)> {
        self.boss.told.iter().map(|((group, member), told)| (*group, *member, *told))
    }

    /// How many calls had an answer that counts.
    pub fn certain(&self) -> usize {
        let grants = self.told_of_grants().filter(|(_, _, told)| *told != Told::Unsure).count();
        grants + self.told_of_members().filter(|(_, _, told)| *told != Told::Unsure).count()
    }
}

/// A folder that is shared in one way or the other.
pub fn folder(owner: &str, way: &str, number: usize) -> String {
    format!("lake/homes/{owner}/{way}/{number}")
}

/// All folders that somebody may share.
pub fn folders() -> Vec<String> {
    let of_owner = |owner: &'static str| {
        ["applied", "shared"]
            .into_iter()
            .flat_map(move |way| (0..FOLDERS).map(move |number| folder(owner, way, number)))
    };
    OWNERS.into_iter().flat_map(of_owner).collect()
}

/// Somebody who makes one change after the other.
trait Actor {
    /// Between two changes.
    const PAUSE: Duration;

    /// Makes the next one.
    async fn change(&mut self, scene: &Scene);
}

async fn go_on<A: Actor>(actor: &mut A, scene: &Scene) {
    while scene.is_acting() {
        actor.change(scene).await;
        sleep(A::PAUSE).await;
    }
}

/// Applies PathShares from manifests.
struct Applier {
    owner: &'static str,
    random: Random,
}

impl Actor for Applier {
    const PAUSE: Duration = PACE;

    async fn change(&mut self, scene: &Scene) {
        let number = self.random.below(FOLDERS);
        let name = format!("{}-{number}", self.owner);
        // The truth is what the API server has; a write that fails is made, or not.
        let _ = if self.random.percent(15) {
            scene.world.try_delete("PathShare", &name).await
        } else {
            let grants = self.grants();
            let path = folder(self.owner, "applied", number);
            let owner = format!("owner: {{kind: User, name: {}}}, grants: [{grants}]", self.owner);
            scene.world.try_apply(&share(&name, &path, &owner)).await
        };
    }
}

impl Applier {
    fn grants(&mut self) -> String {
        let mut grants = Vec::new();
        for name in OWNERS.iter().chain(&GUESTS).filter(|name| **name != self.owner) {
            if self.random.percent(35) {
                let access = *self.random.pick(&["Read", "ReadWrite"]);
                grants.push(grant(name, access));
            }
        }
        for name in GROUPS {
            if self.random.percent(35) {
                let access = self.random.pick(&["Read", "ReadWrite"]);
                grants.push(format!("{{kind: Group, name: {name}, access: {access}}}"));
            }
        }
        grants.join(", ")
    }
}

/// Shares folders through REST.
struct Sharer {
    owner: &'static str,
    random: Random,
    told: BTreeMap<(&'static str, usize, &'static str), Told>,
}

impl Actor for Sharer {
    const PAUSE: Duration = PACE;

    async fn change(&mut self, scene: &Scene) {
        let number = self.random.below(FOLDERS);
        let others: Vec<&'static str> = OWNERS.into_iter().filter(|name| *name != self.owner).collect();
        let target = *self.random.pick(&others);
        let path = format!("s3a://{}", folder(self.owner, "shared", number));
        let person = scene.caller(self.owner, self.random.below(SERVICES));
        let (told, answer) = match self.random.below(3) {
            0 => {
                let body = json!({"path": path, "from_users": [target]});
                (Told::HasNot, post(&person, "/sharing/unshare", body).await)
            }
            kind => {
                let (permission, level) = if kind == 1 { ("read", "Read") } else { ("write", "ReadWrite") };
                let body = json!({"path": path, "with_users": [target], "permission": permission});
                (Told::Has(level), post(&person, "/sharing/share", body).await)
            }
        };
        let told = if answer.is_some_and(|answer| answer.status == 200) { told } else { Told::Unsure };
        self.told.insert((self.owner, number, target), told);
    }
}

/// Manages members through REST.
struct Boss {
    random: Random,
    told: BTreeMap<(&'static str, &'static str), Told>,
}

impl Actor for Boss {
    const PAUSE: Duration = PACE.saturating_mul(4);

    async fn change(&mut self, scene: &Scene) {
        let (group, member) = (*self.random.pick(&GROUPS), *self.random.pick(&OWNERS));
        let boss = scene.caller(BOSS, self.random.below(SERVICES));
        let path = format!("/management/groups/{group}/members/{member}");
        let (told, method) = match self.random.percent(60) {
            true => (Told::Has("ReadWrite"), reqwest::Method::POST),
            false => (Told::HasNot, reqwest::Method::DELETE),
        };
        let answer = Person::try_send(boss.request(method, &path)).await.ok();
        let told = if answer.is_some_and(|answer| answer.status == 200) { told } else { Told::Unsure };
        self.told.insert((group, member), told);
    }
}

/// Lets guests come and go.
struct Host {
    random: Random,
}

impl Actor for Host {
    const PAUSE: Duration = PACE.saturating_mul(10);

    async fn change(&mut self, scene: &Scene) {
        let name = *self.random.pick(&GUESTS);
        // The truth is what the API server has.
        let _ = match self.random.below(4) {
            0 => scene.world.try_delete("MinioUser", name).await,
            1 => scene.world.try_apply(&user(name, "enabled: false, deletionPolicy: Delete")).await,
            _ => scene.world.try_apply(&user(name, "deletionPolicy: Delete")).await,
        };
    }
}

/// Takes things away on the server behind everybody's back: with the key of the product itself, which only the audits tell from
/// what the product does, or as another administrator, whom the trace tells of.
struct Foe {
    random: Random,
}

impl Actor for Foe {
    const PAUSE: Duration = PACE.saturating_mul(20);

    async fn change(&mut self, scene: &Scene) {
        let (name, group) = (*self.random.pick(&OWNERS), *self.random.pick(&GROUPS));
        let minio = if self.random.percent(50) { scene.world.minio() } else { &scene.other_admin };
        let holder = Holder::User(name.to_owned());
        // While the server is away, or has lost the other administrator, nothing comes of it.
        let _ = match self.random.below(4) {
            0 => minio.set_mapping(&holder, &BTreeSet::new()).await,
            1 => minio.set_user_status(name, false).await,
            2 => minio.update_group_members(group, &BTreeSet::from([name.to_owned()]), true).await,
            _ => minio.put_policy(&format!("user-home-policy-{name}"), NOTHING).await,
        };
    }
}

/// A document that gives nothing.
const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["s3:*"],"Resource":["arn:aws:s3:::nothing/*"]}]}"#;

async fn post(person: &Person, path: &str, body: Value) -> Option<Answer> {
    let request = person.request(reqwest::Method::POST, path).header("Content-Type", "application/json");
    Person::try_send(request.body(body.to_string())).await.ok()
}
