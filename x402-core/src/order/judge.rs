//! What an order that a presentation may not take means for it: pure, one table.

use super::{DeliveryState, Order, PaymentId, PaymentState, RequestFingerprint};
use crate::{error::Conflict, scheme::PaymentKey, time::UnixSeconds};

/// What of a presentation matters to an order that already exists.
#[derive(Clone, Debug)]
pub struct Presentation<'a> {
    /// The payment.
    pub key: PaymentKey,
    /// The request.
    pub fingerprint: RequestFingerprint,
    /// The payer's own name for the payment.
    pub payment_id: Option<&'a PaymentId>,
    /// Whether a kept response may answer it: it has no body, or a bound one.
    pub replayable: bool,
    /// The present second.
    pub now: UnixSeconds,
}

/// What a presentation of a payment whose order it cannot take gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The order is being worked on: ask again shortly.
    Wait,
    /// The kept response, if it is still there; else what [`Conflict::AlreadyDelivered`] gets.
    Replay,
    /// 409.
    Conflict(Conflict),
    /// The settlement failed: 402, with a challenge only if the authorization is dead.
    Failed,
    /// The authorization ran out unused: 402 with a fresh challenge.
    Expired,
}

/// Decides what a presentation gets when [`opening`](super::opening) said `Held`.
#[must_use]
pub fn judge(order: &Order, presented: &Presentation<'_>) -> Verdict {
    let same_request = order.fingerprint == presented.fingerprint;
    // With another key only the identifier met: the order, and what was kept for it, is another payment's.
    if order.key != presented.key || (same_request && order.payment_id.as_ref() != presented.payment_id) {
        return Verdict::Conflict(Conflict::IdentifierReused);
    }
    if !same_request {
        return Verdict::Conflict(Conflict::OtherRequest);
    }
    let may_replay = order.response_kept && presented.replayable;
    let left = if order.is_leased(presented.now) { order.state } else { order.state.abandoned() };
    match left.payment {
        PaymentState::Settled if may_replay => Verdict::Replay,
        PaymentState::Settled if order.state.delivery == DeliveryState::Delivered => {
            Verdict::Conflict(Conflict::AlreadyDelivered)
        }
        // Failed without a settlement: the runs are used up, as recorded or as a vanished holder left it.
        PaymentState::Failed
            if order.reason.as_deref() == Some(HANDLER_ERROR) || order.state.payment != left.payment =>
        {
            Verdict::Conflict(Conflict::NoAttemptsLeft)
        }
        PaymentState::Failed => Verdict::Failed,
        PaymentState::Expired => Verdict::Expired,
        _ => Verdict::Wait,
    }
}

/// The reason of an order whose handler failed as often as it may run unpaid.
pub(super) const HANDLER_ERROR: &str = "handler_error";
