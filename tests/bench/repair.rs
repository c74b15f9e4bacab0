//! From a change that another administrator makes to the moment at which it is put right.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::future::join_all;
use minio_manager::minio::Holder;
use serde_json::json;

use crate::{
    figures::{Report, Samples},
    installation::{self, Size, person, team},
    settings,
    support::{
        product::Setup,
        random::Random,
        s3::Try,
        somebody::{EVERYTHING, Somebody, is_followed, without_trace},
        world::{PATIENCE, World},
    },
};

const USERS: usize = 200;
const ROUNDS: usize = 20;
const PERCENT: usize = 100;
const POLL: Duration = Duration::from_millis(3);
const LIMIT: Duration = Duration::from_secs(2);
/// Where nothing but audits tells of foreign changes: as short as all keys of these users are looked at within it.
const INTERVAL: Duration = Duration::from_secs(10);
/// So that nothing but the trace can have told of a change.
const RARELY: &str = "10m";

/// What somebody else changes.
#[derive(Clone, Copy, Debug)]
enum Foreign {
    Mapping,
    Membership,
    Document,
    Status,
    Key,
}

impl Foreign {
    const ALL: [Self; 5] = [Self::Mapping, Self::Membership, Self::Document, Self::Status, Self::Key];

    fn title(self) -> &'static str {
        match self {
            Self::Mapping => "a policy attached",
            Self::Membership => "a member added",
            Self::Document => "a document replaced",
            Self::Status => "a user disabled",
            Self::Key => "a key deleted",
        }
    }
}

/// One change after the other where the trace tells of it; changes of all kinds at once where the audit has to find them.
pub async fn measure(report: &mut Report) {
    let rounds = settings::rounds(ROUNDS);
    let scene = Scene::set(rounds, Setup::default().with(&["--audit-interval", RARELY])).await;
    is_followed(&scene.world).await;
    for foreign in Foreign::ALL {
        let took = scene.undone(foreign, None).await;
        report.percentiles(&format!("{}, with the trace: put right", foreign.title()), &took, None, LIMIT);
    }
    drop(scene);

    let (minio, identity) = without_trace().await;
    let setup = Setup { minio: Some(minio), credentials: Some(identity), ..Setup::default() };
    let interval = format!("{}s", INTERVAL.as_secs());
    let scene = Scene::set(rounds, setup.with(&["--audit-interval", &interval])).await;
    let mut random = Random::from_environment("repair");
    let mut mind = || Some(Random::new(random.below(usize::MAX) as u64));
    let took = join_all(Foreign::ALL.map(|foreign| scene.undone(foreign, mind()))).await;
    for (foreign, took) in Foreign::ALL.into_iter().zip(&took) {
        let name = format!("{}, audited every {interval}: put right", foreign.title());
        report.percentiles(&name, took, None, INTERVAL + LIMIT);
    }
}

struct Scene {
    world: World,
    somebody: Somebody,
    size: Size,
    rounds: usize,
}

impl Scene {
    async fn set(rounds: usize, setup: Setup) -> Self {
        let size = Size::of_users(settings::users(USERS));
        let victims = size.members + Foreign::ALL.len() * rounds;
        assert!(size.users >= victims, "{rounds} rounds need {victims} users, each of whom something happens to once");
        let world = installation::in_force(&size, setup.with(&["--large-change-limit", "0"])).await;
        let somebody = Somebody::of(&world).await;
        Self { world, somebody, size, rounds }
    }

    /// Changes of one kind, one after the other, each to another user. At random each comes at another moment of an interval:
    /// otherwise just after the audit that put the last one right.
    async fn undone(&self, foreign: Foreign, mut random: Option<Random>) -> Samples {
        let mut samples = Samples::new();
        for round in 0..self.rounds {
            if let Some(random) = &mut random {
                tokio::time::sleep(INTERVAL.mul_f64(random.below(PERCENT) as f64 / PERCENT as f64)).await;
            }
            // The first ones are the members of the group.
            let user = person(self.size.members + foreign as usize * self.rounds + round);
            samples.push(match foreign {
                Foreign::Mapping => self.mapping(&user).await,
                Foreign::Membership => self.membership(&user).await,
                Foreign::Document => self.document(&user).await,
                Foreign::Status => self.status(&user).await,
                Foreign::Key => self.key(&user).await,
            });
        }
        samples
    }

    async fn mapping(&self, user: &str) -> Duration {
        let before = self.world.expect_account(user).await.policies;
        let more = before.iter().cloned().chain(["readwrite".to_owned()]).collect();
        self.somebody.client.set_mapping(&Holder::User(user.to_owned()), &more).await.unwrap();
        self.until(user, async || self.world.expect_account(user).await.policies == before).await
    }

    async fn membership(&self, user: &str) -> Duration {
        let group = team(0);
        let user_alone = BTreeSet::from([user.to_owned()]);
        self.somebody.client.update_group_members(&group, &user_alone, false).await.unwrap();
        self.until(user, async || !self.world.expect_account(user).await.member_of.contains(&group)).await
    }

    async fn document(&self, user: &str) -> Duration {
        let name = format!("user-home-policy-{user}");
        let before = self.world.meaning(&name).await;
        self.somebody.client.put_policy(&name, EVERYTHING).await.unwrap();
        self.until(user, async || self.world.meaning(&name).await == before).await
    }

    async fn status(&self, user: &str) -> Duration {
        self.somebody.client.set_user_status(user, false).await.unwrap();
        self.until(user, async || self.world.expect_account(user).await.enabled).await
    }

    /// Until the Secret holds a key that works.
    async fn key(&self, user: &str) -> Duration {
        let secret = format!("minio-{user}");
        let old = self.world.caller(&secret).await.credentials().access_key.clone();
        assert!(self.somebody.client.delete_access_key(&old).await.unwrap());
        let folder = format!("lake/homes/{user}/");
        let works = async || {
            let caller = self.world.caller(&secret).await;
            caller.credentials().access_key != old && caller.may(Try::List, &folder).await
        };
        self.until(user, works).await
    }

    async fn until(&self, user: &str, is_right: impl AsyncFn() -> bool) -> Duration {
        let changed = Instant::now();
        while !is_right().await {
            let shown = || json!({"user": user, "log": self.world.product().log_tail()});
            assert!(changed.elapsed() < PATIENCE, "it is not put right: {:#}", shown());
            tokio::time::sleep(POLL).await;
        }
        changed.elapsed()
    }
}
