//! A clock that stands still until it is told otherwise.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::time::{Clock, UnixSeconds};

/// A clock that stands still until it is told otherwise. Clones share one time.
///
/// ```
/// use std::time::Duration;
/// use x402_core::{testing::FakeClock, time::{Clock, UnixSeconds}};
///
/// let clock = FakeClock::new(UnixSeconds::new(1_800_000_000));
/// let same = clock.clone();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(same.now(), UnixSeconds::new(1_800_000_060));
/// ```
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<AtomicU64>);

impl FakeClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: UnixSeconds) -> Self {
        Self(Arc::new(AtomicU64::new(now.get())))
    }

    /// Shows `now` from here on; it may lie in the past.
    pub fn set(&self, now: UnixSeconds) {
        self.0.store(now.get(), Ordering::SeqCst);
    }

    /// Moves on by whole seconds.
    pub fn advance(&self, by: Duration) {
        let later = |now| Some(UnixSeconds::new(now).after(by).get());
        // The closure never declines.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }
}

impl Default for FakeClock {
    /// Shows a second in January 2027.
    fn default() -> Self {
        Self::new(UnixSeconds::new(1_800_000_000))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(self.0.load(Ordering::SeqCst))
    }
}
