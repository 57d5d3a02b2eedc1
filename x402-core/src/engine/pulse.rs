//! Signs of life, and of trouble, kept in one atomic each.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::time::UnixSeconds;

/// When something last happened.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU64);

impl Pulse {
    /// It happens now.
    pub(super) fn beat(&self, now: UnixSeconds) {
        self.0.store(now.get(), Ordering::Relaxed);
    }

    /// Whether it happened within the last `length`.
    pub(super) fn beat_within(&self, length: Duration, now: UnixSeconds) -> bool {
        now.since(UnixSeconds::new(self.0.load(Ordering::Relaxed))) <= length
    }

    /// It happens now; whether it is the first time in a while.
    pub(super) fn begins(&self, now: UnixSeconds) -> bool {
        let before = UnixSeconds::new(self.0.swap(now.get(), Ordering::Relaxed));
        now.since(before) > EPISODE
    }
}

/// What has not happened for so long begins anew.
const EPISODE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_is_told_once_however_long_it_lasts() {
        let pulse = Pulse::default();
        let at = UnixSeconds::new;
        assert!(!pulse.beat_within(Duration::from_secs(30), at(1_000)), "it never happened");
        let told: Vec<_> = [1_000, 1_001, 1_060, 1_120, 1_181, 1_190].into_iter().map(at).collect();
        assert_eq!(
            told.into_iter().map(|now| pulse.begins(now)).collect::<Vec<_>>(),
            [true, false, false, false, true, false]
        );
        assert!(pulse.beat_within(Duration::from_secs(30), at(1_220)));
        assert!(!pulse.beat_within(Duration::from_secs(30), at(1_221)));
    }
}
