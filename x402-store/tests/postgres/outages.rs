//! Servers that go away and come back.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use devservices::Postgres;
use tokio::time::sleep;
use x402_core::order::{Event, Opened, OrderStore as _};
use x402_store::PostgresStore;

use crate::{
    load::Load,
    support::{connect, database, payments, recovered, server, signal, store, unavailable},
};

/// A server of the test's own, and a store there.
async fn own() -> (Arc<Postgres>, PostgresStore) {
    let server = Arc::new(Postgres::options().start().unwrap_or_else(|error| panic!("{error}")));
    let url = server.database().expect("the server makes a database");
    (server, connect(&url).await)
}

async fn blocking(server: &Arc<Postgres>, act: impl FnOnce(&Postgres) + Send + 'static) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || act(&server)).await.expect("it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_a_load_loses_nothing() {
    let (server, store) = own().await;
    let load = Load::start(&store, 32);
    for _ in 0..3 {
        sleep(Duration::from_millis(700)).await;
        blocking(&server, |server| server.restart().expect("it starts again")).await;
    }
    sleep(Duration::from_millis(700)).await;
    println!(
        "{} payments, {} steps without an answer",
        load.begun(),
        load.load.errors.load(Ordering::Relaxed)
    );
    load.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_server_that_is_killed() {
    let (server, store) = own().await;
    let load = Load::start(&store, 32);
    for _ in 0..3 {
        sleep(Duration::from_millis(700)).await;
        blocking(&server, |server| {
            server.kill().expect("it runs");
            server.restart().expect("it recovers");
        })
        .await;
    }
    sleep(Duration::from_millis(700)).await;
    println!(
        "{} payments, {} steps without an answer",
        load.begun(),
        load.load.errors.load(Ordering::Relaxed)
    );
    load.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_in_the_middle_of_a_statement_lose_nothing() {
    let url = database();
    let store = connect(&url).await;
    let load = Load::start(&store, 32);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'x402' AND random() < 0.5";
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        let url = url.clone();
        tokio::task::spawn_blocking(move || server().sql(&url, cut).unwrap()).await.unwrap();
    }
    println!(
        "{} payments, {} steps without an answer",
        load.begun(),
        load.load.errors.load(Ordering::Relaxed)
    );
    load.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_fails_steps_in_time_and_is_used_again() {
    let (server, store) = own().await;
    let load = Load::start(&store, 16);
    sleep(Duration::from_millis(500)).await;
    signal(&server, "-STOP");
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(5) {
        let asked = Instant::now();
        let why = unavailable(store.ping().await);
        assert!(why.contains("time"), "{why}");
        assert!(asked.elapsed() < Duration::from_millis(1500), "{:?}", asked.elapsed());
    }
    signal(&server, "-CONT");
    let resumed = Instant::now();
    recovered(&store, Duration::from_secs(5)).await;
    println!("recovered after {:?}", resumed.elapsed());
    sleep(Duration::from_millis(500)).await;
    let slowest = *load.load.slowest.lock().unwrap();
    println!("slowest step {slowest:?}");
    assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
    load.over().await;
}

#[tokio::test]
async fn a_server_that_is_down_is_named_at_once_and_missed_no_longer_when_it_is_back() {
    let (server, store) = own().await;
    let payments = payments(&store);
    let (lease, _) = payments.create(&payments.request(0)).await;
    blocking(&server, |server| server.stop().expect("it runs")).await;
    let asked = Instant::now();
    let why = unavailable(store.advance(&lease, &Event::VerifyOk, payments.now).await);
    assert!(why.contains("PostgreSQL refuses connections"), "{why}");
    let why = unavailable(store.open(&payments.request(1), payments.now).await);
    assert!(why.contains("PostgreSQL refuses connections"), "{why}");
    unavailable(store.ping().await);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    blocking(&server, |server| server.restart().expect("it starts again")).await;
    recovered(&store, Duration::from_secs(2)).await;
    store.advance(&lease, &Event::VerifyOk, payments.now).await.expect("the same store goes on");
    payments.create(&payments.request(1)).await;
}

#[tokio::test]
async fn a_row_that_somebody_else_locks_does_not_hold_up_the_others() {
    let url = database();
    let store = connect(&url).await;
    let payments = payments(&store);
    let (lease, order) = payments.create(&payments.request(0)).await;
    let hold = format!(
        "BEGIN; SELECT 1 FROM x402.orders WHERE key = '\\x{}' FOR UPDATE; SELECT pg_sleep(3); COMMIT",
        order.key
    );
    let held = tokio::task::spawn_blocking(move || server().sql(&url, &hold));
    sleep(Duration::from_millis(500)).await;
    let (slow, quick) = tokio::join!(store.advance(&lease, &Event::VerifyOk, payments.now), async {
        let begun = Instant::now();
        for number in 1..20 {
            let (lease, _) = payments.create(&payments.request(number)).await;
            payments.report(&lease, [Event::VerifyOk]).await;
        }
        begun.elapsed()
    });
    unavailable(slow);
    println!("the others took {quick:?}");
    held.await.unwrap().unwrap();
    store.advance(&lease, &Event::VerifyOk, payments.now).await.expect("it is free again");
}

#[tokio::test]
async fn a_store_that_is_dropped_leaves_no_connection() {
    let url = database();
    let connections = || {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name = 'x402'";
        server().sql(&url, count).unwrap()
    };
    let store = connect(&url).await;
    assert_eq!(connections(), "6");
    drop(store);
    for _ in 0..200 {
        if connections() == "0" {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{} connections are left", connections());
}

#[tokio::test]
async fn tables_that_are_gone_are_no_orders() {
    let url = database();
    let store = connect(&url).await;
    server().sql(&url, "DROP SCHEMA x402 CASCADE").unwrap();
    let payments = payments(&store);
    let why = unavailable(store.open(&payments.request(0), payments.now).await);
    assert!(why.contains("tables"), "{why}");
    let why = unavailable(store.find(&payments.request(0).key, payments.now).await);
    assert!(why.contains("tables"), "{why}");
}

#[tokio::test]
async fn a_claim_is_new_once_whatever_is_said_of_it() {
    let store = store().await;
    let payments = payments(&store);
    let request = payments.request(0);
    payments.create(&request).await;
    // The same presentation once more: its answer was lost.
    let opened = store.open(&request, payments.now).await.unwrap();
    assert!(matches!(opened, Opened::New(..)), "{opened:?}");
}
