//! Who gets an order that several come for.

use std::sync::Arc;

use super::payments::{LEASE, Payments};
use crate::order::{DeliveryState, Event, OpenRequest, Opened, OrderStore, PaymentState};

/// Of 64 who present one payment at once, one gets a new order; to the others it is held.
pub async fn of_64_parallel_claims_one_is_new(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let opened = at_once(&payments, 64, payments.now, |holder| payments.again(&request, holder)).await;
    assert_eq!(opened.iter().filter(|opened| matches!(opened, Opened::New(..))).count(), 1);
    assert_eq!(opened.iter().filter(|opened| matches!(opened, Opened::Held(_))).count(), 63);
    let fence = payments.find(&request).await.fence;
    assert!(opened.iter().all(|opened| match opened {
        Opened::New(lease, order) => lease.fence == fence && order.fence == fence,
        Opened::Held(order) => order.fence == fence,
        Opened::Resumed(..) => false,
    }));
}

/// Of 64 who come at once for an order whose lease lapsed, one goes on with it.
pub async fn of_64_parallel_take_overs_one_succeeds(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    payments.create(&request).await;
    let opened = at_once(&payments, 64, payments.lapsed(), |holder| payments.again(&request, holder)).await;
    assert_eq!(opened.iter().filter(|opened| matches!(opened, Opened::Resumed(..))).count(), 1);
    assert_eq!(opened.iter().filter(|opened| matches!(opened, Opened::Held(_))).count(), 63);
}

/// A lease protects its order to the second in which it lapses; the next holder has a higher fence.
pub async fn a_held_order_is_taken_over_only_when_its_lease_lapsed(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (first, created) = payments.create(&request).await;
    payments.report(&first, [Event::VerifyOk, Event::HandlerStarted]).await;
    let again = payments.again(&request, 1);
    let last_second = payments.lapsed().before(std::time::Duration::from_secs(1));
    payments.held(&again, last_second).await;
    let (second, order) = payments.resume(&again, payments.lapsed()).await;
    assert!(second.fence > first.fence);
    assert_eq!((second.owner, order.fence), (again.owner, second.fence));
    assert_eq!((order.id, order.created_at), (created.id, created.created_at), "it is the same order");
    assert_eq!(order.state.payment, PaymentState::Verified);
    assert_eq!(order.state.delivery, DeliveryState::Errored, "the run that vanished is lost");
    assert_eq!(order.state.attempts, 1);
    assert_eq!(order.leased_until, Some(payments.lapsed().after(LEASE)));
}

/// Who lets go of an order with work left on it makes room for the next at once.
pub async fn a_released_order_is_taken_over_at_once(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    for (number, event) in [Event::HandlerFailed, Event::GivenUp, Event::Released].into_iter().enumerate() {
        let request = payments.request(u32::try_from(number).expect("there are three"));
        let (first, _) = payments.create(&request).await;
        payments.report(&first, [Event::VerifyOk, Event::HandlerStarted]).await;
        let released = payments.report(&first, [event]).await;
        assert_eq!(released.leased_until, None);
        let (second, order) = payments.resume(&payments.again(&request, 1), payments.now).await;
        assert!(second.fence > first.fence);
        assert_eq!(order.state.payment, PaymentState::Verified);
    }
}

/// A payment belongs to the request it was first presented for.
pub async fn another_request_never_takes_the_order(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let elsewhere = payments.elsewhere(&request);
    for now in [payments.now, payments.lapsed()] {
        let order = payments.held(&elsewhere, now).await;
        assert_eq!(order.fingerprint, request.fingerprint);
    }
    payments.report(&lease, [Event::VerifyOk, Event::Released]).await;
    payments.held(&elsewhere, payments.now).await;
}

/// After a refusal that charged nobody the payment may be presented for anything, as a new order with a higher fence.
pub async fn a_rejected_claim_is_free_for_any_request(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (first, _) = payments.create(&request).await;
    let rejected =
        payments.report(&first, [Event::VerifyRejected { reason: "insufficient_funds".into() }]).await;
    assert_eq!(rejected.state.payment, PaymentState::Rejected);
    assert_eq!(rejected.reason.as_deref(), Some("insufficient_funds"));
    let elsewhere = payments.elsewhere(&request);
    let (second, order) = payments.create(&elsewhere).await;
    assert!(second.fence > first.fence);
    assert_eq!((order.id, order.fingerprint), (elsewhere.id, elsewhere.fingerprint));
    assert_eq!((order.state.payment, order.reason), (PaymentState::Verifying, None));
    assert_eq!(order.keep_until, elsewhere.keep_until);
}

/// Opens so many requests in parallel tasks.
pub(super) async fn at_once(
    payments: &Payments,
    count: u32,
    now: crate::time::UnixSeconds,
    request: impl Fn(u32) -> OpenRequest,
) -> Vec<Opened> {
    let tasks: Vec<_> = (0..count)
        .map(|holder| {
            let (store, request) = (Arc::clone(&payments.store), request(holder));
            tokio::spawn(async move { store.open(&request, now).await })
        })
        .collect();
    let mut opened = Vec::with_capacity(tasks.len());
    for task in tasks {
        opened.push(task.await.expect("no task panics").expect("the store answers"));
    }
    opened
}
