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
}

impl Pool {
    fn draw(&mut self) -> [u8; 32] {
        if self.used == BLOCK {
            fill(&mut self.bytes);
            self.used = 0;
        }
        let slot = &mut self.bytes[self.used..self.used + 32];
        let drawn = slot.try_into().expect("a slot is 32 bytes");
        slot.fill(0);
        self.used += 32;
        drawn
    }
}

fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    fill(&mut bytes);
    bytes
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives randomness");
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; BLOCK], used: BLOCK }) };
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
