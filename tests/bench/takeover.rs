//! From the end of the leader, in order or not, to the next one, and to what was declared at that moment.

use std::time::{Duration, Instant};

use crate::{
    figures::{Report, Samples},
    settings,
    support::{
        minio::unique,
        product::Product,
        redis::Redis,
        replicas::Replicas,
        s3::Try,
        world::{PATIENCE, Person, grant, share},
    },
};

const ROUNDS: usize = 5;
const POLL: Duration = Duration::from_millis(2);
/// Looks at a metric, which cost more than a request.
const LOOK: Duration = Duration::from_millis(20);

/// How a leader ends.
#[derive(Clone, Copy)]
enum End {
    Crash,
    InOrder,
}

impl End {
    const ALL: [Self; 2] = [Self::Crash, Self::InOrder];

    fn limit(self) -> Duration {
        match self {
            Self::Crash => Duration::from_secs(15),
            Self::InOrder => Duration::from_secs(2),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Crash => "leader killed",
            Self::InOrder => "leader ended",
        }
    }

    fn signal(self) -> &'static str {
        match self {
            Self::Crash => "-KILL",
            Self::InOrder => "-TERM",
        }
    }
}

pub async fn measure(report: &mut Report) {
    let redis = Redis::start();
    of_lease(report, "Redis", Replicas::in_redis(2, &redis).await).await;
    of_lease(report, "Kubernetes", Replicas::start(2, "auto", &[]).await).await;
}

async fn of_lease(report: &mut Report, lease: &str, replicas: Replicas) {
    let scene = Scene::set(&replicas).await;
    for end in End::ALL {
        let (mut led, mut in_force) = (Samples::new(), Samples::new());
        for _ in 0..settings::rounds(ROUNDS) {
            let (to_lead, to_force) = scene.change_hands(end).await;
            led.push(to_lead);
            in_force.push(to_force);
        }
        let title = format!("{lease} lease, {}", end.title());
        report.within(&format!("{title}: the next one leads"), &led, end.limit());
        report.within(&format!("{title}: a change is in force"), &in_force, end.limit());
    }
}

/// A folder of alice that is shared with bob in every second round.
struct Scene<'a> {
    replicas: &'a Replicas,
    alice: Person,
    bob: Person,
    share: String,
    file: String,
}

impl<'a> Scene<'a> {
    async fn set(replicas: &'a Replicas) -> Self {
        let [alice, bob] = replicas.world.users(["alice", "bob"]).await;
        let file = alice.home("data/file");
        replicas.world.seed(&[&file]).await;
        Self { replicas, alice, bob, share: unique("share"), file }
    }

    /// The leader ends at the moment at which something is changed; how long until the next one leads, and until the change is
    /// in force.
    async fn change_hands(&self, end: End) -> (Duration, Duration) {
        let (leader, rest) = self.replicas.leader_and_rest().await;
        let was_shared = self.bob.may(Try::Get, &self.file).await;
        let started = Instant::now();
        leader.signal(end.signal());
        self.change(was_shared).await;
        let times = tokio::join!(leads(rest[0], started), self.turns(!was_shared, started));
        self.settle(was_shared).await;
        self.come_back(leader, end).await;
        times
    }

    async fn change(&self, was_shared: bool) {
        let world = &self.replicas.world;
        if was_shared {
            world.delete("PathShare", &self.share).await;
        } else {
            let grants = format!("grants: [{}]", grant(&self.bob.name, "Read"));
            world.apply(&share(&self.share, &self.alice.home("data"), &grants)).await;
        }
    }

    async fn settle(&self, was_shared: bool) {
        let world = &self.replicas.world;
        if was_shared {
            world.gone("PathShare", &self.share).await;
        } else {
            world.ready("PathShare", &self.share).await;
        }
    }

    /// When bob may read, or no longer may.
    async fn turns(&self, shared: bool, started: Instant) -> Duration {
        while self.bob.may(Try::Get, &self.file).await != shared {
            assert!(started.elapsed() < PATIENCE, "reading does not become {shared}");
            tokio::time::sleep(POLL).await;
        }
        started.elapsed()
    }

    /// The former leader stands by from now on.
    async fn come_back(&self, leader: &Product, end: End) {
        match end {
            End::Crash => leader.kill(),
            End::InOrder => assert!(leader.terminate().success()),
        }
        leader.launch();
        self.replicas.world.eventually("it stands by", async || leader.get("/ready").0 == 200).await;
    }
}

async fn leads(product: &Product, started: Instant) -> Duration {
    while !product.leads() {
        assert!(started.elapsed() < PATIENCE, "nobody leads\n{}", product.log_tail());
        tokio::time::sleep(LOOK).await;
    }
    started.elapsed()
}
