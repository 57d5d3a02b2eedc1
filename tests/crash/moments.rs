//! Random moments that can be had again.

use std::{
    env,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// A small generator (xorshift): moments need no better one.
#[derive(Clone, Debug)]
pub(crate) struct Moments(u64);

impl Moments {
    /// The seed that `SEED` tells, or one of the day.
    pub(crate) fn seed() -> u64 {
        let seed = env::var("SEED").map(|seed| seed.parse().expect("SEED is a number"));
        seed.unwrap_or_else(|_| RandomState::new().hash_one(0))
    }

    /// The moments of somebody in a run.
    pub(crate) fn of(seed: u64, whose: u64) -> Self {
        Self((seed ^ whose.wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// A length of time between two, in milliseconds.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }
}
