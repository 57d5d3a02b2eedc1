//! What group commit is worth, with a disk that is waited for.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use devservices::Postgres;
use x402_core::{
    order::{Event, OrderStore, StoredResponse},
    testing::store_contract::Payments,
};

use crate::support::patient;

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_come_at_once_wait_for_the_disk_together() {
    let server = Postgres::options().start().unwrap_or_else(|error| panic!("{error}"));
    let url = server.database().unwrap();
    let store: Arc<dyn OrderStore> = Arc::new(patient(&url).await);
    for _ in 0..ROUNDS {
        let payments = Payments::new(Arc::clone(&store));
        let begun = Instant::now();
        for number in 0..ALONE {
            payments.create(&payments.request(number)).await;
        }
        let alone = f64::from(ALONE) / begun.elapsed().as_secs_f64();
        let payments = Payments::new(Arc::clone(&store));
        let requests: Vec<_> = (0..TOGETHER).map(|number| payments.request(number)).collect();
        let begun = Instant::now();
        let mut crowd = Vec::new();
        for request in requests {
            let payments = payments.clone();
            crowd.push(tokio::spawn(async move { payments.create(&request).await }));
            if crowd.len() == CROWD {
                for created in crowd.drain(..) {
                    created.await.unwrap();
                }
            }
        }
        for created in crowd {
            created.await.unwrap();
        }
        let together = f64::from(TOGETHER) / begun.elapsed().as_secs_f64();
        let times = together / alone;
        println!(
            "durable orders per second: {alone:.0} one by one, {together:.0} by {CROWD} at once: {times:.1} times"
        );
        // Where the disk is quick there is less to share.
        if times >= if alone < SLOW { 10.0 } else { 3.0 } {
            return;
        }
    }
    panic!("the disk is waited for by each on its own");
}

/// Seven steps each, with a response to keep.
#[tokio::test(flavor = "multi_thread")]
async fn whole_orders_wait_for_the_disk_together() {
    let server = Postgres::options().start().unwrap_or_else(|error| panic!("{error}"));
    let store: Arc<dyn OrderStore> = Arc::new(patient(&server.database().unwrap()).await);
    let whole = async |payments: Payments, number: u32| {
        let response = StoredResponse::new(200, vec![], Bytes::from_static(&[b'x'; 1000]));
        let (lease, _) = payments.settle(&payments.request(number), Some(response)).await;
        payments.report(&lease, [Event::Delivered]).await;
    };
    let payments = Payments::new(store);
    let begun = Instant::now();
    for number in 0..WHOLE_ALONE {
        whole(payments.clone(), number).await;
    }
    let alone = f64::from(WHOLE_ALONE) / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let crowd: Vec<_> = (WHOLE_ALONE..WHOLE_ALONE + WHOLE_TOGETHER)
        .map(|number| tokio::spawn(whole(payments.clone(), number)))
        .collect();
    for paid in crowd {
        paid.await.unwrap();
    }
    let together = f64::from(WHOLE_TOGETHER) / begun.elapsed().as_secs_f64();
    let times = together / alone;
    println!("whole orders per second: {alone:.0} one by one, {together:.0} at once: {times:.1} times");
    assert!(times >= 3.0, "{times:.1} times");
}

const ALONE: u32 = 200;
const TOGETHER: u32 = 6_000;
const CROWD: usize = 1_000;
/// Other tests use the same disk.
const ROUNDS: u32 = 3;
const WHOLE_ALONE: u32 = 30;
const WHOLE_TOGETHER: u32 = 1_000;
const SLOW: f64 = 400.0;
