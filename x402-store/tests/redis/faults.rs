//! A node that is stopped, hangs, forgets, fails over, is full or busy; answers that are lost.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use devservices::Redis;
use x402_core::{
    order::{Event, OpenRequest, Opened, OrderStore, StoreError, StoredResponse},
    testing::store_contract::Payments,
};

use x402_store::RedisStore;

use super::{NODE, options, proxy::Proxy, store_on};

pub(super) async fn payments_on(urls: &str) -> Payments {
    Payments::new(Arc::new(store_on(urls).await))
}

/// A claim that cannot be made: says so within a second, and what to do.
pub(super) async fn refused(payments: &Payments, number: u32) -> String {
    let began = Instant::now();
    let answer = payments.store.open(&payments.request(number), payments.now).await;
    assert!(began.elapsed() < Duration::from_secs(1), "after {:?}", began.elapsed());
    match answer {
        Err(StoreError::Unavailable(why)) => why.to_string(),
        other => panic!("wanted no answer, got {other:?}"),
    }
}

/// A claim that can be made again, at the latest after so long; returns how long it took.
pub(super) async fn recovers(payments: &Payments, number: u32, limit: Duration) -> Duration {
    let began = Instant::now();
    loop {
        match payments.store.open(&payments.request(number), payments.now).await {
            Ok(_) => return began.elapsed(),
            Err(error) => assert!(began.elapsed() < limit, "{error:?}: {}", source(&error)),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn source(error: &StoreError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_is_unavailable_and_back_without_a_restart_of_ours() {
    let redis = Redis::options().append_fsync("always").start().unwrap();
    let payments = payments_on(&redis.url()).await;
    let (lease, _) = payments.create(&payments.request(0)).await;
    redis.kill().unwrap();
    assert!(payments.store.ping().await.is_err());
    for _ in 0..3 {
        let why = refused(&payments, 1).await;
        assert!(why.contains("cannot be reached"), "{why}");
    }
    redis.restart().unwrap();
    recovers(&payments, 1, Duration::from_secs(2)).await;
    let order = payments.report(&lease, [Event::VerifyOk]).await;
    assert_eq!(order.fence, lease.fence, "what was written before is there");
    payments.store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_wait_for_a_node_that_is_gone_wait_no_longer_than_one() {
    let redis = Redis::start().unwrap();
    let payments = payments_on(&redis.url()).await;
    redis.pause().unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let payments = payments.clone();
            tokio::spawn(async move { refused(&payments, number).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("each is answered within a second");
    }
    redis.resume().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_is_unavailable_and_what_it_was_told_is_no_second_claim() {
    let redis = Redis::start().unwrap();
    let payments = payments_on(&redis.url()).await;
    payments.create(&payments.request(0)).await;
    redis.pause().unwrap();
    let why = refused(&payments, 1).await;
    assert!(why.contains("in time"), "{why}");
    let why = refused(&payments, 2).await;
    assert!(why.contains("in time"), "{why}");
    redis.resume().unwrap();
    recovers(&payments, 3, Duration::from_secs(2)).await;
    // The claim may stand; then it lapses as any other.
    let again = payments.again(&payments.request(1), 1);
    match payments.store.open(&again, payments.now).await.unwrap() {
        Opened::New(..) => {}
        Opened::Held(order) => {
            assert_eq!(order.fence, 1);
            payments.resume(&again, payments.lapsed()).await;
        }
        Opened::Resumed(..) => panic!("the lease has not lapsed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_node_forgets_orders_and_scripts_and_an_old_holder_changes_nothing() {
    let redis = Redis::start().unwrap();
    let url = redis.url();
    let store = || RedisStore::connect(&url);
    let payments = Payments::new(Arc::new(store().await.unwrap()));
    let mut elsewhere = payments.clone();
    elsewhere.store = Arc::new(store().await.unwrap());
    let request = payments.request(0);
    let (old, _) = payments.create(&request).await;
    payments.report(&old, [Event::VerifyOk, Event::HandlerStarted]).await;
    redis.flush().unwrap();
    redis.command(&["SCRIPT", "FLUSH"]).unwrap();
    let overtaken = |answer| matches!(answer, Err(StoreError::Overtaken));
    assert!(overtaken(payments.store.advance(&old, &payments.settled(&request), payments.now).await));
    // The same payment again, elsewhere: every version that the old holder remembers comes again.
    let (old, _) = payments.create(&payments.again(&request, 1)).await;
    redis.flush().unwrap();
    let (new, created) = elsewhere.create(&payments.again(&request, 2)).await;
    assert_eq!(new.fence, old.fence);
    let begun = payments.store.advance(&old, &Event::VerifyOk, payments.now).await;
    assert!(overtaken(begun), "its order is gone, and the one there is another's");
    assert_eq!(format!("{:?}", elsewhere.find(&request).await), format!("{created:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_became_a_replica_is_unavailable_until_there_is_a_primary() {
    let (redis, other) = (Redis::start().unwrap(), Redis::start().unwrap());
    let payments = payments_on(&redis.url()).await;
    let (lease, _) = payments.create(&payments.request(0)).await;
    redis.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]).unwrap();
    let why = refused(&payments, 1).await;
    assert!(why.contains("read-only replica") || why.contains("reached"), "{why}");
    assert!(payments.store.ping().await.is_err(), "it answers, and cannot be written to");
    redis.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    recovers(&payments, 1, Duration::from_secs(2)).await;
    // What the other primary did not know is gone.
    let lost = payments.store.advance(&lease, &Event::VerifyOk, payments.now).await;
    assert!(matches!(lost, Ok(_) | Err(StoreError::Overtaken)), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_behind_one_address_is_followed() {
    let primary = Redis::start().unwrap();
    let replica = Redis::start_replica_of(&primary).unwrap();
    let payments = payments_on(&primary.url()).await;
    let (lease, _) = payments.create(&payments.request(0)).await;
    replica.synced(&primary).unwrap();
    replica.take_over(&primary).unwrap();
    recovers(&payments, 1, Duration::from_secs(2)).await;
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_loads_its_data_is_unavailable_and_says_why() {
    let redis = Redis::options()
        .directive("key-load-delay", "2000")
        .directive("loading-process-events-interval-bytes", "1024")
        .start()
        .unwrap();
    redis.command(&["DEBUG", "POPULATE", "1000", "x", "1000"]).unwrap();
    let payments = payments_on(&redis.url()).await;
    thread::scope(|scope| {
        let reload = scope.spawn(|| redis.command(&["DEBUG", "RELOAD"]));
        thread::sleep(Duration::from_millis(300));
        let handle = tokio::runtime::Handle::current();
        let why = tokio::task::block_in_place(|| handle.block_on(refused(&payments, 1)));
        assert!(why.contains("still loading"), "{why}");
        reload.join().unwrap().unwrap();
    });
    recovers(&payments, 1, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_takes_no_new_orders_and_lets_those_begun_come_to_their_end() {
    let redis = Redis::options().max_memory("32mb").start().unwrap();
    let payments = payments_on(&redis.url()).await;
    let (lease, _) = payments.create(&payments.request(0)).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let refused = payments.store.open(&payments.request(1), payments.now).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    assert!(matches!(payments.store.ping().await, Err(StoreError::Full)));
    let left = redis.command(&["KEYS", &format!("*{}*", payments.request(1).key)]).unwrap();
    assert_eq!(left, "", "no half of an order is there");
    let response = Some(Arc::new(StoredResponse::new(200, Vec::new(), "sunny".into())));
    let events = [
        Event::VerifyOk,
        Event::HandlerStarted,
        Event::SettleStarted { response },
        payments.settled(&payments.request(0)),
        Event::Delivered,
    ];
    payments.report(&lease, events).await;
    assert!(payments.store.response(&lease.key).await.unwrap().is_none(), "there was no room for it");
    // Restarted while it is full, a shop still finishes what was begun.
    let text = redis.command(&["KEYS", "*:format"]).unwrap();
    redis.command(&["DEL", &text]).unwrap();
    options().connect(&redis.url()).await.expect("orders that are there must come to their end");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    payments.create(&payments.request(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_busy_with_a_script_is_unavailable_and_says_how_to_end_it() {
    let redis = Redis::options().directive("busy-reply-threshold", "50").start().unwrap();
    let payments = payments_on(&redis.url()).await;
    thread::scope(|scope| {
        let endless = scope.spawn(|| redis.command(&["EVAL", "while true do end", "0"]));
        thread::sleep(Duration::from_millis(200));
        let handle = tokio::runtime::Handle::current();
        let why = tokio::task::block_in_place(|| handle.block_on(refused(&payments, 1)));
        assert!(why.contains("SCRIPT KILL"), "{why}");
        redis.command(&["SCRIPT", "KILL"]).unwrap();
        endless.join().unwrap().unwrap_err();
    });
    recovers(&payments, 1, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_found_again() {
    let proxy = Proxy::to(NODE.port()).await;
    let payments = payments_on(&proxy.url()).await;
    let (lease, _) = payments.create(&payments.request(0)).await;
    // From here on the scripts are known.
    payments.report(&lease, [Event::VerifyOk]).await;
    for number in 1..20 {
        let request = payments.request(number);
        proxy.lose_next_answer();
        let (lease, _) = payments.create(&request).await;
        proxy.lose_next_answer();
        payments.report(&lease, [Event::VerifyOk]).await;
        proxy.lose_next_answer();
        payments.store.renew(&lease, Duration::from_secs(60), payments.now).await.unwrap();
        payments.report(&lease, [Event::HandlerStarted]).await;
        let told = payments.store.history(&lease.key).await.unwrap();
        assert_eq!(told.len(), 3, "each was done once: {told:?}");
    }
    assert_eq!(proxy.lost(), 57);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_copies_over_two_instances_one_is_new() {
    copies_over_two_instances(&NODE.url(), 10).await;
}

/// So many rounds, each of 200 presentations of one payment, every other one at another instance.
pub(super) async fn copies_over_two_instances(urls: &str, rounds: u32) {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let prefix = format!("twins-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let store = || options().prefix(&prefix).patience(Duration::from_secs(5)).connect(urls);
    let instances: [Arc<dyn OrderStore>; 2] =
        [Arc::new(store().await.unwrap()), Arc::new(store().await.unwrap())];
    let payments = Payments::new(Arc::clone(&instances[0]));
    for round in 0..rounds {
        let request = payments.request(round);
        let tasks: Vec<_> = (0..200)
            .map(|copy| {
                let (store, now) = (Arc::clone(&instances[copy as usize % 2]), payments.now);
                let request: OpenRequest = payments.again(&request, copy);
                tokio::spawn(async move { store.open(&request, now).await })
            })
            .collect();
        let mut new = 0;
        for task in tasks {
            match task.await.unwrap().unwrap() {
                Opened::New(..) => new += 1,
                Opened::Held(_) => {}
                Opened::Resumed(..) => panic!("the lease has not lapsed"),
            }
        }
        assert_eq!(new, 1);
    }
}
