//! Randomness for quotes and tokens, without a system call per request.

use std::cell::RefCell;

/// 32 unpredictable bytes, never given out twice.
///
/// They come from a pool of the thread, refilled from the operating system in blocks; used bytes are wiped.
///
/// # Panics
/// When the operating system has no randomness to give.
#[must_use]
pub(crate) fn draw() -> [u8; 32] {
    POOL.try_with(|pool| pool.borrow_mut().draw()).unwrap_or_else(|_| fresh())
}

struct Pool {
    bytes: [u8; BLOCK],
    used: usize,
    /// In tests only: what is drawn in place of randomness.
    #[cfg(feature = "testing")]
    predictable: Option<u64>,
}

impl Pool {
    fn draw(&mut self) -> [u8; 32] {
        if self.used == BLOCK {
            self.refill();
            self.used = 0;
        }
        let slot = &mut self.bytes[self.used..self.used + 32];
        let drawn = slot.try_into().expect("a slot is 32 bytes");
        slot.fill(0);
        self.used += 32;
        drawn
    }
}

impl Pool {
    const fn empty() -> Self {
        Self {
            bytes: [0; BLOCK],
            used: BLOCK,
            #[cfg(feature = "testing")]
            predictable: None,
        }
    }

    fn refill(&mut self) {
        #[cfg(feature = "testing")]
        if let Some(state) = &mut self.predictable {
            return predictable::fill(&mut self.bytes, state);
        }
        fill(&mut self.bytes);
    }
}

#[cfg(feature = "testing")]
mod predictable {
    use super::{BLOCK, POOL, Pool};

    /// Makes what this thread draws from now on follow from a seed.
    ///
    /// For simulations that are to go the same way every time. Whatever is made of it can be guessed, so only a test calls
    /// this.
    pub fn predictable(seed: u64) {
        POOL.with(|pool| *pool.borrow_mut() = Pool { predictable: Some(seed), ..Pool::empty() });
    }

    pub(super) fn fill(bytes: &mut [u8; BLOCK], state: &mut u64) {
        for slot in bytes.chunks_exact_mut(8) {
            // SplitMix64.
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            slot.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        }
    }
}

#[cfg(feature = "testing")]
pub use self::predictable::predictable;

fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    fill(&mut bytes);
    bytes
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives randomness");
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::empty()) };
}

const BLOCK: usize = 2048;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_draw_repeats_across_refills_and_threads() {
        let draws = || (0..300).map(|_| draw()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draws)).collect();
        let seen: HashSet<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(seen.len(), 1200);
    }
}
