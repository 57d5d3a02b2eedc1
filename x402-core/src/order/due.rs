//! When an order wants the [worker](crate::Engine::worker): pure, so that every store keeps the same index.

use std::time::Duration;

use super::{DeliveryState, Lease, Order, OrderState, OwnerToken, PaymentState, judge::HANDLER_ERROR};
use crate::{quote::SKEW, time::UnixSeconds};

/// A worker that comes for orders nobody works on.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// Made before the call, so that a lost answer can be read back.
    pub owner: OwnerToken,
    /// How long it may work on each without a renewal.
    pub lease: Duration,
}

/// What of an order decides when it is due, for stores that look through many.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    pub(super) state: OrderState,
    pub(super) noticed: bool,
    pub(super) valid_before: UnixSeconds,
    pub(super) created_at: UnixSeconds,
    pub(super) updated_at: UnixSeconds,
    pub(super) leased_until: Option<UnixSeconds>,
}

impl Standing {
    /// See [`Order::due`].
    pub(super) fn due(&self) -> Option<UnixSeconds> {
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
        let Self { state, noticed, valid_before, created_at, updated_at, leased_until, .. } = *self;
        Standing { state, noticed, valid_before, created_at, updated_at, leased_until }.due()
    }

    /// Hands the order, as its last holder left it, to a worker. Pure: the store calls it inside its atomic step for
    /// orders that are [due](Self::due).
    pub fn take_for(&mut self, worker: &Worker, now: UnixSeconds) -> Lease {
        self.charge_what_was_stated();
        let left = self.state.abandoned();
        if left.payment == PaymentState::Failed && self.state.payment != PaymentState::Failed {
            // Its last run was lost with its holder.
            self.reason = Some(HANDLER_ERROR.into());
        }
        self.state = left;
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

#[cfg(all(test, feature = "memory"))]
mod tests {
    use super::{DeliveryState as D, PaymentState as P, *};
    use crate::{
        error::Conflict,
        order::{Event, Presentation, Verdict, frees_identifier, judge},
        testing::store_contract::Payments,
    };

    fn payments() -> Payments {
        Payments::new(std::sync::Arc::new(crate::order::MemoryStore::new()))
    }

    #[test]
    fn state_and_lease_decide_when_an_order_is_due() {
        // Opened now, changed after 100 s, good for 300 s; its lease, if there is one, lapses after 130 s.
        for (payment, delivery, released, held) in [
            (P::Verifying, D::Withheld, Some(305), Some(305)),
            (P::Verified, D::Executing, Some(305), Some(305)),
            (P::Verified, D::Errored, Some(305), Some(305)),
            (P::Settling, D::Ready, Some(150), Some(130)),
            (P::Unresolved, D::Ready, Some(150), Some(150)),
            (P::Settled, D::Executing, Some(160), Some(160)),
            (P::Settled, D::Ready, Some(160), Some(160)),
            (P::Settled, D::Errored, Some(160), Some(160)),
            (P::Settled, D::Delivered, None, None),
            (P::Rejected, D::Withheld, None, None),
            (P::Failed, D::Ready, None, None),
            (P::Expired, D::Withheld, None, None),
        ] {
            let payments = payments();
            let at = |seconds| payments.now.after(Duration::from_secs(seconds));
            let state = OrderState { payment, delivery, ..OrderState::default() };
            let order = Order {
                state,
                updated_at: at(100),
                leased_until: None,
                ..Order::opened(&payments.request(0), 1, payments.now)
            };
            assert_eq!(order.due(), released.map(at), "{payment:?}/{delivery:?}, released");
            let leased = Order { leased_until: Some(at(130)), ..order.clone() };
            assert_eq!(leased.due(), held.map(at), "{payment:?}/{delivery:?}, held");
            let long = Order { leased_until: Some(at(9_000)), ..order.clone() };
            assert_eq!(long.due(), held.map(|_| at(9_000)), "not while somebody works on it");
            let noticed = Order { noticed: true, ..order };
            let wanted = released.filter(|_| payment != P::Settled).map(at);
            assert_eq!(noticed.due(), wanted, "what was settled is reported once");
        }
    }

    #[test]
    fn what_stays_unknown_is_looked_at_less_and_less() {
        let payments = payments();
        let mut order = Order::opened(&payments.request(0), 1, payments.now);
        order.state.payment = P::Unresolved;
        order.leased_until = None;
        let mut waits = Vec::new();
        for _ in 0..18 {
            let due = order.due().unwrap();
            waits.push(due.since(order.updated_at).as_secs());
            order.updated_at = due;
        }
        assert_eq!(waits, [1, 1, 1, 1, 2, 3, 4, 6, 9, 14, 21, 31, 47, 70, 105, 158, 237, 300]);
    }

    #[test]
    fn a_worker_gets_the_order_as_its_last_holder_left_it() {
        let payments = payments();
        let order = Order::opened(&payments.request(0), 7, payments.now);
        let worker = Worker { owner: OwnerToken::new([9; 16]), lease: Duration::from_secs(20) };
        let now = payments.lapsed();
        for (before, after) in [
            ((P::Verified, D::Executing), (P::Verified, D::Errored)),
            ((P::Settling, D::Ready), (P::Unresolved, D::Ready)),
            ((P::Settled, D::Executing), (P::Settled, D::Errored)),
            ((P::Settled, D::Ready), (P::Settled, D::Ready)),
        ] {
            let mut taken = order.clone();
            (taken.state.payment, taken.state.delivery) = before;
            let lease = taken.take_for(&worker, now);
            assert_eq!((taken.state.payment, taken.state.delivery), after, "{before:?}");
            assert_eq!((lease.key, lease.owner, lease.fence), (order.key, worker.owner, 8));
            assert_eq!((taken.fence, taken.updated_at), (8, now));
            assert_eq!(taken.leased_until, Some(now.after(worker.lease)));
            let remembered = if after.0 == P::Unresolved {
                now.after(crate::order::ENTITLEMENT)
            } else {
                order.keep_until
            };
            assert_eq!(taken.keep_until, remembered, "what may be paid is remembered as long as what is");
        }
    }

    #[test]
    fn a_last_run_that_was_lost_with_its_holder_is_recorded_as_the_last() {
        let payments = payments();
        let worker = Worker { owner: OwnerToken::new([9; 16]), lease: Duration::from_secs(20) };
        let mut order = Order::opened(&payments.request(0), 7, payments.now);
        order.state = OrderState {
            payment: P::Verified,
            delivery: D::Executing,
            attempts: crate::order::MAX_ATTEMPTS,
            ..OrderState::default()
        };
        let now = payments.lapsed();
        assert!(!frees_identifier(&order, now), "its holder may come back");
        order.take_for(&worker, now);
        order.apply(&Event::Released, now).unwrap();
        assert_eq!((order.state.payment, order.reason.as_deref()), (P::Failed, Some(HANDLER_ERROR)));
        assert!(frees_identifier(&order, now), "nobody was charged, and nobody will be");
        let presented =
            Presentation { key: order.key, fingerprint: order.fingerprint, replayable: true, now };
        assert_eq!(judge(&order, &presented), Verdict::Conflict(Conflict::NoAttemptsLeft));
    }
}
