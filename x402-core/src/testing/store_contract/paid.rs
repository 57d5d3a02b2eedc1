//! What a store must keep of orders that were begun, paid or delivered.

use std::sync::Arc;

use super::{
    claims::at_once,
    payments::{LEASE, MEMORY, Payments, response},
};
use crate::order::{DeliveryState, Event, Opened, OrderStore, PaymentState};

/// A settled order whose holder vanished before delivery is resumed, by one of fifty who come for it at once.
pub async fn a_settled_undelivered_order_is_resumed_by_one_of_50(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    payments.settle(&request, None).await;
    let opened = at_once(&payments, 50, payments.lapsed(), |holder| payments.again(&request, holder)).await;
    let mut resumed = 0;
    for opened in opened {
        match opened {
            Opened::Resumed(_, order) => {
                assert!(order.is_settled());
                assert_eq!(order.state.delivery, DeliveryState::Errored, "a lost run is to be repeated");
                resumed += 1;
            }
            Opened::Held(order) => assert!(order.is_settled()),
            Opened::New(..) => panic!("a settled order was forgotten"),
        }
    }
    assert_eq!(resumed, 1);
}

/// An order that was delivered is nobody's any more.
pub async fn a_delivered_order_stays_held(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.settle(&request, None).await;
    payments.report(&lease, [Event::Delivered]).await;
    for now in [payments.now, payments.lapsed(), payments.now.after(MEMORY * 2)] {
        let order = payments.held(&payments.again(&request, 1), now).await;
        assert_eq!(order.state.delivery, DeliveryState::Delivered);
    }
}

/// Who comes for an order whose settlement was interrupted must find out what became of it.
pub async fn an_interrupted_settlement_is_resumed_as_unresolved(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let response = Some(Arc::new(response()));
    payments
        .report(&lease, [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response }])
        .await;
    let (_, order) = payments.resume(&payments.again(&request, 1), payments.lapsed()).await;
    assert_eq!(order.state.payment, PaymentState::Unresolved);
    assert_eq!(order.state.delivery, DeliveryState::Ready, "the kept response is still there");
}

/// A handler whose holders vanish runs as often as one that fails.
pub async fn the_handler_runs_at_most_three_times_unpaid(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    let mut now = payments.now;
    for holder in 1..3 {
        now = now.after(LEASE);
        let (lease, order) = payments.resume(&payments.again(&request, holder), now).await;
        assert_eq!(order.state.payment, PaymentState::Verified);
        payments.store.advance(&lease, &Event::HandlerStarted, now).await.expect("attempts are left");
    }
    payments.held(&payments.again(&request, 3), now.after(LEASE)).await;
}
