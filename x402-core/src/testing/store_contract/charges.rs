//! Orders that are charged for what was used.

use std::sync::Arc;

use super::payments::{LEASE, Payments};
use crate::{
    order::{
        DeliveryState, Event, Lease, OpenRequest, Order, OrderState, OrderStore, PaymentState, StoreError,
    },
    price::AtomicAmount,
};

/// What is charged is kept with the order before anything is sent, by whoever holds it, and no later attempt to settle
/// changes it.
pub async fn a_charge_is_recorded_before_it_is_settled_and_stays(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    for (number, amount) in [(0, 0), (1, 3_000), (2, 10_000)] {
        let request = payments.request(number);
        let lease = running(&payments, &request).await;
        let order = payments.report(&lease, [charged(9_999), charged(amount)]).await;
        assert_eq!(
            (order.amount(), order.charge),
            (amount.into(), Some(amount.into())),
            "the last word counts"
        );
        let sent = [Event::SettleStarted { response: None }, Event::SettleUnclear { transaction: None }];
        payments.report(&lease, sent).await;
        refused(&payments, &lease, &charged(1)).await;
        payments.report(&lease, [Event::Released]).await;
        let (lease, order) = payments.resume(&payments.again(&request, 1), payments.now).await;
        assert_eq!(order.charge, Some(amount.into()), "a retry settles the same");
        refused(&payments, &lease, &charged(1)).await;
        let again = [Event::SettleStarted { response: None }, payments.settled_with(&request, amount.into())];
        let order = payments.report(&lease, again).await;
        assert_eq!(order.settlement.as_ref().map(|settled| settled.amount), Some(amount.into()));
        assert_eq!(payments.find(&request).await.charge, Some(amount.into()));
    }
    let exact = payments.request(3);
    let (_, order) = payments.settle(&exact, None).await;
    assert_eq!((order.charge, order.amount()), (None, exact.terms.option.amount));
}

/// A response whose charge is stated while it is on its way owes its settlement from its first byte. When it is over, and its
/// charge is final, that is settled, and the response is not owed, whole or not.
pub async fn a_metered_response_is_charged_once_and_never_owed(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    for (number, ends) in (0..).zip([Event::Delivered, Event::BrokenOff]) {
        let request = payments.request(number);
        let lease = running(&payments, &request).await;
        let order = payments.report(&lease, [payments.metered(&request)]).await;
        assert!(order.owes_settlement() && order.state.metered);
        assert_eq!(order.amount(), AtomicAmount::ZERO, "nothing was said yet");
        assert!(kept(&payments, &request).await);
        refused(&payments, &lease, &payments.settled_with(&request, AtomicAmount::ZERO)).await;
        let order = payments.report(&lease, [ends]).await;
        assert_eq!(order.leased_until, Some(payments.lapsed()), "its money is still to come");
        let order = payments.report(&lease, [charged(700)]).await;
        assert_eq!((order.amount(), order.state.metered), (700.into(), false));
        refused(&payments, &lease, &charged(800)).await;
        let order = payments.report(&lease, [payments.settled_with(&request, 700.into())]).await;
        assert_eq!(order.state.delivery, DeliveryState::Delivered);
        assert_eq!(order.leased_until, None);
        assert!(!kept(&payments, &request).await);
        payments.held(&payments.again(&request, 1), payments.lapsed()).await;
    }
}

/// Of a response whose holder vanished, what was recorded last is charged: nothing, where nothing was. No payment of
/// it runs a handler again.
pub async fn a_metered_response_that_was_lost_is_charged_what_was_recorded(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    for (number, said, wanted) in [(0, None, 0), (1, Some(400), 400)] {
        let request = payments.request(number);
        let lease = running(&payments, &request).await;
        if let Some(said) = said {
            payments.report(&lease, [charged(said)]).await;
        }
        payments.report(&lease, [payments.metered(&request)]).await;
        let now = payments.lapsed();
        payments.held(&payments.again(&request, 1), now).await;
        let (taken, order) =
            payments.due(&payments.worker(0, LEASE), 10, now).await.pop().expect("it is due");
        let left = OrderState {
            payment: PaymentState::Unresolved,
            delivery: DeliveryState::Delivered,
            metered: false,
            ..order.state
        };
        assert_eq!((order.state, order.charge), (left, Some(wanted.into())));
        assert!(order.owes_settlement() && kept(&payments, &request).await);
        let late = payments.store.advance(&lease, &charged(9_000), now).await;
        assert!(matches!(late, Err(StoreError::Overtaken)), "{late:?}");
        refused(&payments, &taken, &charged(9_000)).await;
        let settled = payments.settled_with(&request, wanted.into());
        let order = payments.report_at(&taken, [settled], now).await;
        assert_eq!((order.amount(), order.leased_until), (wanted.into(), None));
        payments.held(&payments.again(&request, 2), now).await;
    }
}

async fn running(payments: &Payments, request: &OpenRequest) -> Lease {
    let (lease, _) = payments.create(request).await;
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    lease
}

async fn refused(payments: &Payments, lease: &Lease, event: &Event) {
    let before: Order =
        payments.store.find(&lease.key, payments.now).await.expect("it answers").expect("it is there");
    let advanced = payments.store.advance(lease, event, before.updated_at).await;
    assert!(matches!(advanced, Err(StoreError::Illegal(_))), "{advanced:?}");
    let after =
        payments.store.find(&lease.key, payments.now).await.expect("it answers").expect("it is there");
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
}

async fn kept(payments: &Payments, request: &OpenRequest) -> bool {
    payments.store.payment(&request.key).await.expect("the store answers").is_some()
}

fn charged(amount: u64) -> Event {
    Event::Charged { amount: amount.into() }
}
