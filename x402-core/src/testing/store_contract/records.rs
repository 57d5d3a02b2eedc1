//! What a store remembers, and for how long.

use std::{sync::Arc, time::Duration};

use super::payments::{LEASE, MEMORY, Payments, response};
use crate::order::{ENTITLEMENT, Event, Lease, OpenRequest, OrderStore, OwnerToken, StoreError};

/// A store that was never told of a payment has nothing and changes nothing.
pub async fn nothing_is_known_of_a_payment_never_claimed(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    assert!(payments.found(&request, payments.now).await.is_none());
    assert!(payments.store.response(&request.key).await.expect("the store answers").is_none());
    let lease = Lease { key: request.key, owner: OwnerToken::new([0; 16]), fence: 1 };
    let refused = payments.store.advance(&lease, &Event::VerifyOk, payments.now).await;
    assert!(matches!(refused, Err(StoreError::Overtaken)), "{refused:?}");
    let refused = payments.store.renew(&lease, LEASE, payments.now).await;
    assert!(matches!(refused, Err(StoreError::Overtaken)), "{refused:?}");
    assert!(payments.found(&request, payments.now).await.is_none());
}

/// Every step returns the order as it is from then on, down to the last field.
pub async fn what_is_found_is_what_was_written(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, created) = payments.create(&request).await;
    assert_eq!(format!("{:?}", payments.find(&request).await), format!("{created:?}"));
    assert_eq!((created.id, created.key, created.digest), (request.id, request.key, request.digest));
    assert_eq!((&created.payer, &created.terms), (&request.payer, &request.terms));
    assert_eq!((created.leased_until, created.keep_until), (Some(payments.lapsed()), request.keep_until));
    for event in [
        Event::VerifyOk,
        Event::HandlerStarted,
        Event::SettleStarted { response: Some(Arc::new(response())) },
        Event::SettleUnclear { transaction: Some("0xabc".into()) },
        payments.settled(&request),
        Event::Delivered,
    ] {
        let advanced = payments.report(&lease, [event]).await;
        assert_eq!(format!("{:?}", payments.find(&request).await), format!("{advanced:?}"));
    }
    let delivered = payments.find(&request).await;
    assert_eq!(delivered.transaction.as_deref(), Some("0xabc"));
    assert_eq!(delivered.settlement.expect("it is settled").payer, &*request.payer);
}

/// Events that cannot happen in an order's state leave it as it is.
pub async fn impossible_events_change_nothing(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let before = format!("{:?}", payments.find(&request).await);
    for event in [
        Event::HandlerStarted,
        Event::SettleStarted { response: Some(Arc::new(response())) },
        payments.settled(&request),
        Event::Delivered,
        Event::Undelivered,
    ] {
        let refused = payments.store.advance(&lease, &event, payments.now).await;
        assert!(matches!(refused, Err(StoreError::Illegal(_))), "{event:?}: {refused:?}");
    }
    assert_eq!(format!("{:?}", payments.find(&request).await), before);
    let kept = payments.store.response(&request.key).await.expect("the store answers");
    assert!(kept.is_none(), "a response that came with a refused event is not kept");
}

/// A response is there as soon as its order says so, and stays when the same authorization is sent once more.
pub async fn a_kept_response_is_returned_and_survives_a_second_settlement(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    let started = Event::SettleStarted { response: Some(Arc::new(response())) };
    assert!(payments.report(&lease, [started]).await.response_kept);
    let again = [Event::SettleUnclear { transaction: None }, Event::SettleStarted { response: None }];
    assert!(payments.report(&lease, again).await.response_kept);
    let order = payments.report(&lease, [payments.settled(&request), Event::Undelivered]).await;
    assert!(order.response_kept);
    let kept = payments.store.response(&request.key).await.expect("the store answers");
    assert_eq!(kept.as_deref(), Some(&response()));
    let (_, order) = payments.resume(&payments.again(&request, 1), payments.now).await;
    assert!(order.response_kept, "it is there for who comes for it");
}

/// An order is there until the second it need not be remembered, held or not.
pub async fn an_order_is_remembered_until_it_may_be_forgotten(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyOk, Event::Released]).await;
    let last_second = request.keep_until.before(Duration::from_secs(1));
    // Others come and go meanwhile.
    for number in 1..64 {
        let other = payments.request(number);
        payments.store.open(&other, last_second).await.expect("the store answers");
    }
    assert!(payments.found(&request, last_second).await.is_some());
    payments.resume(&payments.again(&request, 1), last_second).await;
}

/// Money that moved is remembered for as long as its payer may come for what it bought.
pub async fn a_settled_order_is_remembered_longer(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, order) = payments.settle(&request, None).await;
    assert!(order.keep_until >= payments.now.after(ENTITLEMENT));
    payments.report(&lease, [Event::Undelivered]).await;
    let much_later = payments.now.after(ENTITLEMENT).before(Duration::from_secs(1));
    for number in 1..64 {
        payments
            .store
            .open(&payments.request(number), payments.now.after(MEMORY * 2))
            .await
            .expect("the store answers");
    }
    let (_, order) = payments.resume(&payments.again(&request, 1), much_later).await;
    assert!(order.is_settled());
}

/// Tidying up leaves what must be there: orders, responses, payments that are owed.
pub async fn what_must_be_kept_survives_tidying(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let (settled, claimed, deferred) = (payments.request(0), payments.request(1), payments.request(2));
    let (lease, _) = payments.settle(&settled, Some(response())).await;
    payments.report(&lease, [Event::Undelivered]).await;
    payments.create(&claimed).await;
    let (lease, _) = payments.create(&deferred).await;
    let begun = [Event::VerifyOk, Event::HandlerStarted, payments.deferred(&deferred, None)];
    payments.report(&lease, begun).await;
    payments.store.tidy(payments.now).await.expect("the store answers");
    let kept = payments.store.response(&settled.key).await.expect("the store answers");
    assert_eq!(kept.as_deref(), Some(&response()));
    let last_second = claimed.keep_until.before(Duration::from_secs(1));
    payments.store.tidy(last_second).await.expect("the store answers");
    for request in [&settled, &claimed, &deferred] {
        assert!(payments.found(request, last_second).await.is_some());
    }
    let kept = payments.store.payment(&deferred.key).await.expect("the store answers");
    assert!(kept.is_some(), "it is still owed");
    payments.resume(&payments.again(&settled, 1), last_second).await;
}

/// A store that works says so.
pub async fn a_store_that_works_answers_a_ping(store: Arc<dyn OrderStore>) {
    store.ping().await.expect("the store answers");
}

/// Where an order comes from is kept whole, through every change, or not at all.
pub async fn provenance_is_kept_whole_or_not_at_all(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.traced(0);
    let (lease, _) = payments.create(&request).await;
    let kept = payments.find(&request).await.provenance;
    assert!(kept.is_none() || kept == request.provenance, "{kept:?}");
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    assert_eq!(payments.find(&request).await.provenance, kept);
    // Presented again it may come from elsewhere: what is kept is where it came from first.
    let again = OpenRequest { provenance: None, ..payments.again(&request, 1) };
    payments.resume(&again, payments.lapsed()).await;
    assert_eq!(payments.find(&request).await.provenance, kept);
}
