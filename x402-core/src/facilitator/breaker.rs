//! When to leave a facilitator alone that does not work. Pure: the present is an argument.

use std::time::{Duration, Instant};

/// How many faults in a row make a circuit breaker open, and for how long it then stays open.
///
/// While it is open nothing is sent. Then one call is let through: if it is answered, all are again; if not, the
/// pause doubles, up to its longest.
///
/// ```
/// use std::time::Duration;
/// use x402_core::facilitator::BreakerLimits;
///
/// let limits = BreakerLimits::new().faults(3).pause(Duration::from_secs(5), Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct BreakerLimits {
    faults: u32,
    pause: Duration,
    longest: Duration,
}

impl BreakerLimits {
    /// Five faults, ten seconds, doubling up to sixty.
    pub const fn new() -> Self {
        Self { faults: 5, pause: Duration::from_secs(10), longest: Duration::from_secs(60) }
    }

    /// So many faults in a row; 0 counts as 1.
    pub const fn faults(mut self, faults: u32) -> Self {
        self.faults = if faults == 0 { 1 } else { faults };
        self
    }

    /// The first pause, and the longest; a longest that is shorter than the first counts as the first.
    pub const fn pause(mut self, first: Duration, longest: Duration) -> Self {
        self.pause = first;
        self.longest = if longest.as_nanos() < first.as_nanos() { first } else { longest };
        self
    }
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// Closed, open, or open but for one call that finds out.
#[derive(Debug)]
pub(super) struct Breaker {
    limits: BreakerLimits,
    state: State,
    /// Grows with every change of state: what was begun before one says nothing after it.
    epoch: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { faults: u32 },
    Open { until: Instant, pause: Duration },
    Probing { pause: Duration },
}

/// The right to make one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permit {
    epoch: u64,
}

/// A change of state, to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// Nothing is sent for this long.
    Opened(Duration),
    /// One call is let through.
    Probing,
    /// All calls are.
    Closed,
}

impl Breaker {
    pub(super) const fn new(limits: BreakerLimits) -> Self {
        Self { limits, state: State::Closed { faults: 0 }, epoch: 0 }
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Asks to make a call; the error tells when to ask again.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(Permit, Option<Change>), Duration> {
        match self.state {
            State::Closed { .. } => Ok((Permit { epoch: self.epoch }, None)),
            State::Open { until, pause } if until <= now => {
                let change = self.turn(State::Probing { pause }, Change::Probing);
                Ok((Permit { epoch: self.epoch }, Some(change)))
            }
            State::Open { until, .. } => Err(until.duration_since(now)),
            State::Probing { .. } => Err(WHILE_PROBING),
        }
    }

    /// A call was answered, whatever the answer.
    pub(super) fn answered(&mut self, permit: Permit) -> Option<Change> {
        match self.state {
            _ if permit.epoch != self.epoch => None,
            State::Closed { .. } => {
                self.state = State::Closed { faults: 0 };
                None
            }
            State::Probing { .. } => Some(self.turn(State::Closed { faults: 0 }, Change::Closed)),
            State::Open { .. } => None,
        }
    }

    /// A call brought no answer.
    pub(super) fn faulted(&mut self, permit: Permit, now: Instant) -> Option<Change> {
        match self.state {
            _ if permit.epoch != self.epoch => None,
            State::Closed { faults } if faults + 1 < self.limits.faults => {
                self.state = State::Closed { faults: faults + 1 };
                None
            }
            State::Closed { .. } => Some(self.open(self.limits.pause, now)),
            State::Probing { pause } => {
                Some(self.open(pause.saturating_mul(2).min(self.limits.longest), now))
            }
            State::Open { .. } => None,
        }
    }

    /// A call was given up, or not made: it says nothing, and the next one may find out.
    pub(super) fn abandoned(&mut self, permit: Permit, now: Instant) {
        if let State::Probing { pause } = self.state
            && permit.epoch == self.epoch
        {
            self.turn(State::Open { until: now, pause }, Change::Opened(Duration::ZERO));
        }
    }

    fn open(&mut self, pause: Duration, now: Instant) -> Change {
        let until = now.checked_add(pause).unwrap_or_else(|| now + LONGEST);
        self.turn(State::Open { until, pause }, Change::Opened(pause))
    }

    fn turn(&mut self, state: State, change: Change) -> Change {
        self.state = state;
        self.epoch += 1;
        change
    }
}

/// When to ask again while one call finds out.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// In place of a pause that no clock can tell.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn permit(breaker: &mut Breaker, now: Instant) -> Permit {
        breaker.admit(now).unwrap().0
    }

    /// A breaker that was just opened by faults.
    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(BreakerLimits::new());
        for fault in 1..=5 {
            let permit = permit(&mut breaker, now);
            let change = breaker.faulted(permit, now);
            assert_eq!(change, (fault == 5).then_some(Change::Opened(10 * SECOND)), "fault {fault}");
        }
        breaker
    }

    #[test]
    fn faults_in_a_row_open_it_and_an_answer_between_does_not() {
        let now = Instant::now();
        let mut breaker = Breaker::new(BreakerLimits::new());
        for _ in 0..10 {
            for _ in 0..4 {
                let permit = permit(&mut breaker, now);
                assert_eq!(breaker.faulted(permit, now), None);
            }
            let permit = permit(&mut breaker, now);
            assert_eq!(breaker.answered(permit), None);
        }
        assert!(breaker.is_closed());
        assert!(!opened(now).is_closed());
    }

    #[test]
    fn while_it_is_open_nothing_passes_and_then_one_call_does() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now).unwrap_err(), 10 * SECOND);
        assert_eq!(breaker.admit(now + 9 * SECOND).unwrap_err(), SECOND);
        let later = now + 10 * SECOND;
        let (probe, change) = breaker.admit(later).unwrap();
        assert_eq!(change, Some(Change::Probing));
        assert_eq!(breaker.admit(later).unwrap_err(), WHILE_PROBING);
        assert_eq!(breaker.answered(probe), Some(Change::Closed));
        assert!(breaker.admit(later).unwrap().1.is_none());
    }

    #[test]
    fn the_pause_doubles_up_to_its_longest_and_starts_anew_once_it_was_closed() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for pause in [20, 40, 60, 60] {
            now += 100 * SECOND;
            let probe = permit(&mut breaker, now);
            assert_eq!(breaker.faulted(probe, now), Some(Change::Opened(pause * SECOND)));
        }
        now += 100 * SECOND;
        let probe = permit(&mut breaker, now);
        assert_eq!(breaker.answered(probe), Some(Change::Closed));
        for _ in 0..4 {
            let permit = permit(&mut breaker, now);
            assert_eq!(breaker.faulted(permit, now), None);
        }
        let last = permit(&mut breaker, now);
        assert_eq!(breaker.faulted(last, now), Some(Change::Opened(10 * SECOND)));
    }

    #[test]
    fn what_was_begun_before_a_change_says_nothing_after_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new(BreakerLimits::new().faults(1));
        let (early, other) = (permit(&mut breaker, now), permit(&mut breaker, now));
        assert!(breaker.faulted(early, now).is_some());
        assert_eq!(breaker.answered(other), None, "open, and stays so");
        assert_eq!(breaker.faulted(other, now), None, "nor is the pause longer");
        let probe = permit(&mut breaker, now + 10 * SECOND);
        assert_eq!(breaker.faulted(early, now), None);
        assert_eq!(breaker.answered(probe), Some(Change::Closed));
        assert_eq!(breaker.faulted(other, now), None);
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_probe_that_is_given_up_lets_the_next_call_find_out() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + 10 * SECOND;
        let probe = permit(&mut breaker, later);
        breaker.abandoned(probe, later);
        let (probe, change) = breaker.admit(later).unwrap();
        assert_eq!(change, Some(Change::Probing));
        assert_eq!(breaker.faulted(probe, later), Some(Change::Opened(20 * SECOND)));

        let mut closed = Breaker::new(BreakerLimits::new());
        let unused = permit(&mut closed, now);
        closed.abandoned(unused, now);
        assert!(closed.is_closed());
    }

    #[test]
    fn limits_make_sense_whatever_is_asked_for() {
        assert_eq!(BreakerLimits::new().faults(0), BreakerLimits::new().faults(1));
        let limits = BreakerLimits::new().pause(9 * SECOND, SECOND);
        assert_eq!(limits, BreakerLimits::new().pause(9 * SECOND, 9 * SECOND));
        assert_eq!(BreakerLimits::default(), BreakerLimits::new());
    }
}
