//! What operators and payers are told of an order: pure functions of its parts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DeliveryState, MAX_PAID_RUNS, OWED_AFTER, Order, PaymentState};
use crate::time::UnixSeconds;

/// Where an order stands, in one word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OrderStatus {
    /// Something is still to come.
    Pending,
    /// Paid and delivered. Final.
    Completed,
    /// Nobody was charged. Final.
    Failed,
    /// The authorization ran out unused. Final.
    Expired,
}

/// What an operator should look at. An order has any number of them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Attention {
    /// The outcome of its settlement is unknown.
    SettlementUnknown,
    /// Its outcome is unknown, or its settlement put off, and it is more than ten minutes old.
    Stuck,
    /// It is paid, and its response has not been delivered for a minute. Its payer may still come for it.
    PaidUndelivered,
    /// Its response went out, and the money did not move. Possible only where settlement is deferred.
    DeliveredUnsettled,
}

impl OrderStatus {
    /// The statuses, in the order they are explained.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Completed, Self::Failed, Self::Expired];

    /// Whether an order with this status never changes again.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending)
    }

    /// The name used in documents and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

impl Attention {
    /// The flags, in the order they are explained.
    pub const ALL: [Self; 4] =
        [Self::SettlementUnknown, Self::Stuck, Self::PaidUndelivered, Self::DeliveredUnsettled];

    /// The name used in documents, metrics and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SettlementUnknown => "settlement_unknown",
            Self::Stuck => "stuck",
            Self::PaidUndelivered => "paid_undelivered",
            Self::DeliveredUnsettled => "delivered_unsettled",
        }
    }
}

impl Order {
    /// Where the order stands.
    #[must_use]
    pub const fn status(&self) -> OrderStatus {
        match (self.state.payment, self.state.delivery) {
            (PaymentState::Settled, DeliveryState::Delivered) => OrderStatus::Completed,
            (PaymentState::Rejected | PaymentState::Failed, _) => OrderStatus::Failed,
            (PaymentState::Expired, _) => OrderStatus::Expired,
            _ => OrderStatus::Pending,
        }
    }

    /// Whether an operator should look at the order for this reason, at `now`.
    #[must_use]
    pub fn needs(&self, attention: Attention, now: UnixSeconds) -> bool {
        let unknown = match self.state.payment {
            PaymentState::Unresolved => true,
            PaymentState::Settling => !self.is_leased(now) && !self.state.deferred,
            _ => false,
        };
        match attention {
            Attention::SettlementUnknown => unknown,
            // Who settles an old order just now is not stuck.
            Attention::Stuck => {
                (unknown || self.owes_settlement()) && now.since(self.created_at) > STUCK_AFTER
            }
            Attention::PaidUndelivered => {
                self.is_settled()
                    && self.state.delivery != DeliveryState::Delivered
                    && !self.is_leased(now)
                    && (now.since(self.updated_at) >= OWED_AFTER || self.state.attempts >= MAX_PAID_RUNS)
            }
            Attention::DeliveredUnsettled => {
                self.state.deferred && matches!(self.state.payment, PaymentState::Failed)
            }
        }
    }

    /// Everything an operator should look at.
    pub fn attention(&self, now: UnixSeconds) -> impl Iterator<Item = Attention> + use<'_> {
        Attention::ALL.into_iter().filter(move |attention| self.needs(*attention, now))
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// After so long without an outcome something is wrong.
pub const STUCK_AFTER: std::time::Duration = std::time::Duration::from_secs(600);

#[cfg(all(test, feature = "memory"))]
mod tests {
    use std::time::Duration;

    use super::{Attention as A, DeliveryState as D, OrderStatus as S, PaymentState as P, *};
    use crate::{order::OrderState, testing::store_contract::Payments};

    fn order(payment: P, delivery: D, deferred: bool) -> (Payments, Order) {
        let payments = Payments::new(std::sync::Arc::new(crate::order::MemoryStore::new()));
        let state = OrderState { payment, delivery, attempts: 1, deferred, ..OrderState::default() };
        let order = Order { state, ..Order::opened(&payments.request(0), 1, payments.now) };
        (payments, order)
    }

    #[test]
    fn money_and_response_decide_the_status() {
        for (payment, delivery, status) in [
            (P::Verifying, D::Withheld, S::Pending),
            (P::Verified, D::Executing, S::Pending),
            (P::Settling, D::Ready, S::Pending),
            (P::Settling, D::Delivered, S::Pending),
            (P::Unresolved, D::Delivered, S::Pending),
            (P::Settled, D::Ready, S::Pending),
            (P::Settled, D::Errored, S::Pending),
            (P::Settled, D::Delivered, S::Completed),
            (P::Rejected, D::Withheld, S::Failed),
            (P::Failed, D::Errored, S::Failed),
            (P::Failed, D::Delivered, S::Failed),
            (P::Expired, D::Withheld, S::Expired),
        ] {
            let (_, order) = order(payment, delivery, false);
            assert_eq!(order.status(), status, "{payment:?}/{delivery:?}");
            assert_eq!(status.is_terminal(), status != S::Pending);
        }
    }

    #[test]
    fn state_and_age_decide_what_an_operator_looks_at() {
        // Payment, delivery, deferred; at once and held, as soon as the lease lapsed, after a minute, after ten.
        const NONE: &[A] = &[];
        const OWED: &[A] = &[A::PaidUndelivered];
        const UNKNOWN: &[A] = &[A::SettlementUnknown];
        const STUCK: &[A] = &[A::SettlementUnknown, A::Stuck];
        const LOST: &[A] = &[A::DeliveredUnsettled];
        for (payment, delivery, deferred, wanted) in [
            (P::Verifying, D::Withheld, false, [NONE, NONE, NONE, NONE]),
            (P::Verified, D::Errored, false, [NONE, NONE, NONE, NONE]),
            (P::Settling, D::Ready, false, [NONE, UNKNOWN, UNKNOWN, STUCK]),
            (P::Unresolved, D::Ready, false, [UNKNOWN, UNKNOWN, UNKNOWN, STUCK]),
            (P::Settled, D::Ready, false, [NONE, NONE, OWED, OWED]),
            (P::Settled, D::Executing, false, [NONE, NONE, OWED, OWED]),
            (P::Settled, D::Delivered, false, [NONE, NONE, NONE, NONE]),
            (P::Failed, D::Ready, false, [NONE, NONE, NONE, NONE]),
            (P::Expired, D::Withheld, false, [NONE, NONE, NONE, NONE]),
            (P::Rejected, D::Withheld, false, [NONE, NONE, NONE, NONE]),
            (P::Settling, D::Delivered, true, [NONE, NONE, NONE, &[A::Stuck]]),
            (P::Unresolved, D::Delivered, true, [UNKNOWN, UNKNOWN, UNKNOWN, STUCK]),
            (P::Settled, D::Delivered, true, [NONE, NONE, NONE, NONE]),
            (P::Failed, D::Delivered, true, [LOST, LOST, LOST, LOST]),
        ] {
            let (payments, order) = order(payment, delivery, deferred);
            for (seconds, wanted) in [0, 30, 60, 601].into_iter().zip(wanted) {
                let now = payments.now.after(Duration::from_secs(seconds));
                let found: Vec<_> = order.attention(now).collect();
                assert_eq!(found, wanted, "{payment:?}/{delivery:?}/{deferred} after {seconds} s");
            }
        }
    }

    #[test]
    fn who_settles_an_old_order_is_not_stuck() {
        let (payments, order) = order(P::Settling, D::Ready, false);
        let now = payments.now.after(STUCK_AFTER * 2);
        let held = Order { leased_until: Some(now.after(Duration::from_secs(30))), ..order };
        assert!(!held.needs(A::Stuck, now));
    }

    #[test]
    fn names_are_those_of_the_documents() {
        for status in S::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.to_string());
        }
        for attention in A::ALL {
            assert_eq!(serde_json::to_value(attention).unwrap(), attention.to_string());
        }
    }
}
