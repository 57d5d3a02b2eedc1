//! What operators and payers are told of an order: pure functions of its parts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DeliveryState, OWED_AFTER, Order, PaymentState};
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
    /// Its outcome has been unknown for more than ten minutes.
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
            Attention::Stuck => {
                let begun = matches!(self.state.payment, PaymentState::Settling | PaymentState::Unresolved);
                begun && now.since(self.created_at) > STUCK_AFTER
            }
            Attention::PaidUndelivered => {
                self.is_settled()
                    && self.state.delivery != DeliveryState::Delivered
                    && !self.is_leased(now)
                    && now.since(self.updated_at) >= OWED_AFTER
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
