//! Random choices that can be made again.

use std::{env, time::SystemTime};

/// The variable with the seed of a run to be repeated.
const SEED: &str = "MINIO_MANAGER_SEED";

/// A generator (splitmix64) with a seed that is printed.
pub struct Random(u64);

impl Random {
    /// With a seed of one's own.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded by the environment, or else by the clock.
    pub fn from_environment(purpose: &str) -> Self {
        let given =
            env::var(SEED).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{SEED} is no number: {text}")));
        let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64;
        let seed = given.unwrap_or_else(clock);
        println!("{purpose}: {SEED}={seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % end
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
