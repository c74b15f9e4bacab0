//! Whether everything is as the objects say, once nothing fails any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::stream::{self, StreamExt};
use serde_json::Value;

use super::{
    actors::{Actors, Told, folders},
    faults::blocking,
    sampler::private,
    scene::{GROUPS, GUESTS, OTHER_ADMIN, OWNERS, STRANGER, Scene},
};
use crate::support::{
    s3::Caller,
    world::{View, World},
};

const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(250);
/// So many files are tried at a time.
const FILES_AT_ONCE: usize = 8;
/// So many rounds make a run that counts, ...
const MANY: usize = 20;
/// ... in which controllers are killed at least so often.
const KILLS_OF_MANY: usize = 50;

/// The objects as they are, which say what shall be.
struct Declared {
    users: BTreeMap<String, View>,
    groups: BTreeMap<String, View>,
    memberships: Vec<View>,
    shares: Vec<View>,
}

impl Scene {
    /// Waits until nothing is to be said against what is there.
    pub async fn expect_right(&self, actors: &Actors) {
        self.world.eventually("no request comes late any more", async || self.flaky.is_quiet()).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.acknowledge().await;
            self.lay_ghosts().await;
            let complaints = self.complaints(actors).await;
            if complaints.is_empty() {
                return;
            }
            if Instant::now() > deadline {
                let logs: Vec<String> = self.controllers().iter().map(|product| product.log_tail()).collect();
                panic!("not right after {PATIENCE:?}:\n{}\n{}", complaints.join("\n"), logs.join("\n"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Says what was proven.
    pub fn sum_up(&self, actors: &Actors, rounds: usize) {
        let (kills, hit, late, certain) = (self.kills(), self.flaky.hit(), self.flaky.late(), actors.certain());
        println!("{kills} controllers killed; {certain} acknowledged facts in force");
        println!("{hit} requests to MinIO lost, unanswered or repeated, {late} of them some seconds later");
        assert!(kills > 0 && certain > 0);
        assert!(rounds < MANY || (kills >= KILLS_OF_MANY && hit > 0 && late > 0), "that proves little");
    }

    /// As a person would who has lost a server and knows it.
    async fn acknowledge(&self) {
        let Some(instance) = self.world.find("MinioInstance", "default").await else { return };
        if let Some(hash) = instance.status("/heldChange/hash").as_str() {
            self.world.annotate("MinioInstance", "default", "acknowledge-large-change", Some(hash)).await;
        }
    }

    /// As a person would who is told of users that no object describes, or that an object may not take: these were deleted, and
    /// made again by a request that came late. The product cannot tell them from somebody else's and leaves them alone. They
    /// must have no keys: nobody knows their secrets.
    async fn lay_ghosts(&self) {
        for name in GUESTS {
            let view = self.world.find("MinioUser", name).await;
            let is_foreign = view.as_ref().is_none_or(|view| view.condition("Stalled").is_some_and(already_exists));
            if is_foreign && self.world.account(name).await.is_some() {
                let keys = self.world.access_keys(name).await;
                assert!(keys.is_empty(), "{name} was deleted, and has the keys {keys:?}");
                self.let_other_admin_in().await;
                self.other_admin.remove_user(name).await.unwrap();
                println!("{name} was made again by a late request, and removed by hand");
            }
        }
    }

    /// The first kind of thing that is not as it should be: the later ones take longer to look at.
    async fn complaints(&self, actors: &Actors) -> Vec<String> {
        for service in self.services() {
            service.ready().await;
        }
        let health = self.against_health();
        if !health.is_empty() {
            return health;
        }
        let declared = Declared::read(&self.world).await;
        let statuses = declared.against_statuses();
        if !statuses.is_empty() {
            return statuses;
        }
        let lost = declared.against_what_was_told(actors);
        if !lost.is_empty() {
            return lost;
        }
        let plan = self.against_plan();
        if !plan.is_empty() {
            return plan;
        }
        let keys = self.against_keys(&declared).await;
        if !keys.is_empty() {
            return keys;
        }
        self.against_matrix(&declared).await
    }

    fn against_health(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (number, product) in self.controllers().iter().enumerate() {
            if !product.is_alive() {
                complaints.push(format!("controller {number} has ended"));
            } else if product.get("/live").0 != 200 || product.get("/ready").0 != 200 {
                complaints.push(format!("controller {number} is not well"));
            }
        }
        if complaints.is_empty() {
            let leaders = self.controllers().iter().filter(|product| product.leads()).count();
            if leaders != 1 {
                complaints.push(format!("{leaders} lead"));
            }
        }
        complaints
    }

    /// What the product itself would change, after a full comparison.
    fn against_plan(&self) -> Vec<String> {
        match blocking(|| self.world.product().plan()) {
            (0, ..) => Vec::new(),
            (_, stdout, stderr) => vec![format!("something would be changed: {stdout}{stderr}")],
        }
    }

    /// Keys on the server that no object knows, and Secrets whose key the server does not know.
    async fn against_keys(&self, declared: &Declared) -> Vec<String> {
        let mut complaints = Vec::new();
        let accounts = self.world.minio().list_users().await.unwrap().into_keys();
        let accounts: BTreeSet<String> = accounts.filter(|name| name != OTHER_ADMIN).collect();
        let meant: BTreeSet<String> = declared.users.keys().cloned().collect();
        if accounts != meant {
            complaints.push(format!("the users on the server are {accounts:?}, not {meant:?}"));
        }
        for (name, view) in &declared.users {
            let current = view.status("/credentials/accessKey").as_str().unwrap_or_default();
            let may_be_more = usize::from(!view.status("/credentials/previousExpiresAt").is_null());
            let keys = self.world.access_keys(name).await;
            let has_current = keys.iter().any(|key| key.access_key == current);
            // Who is disabled gets no key: none before the first one, and none for one that the server has lost. One that was under
            // way waits for the user to be enabled.
            let waits = usize::from(self.world.secret(&format!("minio-{name}.pending")).await.is_some());
            let has_none = keys.len() <= waits && !is_enabled(view);
            if !has_none && (!has_current || keys.len() > 1 + may_be_more) {
                complaints.push(format!("{name} has the keys {keys:?}, the status says {:#}", view.0["status"]));
            }
        }
        complaints
    }

    /// What S3 allows to everybody, compared with what the objects say.
    async fn against_matrix(&self, declared: &Declared) -> Vec<String> {
        let mut files: Vec<String> = folders().iter().map(|folder| format!("{folder}/file")).collect();
        files.extend(OWNERS.map(private));
        files.extend(GROUPS.map(|group| format!("lake/teams/{group}/file")));
        let paths: Vec<&str> = files.iter().map(String::as_str).collect();
        self.world.seed(&paths).await;
        let mut callers = Vec::new();
        for name in OWNERS.into_iter().chain([STRANGER]).chain(GUESTS) {
            let view = declared.users.get(name);
            if view.is_some_and(|view| !view.status("/credentials/secretName").is_null()) {
                callers.push((name, self.world.caller(&format!("minio-{name}")).await));
            }
        }
        // One after the other tries the same file, because some delete it and write it again.
        let tried = stream::iter(&files).map(|file| declared.against_rights(file, &callers));
        tried.buffer_unordered(FILES_AT_ONCE).concat().await
    }
}

impl Declared {
    async fn read(world: &World) -> Self {
        let by_name = |views: Vec<View>| views.into_iter().map(|view| (name_of(&view), view)).collect();
        Self {
            users: by_name(world.objects("MinioUser").await),
            groups: by_name(world.objects("MinioGroup").await),
            memberships: world.objects("GroupMembership").await,
            shares: world.objects("PathShare").await,
        }
    }

    fn against_statuses(&self) -> Vec<String> {
        let all = self.users.values().chain(self.groups.values()).chain(&self.memberships).chain(&self.shares);
        let is_settled = |view: &&View| {
            view.0["metadata"]["deletionTimestamp"].is_null()
                && view.0["status"]["observedGeneration"] == view.0["metadata"]["generation"]
                && view.says("Ready", "True")
        };
        let unsettled = all.filter(|view| !is_settled(view));
        unsettled.map(|view| format!("{} {}: {:#}", view.0["kind"], name_of(view), view.0["status"])).collect()
    }

    /// Acknowledged writes that are not there.
    fn against_what_was_told(&self, actors: &Actors) -> Vec<String> {
        let mut complaints = Vec::new();
        for (folder, user, told) in actors.told_of_grants() {
            let found = self.grants_on(&folder).find(|grant| grant["kind"] == "User" && grant["name"] == user);
            let level = found.map(|grant| grant["access"].clone());
            let is_so = match told {
                Told::Has(access) => level == Some(Value::from(access)),
                Told::HasNot => level.is_none(),
                Told::Unsure => true,
            };
            if !is_so {
                complaints.push(format!("{user} was told {told:?} on {folder}, the object says {level:?}"));
            }
        }
        for (group, member, told) in actors.told_of_members() {
            let is_in = self.writers(group).contains(member);
            if (told == Told::HasNot && is_in) || (matches!(told, Told::Has(_)) && !is_in) {
                complaints.push(format!("of {member} in {group} was told {told:?}, and it is {is_in}"));
            }
        }
        complaints
    }

    fn grants_on<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a Value> {
        let path = format!("s3a://{folder}");
        let of =
            move |view: &&View| view.0["spec"]["path"].as_str().is_some_and(|held| held.trim_end_matches('/') == path);
        self.shares.iter().filter(of).filter_map(|view| view.0["spec"]["grants"].as_array()).flatten()
    }

    /// Who may write in a group.
    fn writers(&self, group: &str) -> BTreeSet<String> {
        let own = self.groups.get(group).and_then(|view| view.0["spec"]["members"].as_array());
        let own = own.into_iter().flatten().filter_map(|member| member.as_str());
        let of_group = |view: &&View| view.0["spec"]["group"] == group;
        let entries = self.memberships.iter().filter(of_group).filter_map(|view| view.0["spec"]["members"].as_array());
        let writes = |entry: &&Value| entry["access"].as_str().is_none_or(|access| access == "ReadWrite");
        let further = entries.flatten().filter(writes).filter_map(|entry| entry["name"].as_str());
        own.chain(further).map(str::to_owned).collect()
    }

    /// What S3 allows these people with a file, compared with what the objects say.
    async fn against_rights(&self, file: &str, callers: &[(&str, Caller)]) -> Vec<String> {
        let mut complaints = Vec::new();
        for (name, caller) in callers {
            let (expected, found) = (self.rights(name, file), caller.rights(file).await);
            if expected != found {
                complaints.push(format!("{name} has {found:?} on {file}, the objects say {expected:?}"));
            }
        }
        complaints
    }

    /// What the objects let somebody do with a file, in the letters of `Caller::rights`.
    fn rights(&self, user: &str, file: &str) -> &'static str {
        let declared = &self.users[user];
        if !is_enabled(declared) {
            return "";
        }
        let folder = file.rsplit_once('/').map_or(file, |(folder, _)| folder);
        let is_in = |group: &str| self.writers(group).contains(user);
        let team = folder.strip_prefix("lake/teams/").is_some_and(is_in);
        if folder.starts_with(&format!("lake/homes/{user}/")) || team {
            return "GPDL";
        }
        let mine = self.grants_on(folder).filter(|grant| {
            let name = grant["name"].as_str().unwrap_or_default();
            if grant["kind"] == "Group" { is_in(name) } else { name == user }
        });
        match mine.map(|grant| grant["access"] == "ReadWrite").max() {
            Some(true) => "GPDL",
            Some(false) => "GL",
            None => "",
        }
    }
}

fn already_exists(stalled: &Value) -> bool {
    stalled["status"] == "True" && stalled["reason"] == "AlreadyExists"
}

fn name_of(view: &View) -> String {
    view.0["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn is_enabled(user: &View) -> bool {
    user.0["spec"]["enabled"] != false
}
