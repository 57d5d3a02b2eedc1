//! Randomness that a seed repeats.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// SplitMix64. Clones draw from one sequence.
#[derive(Clone, Debug)]
pub(crate) struct Rng(Arc<AtomicU64>);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed.wrapping_mul(0xa076_1d64_78bd_642f))))
    }

    fn next(&self) -> u64 {
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of this range, both ends included.
    pub(crate) fn between(&self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// True so many times in a hundred.
    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.next() % of.len() as u64).unwrap()]
    }

    /// A length of this range, to the millisecond, short ones more often.
    pub(crate) fn seconds(&self, least: u64, most: u64) -> Duration {
        let most = if self.chance(70) { least + (most - least) / 10 } else { most };
        Duration::from_millis(self.between(least * 1000, most * 1000))
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
