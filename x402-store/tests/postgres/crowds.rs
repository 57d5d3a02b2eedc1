//! Many instances, and many who come for the same.

use std::{sync::Arc, time::Duration};

use x402_core::{
    order::{Event, Opened, OrderStore as _, PaymentId, StoreError},
    testing::store_contract::Payments,
};

use crate::support::{database, patient, server};

#[tokio::test(flavor = "multi_thread")]
async fn of_5_copies_each_of_1000_payments_over_4_instances_one_is_new() {
    let url = database();
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(Arc::new(patient(&url).await));
    }
    let payments = Payments::new(stores[0].clone());
    let mut copies = Vec::new();
    for copy in 0..5 {
        for number in 0..1000 {
            let request = payments.again(&payments.request(number), copy * 1000 + number);
            let store = Arc::clone(&stores[(copy + number) as usize % stores.len()]);
            let now = payments.now;
            copies.push(tokio::spawn(async move {
                match store.open(&request, now).await.expect("the store answers") {
                    Opened::New(lease, _) => {
                        store.advance(&lease, &Event::VerifyOk, now).await.expect("it is ours");
                        1
                    }
                    Opened::Held(_) => 0,
                    Opened::Resumed(..) => panic!("nobody let go of it"),
                }
            }));
        }
    }
    let mut new = 0;
    for copy in copies {
        new += copy.await.expect("no task panics");
    }
    assert_eq!(new, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cross_between_instances_lock_nobody_out() {
    let url = database();
    let stores = [Arc::new(patient(&url).await), Arc::new(patient(&url).await)];
    let payments = Payments::new(stores[0].clone());
    let mut copies = Vec::new();
    // Ten payers, each with five payments that come under three names, in any order, over and over.
    for round in 0..8 {
        for number in 0..50 {
            let store = Arc::clone(&stores[(number + round) as usize % 2]);
            let name = format!("order-of-breakfast-{}", (number + round) % 3);
            let mut request = payments.again(&payments.request(number), round * 100 + number);
            request.payer = payments.request(number % 10).payer;
            request.payment_id = PaymentId::new(&name).ok();
            let now = payments.now;
            copies.push(tokio::spawn(async move {
                let opened = loop {
                    match store.open(&request, now).await {
                        // Others were faster, again and again; its client would be told to come back.
                        Err(StoreError::Unavailable(why)) => {
                            assert!(why.to_string().contains("faster"), "{why}");
                        }
                        opened => break opened.expect("the store answers"),
                    }
                };
                let Opened::New(lease, _) = opened else { return };
                let refused = Event::VerifyRejected { reason: "insufficient_funds".into() };
                store.advance(&lease, &refused, now).await.expect("it is ours");
            }));
        }
    }
    for copy in copies {
        copy.await.expect("no task panics");
    }
    drop((stores, payments));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(server().sql(&url, deadlocks).unwrap(), "0");
}
