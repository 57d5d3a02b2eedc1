//! Orders in the memory of one process.
//!
//! *Atomic steps.* Orders live in shards by payment key, each behind a lock that is held for one step and never across
//! an `await`. A request with a payment identifier first locks the identifier's part of a second index and keeps it
//! until its order is written. Locks are taken in that order only, and never two of a kind at once, so that nobody
//! waits in a circle. What is owed has a lock of its own, taken last. Identifiers change hands under their lock alone; an entry whose order is gone means nothing.
//!
//! *Forgetting.* Each claim looks at a few orders of its shard and forgets those that are over, so that memory follows
//! traffic: while as many come as go, at most a seventh more are here than are live. [`MemoryStore::expire`] forgets all.
//! Live orders are never dropped: at capacity, new ones are refused, after one look in each second at all that are here.
//!
//! *Failing.* Should a thread panic while it holds a shard, that shard is closed: what it would have to say may be
//! half written.

mod builder;
mod identifiers;
mod inner;
mod owed;
mod page;
mod payer;
mod record;
mod shard;
mod sync;
mod table;
mod terms;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

pub use self::builder::MemoryStoreBuilder;
use self::inner::Inner;
use super::{
    Cursor, Deferred, Event, Filter, KeptPayment, Lease, OpenRequest, Opened, Order, OrderStore, Page,
    StoreError, StoredResponse, Transition, Worker,
};
use crate::{facilitator::BoxFuture, scheme::PaymentKey, time::UnixSeconds};

/// Orders in the memory of one process, for one instance. Clones share one store.
///
/// It does not survive a restart: then only the nonces on chain and the quotes' key, which is new with every process,
/// stand between a payment and its second use. It never drops a live order; at
/// [capacity](MemoryStoreBuilder::capacity) it refuses new ones.
///
/// ```
/// use x402_core::order::MemoryStore;
///
/// let store = MemoryStore::builder().capacity(10_000).build();
/// assert!(store.is_empty());
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

impl MemoryStore {
    /// A store with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store with other limits.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::default()
    }

    fn with(limits: &MemoryStoreBuilder) -> Self {
        Self { inner: Arc::new(Inner::new(limits)) }
    }

    /// How many orders it keeps, those included that are over and not yet worked off.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.orders.load(Ordering::Relaxed)
    }

    /// Whether it keeps no order at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all orders that are over at `now` and returns how many there were. Traffic does the same in passing;
    /// call it now and then where traffic may cease.
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn expire(&self, now: UnixSeconds) -> usize {
        self.inner.expire(now)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl OrderStore for MemoryStore {
    fn open<'a>(
        &'a self,
        request: &'a OpenRequest,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Opened, StoreError>> {
        Box::pin(async move { self.inner.open(request, now) })
    }

    fn advance<'a>(
        &'a self,
        lease: &'a Lease,
        event: &'a Event,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Order, StoreError>> {
        Box::pin(async move { self.inner.advance(lease, event, now) })
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        by: Duration,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.inner.renew(lease, by, now) })
    }

    fn find<'a>(
        &'a self,
        key: &'a PaymentKey,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Option<Order>, StoreError>> {
        Box::pin(async move { Ok(self.inner.shard(key)?.find(key, now)) })
    }

    fn response<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<StoredResponse>>, StoreError>> {
        Box::pin(async move { Ok(self.inner.responses.get(key)) })
    }

    fn payment<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<KeptPayment>>, StoreError>> {
        Box::pin(async move { self.inner.payment(key) })
    }

    fn due<'a>(
        &'a self,
        worker: &'a Worker,
        limit: usize,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Vec<(Lease, Order)>, StoreError>> {
        Box::pin(async move { self.inner.due(worker, limit, now) })
    }

    fn deferred<'a>(&'a self, payer: &'a str) -> BoxFuture<'a, Result<Deferred, StoreError>> {
        Box::pin(async move { self.inner.deferred(payer) })
    }

    fn page<'a>(
        &'a self,
        filter: &'a Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move { self.inner.page(filter, after, limit, now) })
    }

    fn history<'a>(&'a self, _: &'a PaymentKey) -> BoxFuture<'a, Result<Vec<Transition>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn tidy(&self, now: UnixSeconds) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.expire(now);
            self.inner.responses.run_pending_tasks();
            Ok(())
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn is_shared(&self) -> bool {
        false
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("orders", &self.len())
            .field("capacity", &self.inner.capacity)
            .field("responses", &self.inner.responses.entry_count())
            .finish_non_exhaustive()
    }
}
