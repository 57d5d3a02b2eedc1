//! The states of an order and what events do to them: one pure table, used by every store.
//!
//! ```text
//! Verifying -> Verified -> Settling -> Settled
//!     └> Rejected   ├> Failed  ├────> Failed
//!                   └> Expired └────> Unresolved -> Settled | Failed
//! ```

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{KeptPayment, StoredResponse};
use crate::{facilitator::Settlement, price::AtomicAmount};

/// Where an order stands: the money, the response, and how often the handler ran unpaid.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct OrderState {
    /// The money.
    pub payment: PaymentState,
    /// The response.
    pub delivery: DeliveryState,
    /// Handler runs begun so far. Those that failed once it was paid for do not count.
    pub attempts: u8,
    /// Whether its response goes out before it is settled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deferred: bool,
    /// Whether its response is on its way, and what it is charged is stated meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metered: bool,
}

/// How far the money has come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentState {
    /// Claimed; the stateful checks have not answered.
    #[default]
    Verifying,
    /// Good; nothing has been sent.
    Verified,
    /// A settlement was begun and has no outcome yet.
    Settling,
    /// A settlement was begun and its outcome is unknown.
    Unresolved,
    /// The money moved. Final.
    Settled,
    /// Refused by the stateful checks; nothing was sent, the claim is free again.
    Rejected,
    /// The money did not move. Final.
    Failed,
    /// The authorization ran out before anything was sent. Final.
    Expired,
}

/// How far the response has come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryState {
    /// The handler has not run.
    #[default]
    Withheld,
    /// The handler runs, or its response is on its way and is not kept.
    Executing,
    /// The response is complete and kept.
    Ready,
    /// The response was handed to the transport in full.
    Delivered,
    /// The handler failed, or its response was lost.
    Errored,
}

/// What the holder of a lease reports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The stateful checks passed.
    VerifyOk,
    /// The stateful checks refused the payment, or could not be made; the claim is released.
    VerifyRejected {
        /// The reason code.
        reason: Arc<str>,
    },
    /// The handler is about to run.
    HandlerStarted,
    /// The handler failed (status 400 or above, or a panic). Nobody was charged for this run.
    HandlerFailed,
    /// The client left, or a hook said no, before a settlement was begun.
    GivenUp,
    /// This much of what was authorized is charged. Durable before a settlement is begun, and final from then on.
    Charged {
        /// The charge, at most what was authorized.
        amount: AtomicAmount,
    },
    /// A settlement is about to be sent. Durable before money can move, with the response if it is kept.
    SettleStarted {
        /// The response, complete.
        response: Option<Arc<StoredResponse>>,
    },
    /// The response goes out now, and a settlement is sent after it. Durable before a byte leaves, with what it takes
    /// to settle.
    SettleDeferred {
        /// The response, if it is kept.
        response: Option<Arc<StoredResponse>>,
        /// The payment, kept until it is settled.
        payment: Arc<KeptPayment>,
    },
    /// The response goes out now, and what it is charged is stated until it ends. Durable before a byte leaves, with what
    /// it takes to settle; what was [charged](Self::Charged) before stands should nobody state more.
    Metered {
        /// The payment, kept until it is settled.
        payment: Arc<KeptPayment>,
    },
    /// The money moved.
    SettleOk {
        /// The receipt's content.
        settlement: Arc<Settlement>,
    },
    /// The money did not move and this settlement will not move it.
    SettleFailed {
        /// The reason code.
        reason: Arc<str>,
        /// Whether the authorization can never be settled any more.
        dead: bool,
        /// The transaction that failed, if one was sent.
        transaction: Option<Arc<str>>,
    },
    /// The settlement was sent and no clear answer came.
    SettleUnclear {
        /// The transaction, if it is known.
        transaction: Option<Arc<str>>,
    },
    /// The response to a payment that was settled before is complete and kept.
    ResponseReady {
        /// The response, complete.
        response: Arc<StoredResponse>,
    },
    /// The response was handed to the transport in full.
    Delivered,
    /// The response was lost on its way to the client.
    Undelivered,
    /// The response broke off on its way, and is not owed: what is charged is what was used of it.
    BrokenOff,
    /// The authorization ran out before anything was sent.
    Expired,
    /// An operator was told that the order needs attention; the holder stops working on it.
    Noticed,
    /// The holder stops working on the order; nothing else changes.
    Released,
}

impl Event {
    /// Whether the holder lets go of the order with this event, unless it is a deferred one
    /// of which the other half is still to come: money, or response.
    #[must_use]
    pub const fn releases(&self) -> bool {
        matches!(
            self,
            Self::VerifyRejected { .. }
                | Self::HandlerFailed
                | Self::GivenUp
                | Self::SettleFailed { .. }
                | Self::Delivered
                | Self::Undelivered
                | Self::BrokenOff
                | Self::Expired
                | Self::Noticed
                | Self::Released
        )
    }

    /// Whether something starts with this event that must not start twice: a run of the handler, a settlement.
    #[must_use]
    pub const fn begins(&self) -> bool {
        matches!(
            self,
            Self::HandlerStarted
                | Self::Charged { .. }
                | Self::SettleStarted { .. }
                | Self::SettleDeferred { .. }
                | Self::Metered { .. }
        )
    }

    /// The response to be kept with this event.
    #[must_use]
    pub const fn response(&self) -> Option<&Arc<StoredResponse>> {
        match self {
            Self::SettleStarted { response } | Self::SettleDeferred { response, .. } => response.as_ref(),
            Self::ResponseReady { response } => Some(response),
            _ => None,
        }
    }

    /// The payment to be kept with this event, until it is settled.
    #[must_use]
    pub const fn payment(&self) -> Option<&Arc<KeptPayment>> {
        match self {
            Self::SettleDeferred { payment, .. } | Self::Metered { payment } => Some(payment),
            _ => None,
        }
    }
}

impl OrderState {
    /// The state after an event.
    ///
    /// # Errors
    /// [`IllegalEdge`] for every edge that is not in the table.
    pub fn next(self, event: &Event) -> Result<Self, IllegalEdge> {
        use DeliveryState as D;
        use PaymentState as P;
        let Self { payment, delivery, attempts, .. } = self;
        let to = |payment, delivery| Ok(Self { payment, delivery, ..self });
        match (event, payment) {
            (Event::VerifyOk, P::Verifying | P::Verified) => to(P::Verified, delivery),
            (Event::VerifyRejected { .. }, P::Verifying | P::Verified) => to(P::Rejected, delivery),
            (Event::HandlerStarted, P::Verified | P::Settled)
                if !matches!(delivery, D::Executing | D::Delivered)
                    && attempts < if payment == P::Settled { MAX_PAID_RUNS } else { MAX_ATTEMPTS } =>
            {
                Ok(Self { delivery: D::Executing, attempts: attempts.saturating_add(1), ..self })
            }
            (Event::HandlerFailed, P::Verified) if delivery == D::Executing => {
                to(unless_spent(payment, attempts), D::Errored)
            }
            // It gave the payer nothing, so it does not count.
            (Event::HandlerFailed, P::Settled) if delivery == D::Executing => {
                Ok(Self { delivery: D::Errored, attempts: attempts.saturating_sub(1), ..self })
            }
            (Event::GivenUp, P::Verifying | P::Verified) => {
                to(unless_spent(payment, attempts), lost(delivery))
            }
            (Event::Charged { .. }, P::Verified) if delivery == D::Executing => Ok(self),
            // The response is over, and what was used of it is known: nothing of it is owed.
            (Event::Charged { .. }, P::Settling) if self.metered => {
                Ok(Self { delivery: D::Delivered, metered: false, ..self })
            }
            (Event::SettleStarted { response }, P::Verified) => {
                to(P::Settling, if response.is_some() { D::Ready } else { delivery })
            }
            (Event::SettleDeferred { response, .. }, P::Verified) if delivery == D::Executing => {
                let delivery = if response.is_some() { D::Ready } else { delivery };
                Ok(Self { payment: P::Settling, delivery, deferred: true, ..self })
            }
            (Event::Metered { .. }, P::Verified) if delivery == D::Executing => {
                Ok(Self { payment: P::Settling, deferred: true, metered: true, ..self })
            }
            // The same authorization is sent again: its nonce makes that safe, the kept response stays.
            (Event::SettleStarted { response: None }, P::Unresolved) => to(P::Unresolved, delivery),
            // Nothing can have been sent before the charge is final.
            (Event::SettleOk { .. } | Event::SettleFailed { .. } | Event::SettleUnclear { .. }, _)
                if self.metered =>
            {
                Err(IllegalEdge { from: self })
            }
            (Event::SettleOk { .. }, P::Settling | P::Unresolved) => to(P::Settled, delivery),
            (Event::SettleFailed { .. }, P::Settling | P::Unresolved) => to(P::Failed, delivery),
            (Event::SettleUnclear { .. }, P::Settling | P::Unresolved) => to(P::Unresolved, delivery),
            (Event::ResponseReady { .. }, P::Settled) if delivery == D::Executing => to(payment, D::Ready),
            (Event::Delivered, payment)
                if self.may_deliver() && matches!(delivery, D::Executing | D::Ready | D::Delivered) =>
            {
                to(payment, D::Delivered)
            }
            (Event::Undelivered, payment) if self.may_deliver() => to(payment, lost(delivery)),
            (Event::BrokenOff, payment) if self.may_deliver() => to(payment, broken_off(delivery)),
            (Event::Expired, P::Verifying | P::Verified) => to(P::Expired, delivery),
            (Event::Noticed | Event::Released, _) => Ok(self),
            _ => Err(IllegalEdge { from: self }),
        }
    }

    /// The state in which somebody else finds an order whose holder vanished. A run that ended so counts as one.
    #[must_use]
    pub const fn abandoned(self) -> Self {
        let payment = match self.payment {
            PaymentState::Settling => PaymentState::Unresolved,
            PaymentState::Verified => unless_spent(self.payment, self.attempts),
            other => other,
        };
        let delivery = if self.metered { broken_off(self.delivery) } else { lost(self.delivery) };
        Self { payment, delivery, metered: false, ..self }
    }

    /// Whether the response may be on its way: the money moved, or was to move later.
    #[must_use]
    pub const fn may_deliver(self) -> bool {
        match self.payment {
            PaymentState::Settled => true,
            PaymentState::Settling | PaymentState::Unresolved | PaymentState::Failed => self.deferred,
            _ => false,
        }
    }
}

/// A payment that ran the handler as often as it may without being charged is done.
const fn unless_spent(payment: PaymentState, attempts: u8) -> PaymentState {
    if attempts >= MAX_ATTEMPTS { PaymentState::Failed } else { payment }
}

/// A run whose response was not kept is as good as none; a kept one stays.
const fn lost(delivery: DeliveryState) -> DeliveryState {
    match delivery {
        DeliveryState::Executing => DeliveryState::Errored,
        other => other,
    }
}

/// What was used of a response is paid for, and none of it is run for again; a kept one is sent again.
const fn broken_off(delivery: DeliveryState) -> DeliveryState {
    match delivery {
        DeliveryState::Executing => DeliveryState::Delivered,
        other => other,
    }
}

/// An event that cannot happen in the order's state. The order is unchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IllegalEdge {
    /// The state it was reported in.
    pub from: OrderState,
}

impl fmt::Display for IllegalEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event is not possible while the order is {:?}/{:?}", self.from.payment, self.from.delivery)
    }
}

impl std::error::Error for IllegalEdge {}

/// How often one payment may run a handler that fails before it is charged.
pub const MAX_ATTEMPTS: u8 = 3;

/// How often the handler may run for a payment that is settled, until a response arrives: a payer that loses response
/// after response, none of which could be kept, reads them all but the end. What is owed then is for the operator.
pub const MAX_PAID_RUNS: u8 = 8;

#[cfg(test)]
mod tests;
