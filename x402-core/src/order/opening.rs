//! Whether a presentation may take an order: the pure half of [`OrderStore::open`](super::OrderStore::open).

use std::{sync::Arc, time::Duration};

use super::{
    DeliveryState, Order, OrderId, OwnerToken, PaymentId, PaymentState, Provenance, RequestFingerprint, Terms,
};
use crate::{scheme::PaymentKey, time::UnixSeconds};

/// A verified payment that asks for its order.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The order's name, should it be new.
    pub id: OrderId,
    /// The payment's identity.
    pub key: PaymentKey,
    /// The payer's own name for it; means something only if the order is new.
    pub payment_id: Option<PaymentId>,
    /// The request it is presented for.
    pub fingerprint: RequestFingerprint,
    /// [Mark](crate::scheme::Authorization::mark) of the signed message and signature.
    pub digest: [u8; 16],
    /// The authorization's nonce.
    pub nonce: [u8; 32],
    /// The second from which on the authorization cannot be settled.
    pub valid_before: UnixSeconds,
    /// Where the order comes from, for stores that keep records.
    pub provenance: Option<Arc<Provenance>>,
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
    /// There is nothing, or what there was is released, or was signed anew before anything was sent: a new order.
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
    // Whatever name it brings this time: what was signed says which payment it is.
    if order.fingerprint != request.fingerprint {
        return Opening::Held;
    }
    let left = order.state.abandoned();
    match (left.payment, left.delivery) {
        (PaymentState::Failed | PaymentState::Expired, _) | (_, DeliveryState::Delivered) => Opening::Held,
        // Nothing was sent of what was signed before under the same nonce: the order is about what is sent.
        (PaymentState::Verifying | PaymentState::Verified, _) if order.digest != request.digest => {
            Opening::Create
        }
        // It may have been sent, and what the chain shows would be held against another message.
        (PaymentState::Unresolved, _) if !is_of_one_transfer(order, request) => Opening::Held,
        _ => Opening::TakeOver,
    }
}

/// Whether the request's message moves the money as the order's does, for as long.
fn is_of_one_transfer(order: &Order, request: &OpenRequest) -> bool {
    let (ours, theirs) = (&order.terms.option, &request.terms.option);
    order.valid_before == request.valid_before && ours.amount == theirs.amount && ours.pay_to == theirs.pay_to
}

/// Whether an order's identifier is free for another payment of its payer: this one was not charged, and never will be.
/// Pure: every store asks it about the order that has the identifier of a payment it does not know yet.
///
/// Only what is recorded counts: a holder whose lease lapsed may come back, and settle.
#[must_use]
pub fn frees_identifier(order: &Order, now: UnixSeconds) -> bool {
    !order.is_leased(now)
        && match order.state.payment {
            PaymentState::Rejected | PaymentState::Expired => true,
            PaymentState::Failed => order.dead || order.has_no_attempts_left(),
            _ => false,
        }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use super::{DeliveryState as D, Opening::*, PaymentState as P, *};
    use crate::{order::OrderState, testing::store_contract::Payments};

    fn payments() -> Payments {
        Payments::new(Arc::new(crate::order::MemoryStore::new()))
    }

    fn left_as(payments: &Payments, payment: P, delivery: D, attempts: u8) -> (Order, OpenRequest) {
        let request = payments.request(0);
        let state = OrderState { payment, delivery, attempts, ..OrderState::default() };
        let order = Order { state, leased_until: None, ..Order::opened(&request, 1, payments.now) };
        (order, request)
    }

    #[test]
    fn what_nobody_claimed_is_created() {
        let payments = payments();
        assert_eq!(opening(None, &payments.request(0), payments.now), Create);
    }

    #[test]
    fn a_deferred_order_that_nobody_holds_is_finished_unless_it_was_delivered() {
        let payments = payments();
        for (payment, delivery, wanted) in [
            (P::Settling, D::Executing, TakeOver),
            (P::Settling, D::Ready, TakeOver),
            (P::Settling, D::Delivered, Held),
            (P::Unresolved, D::Errored, TakeOver),
            (P::Unresolved, D::Delivered, Held),
            (P::Settled, D::Ready, TakeOver),
            (P::Settled, D::Delivered, Held),
            (P::Failed, D::Delivered, Held),
        ] {
            let (mut order, request) = left_as(&payments, payment, delivery, 1);
            order.state.deferred = true;
            assert_eq!(opening(Some(&order), &request, payments.now), wanted, "{payment:?}/{delivery:?}");
        }
    }

    #[test]
    fn what_is_left_of_an_order_decides_who_may_have_it() {
        let payments = payments();
        // Payment, delivery, attempts; for its own request; for another one.
        for (payment, delivery, attempts, own, other) in [
            (P::Verifying, D::Withheld, 0, TakeOver, Held),
            (P::Verified, D::Withheld, 0, TakeOver, Held),
            (P::Verified, D::Executing, 1, TakeOver, Held),
            (P::Verified, D::Errored, 2, TakeOver, Held),
            (P::Verified, D::Executing, 3, Held, Held),
            (P::Settling, D::Executing, 1, TakeOver, Held),
            (P::Settling, D::Executing, 3, TakeOver, Held),
            (P::Settling, D::Ready, 1, TakeOver, Held),
            (P::Unresolved, D::Ready, 1, TakeOver, Held),
            (P::Settled, D::Withheld, 0, TakeOver, Held),
            (P::Settled, D::Executing, 1, TakeOver, Held),
            (P::Settled, D::Errored, 9, TakeOver, Held),
            (P::Settled, D::Ready, 1, TakeOver, Held),
            (P::Settled, D::Delivered, 1, Held, Held),
            (P::Rejected, D::Withheld, 0, Create, Create),
            (P::Failed, D::Ready, 1, Held, Held),
            (P::Failed, D::Errored, 3, Held, Held),
            (P::Expired, D::Withheld, 0, Held, Held),
        ] {
            let (order, request) = left_as(&payments, payment, delivery, attempts);
            let at = |request: &OpenRequest| opening(Some(&order), request, payments.now);
            assert_eq!(at(&request), own, "{payment:?}/{delivery:?}/{attempts}");
            assert_eq!(at(&payments.elsewhere(&request)), other, "{payment:?}/{delivery:?}/{attempts}");
            let renamed =
                OpenRequest { payment_id: PaymentId::new("order-of-breakfast").ok(), ..request.clone() };
            assert_eq!(at(&renamed), own, "{payment:?}/{delivery:?}/{attempts}");
            let leased = Order { leased_until: Some(payments.lapsed()), ..order.clone() };
            assert_eq!(opening(Some(&leased), &request, payments.now), Held);
            assert_eq!(opening(Some(&leased), &request, payments.lapsed()), own, "a lapsed lease is none");
        }
    }

    #[test]
    fn another_message_under_the_same_nonce_replaces_what_was_not_sent_and_waits_for_what_was() {
        let payments = payments();
        for (payment, delivery, attempts, resigned, reworded) in [
            (P::Verifying, D::Withheld, 0, Create, Create),
            (P::Verified, D::Errored, 2, Create, Create),
            (P::Verified, D::Executing, 3, Held, Held),
            (P::Settling, D::Ready, 1, TakeOver, Held),
            (P::Unresolved, D::Errored, 1, TakeOver, Held),
            (P::Settled, D::Ready, 1, TakeOver, TakeOver),
            (P::Settled, D::Delivered, 1, Held, Held),
            (P::Failed, D::Ready, 1, Held, Held),
        ] {
            let (order, request) = left_as(&payments, payment, delivery, attempts);
            let again = OpenRequest { digest: [9; 16], ..request.clone() };
            assert_eq!(opening(Some(&order), &again, payments.now), resigned, "{payment:?}");
            let valid_before = request.valid_before.after(Duration::from_secs(60));
            let longer = OpenRequest { valid_before, ..again.clone() };
            assert_eq!(opening(Some(&order), &longer, payments.now), reworded, "{payment:?}");
            let mut terms = (*request.terms).clone();
            terms.option.amount = crate::price::AtomicAmount::from(7_u64);
            let dearer = OpenRequest { terms: Arc::new(terms), ..again };
            assert_eq!(opening(Some(&order), &dearer, payments.now), reworded, "{payment:?}");
        }
    }

    #[test]
    fn only_what_is_never_charged_gives_its_identifier_back() {
        let payments = payments();
        // Payment, delivery, attempts; whether its authorization is dead; whether the identifier is free.
        for (payment, delivery, attempts, dead, free) in [
            (P::Verifying, D::Withheld, 0, false, false),
            (P::Verified, D::Errored, 2, false, false),
            // Its holder vanished in its last run, and may come back.
            (P::Verified, D::Executing, 3, false, false),
            (P::Settling, D::Ready, 1, false, false),
            (P::Unresolved, D::Ready, 1, false, false),
            (P::Settled, D::Delivered, 1, false, false),
            (P::Rejected, D::Withheld, 0, false, true),
            (P::Expired, D::Withheld, 0, false, true),
            (P::Failed, D::Ready, 1, false, false),
            (P::Failed, D::Ready, 1, true, true),
        ] {
            let (order, _) = left_as(&payments, payment, delivery, attempts);
            let order = Order { dead, ..order };
            assert_eq!(frees_identifier(&order, payments.now), free, "{payment:?}/{delivery:?}/{dead}");
            let leased = Order { leased_until: Some(payments.lapsed()), ..order };
            assert!(!frees_identifier(&leased, payments.now), "{payment:?}: somebody works on it");
        }
    }
}
