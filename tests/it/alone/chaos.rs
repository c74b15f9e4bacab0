//! Everything at once: three controllers and two REST services under constant change, while they and all servers that they
//! need are killed, stopped, slowed and emptied. In the end of each round access is what the objects say; nothing that was
//! acknowledged is lost; and in no moment anybody could do what was never granted.
//!
//! The schedule follows from the seed, which is printed: `MINIO_MANAGER_SEED=... make chaos` repeats it. A test command runs
//! few rounds; `make chaos` as many as `MINIO_MANAGER_CHAOS_ROUNDS` says.

mod actors;
mod faults;
mod sampler;
mod scene;
mod verdict;

use std::{env, time::Instant};

use self::{actors::Actors, faults::Schedule, sampler::Sampler, scene::Scene};
use crate::support::random::Random;

/// How many rounds are run where nothing is said.
const ROUNDS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn access_is_right_whatever_fails() {
    let rounds =
        env::var("MINIO_MANAGER_CHAOS_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number of rounds"));
    let mut random = Random::from_environment("chaos");
    let schedule = Schedule::new(&mut random, rounds);
    let scene = Scene::set(&mut random).await;
    let mut actors = Actors::new(&mut random);
    let sampler = Sampler::start(&scene).await;
    for (number, faults) in schedule.rounds.iter().enumerate() {
        println!("round {} of {rounds}: {faults:?}", number + 1);
        let began = Instant::now();
        let ((), ()) = tokio::join!(actors.act(&scene), scene.suffer(faults));
        scene.expect_right(&actors).await;
        let asked = sampler.expect_nothing_allowed();
        sampler.learn_keys(&scene).await;
        let (number, took) = (number + 1, began.elapsed().as_secs());
        println!(
            "round {number} of {rounds}: right after {took} s; {asked} requests that were never granted, none allowed"
        );
    }
    scene.sum_up(&actors, rounds);
}
