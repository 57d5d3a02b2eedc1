//! How long a claim takes in Redis on loopback, beside the least it could be: one `SET key value NX PX`.
//!
//! Run with `cargo xtask bench redis_open`.

use std::{
    env,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use devservices::{Redis, RedisCluster};
use tokio::task::JoinSet;
use x402_core::{order::OrderStore, testing::store_contract::Payments};
use x402_store::RedisStore;

type BoxError = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // Servers are not started for somebody else's benchmark.
    if !env::args().skip(1).all(|word| word.starts_with('-') || "redis_open".contains(&word)) {
        return Ok(());
    }
    let redis = Redis::start()?;
    let plain = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let store = RedisStore::connect(&redis.url()).await?;
    let cluster = RedisCluster::start()?;
    let spread = RedisStore::connect(&cluster.urls().join(",")).await?;
    println!("{:>10} {:<24} {:>10} {:>10} {:>10}", "in flight", "", "p50", "p99", "per second");
    for in_flight in [1, 64] {
        let set = measure(in_flight, |number| {
            let mut connection = plain.clone();
            let mut command = redis::cmd("SET");
            command.arg(format!("bench:{in_flight}:{number}")).arg(1).arg("NX").arg("PX").arg(600_000);
            async move { command.exec_async(&mut connection).await.expect("Redis answers") }
        });
        tell(in_flight, "SET NX PX", set.await);
        for (name, store) in [("open, one node", &store), ("open, three nodes", &spread)] {
            let payments = Payments::new(Arc::new(store.clone()));
            let open = measure(in_flight, |number| {
                let (store, request, now) = (store.clone(), payments.request(number), payments.now);
                async move { drop(store.open(&request, now).await.expect("Redis answers")) }
            });
            tell(in_flight, name, open.await);
        }
    }
    Ok(())
}

/// Times of so many calls, so many of them at once, and of all together.
async fn measure<F>(in_flight: u32, call: impl Fn(u32) -> F) -> (Vec<Duration>, Duration)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut calls = (0..CALLS + WARM_UP).map(|number| (number >= WARM_UP, call(number)));
    let mut running = JoinSet::new();
    let mut times = Vec::new();
    let mut began = Instant::now();
    loop {
        while running.len() < in_flight as usize
            && let Some((counts, call)) = calls.next()
        {
            running.spawn(async move {
                let began = Instant::now();
                call.await;
                (counts, began.elapsed())
            });
        }
        match running.join_next().await {
            Some(Ok((true, time))) => times.push(time),
            Some(_) => began = Instant::now(),
            None => break,
        }
    }
    times.sort_unstable();
    (times, began.elapsed())
}

fn tell(in_flight: u32, name: &str, (times, together): (Vec<Duration>, Duration)) {
    let micros = |part: usize| times[times.len() * part / 100].as_micros();
    let per_second = times.len() as u128 * 1_000_000 / together.as_micros().max(1);
    println!("{in_flight:>10} {name:<24} {:>7} us {:>7} us {per_second:>10}", micros(50), micros(99));
}

const CALLS: u32 = 5_000;
const WARM_UP: u32 = 500;
