//! Random declarations, an independent and simple model of what they mean, and hundreds of real requests that must agree with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    minio::unique,
    random::Random,
    s3::Try,
    world::{Person, World, group, share, user},
};

const USERS: usize = 6;
const GROUPS: usize = 3;
const SHARES: usize = 24;
const REQUESTS: usize = 400;

/// Names that are each other's beginnings, or need care when written down.
const SEGMENTS: [&str; 5] = ["a", "ab", "a b", "a+b", "ä"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Read,
    Write,
}

/// To whom a share gives something.
#[derive(Clone, Copy, Debug)]
enum Target {
    User(usize),
    Group(usize),
    Twin(usize),
}

#[derive(Clone, Debug)]
struct Share {
    name: String,
    path: String,
    grants: Vec<(Target, Level, bool)>,
    everyone: bool,
    suspended: bool,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    members: BTreeSet<usize>,
    read_only: BTreeSet<usize>,
    enabled: bool,
}

/// What is declared, as numbers.
#[derive(Clone, Debug)]
struct Model {
    users: Vec<String>,
    disabled: BTreeSet<usize>,
    groups: Vec<Group>,
    shares: Vec<Share>,
}

impl Model {
    fn random(random: &mut Random) -> Self {
        let users: Vec<String> = (0..USERS).map(|_| unique("user")).collect();
        let groups = (0..GROUPS).map(|_| Group {
            name: unique("team"),
            members: BTreeSet::new(),
            read_only: BTreeSet::new(),
            enabled: true,
        });
        let mut model = Self { users, disabled: BTreeSet::new(), groups: groups.collect(), shares: Vec::new() };
        for _ in 0..SHARES {
            let path = model.random_folder(random);
            model.shares.push(Share {
                name: unique("share"),
                path,
                grants: Vec::new(),
                everyone: false,
                suspended: false,
            });
        }
        model.shuffle(random);
        model
    }

    /// Other members, other grants; the objects stay.
    fn shuffle(&mut self, random: &mut Random) {
        for group in &mut self.groups {
            group.enabled = random.percent(80);
            group.members = (0..USERS).filter(|_| random.percent(30)).collect();
            group.read_only = (0..USERS).filter(|_| random.percent(25)).collect();
        }
        for share in &mut self.shares {
            share.suspended = random.percent(15);
            share.everyone = random.percent(10);
            let level = |random: &mut Random| if random.percent(50) { Level::Write } else { Level::Read };
            let users = (0..USERS).filter(|_| random.percent(20)).map(Target::User).collect::<Vec<_>>();
            let groups = (0..GROUPS).filter(|_| random.percent(20)).map(Target::Group).collect::<Vec<_>>();
            let twins = (0..GROUPS).filter(|_| random.percent(10)).map(Target::Twin).collect::<Vec<_>>();
            share.grants = users.into_iter().chain(groups).map(|to| (to, level(random), random.percent(15))).collect();
            share.grants.extend(twins.into_iter().map(|to| (to, Level::Read, false)));
        }
        self.disabled = (0..USERS).filter(|_| random.percent(15)).collect();
    }

    fn random_folder(&self, random: &mut Random) -> String {
        let root = match random.below(3) {
            0 => format!("homes/{}", random.pick(&self.users)),
            1 => format!("teams/{}", random.pick(&self.groups).name),
            // Of nobody.
            _ => format!("pool/{}", self.users[0]),
        };
        let depth = 1 + random.below(2);
        (0..depth).fold(root, |path, _| format!("{path}/{}", random.pick(&SEGMENTS)))
    }

    /// Everything that a user has: folders with their level.
    fn rights(&self, user: usize) -> BTreeMap<String, Level> {
        let mut rights = BTreeMap::new();
        if self.disabled.contains(&user) {
            return rights;
        }
        let mut add = |path: String, level: Level| {
            let held = rights.entry(path).or_insert(level);
            *held = level.max(*held);
        };
        add(format!("homes/{}", self.users[user]), Level::Write);
        let writes = |group: usize| self.groups[group].enabled && self.groups[group].members.contains(&user);
        let reads =
            |group: usize| self.groups[group].enabled && self.groups[group].read_only.contains(&user) && !writes(group);
        for (index, group) in self.groups.iter().enumerate() {
            if writes(index) {
                add(format!("teams/{}", group.name), Level::Write);
            } else if reads(index) {
                add(format!("teams/{}", group.name), Level::Read);
            }
        }
        for share in self.shares.iter().filter(|share| !share.suspended) {
            if share.everyone {
                add(share.path.clone(), Level::Read);
            }
            for (target, level, expired) in &share.grants {
                let reached = match target {
                    Target::User(number) => *number == user,
                    Target::Group(number) => writes(*number),
                    Target::Twin(number) => reads(*number),
                };
                if reached && !expired {
                    add(share.path.clone(), *level);
                }
            }
        }
        rights
    }

    fn allows(&self, user: usize, what: Try, key: &str) -> bool {
        let rights = self.rights(user);
        let below = |folder: &str| key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let enough = |level: Level| match what {
            Try::Get | Try::List => true,
            Try::Put | Try::Delete => level == Level::Write,
        };
        rights.iter().any(|(folder, level)| enough(*level) && (below(folder) || (what != Try::List && key == folder)))
    }

    fn yaml(&self) -> String {
        let names =
            |numbers: &BTreeSet<usize>| numbers.iter().map(|n| self.users[*n].clone()).collect::<Vec<_>>().join(", ");
        let mut documents = Vec::new();
        for (number, name) in self.users.iter().enumerate() {
            documents.push(user(name, &format!("enabled: {}", !self.disabled.contains(&number))));
        }
        for g in &self.groups {
            let (members, read_only) = (names(&g.members), names(&g.read_only));
            let spec = format!("members: [{members}], readOnlyMembers: [{read_only}], enabled: {}", g.enabled);
            documents.push(group(&g.name, &spec));
        }
        for s in &self.shares {
            let grants: Vec<String> = s.grants.iter().map(|grant| self.grant(grant)).collect();
            let everyone = if s.everyone { "Read" } else { "None" };
            let spec = format!("grants: [{}], everyone: {everyone}, suspended: {}", grants.join(", "), s.suspended);
            documents.push(share(&s.name, &format!("lake/{}", s.path), &spec));
        }
        documents.join("---\n")
    }

    fn grant(&self, (target, level, expired): &(Target, Level, bool)) -> String {
        let (kind, name) = match target {
            Target::User(number) => ("User", self.users[*number].clone()),
            Target::Group(number) => ("Group", self.groups[*number].name.clone()),
            Target::Twin(number) => ("Group", format!("{}-ro", self.groups[*number].name)),
        };
        let access = if *level == Level::Write { "ReadWrite" } else { "Read" };
        let end = if *expired { ", expiresAt: '2021-01-01T00:00:00Z'" } else { "" };
        format!("{{kind: {kind}, name: {name}, access: {access}{end}}}")
    }

    async fn declare(&self, world: &World) {
        world.apply(&self.yaml()).await;
        for name in &self.users {
            world.ready("MinioUser", name).await;
        }
        for group in &self.groups {
            world.ready("MinioGroup", &group.name).await;
        }
        for share in &self.shares {
            world.ready("PathShare", &share.name).await;
        }
    }

    /// Makes random requests and compares every answer.
    async fn check(&self, world: &World, people: &[Person], random: &mut Random) -> (usize, usize) {
        let mut folders: Vec<String> = self.shares.iter().map(|share| share.path.clone()).collect();
        folders.extend((0..20).map(|_| self.random_folder(random)));
        let to_read: Vec<String> = folders.iter().map(|folder| format!("lake/{folder}/r")).collect();
        world.seed(&to_read.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let (mut allowed, mut refused, mut wrong) = (0, 0, Vec::new());
        for _ in 0..REQUESTS {
            let user = random.below(USERS);
            let what = *random.pick(&Try::ALL);
            let folder = random.pick(&folders);
            let key = match what {
                Try::Get => format!("{folder}/r"),
                Try::Put | Try::Delete => format!("{folder}/w"),
                Try::List => {
                    [format!("{folder}/"), folder.clone(), format!("{folder}/deeper/")][random.below(3)].clone()
                }
            };
            let expected = self.allows(user, what, &key);
            let actual = people[user].may(what, &format!("lake/{key}")).await;
            if actual != expected {
                let declared: Vec<String> =
                    self.rights(user).iter().map(|(path, level)| format!("{path} {level:?}")).collect();
                wrong.push(format!("{} {what:?} {key}: {actual}, declared {declared:?}", self.users[user]));
            }
            *(if actual { &mut allowed } else { &mut refused }) += 1;
        }
        assert!(wrong.is_empty(), "{} of {REQUESTS} requests:\n{}", wrong.len(), wrong.join("\n"));
        (allowed, refused)
    }
}

#[tokio::test]
async fn what_is_declared_is_exactly_what_is_allowed() {
    let world = World::shared().await;
    let mut random = Random::from_environment("matrix");
    let mut model = Model::random(&mut random);
    // Everybody needs a key first.
    let disabled = std::mem::take(&mut model.disabled);
    world.apply(&model.users.iter().map(|name| user(name, "")).collect::<Vec<_>>().join("---\n")).await;
    let mut people = Vec::new();
    for name in &model.users {
        people.push(world.person(name).await);
    }
    model.disabled = disabled;
    let (mut allowed, mut refused) = (0, 0);
    for _ in 0..3 {
        model.declare(&world).await;
        let counts = model.check(&world, &people, &mut random).await;
        allowed += counts.0;
        refused += counts.1;
        model.shuffle(&mut random);
    }
    println!("{allowed} requests allowed, {refused} refused");
    assert!(allowed >= 100 && refused >= 300, "the requests prove little: {allowed} allowed, {refused} refused");
}
