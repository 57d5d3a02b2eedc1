//! Payers' own names for their payments.

use std::sync::Arc;

use super::{claims::at_once, payments::Payments};
use crate::order::{Event, OpenRequest, Opened, OrderStore, PaymentId};

/// Two payments of one payer cannot have one identifier, and a payment keeps the one it came with.
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
    payments.held(&renamed, payments.lapsed()).await;
    payments.resume(&payments.again(&first, 2), payments.lapsed()).await;
    payments.create(&OpenRequest { payment_id: None, ..second }).await;
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

/// A refused payment gives its identifier back; who takes it keeps it.
pub async fn an_identifier_of_a_rejected_claim_is_free(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let first = named(payments.request(0), "order-of-breakfast");
    let (lease, _) = payments.create(&first).await;
    payments.report(&lease, [Event::VerifyRejected { reason: "insufficient_funds".into() }]).await;
    let second = named(payments.request_of(0, 1), "order-of-breakfast");
    payments.create(&second).await;
    let order = payments.held(&payments.again(&first, 1), payments.now).await;
    assert_eq!(order.key, second.key);
}

fn named(request: OpenRequest, id: &str) -> OpenRequest {
    OpenRequest { payment_id: Some(PaymentId::new(id).expect("an identifier")), ..request }
}
