//! Everything is deleted in any order, with kills and outages in between: nothing is left, and nothing is stuck.

use std::{collections::BTreeSet, time::Duration};

use minio_manager::minio::KeyState;

use crate::support::{
    minio::unique,
    product::Setup,
    random::Random,
    world::{World, grant, group, share, user},
};

const ROUNDS: usize = 3;
/// The longest time to a kill, in milliseconds.
const LONGEST_LIFE: usize = 300;

struct Scene {
    world: World,
    random: Random,
    /// Users and groups that may be on the server in the end, and those that must be.
    may_stay: BTreeSet<String>,
    must_stay: BTreeSet<String>,
    is_running: bool,
    is_away: bool,
    kills: usize,
    outages: usize,
}

/// What one round makes: 5 users, 2 groups with a membership, 6 shares, 2 policies, 2 keys.
struct Round {
    objects: Vec<(&'static str, String)>,
    retained: BTreeSet<String>,
    manifest: String,
}

impl Round {
    fn new(random: &mut Random) -> Self {
        let users: Vec<String> = (0..5).map(|_| unique("user")).collect();
        let groups: Vec<String> = (0..2).map(|_| unique("team")).collect();
        let rules: Vec<String> = (0..2).map(|_| unique("rule")).collect();
        let (mut documents, mut objects, mut retained) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (number, name) in users.iter().enumerate() {
            // The end of a policy waits for whoever holds it, so who has one does not stay.
            let spec = match random.below(4) {
                0 if number > 1 => "deletionPolicy: Retain".to_owned(),
                1 => format!("dataDeletionPolicy: Delete, policies: [{}]", rules[number % 2]),
                _ => format!("policies: [{}]", random.pick(&rules)),
            };
            if spec.contains("Retain") {
                retained.insert(name.clone());
            }
            documents.push(user(name, &spec));
            objects.push(("MinioUser", name.clone()));
        }
        for (number, name) in groups.iter().enumerate() {
            let mut spec = format!("members: [{}, {}], readOnlyMembers: [{}]", users[0], users[number + 1], users[4]);
            if random.percent(30) {
                spec.push_str(", deletionPolicy: Retain");
                retained.insert(name.clone());
            }
            documents.push(group(name, &spec));
            objects.push(("MinioGroup", name.clone()));
        }
        for number in 0..6 {
            let (name, owner) = (unique("share"), &users[number % 5]);
            let to_group = format!("{{kind: Group, name: {}, access: ReadWrite}}", groups[number % 2]);
            let everyone = if number == 5 { ", everyone: Read" } else { "" };
            let spec = format!(
                "owner: {{kind: User, name: {owner}}}, grants: [{}, {to_group}]{everyone}",
                grant(&users[(number + 1) % 5], "ReadWrite")
            );
            documents.push(share(&name, &format!("lake/homes/{owner}/{name}"), &spec));
            objects.push(("PathShare", name));
        }
        for name in &rules {
            documents.push(format!(
                "kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
                 Statement: [{{Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::x/*']}}]\n"
            ));
            objects.push(("MinioPolicy", name.clone()));
        }
        for number in 0..2 {
            let name = unique("key");
            let user = &users[number * 2];
            documents.push(format!("kind: MinioAccessKey\nmetadata: {{name: {name}}}\nspec: {{user: {user}}}\n"));
            objects.push(("MinioAccessKey", name));
        }
        let name = unique("members");
        let members = format!("[{{name: {}, access: ReadWrite}}]", users[3]);
        documents.push(format!(
            "kind: GroupMembership\nmetadata: {{name: {name}}}\nspec: {{group: {}, members: {members}}}\n",
            groups[0]
        ));
        objects.push(("GroupMembership", name));
        for last in (1..objects.len()).rev() {
            objects.swap(last, random.below(last + 1));
            documents.swap(last, random.below(last + 1));
        }
        Self { objects, retained, manifest: documents.join("---\n") }
    }
}

impl Scene {
    async fn play(&mut self) {
        let round = Round::new(&mut self.random);
        self.world.apply(&round.manifest).await;
        let is_in_force = self.random.percent(60);
        for (kind, name) in round.objects.iter().filter(|_| is_in_force) {
            self.world.ready(kind, name).await;
        }
        self.may_stay.extend(round.retained.iter().cloned());
        if is_in_force {
            self.must_stay.extend(round.retained.iter().cloned());
        }
        let mut left = round.objects.as_slice();
        while !left.is_empty() {
            let (some, rest) = left.split_at(left.len().min(1 + self.random.below(5)));
            for (kind, name) in some {
                self.world.delete(kind, name).await;
            }
            left = rest;
            self.disturb().await;
        }
        if std::mem::take(&mut self.is_away) {
            self.world.product().minio().start_again();
        }
        if !std::mem::replace(&mut self.is_running, true) {
            self.world.product().launch();
        }
        for (kind, name) in &round.objects {
            self.world.gone(kind, name).await;
        }
        self.expect_nothing_left().await;
    }

    /// Kills or starts the product, or MinIO, or does nothing.
    async fn disturb(&mut self) {
        let (product, minio) = (self.world.product(), self.world.product().minio());
        match self.random.below(100) {
            0..40 if self.is_running => {
                tokio::time::sleep(Duration::from_millis(self.random.below(LONGEST_LIFE) as u64)).await;
                product.kill();
                self.kills += 1;
                self.is_running = self.random.percent(70);
                if self.is_running {
                    product.launch();
                }
            }
            0..40 => {
                product.launch();
                self.is_running = true;
            }
            40..55 if !self.is_away => {
                minio.stop();
                self.outages += 1;
                self.is_away = true;
            }
            40..70 if self.is_away => {
                minio.start_again();
                self.is_away = false;
            }
            _ => {}
        }
    }

    /// On the server is nobody but whom an object let stay, without a key of ours; in the cluster is no Secret.
    async fn expect_nothing_left(&self) {
        let minio = self.world.minio();
        let accounts: BTreeSet<String> = minio.list_users().await.unwrap().into_keys().collect();
        assert!(accounts.is_subset(&self.may_stay), "{accounts:?} are left, not only {:?}", self.may_stay);
        let groups: BTreeSet<String> = minio.list_all_groups().await.unwrap().into_iter().collect();
        let sides = |name: &String| [name.clone(), format!("{name}-ro")];
        let allowed: BTreeSet<String> = self.may_stay.iter().flat_map(sides).collect();
        assert!(groups.is_subset(&allowed), "{groups:?} are left, not only {allowed:?}");
        let there: BTreeSet<String> = accounts.union(&groups).cloned().collect();
        assert!(self.must_stay.is_subset(&there), "{:?} should be there, not only {there:?}", self.must_stay);
        for name in minio.list_all_policies().await.unwrap().into_keys() {
            let of_ours = ["user-home-policy-", "group-policy-", "rule-"];
            let Some(rest) = of_ours.iter().find_map(|prefix| name.strip_prefix(prefix)) else { continue };
            let is_allowed = rest == "globalusers" || allowed.iter().any(|name| rest == name);
            assert!(is_allowed && !name.starts_with("rule-"), "the policy {name} is left");
        }
        for name in &accounts {
            assert_eq!(self.world.access_keys(name).await, [], "keys of {name}");
        }
        assert_eq!(self.world.secret_names().await, BTreeSet::new());
    }
}

#[tokio::test]
async fn nothing_is_left_in_whatever_order_everything_is_deleted() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "0", "--audit-interval", "5s"])).await;
    let mut scene = Scene {
        world,
        random: Random::from_environment("orders"),
        may_stay: BTreeSet::new(),
        must_stay: BTreeSet::new(),
        is_running: true,
        is_away: false,
        kills: 0,
        outages: 0,
    };
    for _ in 0..ROUNDS {
        scene.play().await;
    }
    println!("{} kills and {} outages of MinIO in {ROUNDS} rounds", scene.kills, scene.outages);
}

#[tokio::test]
async fn who_comes_back_at_once_under_the_same_name_is_somebody_else() {
    let world = World::shared().await;
    let bob = world.user("bob").await;
    let (name, former, team, exp) = (unique("alice"), unique("former"), unique("team"), unique("exp"));
    world.apply(&user(&former, &format!("username: {name}, dataDeletionPolicy: Delete"))).await;
    let alice = world.person(&former).await;
    world.apply(&group(&team, &format!("members: [{name}]"))).await;
    let file = format!("lake/homes/{name}/exp/file");
    world.seed(&[&file]).await;
    let owner = format!("owner: {{kind: User, name: {name}}}, grants: [{}]", grant(&bob.name, "Read"));
    world.apply(&share(&exp, &format!("lake/homes/{name}/exp"), &owner)).await;
    world.ready("PathShare", &exp).await;
    world.ready("MinioGroup", &team).await;
    bob.expect(&file, "GL").await;
    world.delete("MinioUser", &former).await;
    world.apply(&user(&name, &format!("username: {name}"))).await;
    world.gone("MinioUser", &former).await;
    let again = world.person(&name).await;
    assert_eq!(world.minio().probe(alice.credentials()).await.unwrap(), KeyState::Unknown, "the former key is dead");
    let view = world.ready_is("PathShare", &exp, "True", "Suspended").await;
    assert!(view.message("Ready").contains(&name), "{}", view.message("Ready"));
    world.seed(&[&file]).await;
    again.expect(&file, "GPDL").await;
    bob.expect(&file, "").await;
    // The team names whoever has the name.
    let is_member = async || world.members(&team).await.is_some_and(|members| members.contains(&name));
    world.eventually("the new one is a member", is_member).await;
    let team_file = format!("lake/teams/{team}/file");
    world.seed(&[&team_file]).await;
    again.expect(&team_file, "GPDL").await;
}
