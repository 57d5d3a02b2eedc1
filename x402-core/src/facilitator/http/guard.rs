//! Leaving a facilitator alone that does not work: the breaker with a clock, a metric and a voice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::fault::Fault;
use crate::{
    facilitator::breaker::{Breaker, BreakerLimits, Change, Permit},
    telemetry,
};

/// The circuit breaker of one facilitator.
#[derive(Debug)]
pub(super) struct Guard {
    breaker: Mutex<Breaker>,
    origin: String,
}

impl Guard {
    pub(super) const fn new(limits: BreakerLimits, origin: String) -> Self {
        Self { breaker: Mutex::new(Breaker::new(limits)), origin }
    }

    /// The right to make one call.
    pub(super) fn pass(&self) -> Result<Pass<'_>, Fault> {
        let admitted = self.breaker().admit(now());
        let (permit, change) = admitted.map_err(Fault::LeftAlone)?;
        self.tell(change);
        Ok(Pass { guard: self, permit: Some(permit) })
    }

    /// Whether nothing is wrong, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        self.breaker().is_closed()
    }

    fn tell(&self, change: Option<Change>) {
        let facilitator = self.origin.as_str();
        let level = match change {
            None => return,
            Some(Change::Opened(pause)) => {
                tracing::error!(facilitator, ?pause, "facilitator does not answer, and is left alone");
                2.0
            }
            Some(Change::Probing) => {
                tracing::info!(facilitator, "facilitator is tried again");
                1.0
            }
            Some(Change::Closed) => {
                tracing::info!(facilitator, "facilitator answers again");
                0.0
            }
        };
        metrics::gauge!(telemetry::FACILITATOR_BREAKER, "facilitator" => self.origin.clone()).set(level);
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. Dropped, it was given up, and says nothing of the facilitator.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    guard: &'a Guard,
    permit: Option<Permit>,
}

impl Pass<'_> {
    /// The call is over: with an answer of any kind, or with this fault.
    pub(super) fn ended(mut self, fault: Option<&Fault>) {
        if fault.is_some_and(Fault::is_ours) {
            return;
        }
        let Some(permit) = self.permit.take() else { return };
        let change = {
            let mut breaker = self.guard.breaker();
            match fault {
                Some(fault) if fault.is_outage() => breaker.faulted(permit, now()),
                _ => breaker.answered(permit),
            }
        };
        self.guard.tell(change);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.guard.breaker().abandoned(permit, now());
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
