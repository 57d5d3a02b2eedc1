//! What an order that a presentation may not take means for it: pure, one table.

use super::{DeliveryState, Order, PaymentId, PaymentState, RequestFingerprint};
use crate::{error::Conflict, time::UnixSeconds};

/// What of a presentation matters to an order that already exists.
#[derive(Clone, Debug)]
pub struct Presentation<'a> {
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
    if order.payment_id.as_ref() != presented.payment_id && order.fingerprint == presented.fingerprint {
        return Verdict::Conflict(Conflict::IdentifierReused);
    }
    if order.fingerprint != presented.fingerprint {
        return Verdict::Conflict(Conflict::OtherRequest);
    }
    let may_replay = order.response_kept && presented.replayable;
    match order.state.payment {
        PaymentState::Settled if may_replay => Verdict::Replay,
        PaymentState::Settled if order.state.delivery == DeliveryState::Delivered => {
            Verdict::Conflict(Conflict::AlreadyDelivered)
        }
        PaymentState::Failed if order.reason.as_deref() == Some("handler_error") => {
            Verdict::Conflict(Conflict::NoAttemptsLeft)
        }
        PaymentState::Failed => Verdict::Failed,
        PaymentState::Expired => Verdict::Expired,
        _ => Verdict::Wait,
    }
}
