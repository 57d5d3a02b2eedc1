//! What a store tells of how an order came to be what it is.

use std::sync::Arc;

use super::payments::{LEASE, Payments, response};
use crate::order::{Event, OpenRequest, Order, OrderStore, Transition};

/// A history has a line for each change, in order, none for what was refused, and never loses one; in a store that keeps
/// none it is empty from the beginning.
pub async fn a_history_tells_every_change_in_order_or_nothing(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let keeps = follow(&payments).await;
    assert!(keeps.is_empty() || keeps.len() == EVENTS.len(), "{keeps:?}");
    let stranger = payments.request(1);
    assert!(history(&payments, &stranger).await.is_empty(), "nothing happened to it");
}

/// Leads an order through all that may happen to one and compares its history at every step; returns it.
pub(super) async fn follow(payments: &Payments) -> Vec<Transition> {
    let request = payments.request(0);
    let (lease, order) = payments.create(&request).await;
    let mut told = Vec::new();
    grown(payments, &request, &mut told, &order).await;
    let keeps = !told.is_empty();
    for event in [Event::VerifyOk, Event::HandlerStarted] {
        let order = payments.report(&lease, [event]).await;
        grown(payments, &request, &mut told, &order).await;
    }
    let refused = payments.store.advance(&lease, &Event::Delivered, payments.now).await;
    assert!(refused.is_err());
    payments.store.renew(&lease, LEASE, payments.now).await.expect("nobody took over");
    assert_eq!(history(payments, &request).await, told, "what changed nothing leaves no line");
    let now = payments.lapsed();
    let (lease, order) = payments.resume(&payments.again(&request, 1), now).await;
    grown(payments, &request, &mut told, &order).await;
    let started = Event::SettleStarted { response: Some(Arc::new(response())) };
    for event in [Event::HandlerStarted, started, Event::SettleUnclear { transaction: None }] {
        let order = payments.report_at(&lease, [event], now).await;
        grown(payments, &request, &mut told, &order).await;
    }
    let now = now.after(LEASE);
    let taken = payments.due(&payments.worker(0, LEASE), 10, now).await;
    let [(lease, order)] = taken.as_slice() else { panic!("wanted one order, got {taken:?}") };
    grown(payments, &request, &mut told, order).await;
    for event in [payments.settled(&request), Event::Undelivered] {
        let order = payments.report_at(lease, [event], now).await;
        grown(payments, &request, &mut told, &order).await;
    }
    let events: Vec<_> = told.iter().map(|line| &*line.event).collect();
    assert!(events == EVENTS || !keeps, "{events:?}");
    assert!(told.is_sorted_by_key(|line| (line.at, line.fence)));
    told
}

/// Takes the next line into `told`: none if the first step had none.
async fn grown(payments: &Payments, request: &OpenRequest, told: &mut Vec<Transition>, order: &Order) {
    let history = history(payments, request).await;
    let first = order.fence == 1 && order.state == Default::default();
    assert!(first || history.is_empty() == told.is_empty(), "all of it is kept, or nothing");
    let Some((last, before)) = history.split_last() else { return };
    assert_eq!(before, told, "one line is added, and none changes");
    let wanted = (order.updated_at, order.state.payment, order.state.delivery, order.fence);
    assert_eq!((last.at, last.payment, last.delivery, last.fence), wanted, "{last:?}");
    told.push(last.clone());
}

pub(super) async fn history(payments: &Payments, request: &OpenRequest) -> Vec<Transition> {
    payments.store.history(&request.key).await.expect("the store answers")
}

const EVENTS: [&str; 10] = [
    "opened",
    "verified",
    "handler_started",
    "taken_over",
    "handler_started",
    "settle_started",
    "settle_unclear",
    "taken_by_worker",
    "settled",
    "undelivered",
];
