//! What is in Redis, and for how long.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use devservices::Redis;
use x402_core::{
    order::{ENTITLEMENT, Event, OpenRequest, OwnerToken, PaymentId, StoredResponse, Worker},
    testing::store_contract::Payments,
};
use x402_store::RedisStore;

use super::{CLUSTER, NODE, options};

const MARGIN: u64 = 60;

async fn alone() -> (Redis, Payments) {
    let redis = Redis::start().unwrap();
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    (redis, Payments::new(Arc::new(store)))
}

/// Seconds that the only key of this kind has left to live.
fn left(redis: &Redis, kind: &str) -> u64 {
    let key = redis.command(&["KEYS", &format!("x402:*:{kind}:*")]).unwrap();
    redis.command(&["TTL", &key]).unwrap().parse().unwrap_or_else(|_| panic!("{kind}: {key:?}"))
}

fn near(left: u64, wanted: u64) -> bool {
    left <= wanted && left + 20 > wanted
}

fn sunny(bytes: usize) -> Option<Arc<StoredResponse>> {
    Some(Arc::new(StoredResponse::new(200, Vec::new(), vec![b's'; bytes].into())))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_live_as_long_as_they_must_and_a_minute_more() {
    let (redis, payments) = alone().await;
    let id = PaymentId::new("order-of-breakfast").ok();
    let request = OpenRequest { payment_id: id, ..payments.request(0) };
    let memory = request.keep_until.since(payments.now).as_secs();
    let (lease, _) = payments.create(&request).await;
    let all = ["o", "i", "n", "h"];
    for kind in all {
        assert!(near(left(&redis, kind), memory + MARGIN), "{kind}: {}", left(&redis, kind));
    }
    let short = || payments.store.renew(&lease, Duration::from_secs(1), payments.now);
    short().await.unwrap();
    assert!(near(left(&redis, "o"), memory + MARGIN), "a short lease makes it live no shorter");
    payments.store.renew(&lease, Duration::from_secs(memory * 2), payments.now).await.unwrap();
    assert!(near(left(&redis, "o"), memory * 2 + MARGIN), "and one that runs longer makes it live longer");
    short().await.unwrap();
    assert!(
        near(left(&redis, "o"), memory * 2 + MARGIN),
        "until it is over: a renewal that comes late shortens nothing"
    );
    let response = sunny(10);
    let events = [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response }];
    payments.report(&lease, events).await;
    payments.report(&lease, [payments.settled(&request)]).await;
    for kind in all {
        assert!(near(left(&redis, kind), ENTITLEMENT.as_secs() + MARGIN), "{kind}: {}", left(&redis, kind));
    }
    assert!(near(left(&redis, "r"), 600), "a response has ten minutes of its own");
    payments.report(&lease, [Event::Delivered]).await;
    assert!(near(left(&redis, "o"), ENTITLEMENT.as_secs() + MARGIN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_order_is_soon_forgotten() {
    let (redis, payments) = alone().await;
    let (lease, _) = payments.create(&payments.request(0)).await;
    payments.report(&lease, [Event::VerifyRejected { reason: "insufficient_funds".into() }]).await;
    assert!(near(left(&redis, "o"), 60 + MARGIN), "{}", left(&redis, "o"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_nowhere_once_its_order_is_settled() {
    let (redis, payments) = alone().await;
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let deferred = payments.deferred(&request, None);
    let json = deferred.payment().unwrap().json.to_string();
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, deferred]).await;
    let holds = |redis: &Redis| {
        let keys = redis.command(&["KEYS", "*"]).unwrap();
        let strings = keys.lines().filter_map(|key| redis.command(&["GET", key]).ok());
        strings.filter(|value| value.contains(&serde_text(&json))).count()
    };
    assert_eq!(holds(&redis), 1);
    assert!(left(&redis, "p") > 60);
    payments.report(&lease, [payments.settled(&request)]).await;
    assert_eq!(holds(&redis), 0);
    assert_eq!(redis.command(&["KEYS", "x402:*:p:*"]).unwrap(), "");
}

/// A text as it stands within a JSON text.
fn serde_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_over_the_limit_is_not_kept_and_one_below_ends_in_its_time() {
    let store = options().response_limit(1000).response_lifetime(Duration::from_millis(300));
    let payments = Payments::new(Arc::new(store.connect(&NODE.url()).await.unwrap()));
    for (number, bytes, kept) in [(0, 2000, false), (1, 500, true)] {
        let (lease, _) = payments.create(&payments.request(number)).await;
        let started = Event::SettleStarted { response: sunny(bytes) };
        payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, started]).await;
        let found = || async { payments.store.response(&lease.key).await.unwrap().is_some() };
        assert_eq!(found().await, kept);
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(!found().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_indices_say_of_rows_that_expired_is_swept_away() {
    let (redis, payments) = alone().await;
    for number in 0..30 {
        let request = payments.request(number);
        let (lease, _) = payments.create(&request).await;
        payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
        payments.report(&lease, [payments.deferred(&request, None)]).await;
    }
    assert_eq!(payments.store.deferred(&payments.request(0).payer).await.unwrap().in_total, 30);
    // Their time is over.
    for key in redis.command(&["KEYS", "x402:*:?:*"]).unwrap().lines() {
        redis.command(&["DEL", key]).unwrap();
    }
    for key in redis.command(&["KEYS", "x402:*:expires"]).unwrap().lines() {
        for member in redis.command(&["ZRANGE", key, "0", "-1"]).unwrap().lines() {
            redis.command(&["ZADD", key, "XX", "1", member]).unwrap();
        }
    }
    let page = payments.store.page(&Default::default(), None, 10, payments.now).await.unwrap();
    assert!(page.orders.is_empty());
    payments.store.tidy(payments.now).await.unwrap();
    let keys = redis.command(&["KEYS", "x402:*"]).unwrap();
    assert_eq!(keys, "x402:{00}:format", "an empty index is no key at all");
    assert_eq!(payments.store.deferred(&payments.request(0).payer).await.unwrap(), Default::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn due_orders_are_found_behind_many_that_expired() {
    let (redis, payments) = alone().await;
    let request = payments.request(0);
    payments.create(&request).await;
    let now = request.valid_before.after(Duration::from_secs(60));
    let part = format!("x402:{{{:02}}}", request.key.shard());
    for gone in 0..40 {
        let key = format!("{:02x}{gone:062x}", request.key.as_bytes()[0]);
        redis.command(&["ZADD", &format!("{part}:due"), "1", &key]).unwrap();
        redis.command(&["ZADD", &format!("{part}:expires"), "1", &key]).unwrap();
    }
    let worker = payments.worker(0, Duration::from_secs(30));
    let mut taken = payments.due(&worker, 10, now).await;
    taken.extend(payments.due(&worker, 10, now).await);
    assert_eq!(taken.len(), 1, "the second time at the latest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_has_an_end() {
    let (redis, payments) = alone().await;
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let unclear = || Event::SettleUnclear { transaction: None };
    let started = Event::SettleStarted { response: None };
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, started]).await;
    for _ in 0..300 {
        payments.report(&lease, [unclear()]).await;
    }
    assert_eq!(payments.store.history(&lease.key).await.unwrap().len(), 256);
    assert!(redis.command(&["DBSIZE"]).unwrap().parse::<u32>().unwrap() < 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_of_an_order_are_in_one_hash_slot() {
    let id = |number: u32| PaymentId::new(&format!("order-of-breakfast-{number}")).ok();
    let store = RedisStore::builder().prefix("slots").connect(&CLUSTER.urls().join(",")).await.unwrap();
    let payments = Payments::new(Arc::new(store));
    let mut parts = BTreeSet::new();
    for number in 0..20 {
        let request = OpenRequest { payment_id: id(number), ..payments.request(number) };
        let (lease, _) = payments.create(&request).await;
        let deferred = payments.deferred(&request, sunny(10).map(Arc::unwrap_or_clone));
        payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, deferred]).await;
        let part = format!("slots:{{{:02}}}:", request.key.shard());
        parts.insert(part.clone());
        let keys: Vec<String> =
            CLUSTER.nodes().iter().map(|node| node.command(&["KEYS", "slots:*"]).unwrap()).collect();
        let keys = keys.iter().flat_map(|keys| keys.lines());
        let keys: Vec<&str> = keys.filter(|key| key.starts_with(&part)).collect();
        let kinds: BTreeSet<&str> = keys.iter().map(|key| key.split(':').nth(2).unwrap()).collect();
        let wanted = ["due", "expires", "h", "i", "made", "n", "o", "owed", "owers", "p", "r"];
        assert!(kinds.iter().copied().filter(|kind| *kind != "format").eq(wanted), "{kinds:?}");
        let slot = |key: &str| CLUSTER.nodes()[0].command(&["CLUSTER", "KEYSLOT", key]).unwrap();
        let slots: BTreeSet<String> = keys.iter().map(|key| slot(key)).collect();
        assert_eq!(slots.len(), 1, "{keys:?}");
    }
    assert!(parts.len() > 5, "payers are spread over parts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_read_does_not_keep_the_worker_from_others() {
    let (redis, payments) = alone().await;
    let key = payments.create(&payments.request(0)).await.0.key;
    payments.create(&payments.request(1)).await;
    let row = redis.command(&["KEYS", &format!("x402:*:o:{key}")]).unwrap();
    redis.command(&["SET", row.trim(), "damaged"]).unwrap();
    let later = payments.now.after(Duration::from_secs(86_400));
    let worker = Worker { owner: OwnerToken::new([7; 16]), lease: Duration::from_secs(30) };
    assert_eq!(payments.store.due(&worker, 10, later).await.unwrap().len(), 1);
}
