//! A whole installation: many users, groups and shares, all in force.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};

use crate::support::{
    minio::Server,
    product::Setup,
    world::{World, grant, group, share, user},
};

const AT_ONCE: usize = 64;
const LOOK: Duration = Duration::from_millis(200);
/// However long it takes, this would be wrong.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// How large an installation is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub users: usize,
    pub groups: usize,
    /// Of each group.
    pub members: usize,
    pub shares: usize,
}

impl Size {
    /// So many users, with as much of everything else as they usually have.
    pub fn of_users(users: usize) -> Self {
        Self { users, groups: users.div_ceil(10), members: users.min(20), shares: 5 * users }
    }

    pub fn title(&self) -> String {
        format!("{} users, {} groups, {} shares", self.users, self.groups, self.shares)
    }

    pub fn objects(&self) -> usize {
        self.users + self.groups + self.shares
    }

    /// Each group has some of the users; each share gives a folder of one to another, or to a group.
    pub fn manifests(&self) -> Vec<String> {
        let users = (0..self.users).map(|number| user(&person(number), ""));
        let groups =
            (0..self.groups).map(|number| group(&team(number), &format!("members: [{}]", self.members(number))));
        let shares = (0..self.shares).map(|number| self.share(number, "Read"));
        users.chain(groups).chain(shares).collect()
    }

    /// The members that a group has at first.
    fn members(&self, group: usize) -> String {
        let members = (0..self.members).map(|member| person((group * self.members + member) % self.users));
        members.collect::<Vec<_>>().join(", ")
    }

    /// A share at this level.
    pub fn share(&self, number: usize, access: &str) -> String {
        let owner = number % self.users;
        let to = match number % 10 {
            0 => format!("{{kind: Group, name: {}, access: {access}}}", team(number / 10 % self.groups)),
            _ => grant(&person((owner + 1 + number / self.users) % self.users), access),
        };
        share(&share_name(number), &format!("lake/homes/{}/data/{number}", person(owner)), &format!("grants: [{to}]"))
    }
}

pub fn person(number: usize) -> String {
    format!("user{number:05}")
}

pub fn team(number: usize) -> String {
    format!("team{number:04}")
}

pub fn share_name(number: usize) -> String {
    format!("share{number:05}")
}

/// Everything is brought into force as fast as that goes; then the product is started anew as it shall be measured.
pub async fn in_force(size: &Size, setup: Setup) -> World {
    let minio = setup.minio.clone().unwrap_or_else(|| Arc::new(Server::start()));
    let hurried = Setup { minio: Some(minio.clone()), ..Setup::default() }.with(&["--minio-writes-per-second", "0"]);
    let world = World::own(hurried).await;
    apply(&world, &size.manifests()).await;
    all_ready(&world, size.objects()).await;
    assert!(world.product().terminate().success());
    let namespace = Some(world.namespace().to_owned());
    let world = World::own(Setup { minio: Some(minio), namespace, ..setup }).await;
    is_calm(&world, size.objects()).await;
    world
}

/// Applies all of them, many at once.
pub async fn apply(world: &World, manifests: &[String]) {
    stream::iter(manifests).for_each_concurrent(AT_ONCE, |manifest| world.apply(manifest)).await;
}

/// Waits until so many objects are Ready.
pub async fn all_ready(world: &World, count: usize) {
    let ready = || world.product().metrics().sum("minio_manager_objects", &["ready=\"True\""]) as usize >= count;
    until(world, "everything is Ready", ready).await;
}

/// Waits until a product that was just started has compared everything, and has nothing left to do.
pub async fn is_calm(world: &World, count: usize) {
    let log_says = || world.product().stderr().contains("everything has been compared");
    until(world, "everything is compared", log_says).await;
    all_ready(world, count).await;
    until(world, "nothing waits", || world.product().metrics().sum("minio_manager_queue_depth", &[]) == 0.0).await;
}

/// Waits for as long as it takes.
pub async fn until(world: &World, what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}\n{}", world.product().log_tail());
        tokio::time::sleep(LOOK).await;
    }
}
