//! What group commit is worth, with a disk that is waited for.

use std::{sync::Arc, time::Instant};

use devservices::Postgres;
use x402_core::{order::OrderStore, testing::store_contract::Payments};

use crate::support::patient;

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_at_once_are_durable_ten_times_as_fast_as_one_by_one() {
    let server = Postgres::options().start().unwrap_or_else(|error| panic!("{error}"));
    let url = server.database().unwrap();
    let store: Arc<dyn OrderStore> = Arc::new(patient(&url).await);
    let mut best: f64 = 0.0;
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
        best = best.max(together / alone);
        println!(
            "durable orders per second: {alone:.0} one by one, {together:.0} by {CROWD} at once: {:.1} times",
            together / alone
        );
        if best >= WANTED {
            break;
        }
    }
    assert!(best >= WANTED, "{best:.1} times");
}

const ALONE: u32 = 200;
const TOGETHER: u32 = 6_000;
const CROWD: usize = 1_000;
/// Other tests use the same disk.
const ROUNDS: u32 = 3;
const WANTED: f64 = 10.0;
