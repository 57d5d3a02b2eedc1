//! Which settlements share a transaction.

use std::time::Duration;

use tokio::time::Instant;
use x402_core::error::ConfigError;

/// How settlements are put together: those that come within a window go in one transaction.
///
/// ```
/// use x402_evm::Batching;
///
/// let batching = Batching { most: 20, ..Batching::default() };
/// assert_eq!(batching.window.as_millis(), 100);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Batching {
    /// How long the first one waits for others, and so how much later a lone one is sent. Default 100 ms, at most 10 s.
    pub window: Duration,
    /// The most in one transaction, 2 to 200. Default 50.
    pub most: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self { window: Duration::from_millis(100), most: 50 }
    }
}

impl Batching {
    /// Checks both against their bounds; the start-up check does, too.
    ///
    /// # Errors
    /// [`ConfigError`] that says what was wanted.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |problem: String| Err(ConfigError::new("batch", problem));
        if self.window.is_zero() || self.window > LONGEST {
            return wrong(format!(
                "has a window of {:?}; wanted more than 0 and up to {LONGEST:?}",
                self.window
            ));
        }
        if !(2..=MOST).contains(&self.most) {
            return wrong(format!("puts at most {} in a transaction; wanted 2 to {MOST}", self.most));
        }
        Ok(())
    }
}

/// What one call adds to a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Load {
    /// Of its data.
    pub(crate) bytes: usize,
    /// The most it may burn, as a transaction of its own.
    pub(crate) gas: u64,
}

/// What is in a transaction that still takes calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manifest {
    closes: Instant,
    most: usize,
    calls: usize,
    bytes: usize,
    gas: u64,
}

impl Manifest {
    /// Begins at the first call, and closes a window after that.
    pub(crate) fn begin(batching: Batching, now: Instant, first: Load) -> Self {
        let mut manifest = Self {
            closes: now + batching.window.min(LONGEST),
            most: batching.most,
            calls: 0,
            bytes: 0,
            gas: AROUND_GAS,
        };
        manifest.add(first);
        manifest
    }

    pub(crate) const fn closes(&self) -> Instant {
        self.closes
    }

    /// Whether one more call may come along.
    pub(crate) fn admits(&self, load: Load, now: Instant) -> bool {
        now < self.closes
            && self.calls < self.most
            && self.bytes.saturating_add(in_words(load)) <= BYTES
            && self.gas.saturating_add(load.gas) <= GAS
    }

    pub(crate) fn add(&mut self, load: Load) {
        self.calls += 1;
        self.bytes = self.bytes.saturating_add(in_words(load));
        self.gas = self.gas.saturating_add(load.gas);
    }

    /// Whether nothing more fits, whatever comes: there is nothing to wait for.
    pub(crate) const fn is_full(&self) -> bool {
        self.calls >= self.most
    }
}

/// The gas to send calls with, of which each may burn so much as a transaction of its own. What such a transaction costs
/// before its call begins is not needed here, and more than makes up for the 64th that a call cannot have.
pub(crate) fn gas_of(calls: impl Iterator<Item = u64>) -> u64 {
    calls.fold(AROUND_GAS, u64::saturating_add)
}

/// A call as `aggregate3` has it: offset, target, flag, offset and length, then the data in whole words.
const fn in_words(load: Load) -> usize {
    load.bytes.next_multiple_of(32).saturating_add(5 * 32)
}

const LONGEST: Duration = Duration::from_secs(10);
const MOST: usize = 200;
/// Nodes take 128 KiB, with everything around.
const BYTES: usize = 96 << 10;
/// A transaction may have 2^24 (EIP-7825), and fills half a block of many chains.
const GAS: u64 = 15_000_000;
/// For what is around the calls.
const AROUND_GAS: u64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSFER: Load = Load { bytes: 292, gas: 110_000 };

    #[test]
    fn a_batch_takes_what_fits_until_its_window_is_over() {
        let start = Instant::now();
        let window = Duration::from_millis(100);
        let (soon, late) = (start + Duration::from_millis(99), start + window);
        let (big, greedy) = (Load { bytes: BYTES, ..TRANSFER }, Load { gas: GAS, ..TRANSFER });
        let endless = Load { bytes: usize::MAX - 31, gas: u64::MAX };
        for (what, most, load, now, admitted) in [
            ("at once", 3, TRANSFER, start, true),
            ("just in time", 3, TRANSFER, soon, true),
            ("too late", 3, TRANSFER, late, false),
            ("one too many", 2, TRANSFER, soon, false),
            ("too much data", 3, big, soon, false),
            ("too much gas", 3, greedy, soon, false),
            ("more than there is", 3, endless, soon, false),
        ] {
            let mut manifest = Manifest::begin(Batching { window, most }, start, TRANSFER);
            manifest.add(TRANSFER);
            assert_eq!(manifest.admits(load, now), admitted, "{what}");
            assert_eq!(manifest.is_full(), most == 2, "{what}");
            assert_eq!(manifest.closes(), late);
        }
    }

    #[test]
    fn as_many_as_may_be_fit_a_transaction() {
        let now = Instant::now();
        let default = Batching::default();
        let mut manifest = Manifest::begin(default, now, TRANSFER);
        while manifest.admits(TRANSFER, now) {
            manifest.add(TRANSFER);
        }
        assert_eq!((manifest.calls, manifest.is_full()), (default.most, true));
        assert_eq!(manifest.gas, gas_of((0..50).map(|_| TRANSFER.gas)));
        let most = Batching { most: MOST, ..default };
        let mut manifest = Manifest::begin(most, now, TRANSFER);
        while manifest.admits(TRANSFER, now) {
            manifest.add(TRANSFER);
        }
        assert!(manifest.gas <= GAS && manifest.calls > 100 && !manifest.is_full(), "{manifest:?}");
    }

    #[test]
    fn windows_and_sizes_without_sense_are_refused() {
        let default = Batching::default();
        assert!(default.check().is_ok());
        for (wrong, says) in [
            (Batching { window: Duration::ZERO, ..default }, "more than 0"),
            (Batching { window: Duration::from_secs(11), ..default }, "window of 11s"),
            (Batching { most: 1, ..default }, "2 to 200"),
            (Batching { most: 201, ..default }, "2 to 200"),
        ] {
            let error = wrong.check().unwrap_err();
            assert!(error.at() == "batch" && error.to_string().contains(says), "{error}");
        }
    }
}
