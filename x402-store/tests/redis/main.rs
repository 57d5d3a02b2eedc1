//! The store in Redis against real servers: one node, and a cluster of three.

mod cluster;
mod faults;
mod proxy;
mod records;
mod start;

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use devservices::{Redis, RedisCluster};
use x402_store::{RedisStore, RedisStoreBuilder};

x402_core::store_contract!(node, store_on(&NODE.url()).await);
x402_core::store_contract!(three_nodes, store_on(&CLUSTER.urls().join(",")).await);

/// A store with keys of its own.
async fn store_on(urls: &str) -> RedisStore {
    options().connect(urls).await.expect("the servers run")
}

fn options() -> RedisStoreBuilder {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    RedisStore::builder().prefix(format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// Shared by the tests that do it no harm.
static NODE: LazyLock<Redis> = LazyLock::new(|| Redis::start().expect("a node starts"));
static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(|| RedisCluster::start().expect("a cluster starts"));
