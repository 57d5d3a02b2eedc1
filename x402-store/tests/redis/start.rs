//! What is said at the start, to whom it can be said.

use std::time::{Duration, Instant};

use devservices::Redis;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use x402_core::{error::ConfigError, order::OrderStore, testing::store_contract::Payments};
use x402_store::RedisStore;

use super::{CLUSTER, NODE, options};

/// The text of a refusal, which must come soon and hold no secret.
async fn refusal(urls: &str) -> String {
    let began = Instant::now();
    let error: ConfigError = options().connect(urls).await.expect_err("the server cannot keep orders");
    assert!(began.elapsed() < Duration::from_secs(5), "{error} after {:?}", began.elapsed());
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    assert!(!text.contains("hunter2"), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_is_refused() {
    let redis = Redis::options().max_memory("64mb").max_memory_policy("allkeys-lru").start().unwrap();
    let text = refusal(&redis.url()).await;
    assert!(text.contains("allkeys-lru") && text.contains("set `maxmemory-policy noeviction`"), "{text}");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    options().connect(&redis.url()).await.expect("without a limit nothing is evicted");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_named_and_not_shown() {
    let redis = Redis::options().password("correct-horse").start().unwrap();
    for user in ["", ":hunter2@", "nobody:hunter2@"] {
        let text = refusal(&format!("redis://{user}127.0.0.1:{}", redis.port())).await;
        assert!(text.contains("refuses the user or the password"), "{text}");
        assert!(text.contains(&format!("127.0.0.1:{}", redis.port())), "{text}");
    }
    let store = options().connect(&redis.url()).await.unwrap();
    assert!(!format!("{store:?}").contains("horse"), "{store:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_do_all_of_it_is_told_what_it_needs() {
    let redis = Redis::start().unwrap();
    let all = ["+@all", "-ltrim"];
    for rights in [&["+@read", "+info"][..], &["+@read", "+@write", "+@scripting"], &all] {
        let user = [&["ACL", "SETUSER", "reader", "reset", "on", ">hunter2", "~*"][..], rights].concat();
        redis.command(&user).unwrap();
        let text = refusal(&format!("redis://reader:hunter2@127.0.0.1:{}", redis.port())).await;
        assert!(text.contains("+@read +@write +@scripting"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_documented_rights_keeps_orders_on_a_node_and_on_a_cluster() {
    let rights =
        ["~x402:*", "+@read", "+@write", "+@scripting", "+@connection", "+info", "+time", "+cluster"];
    for node in [&*NODE].into_iter().chain(CLUSTER.nodes()) {
        let user = [&["ACL", "SETUSER", "shop", "on", ">hunter2"][..], &rights].concat();
        node.command(&user).unwrap();
    }
    for port in [NODE.port(), CLUSTER.nodes()[0].port()] {
        let store = RedisStore::connect(&format!("redis://shop:hunter2@127.0.0.1:{port}")).await.unwrap();
        store.ping().await.unwrap();
        let payments = Payments::new(std::sync::Arc::new(store));
        let (lease, _) = payments.settle(&payments.request(0), None).await;
        assert_eq!(payments.store.history(&lease.key).await.unwrap().len(), 5, "{port}");
        payments.store.tidy(payments.now).await.unwrap();
        payments.store.page(&Default::default(), None, 10, payments.now).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let text = refusal(&format!("redis://shop:hunter2@{nobody}")).await;
    assert!(text.contains(&nobody.to_string()) && text.contains("cannot be reached"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_kind_of_server_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
        }
    });
    let text = refusal(&format!("redis://shop:hunter2@{address}")).await;
    assert!(text.contains("does not answer as"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = refusal(&format!("redis://shop:hunter2@{}", listener.local_addr().unwrap())).await;
    assert!(text.contains("did not answer in time"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_refused() {
    let primary = Redis::start().unwrap();
    let replica = Redis::start_replica_of(&primary).unwrap();
    let text = refusal(&replica.url()).await;
    assert!(text.contains("read-only replica; give the address of the primary"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_that_are_no_cluster_are_refused() {
    let text = refusal(&format!("{},redis://127.0.0.1:1", NODE.url())).await;
    assert!(text.contains("give one URL"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_a_cluster_leads_to_all_and_one_that_is_down_is_passed_over() {
    for urls in [CLUSTER.urls()[1].clone(), format!("redis://127.0.0.1:1,{}", CLUSTER.urls()[2])] {
        let store = options().connect(&urls).await.unwrap();
        store.ping().await.expect("every part answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_newer_version_are_left_alone() {
    let redis = Redis::start().unwrap();
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    drop(store);
    RedisStore::connect(&redis.url()).await.expect("its own keys are its own");
    for (mark, wanted) in [("2", "a newer version's"), ("hunter2", "something else's")] {
        redis.command(&["SET", "x402:{00}:format", mark]).unwrap();
        let error = RedisStore::connect(&redis.url()).await.unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("another prefix"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(redis.command(&["GET", "x402:{00}:format"]).unwrap(), mark, "it was not written over");
    }
    RedisStore::builder().prefix("other").connect(&redis.url()).await.expect("another prefix is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_cannot_be_are_refused() {
    for builder in [
        RedisStore::builder().prefix(""),
        RedisStore::builder().prefix("a{b}"),
        RedisStore::builder().patience(Duration::ZERO),
        RedisStore::builder().response_lifetime(Duration::ZERO),
    ] {
        builder.connect(&NODE.url()).await.unwrap_err();
    }
}
