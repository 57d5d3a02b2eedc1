//! What somebody may do who held, holds or never held an order.

use std::sync::Arc;

use super::payments::{LEASE, Payments, is_overtaken};
use crate::order::{Event, Lease, OrderStore, OwnerToken, PaymentState, StoreError};

/// After a take-over the holder before can neither advance nor renew, and what it tries leaves no trace.
pub async fn an_overtaken_holder_changes_nothing(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (first, _) = payments.create(&request).await;
    payments.report(&first, [Event::VerifyOk]).await;
    let now = payments.lapsed();
    let (second, _) = payments.resume(&payments.again(&request, 1), now).await;
    refuses_everything(&payments, &first, &request).await;
    let order = payments.store.advance(&second, &Event::HandlerStarted, now).await.expect("the lease runs");
    assert_eq!(order.fence, second.fence);
}

/// Who let go of an order cannot come back to it without presenting the payment again.
pub async fn a_released_holder_changes_nothing(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyOk, Event::Released]).await;
    refuses_everything(&payments, &lease, &request).await;
}

/// A fence is a small number; without the owner's token it opens nothing.
pub async fn a_stranger_with_the_right_fence_changes_nothing(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyOk]).await;
    let stranger = Lease { owner: OwnerToken::new([7; 16]), ..lease };
    refuses_everything(&payments, &stranger, &request).await;
}

/// A holder that stood still past its lease, with nobody taking over: what happened is recorded, but no handler runs
/// and no money moves before the lease is renewed.
pub async fn a_lapsed_holder_reports_but_begins_nothing_until_it_renews(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let now = payments.lapsed();
    let store = &payments.store;
    store.advance(&lease, &Event::VerifyOk, now).await.expect("what happened is recorded");
    for event in [Event::HandlerStarted, Event::SettleStarted { response: None }] {
        let refused = store.advance(&lease, &event, now).await;
        assert!(matches!(refused, Err(StoreError::Lapsed)), "{event:?}: {refused:?}");
    }
    store.renew(&lease, LEASE, now).await.expect("nobody took over");
    store.advance(&lease, &Event::HandlerStarted, now).await.expect("the lease runs again");
    store.advance(&lease, &Event::SettleStarted { response: None }, now).await.expect("the lease runs again");
    let later = now.after(LEASE);
    let order =
        store.advance(&lease, &payments.settled(&request), later).await.expect("money that moved has moved");
    assert_eq!(order.state.payment, PaymentState::Settled);
}

/// Renewal moves the end of a lease, for as long as it is asked for.
pub async fn a_renewed_order_is_not_taken_over(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let mut now = payments.now;
    for _ in 0..4 {
        now = now.after(LEASE / 2);
        payments.store.renew(&lease, LEASE, now).await.expect("nobody took over");
    }
    let again = payments.again(&request, 1);
    payments.held(&again, now.after(LEASE / 2)).await;
    payments.resume(&again, now.after(LEASE)).await;
}

/// A renewal that was asked for first and comes last takes nothing back.
pub async fn a_renewal_that_comes_late_does_not_shorten_the_lease(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let now = payments.now.after(LEASE / 2);
    for asked in [now, payments.now] {
        payments.store.renew(&lease, LEASE, asked).await.expect("nobody took over");
    }
    payments.held(&payments.again(&request, 1), payments.now.after(LEASE)).await;
    payments.resume(&payments.again(&request, 2), now.after(LEASE)).await;
}

async fn refuses_everything(payments: &Payments, lease: &Lease, request: &crate::order::OpenRequest) {
    let before = format!("{:?}", payments.find(request).await);
    for event in [
        Event::VerifyOk,
        Event::VerifyRejected { reason: "unexpected_verify_error".into() },
        Event::HandlerStarted,
        Event::SettleStarted { response: None },
        payments.settled(request),
        Event::GivenUp,
        Event::Delivered,
        Event::Released,
    ] {
        let refused = payments.store.advance(lease, &event, payments.now).await;
        assert!(is_overtaken(&refused), "{event:?}: {refused:?}");
    }
    let refused = payments.store.renew(lease, LEASE, payments.now).await;
    assert!(is_overtaken(&refused), "{refused:?}");
    assert_eq!(format!("{:?}", payments.find(request).await), before);
}
