//! When an order wants the [worker](crate::Engine::worker): pure, so that every store keeps the same index.

use std::time::Duration;

use super::{DeliveryState, Lease, Order, OwnerToken, PaymentState};
use crate::{quote::SKEW, time::UnixSeconds};

/// A worker that comes for orders nobody works on.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// Made before the call, so that a lost answer can be read back.
    pub owner: OwnerToken,
    /// How long it may work on each without a renewal.
    pub lease: Duration,
}

impl Order {
    /// When the worker is to look at the order next, as it is now. `None` where there is nothing to do.
    ///
    /// | order | when | for |
    /// |---|---|---|
    /// | not yet sent | its authorization ran out | to expire it |
    /// | outcome unknown | later and later, from one second to five minutes | to look for evidence, or to settle it |
    /// | settled, not delivered | a minute after it changed | to report it, once |
    ///
    /// Never before its present lease lapses.
    #[must_use]
    pub fn due(&self) -> Option<UnixSeconds> {
        let at = match self.state.payment {
            PaymentState::Verifying | PaymentState::Verified => self.valid_before.after(SKEW),
            PaymentState::Settling | PaymentState::Unresolved => {
                let age = self.updated_at.since(self.created_at);
                self.updated_at.after((age / 2).clamp(SOONEST, LATEST))
            }
            PaymentState::Settled if self.state.delivery != DeliveryState::Delivered && !self.noticed => {
                self.updated_at.after(OWED_AFTER)
            }
            _ => return None,
        };
        Some(self.leased_until.map_or(at, |lapses| match self.state.payment {
            // Whoever began a settlement and vanished is replaced as soon as may be.
            PaymentState::Settling => lapses,
            _ => at.max(lapses),
        }))
    }

    /// Hands the order, as its last holder left it, to a worker. Pure: the store calls it inside its atomic step for
    /// orders that are [due](Self::due).
    pub fn take_for(&mut self, worker: &Worker, now: UnixSeconds) -> Lease {
        self.state = self.state.abandoned();
        self.fence = self.fence.saturating_add(1);
        self.leased_until = Some(now.after(worker.lease));
        self.updated_at = now;
        self.keep_if_unclear(now);
        Lease { key: self.key, owner: worker.owner, fence: self.fence }
    }
}

const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(300);
/// How long a paid response may be on its way before somebody is told.
pub const OWED_AFTER: Duration = Duration::from_secs(60);
