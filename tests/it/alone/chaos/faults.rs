//! What goes wrong, and when.

use std::time::Duration;

use tokio::time::sleep;

use super::scene::{CONTROLLERS, SERVICES, Scene};
use crate::support::{flaky::Faults, proxy::Weather, random::Random};

/// How many faults make a round.
const FAULTS_A_ROUND: usize = 3;
/// A lease lasts for ten seconds.
const LONGER_THAN_THE_LEASE: usize = 13_000;
/// How long a bad network stays so, in milliseconds.
const BAD_WEATHER: usize = 4000;

/// One thing that goes wrong. It is over before the next one begins.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Controllers are killed one after the other, the leader in half of the cases, each after so many milliseconds.
    KillControllers(Vec<(Option<usize>, usize)>),
    /// The leader stands still for longer than its lease lasts, and goes on.
    FreezeLeader,
    /// A REST service is killed.
    KillService(usize),
    /// MinIO ends as in a crash, for so many milliseconds.
    StopMinio(usize),
    /// MinIO accepts connections and does not answer.
    FreezeMinio(usize),
    /// Redis ends and comes back empty.
    StopRedis(usize),
    /// The API server ends as in a crash.
    StopApiServer(usize),
    /// Requests to MinIO are delayed, lost and repeated, for so many milliseconds; the last ones come again after that.
    SlowMinio(Faults, usize),
    /// What goes to Redis and comes from there is delayed, and connections are cut.
    SlowRedis(Weather, usize),
    /// The same with the API server.
    SlowApiServer(Weather, usize),
    /// Connections to Redis stay open, and nothing passes.
    StallRedis(usize),
    /// The same with the API server.
    StallApiServer(usize),
    /// MinIO loses everything.
    WipeMinio,
    /// MinIO is what it was at the start.
    RestoreMinio,
}

/// The faults of all rounds.
pub struct Schedule {
    /// By round.
    pub rounds: Vec<Vec<Fault>>,
}

impl Schedule {
    /// As the seed wants it. The first round has no harder faults than kills; after that everything comes in turn.
    pub fn new(random: &mut Random, rounds: usize) -> Self {
        let mut turn = 0;
        let mut round = |number: usize| {
            let mut faults = vec![kills(random)];
            for _ in 1..FAULTS_A_ROUND {
                faults.push(nth(turn, random));
                turn += 1;
            }
            // It takes a person to end it, so it ends the round.
            match number % 5 {
                3 => faults.push(Fault::WipeMinio),
                4 => faults.push(Fault::RestoreMinio),
                _ => {}
            }
            faults
        };
        Self { rounds: (0..rounds).map(&mut round).collect() }
    }
}

fn kills(random: &mut Random) -> Fault {
    let one = |random: &mut Random| {
        let whom = if random.percent(50) { None } else { Some(random.below(CONTROLLERS)) };
        (whom, 200 + random.below(1500))
    };
    let count = 3 + random.below(2);
    Fault::KillControllers((0..count).map(|_| one(random)).collect())
}

fn nth(turn: usize, random: &mut Random) -> Fault {
    let short = 1000 + random.below(4000);
    match turn % 12 {
        0 => Fault::SlowMinio(slow(random), BAD_WEATHER),
        1 => Fault::SlowApiServer(weather(random, 600), BAD_WEATHER),
        2 => Fault::SlowRedis(weather(random, 1200), BAD_WEATHER),
        3 => Fault::StopMinio(short),
        4 => Fault::FreezeLeader,
        5 => Fault::StopApiServer(short),
        6 => Fault::StallRedis(LONGER_THAN_THE_LEASE),
        7 => Fault::KillService(random.below(SERVICES)),
        8 => Fault::StopRedis(short),
        9 => Fault::StallApiServer(LONGER_THAN_THE_LEASE),
        10 => Fault::SlowMinio(retried(random), BAD_WEATHER),
        _ => Fault::FreezeMinio(short),
    }
}

/// As by a proxy that sends again what was answered.
fn retried(random: &mut Random) -> Faults {
    Faults { repeated: 5 + random.below(15), late: 30 + random.below(40), ..Faults::default() }
}

fn weather(random: &mut Random, delay: usize) -> Weather {
    Weather { delay: 50 + random.below(delay), cut: 1 + random.below(10), seed: random.below(usize::MAX) as u64 }
}

fn slow(random: &mut Random) -> Faults {
    Faults {
        delay: 20 + random.below(200),
        lost: 2 + random.below(8),
        unanswered: 2 + random.below(8),
        repeated: 5 + random.below(15),
        late: 20 + random.below(40),
    }
}

impl Scene {
    /// Lets the faults happen, one after the other, and the end of the changes begin after them.
    pub async fn suffer(&self, faults: &[Fault]) {
        for fault in faults {
            // While nobody writes, nothing is under way that a fault could hit.
            self.someone_writes().await;
            self.suffer_one(fault).await;
        }
        self.someone_writes().await;
        self.stop_acting();
    }

    async fn suffer_one(&self, fault: &Fault) {
        let pause = |milliseconds: usize| sleep(Duration::from_millis(milliseconds as u64));
        match fault {
            Fault::KillControllers(kills) => {
                for (whom, after) in kills {
                    pause(*after).await;
                    self.kill_controller(*whom);
                }
            }
            Fault::FreezeLeader => {
                let leader = self.leader();
                leader.freeze();
                pause(LONGER_THAN_THE_LEASE).await;
                leader.thaw();
            }
            Fault::KillService(number) => self.replace_service(*number).await,
            Fault::StopMinio(time) => {
                blocking(|| self.minio().stop());
                pause(*time).await;
                blocking(|| self.minio().start_again());
            }
            Fault::FreezeMinio(time) => {
                self.minio().freeze();
                pause(*time).await;
                self.minio().thaw();
            }
            Fault::StopRedis(time) => {
                self.redis.stop();
                pause(*time).await;
                blocking(|| self.redis.start_again());
            }
            Fault::StopApiServer(time) => self.without_api_server(pause(*time)).await,
            Fault::SlowMinio(faults, time) => {
                self.flaky.set(*faults);
                pause(*time).await;
                self.flaky.set(Faults::default());
            }
            Fault::SlowRedis(weather, time) => {
                self.before_redis.disturb(*weather);
                pause(*time).await;
                self.before_redis.mend();
            }
            Fault::SlowApiServer(weather, time) => {
                self.before_api_server.disturb(*weather);
                pause(*time).await;
                self.before_api_server.mend();
            }
            Fault::StallRedis(time) => {
                self.before_redis.stall();
                pause(*time).await;
                self.before_redis.mend();
            }
            Fault::StallApiServer(time) => {
                self.before_api_server.stall();
                pause(*time).await;
                self.before_api_server.mend();
            }
            Fault::WipeMinio => self.lose_everything(None).await,
            Fault::RestoreMinio => self.lose_everything(Some(self.backup())).await,
        }
    }
}

/// Something that takes long and knows nothing of other tasks.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
