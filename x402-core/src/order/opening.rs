//! Whether a presentation may take an order: the pure half of [`OrderStore::open`](super::OrderStore::open).

use std::{sync::Arc, time::Duration};

use super::{DeliveryState, Order, OrderId, OwnerToken, PaymentId, PaymentState, RequestFingerprint, Terms};
use crate::{scheme::PaymentKey, time::UnixSeconds};

/// A verified payment that asks for its order.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The order's name, should it be new.
    pub id: OrderId,
    /// The payment's identity.
    pub key: PaymentKey,
    /// The payer's own name for it.
    pub payment_id: Option<PaymentId>,
    /// The request it is presented for.
    pub fingerprint: RequestFingerprint,
    /// Hash of the signed message and signature.
    pub digest: [u8; 32],
    /// What is bought.
    pub terms: Arc<Terms>,
    /// Who pays.
    pub payer: Arc<str>,
    /// Made before the call, so that a lost answer can be read back.
    pub owner: OwnerToken,
    /// How long the order may be worked on without a renewal.
    pub lease: Duration,
    /// Until when the payment must be remembered.
    pub keep_until: UnixSeconds,
}

/// What a store does with an [`OpenRequest`], given what it has under its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// There is nothing, or what there was is released: a new order.
    Create,
    /// Nobody holds it and work is left: the request goes on with it.
    TakeOver,
    /// It is busy, done, or another request's.
    Held,
}

/// Decides what becomes of a request to open an order. Pure: every store calls it inside its atomic step.
#[must_use]
pub fn opening(existing: Option<&Order>, request: &OpenRequest, now: UnixSeconds) -> Opening {
    let Some(order) = existing else { return Opening::Create };
    if order.is_leased(now) {
        return Opening::Held;
    }
    // Nothing was charged and nothing can be: the claim is free for any request.
    if order.state.payment == PaymentState::Rejected {
        return Opening::Create;
    }
    if order.fingerprint != request.fingerprint || order.payment_id != request.payment_id {
        return Opening::Held;
    }
    let left = order.state.abandoned();
    match (left.payment, left.delivery) {
        (PaymentState::Failed | PaymentState::Expired, _) | (_, DeliveryState::Delivered) => Opening::Held,
        _ => Opening::TakeOver,
    }
}
