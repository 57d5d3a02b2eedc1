//! Orders whose response goes out before their money moves.

use std::sync::Arc;

use super::payments::{LEASE, Payments, response};
use crate::order::{
    Deferred, Event, KeptPayment, Lease, OpenRequest, Order, OrderStatus, OrderStore, StoreError,
};

/// What it takes to settle is there as long as the settlement is owed, whoever holds the order, and gone afterwards,
/// whatever came of it.
pub async fn a_payment_is_kept_while_its_settlement_is_owed(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    for number in 0..2 {
        let request = payments.request(number);
        let (lease, kept) = defer(&payments, &request).await;
        payments.report(&lease, [Event::Delivered]).await;
        assert_eq!(payment(&payments, &request).await.as_ref(), Some(&kept), "the response is out");
        let now = payments.lapsed();
        let mut taken = payments.due(&payments.worker(0, LEASE), 10, now).await;
        let (lease, order) = taken.pop().expect("it is due");
        assert!(taken.is_empty() && order.owes_settlement());
        payments.report_at(&lease, [Event::SettleUnclear { transaction: None }], now).await;
        assert_eq!(payment(&payments, &request).await.as_ref(), Some(&kept), "the outcome is unknown");
        let outcome = match number {
            0 => payments.settled(&request),
            _ => failed(),
        };
        let order = payments.report_at(&lease, [outcome], now).await;
        assert!(!order.owes_settlement());
        assert_eq!(
            payment(&payments, &request).await,
            None,
            "a signature is not kept for longer than needed"
        );
    }
}

/// Where settlement is not put off, and where it could not be, no payment is kept.
pub async fn no_other_payment_is_kept(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let (direct, early, late) = (payments.request(0), payments.request(1), payments.request(2));
    let (lease, _) = payments.create(&direct).await;
    let started = Event::SettleStarted { response: None };
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, started]).await;
    let (lease, _) = payments.create(&early).await;
    let refused = payments.store.advance(&lease, &payments.deferred(&early, None), payments.now).await;
    assert!(matches!(refused, Err(StoreError::Illegal(_))), "{refused:?}");
    let (lease, _) = payments.create(&late).await;
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    let refused = payments.store.advance(&lease, &payments.deferred(&late, None), payments.lapsed()).await;
    assert!(matches!(refused, Err(StoreError::Lapsed)), "{refused:?}");
    for request in [&direct, &early, &late, &payments.request(3)] {
        assert_eq!(payment(&payments, request).await, None);
        assert_eq!(payments.store.deferred(&request.payer).await.expect("the store answers").of_payer, 0);
    }
}

/// What is owed is counted for its payer and in total, until it is settled or has failed.
pub async fn owed_settlements_are_counted(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let alice: Vec<_> = (0..3).map(|number| payments.request_of(0, number)).collect();
    let bob: Vec<_> = (3..5).map(|number| payments.request_of(3, number)).collect();
    let before = count(&payments, &alice[0]).await.in_total;
    let expect = async |of_alice, of_bob| {
        let (a, b) = (count(&payments, &alice[0]).await, count(&payments, &bob[0]).await);
        assert_eq!((a.of_payer, b.of_payer), (of_alice, of_bob));
        assert_eq!((a.in_total - before, b.in_total - before), (of_alice + of_bob, of_alice + of_bob));
    };
    expect(0, 0).await;
    let mut leases = Vec::new();
    for (number, request) in (1..).zip(&alice) {
        leases.push(defer(&payments, request).await.0);
        expect(number, 0).await;
    }
    for request in &bob {
        leases.push(defer(&payments, request).await.0);
    }
    expect(3, 2).await;
    payments.report(&leases[0], [Event::Delivered]).await;
    payments.report(&leases[1], [Event::SettleUnclear { transaction: None }]).await;
    expect(3, 2).await;
    payments.report(&leases[0], [payments.settled(&alice[0])]).await;
    expect(2, 2).await;
    payments.report(&leases[3], [failed()]).await;
    expect(2, 1).await;
    payments.report(&leases[1], [payments.settled(&alice[1])]).await;
    payments.report(&leases[2], [failed()]).await;
    payments.report(&leases[4], [payments.settled(&bob[1]), Event::Delivered]).await;
    expect(0, 0).await;
}

/// The holder of a deferred order keeps it until money and response are both done, in either order.
pub async fn a_deferred_order_is_held_until_both_halves_are_done(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let halves = |number| {
        let request = payments.request(number);
        let settled = payments.settled(&request);
        let [first, second] = match number {
            0 => [Event::Delivered, settled],
            1 => [settled, Event::Delivered],
            2 => [Event::Undelivered, settled],
            _ => [Event::Delivered, failed()],
        };
        (request, first, second)
    };
    for number in 0..4 {
        let (request, first, second) = halves(number);
        let (lease, _) = defer(&payments, &request).await;
        let half = payments.report(&lease, [first.clone()]).await;
        assert_eq!(half.leased_until, Some(payments.lapsed()), "after {first:?}");
        assert_eq!(half.status(), OrderStatus::Pending);
        payments.held(&payments.again(&request, 1), payments.now).await;
        let whole = payments.report(&lease, [second.clone()]).await;
        let (held, status) = match number {
            // It is settled, and its response was lost: its payer may come for it, or its holder tries again.
            2 => (Some(payments.lapsed()), OrderStatus::Pending),
            3 => (None, OrderStatus::Failed),
            _ => (None, OrderStatus::Completed),
        };
        assert_eq!((whole.leased_until, whole.status()), (held, status), "after {first:?}, {second:?}");
        assert_eq!(format!("{:?}", payments.find(&request).await), format!("{whole:?}"));
    }
}

/// The response that goes out first can be replayed like any other.
pub async fn a_deferred_response_is_kept(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let begun = [Event::VerifyOk, Event::HandlerStarted, payments.deferred(&request, Some(response()))];
    assert!(payments.report(&lease, begun).await.response_kept);
    let kept = payments.store.response(&request.key).await.expect("the store answers");
    assert_eq!(kept.as_deref(), Some(&response()));
    assert!(payment(&payments, &request).await.is_some());
    let order: Order = payments.report(&lease, [Event::Delivered, payments.settled(&request)]).await;
    assert!(order.response_kept);
    let kept = payments.store.response(&request.key).await.expect("the store answers");
    assert_eq!(kept.as_deref(), Some(&response()), "the payment went, the response stays");
}

/// Opens an order and puts its settlement off; with what must be kept for it.
async fn defer(payments: &Payments, request: &OpenRequest) -> (Lease, KeptPayment) {
    let (lease, _) = payments.create(request).await;
    let deferred = payments.deferred(request, None);
    let kept = KeptPayment::clone(deferred.payment().expect("a payment comes with it"));
    let order = payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, deferred]).await;
    assert!(order.owes_settlement());
    assert_eq!(payment(payments, request).await.as_ref(), Some(&kept));
    (lease, kept)
}

async fn payment(payments: &Payments, request: &OpenRequest) -> Option<KeptPayment> {
    let kept = payments.store.payment(&request.key).await.expect("the store answers");
    kept.map(|kept| KeptPayment::clone(&kept))
}

async fn count(payments: &Payments, request: &OpenRequest) -> Deferred {
    payments.store.deferred(&request.payer).await.expect("the store answers")
}

fn failed() -> Event {
    Event::SettleFailed { reason: "insufficient_funds".into(), dead: false, transaction: None }
}
