//! What group commit is worth, with a disk that is waited for.

use std::{sync::Arc, time::Instant};

use devservices::Postgres;
use x402_core::{order::OrderStore, testing::store_contract::Payments};

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

const ALONE: u32 = 200;
const TOGETHER: u32 = 6_000;
const CROWD: usize = 1_000;
/// Other tests use the same disk.
const ROUNDS: u32 = 3;
const SLOW: f64 = 400.0;
