//! What the database itself holds everybody to, and what it does not keep.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use x402_core::order::{Event, OrderStore as _, StoreError, StoredResponse};
use x402_store::PostgresStore;

use crate::support::{connect, database, payments, server, store};

#[tokio::test]
async fn what_is_final_cannot_be_changed_by_hand_either() {
    let url = database();
    let store = connect(&url).await;
    let payments = payments(&store);
    let (lease, order) = payments.settle(&payments.request(0), None).await;
    payments.report(&lease, [Event::Delivered]).await;
    let before = server().sql(&url, "SELECT * FROM x402.orders").unwrap();
    for statement in [
        "UPDATE x402.transitions SET at = 0",
        "DELETE FROM x402.transitions",
        "TRUNCATE x402.transitions",
        "DELETE FROM x402.orders",
        "TRUNCATE x402.orders",
        "UPDATE x402.orders SET payment = 'failed'",
        "UPDATE x402.orders SET delivery = 'errored'",
        "UPDATE x402.orders SET settlement = NULL",
        "UPDATE x402.orders SET transaction = '0xother'",
        "UPDATE x402.orders SET log_index = 3",
    ] {
        let refused = server().sql(&url, statement).expect_err(statement).to_string();
        assert!(refused.contains("is refused"), "{statement}: {refused}");
    }
    assert_eq!(server().sql(&url, "SELECT * FROM x402.orders").unwrap(), before);
    assert_eq!(store.history(&order.key).await.unwrap().len(), 6);
}

#[tokio::test]
async fn responses_are_forgotten_when_their_time_is_over_and_orders_are_not() {
    let url = database();
    let lifetime = Duration::from_secs(60);
    let store =
        PostgresStore::builder(&url).response_lifetime(lifetime).patience(lifetime).connect().await.unwrap();
    let payments = payments(&store);
    let count = 1_100;
    let response = || Some(StoredResponse::new(200, vec![], Bytes::from_static(b"sunny")));
    let settling = (0..count).map(|number| {
        let (payments, request) = (payments.clone(), payments.request(number));
        tokio::spawn(async move { payments.settle(&request, response()).await })
    });
    for settled in settling.collect::<Vec<_>>() {
        settled.await.unwrap();
    }
    let kept = || server().sql(&url, "SELECT count(*) FROM x402.responses").unwrap();
    store.tidy(payments.now.after(lifetime - Duration::from_secs(1))).await.unwrap();
    assert_eq!(kept(), count.to_string());
    store.tidy(payments.now.after(lifetime)).await.unwrap();
    assert_eq!(kept(), "0");
    assert!(store.response(&payments.request(0).key).await.unwrap().is_none());
    assert_eq!(server().sql(&url, "SELECT count(*) FROM x402.orders").unwrap(), count.to_string());
}

#[tokio::test]
async fn a_response_that_is_too_long_is_not_kept() {
    let url = database();
    let store = PostgresStore::builder(&url).response_bytes(1000).connect().await.unwrap();
    let payments = payments(&store);
    for (number, length, is_kept) in [(0, 100, true), (1, 1000, false)] {
        let request = payments.request(number);
        let body = Bytes::from(vec![b'x'; length]);
        payments.settle(&request, Some(StoredResponse::new(200, vec![], body))).await;
        assert_eq!(store.response(&request.key).await.unwrap().is_some(), is_kept, "{length}");
    }
}

#[tokio::test]
async fn a_zero_in_a_text_from_elsewhere_stops_nothing() {
    let payments = payments(&store().await);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let reason: Arc<str> = "no\0good".into();
    let order = payments.report(&lease, [Event::VerifyRejected { reason: Arc::clone(&reason) }]).await;
    assert_eq!(order.reason.as_ref(), Some(&reason));
    assert_eq!(payments.find(&request).await.reason, Some(reason));
}

#[tokio::test]
async fn nothing_secret_is_left_of_a_payment_that_is_settled() {
    let url = database();
    let store = connect(&url).await;
    let payments = payments(&store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let deferred = payments.deferred(&request, None);
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, deferred]).await;
    let everything = || server().sql(&url, "SELECT * FROM x402.orders").unwrap();
    assert!(everything().contains("signature"));
    payments.report(&lease, [Event::Delivered, payments.settled(&request)]).await;
    assert!(!everything().contains("signature"));
}

#[tokio::test]
async fn every_question_follows_an_index() {
    let url = database();
    let store = connect(&url).await;
    payments(&store).settle(&payments(&store).request(0), None).await;
    for (condition, index) in [
        ("due_at <= 5 ORDER BY due_at LIMIT 5", "orders_due"),
        ("owes", "orders_owed"),
        ("(created_at, key) < (5, '\\x00') ORDER BY created_at DESC, key DESC LIMIT 5", "orders_newest"),
        (
            "lower(payer) = 'x' AND (created_at, key) < (5, '\\x00') ORDER BY created_at DESC, key DESC LIMIT 5",
            "orders_payer",
        ),
        ("route = 'x' ORDER BY created_at DESC, key DESC LIMIT 5", "orders_route"),
        (
            "status = 'failed' AND status <> 'completed' ORDER BY created_at DESC, key DESC LIMIT 5",
            "orders_open",
        ),
        ("attention AND payment = 'settled' ORDER BY created_at DESC, key DESC LIMIT 5", "orders_attention"),
        ("payer = 'x' AND payment_id = 'y'", "orders_name"),
    ] {
        let explain = format!(
            "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; EXPLAIN SELECT document FROM x402.orders WHERE {condition}"
        );
        let plan = server().sql(&url, &explain).unwrap();
        assert!(plan.contains(index), "{condition}: {plan}");
        assert!(!plan.contains("Sort"), "{condition}: {plan}");
    }
}

/// A replica that takes over may lack the last changes, whose versions are then used again.
#[tokio::test]
async fn a_holder_whose_changes_were_lost_does_not_write_over_who_took_the_order() {
    let url = database();
    let (here, elsewhere) = (connect(&url).await, connect(&url).await);
    let (payments, others) = (payments(&here), payments(&elsewhere));
    let request = payments.request(0);
    let (late, _) = payments.create(&request).await;
    here.renew(&late, Duration::from_secs(3600), payments.now).await.unwrap();
    let lost = "UPDATE x402.orders SET version = version - 1, document = \
                replace(document::text, substring(document::text, '\"leasedUntil\":[0-9]+'), '\"leasedUntil\":1')::json";
    server().sql(&url, lost).unwrap();
    let (lease, _) = others.resume(&payments.again(&request, 1), payments.lapsed()).await;
    let refused = here.advance(&late, &Event::VerifyOk, payments.lapsed()).await;
    assert!(matches!(refused, Err(StoreError::Overtaken)), "{refused:?}");
    let order = others.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    assert_eq!(order.fence, lease.fence);
}
