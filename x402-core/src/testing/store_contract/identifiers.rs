//! Payers' own names for their payments.

use std::sync::Arc;

use super::{claims::at_once, payments::Payments};
use crate::order::{Event, OpenRequest, Opened, OrderStore, PaymentId, PaymentState};

/// Two payments of one payer cannot have one identifier, and a payment keeps the one it came with: it is known by its key,
/// whatever name it brings later.
pub async fn an_identifier_names_one_payment_of_its_payer(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let first = named(payments.request(0), "order-of-breakfast");
    payments.create(&first).await;
    let second = named(payments.request_of(0, 1), "order-of-breakfast");
    for now in [payments.now, payments.lapsed()] {
        let order = payments.held(&second, now).await;
        assert_eq!(order.key, first.key, "the order that has the identifier is the one held");
    }
    assert!(payments.found(&second, payments.now).await.is_none(), "the second payment left no trace");
    let renamed = named(payments.again(&first, 1), "order-of-lunch-no-2");
    let (lease, order) = payments.resume(&renamed, payments.lapsed()).await;
    assert_eq!(order.payment_id, first.payment_id, "it keeps its name");
    payments.report(&lease, [Event::GivenUp]).await;
    let nameless = OpenRequest { payment_id: None, ..payments.again(&first, 2) };
    let (_, order) = payments.resume(&nameless, payments.lapsed()).await;
    assert_eq!(order.payment_id, first.payment_id, "it keeps its name");
    assert_eq!(payments.held(&second, payments.lapsed()).await.key, first.key, "and nobody else has it");
    let (lease, _) = payments.create(&OpenRequest { payment_id: None, ..second.clone() }).await;
    payments.report(&lease, [Event::GivenUp]).await;
    let (_, order) = payments.resume(&payments.again(&second, 1), payments.now).await;
    assert_eq!((order.key, order.payment_id), (second.key, None), "the name of another changes nothing");
}

/// What one payer calls its payment is nothing to another.
pub async fn payers_do_not_share_identifiers(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    for number in 0..4 {
        let request = named(payments.request(number), "order-of-breakfast");
        let (_, order) = payments.create(&request).await;
        assert_eq!(order.payment_id, request.payment_id);
    }
}

/// Of 64 payments of one payer that come at once with one identifier, one is claimed.
pub async fn of_64_parallel_claims_of_one_identifier_one_is_new(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = |number| named(payments.request_of(0, number), "order-of-breakfast");
    let opened = at_once(&payments, 64, payments.now, request).await;
    let new: Vec<_> = opened
        .iter()
        .filter_map(|opened| match opened {
            Opened::New(_, order) => Some(order.key),
            _ => None,
        })
        .collect();
    assert_eq!(new.len(), 1);
    assert!(opened.iter().all(|opened| match opened {
        Opened::New(_, order) | Opened::Held(order) => order.key == new[0],
        Opened::Resumed(..) => false,
    }));
}

/// A payment that was not charged and never will be gives its identifier back; who takes it keeps it.
pub async fn an_identifier_of_a_rejected_claim_is_free(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let reason = || Arc::from("insufficient_funds");
    let sent = [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response: None }];
    let failed = |dead| Event::SettleFailed { reason: reason(), dead, transaction: None };
    let alive = [sent.to_vec(), vec![failed(false)]].concat();
    for (number, free, events) in [
        (0, true, vec![Event::VerifyRejected { reason: reason() }]),
        (2, true, vec![Event::VerifyOk, Event::Expired]),
        (4, true, [sent.to_vec(), vec![failed(true)]].concat()),
        (6, false, alive),
    ] {
        let first = named(payments.request(number), "order-of-breakfast");
        let (lease, _) = payments.create(&first).await;
        let left = payments.report(&lease, events).await.state.payment;
        let second = named(payments.request_of(number, number + 1), "order-of-breakfast");
        if free {
            payments.create(&second).await;
        } else {
            assert_eq!(payments.held(&second, payments.now).await.key, first.key, "it may still be charged");
        }
        let order = payments.held(&payments.again(&first, number), payments.now).await;
        // A refused payment would be a new order, had its name not been taken.
        let holder = if left == PaymentState::Rejected { second.key } else { first.key };
        assert_eq!(order.key, holder, "{left:?}");
    }
}

fn named(request: OpenRequest, id: &str) -> OpenRequest {
    OpenRequest { payment_id: Some(PaymentId::new(id).expect("an identifier")), ..request }
}
