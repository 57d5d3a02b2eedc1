//! The store.

use std::{fmt, sync::Arc};

use x402_core::error::ConfigError;

use super::{RedisStoreBuilder, rows::RedisRows};
use crate::{forward::order_store, rows::Rows as _, steps::Steps};

/// Orders in Redis, for any number of instances on any number of machines. Clones share one connection.
///
/// It remembers an order for as long as its authorization can be used, and for a day where money may have moved; it is
/// no permanent record. At the start it refuses a server that may drop live orders (a `maxmemory-policy` other than
/// `noeviction`), and tells in the log how much a crash of Redis can lose. What is lost is not sold twice for one
/// payment: a nonce that the chain has seen opens no new order.
///
/// # Deployment
///
/// - Redis 6.2 or later, alone or as a cluster. For a cluster give one of its nodes or several, separated by commas.
///   Redis Sentinel is not asked; give an address that leads to the primary.
/// - `maxmemory-policy noeviction`; an order takes about 2.5 KB, and its response, ten minutes long, what it takes.
///   Where memory is full, new orders are refused ([`StoreError::Full`](x402_core::order::StoreError::Full)), those
///   begun come to their end, and responses are not kept.
/// - `appendonly yes`. With `appendfsync everysec` a crash of Redis loses the claims of about a second, with `always`
///   none. Replicas are written to a little later: a failover loses as much. `min-replicas-to-write 1` bounds that.
/// - Clocks of all instances within a minute of one another.
/// - A user of its own needs `+@read +@write +@scripting +@connection +info +time` on `~x402:*`, in a cluster also
///   `+cluster`, and `+config|get` to have the loss window told.
///
/// Where settlement is [deferred](x402_core::SettleTiming::Deferred) the payment is kept with its signature until it is
/// settled. Then its key goes, and what Redis wrote before it stays where it was: in the append-only file until it is
/// rewritten, in snapshots and in copies of them. The signature moves this one payment, once, and nothing when its time
/// is over; still, give these files to nobody.
///
/// While Redis does not answer every call fails within its [`patience`](RedisStoreBuilder::patience); it goes on by
/// itself when Redis does. `rediss://` needs the feature `redis-tls`.
///
/// ```no_run
/// use x402_core::{Engine, price::Prices, testing::FakeFacilitator};
/// use x402_store::RedisStore;
///
/// # async fn run(prices: Prices, facilitator: FakeFacilitator) -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://shop:secret@10.0.0.7:6379").await?;
/// let engine = Engine::builder(prices).facilitator(facilitator).store(store).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    pub(super) steps: Arc<Steps<RedisRows>>,
}

impl RedisStore {
    /// Connects with the [default options](RedisStore::builder) to one node, or to a cluster by one or several of its
    /// nodes, separated by commas: `redis://user:password@host:6379/0`.
    ///
    /// # Errors
    /// [`ConfigError`] where the server cannot be reached or is none that can keep orders, saying what to do; without
    /// the user and the password.
    pub async fn connect(urls: &str) -> Result<Self, ConfigError> {
        Self::builder().connect(urls).await
    }

    /// Options.
    pub fn builder() -> RedisStoreBuilder {
        RedisStoreBuilder::default()
    }
}

order_store!(RedisStore, is_shared: true, may_forget: true);

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("place", &self.steps.rows.place).finish_non_exhaustive()
    }
}
