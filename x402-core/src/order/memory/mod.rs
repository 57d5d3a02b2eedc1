//! Orders in the memory of one process.
//!
//! *Atomic steps.* Orders live in shards by payment key, each behind a lock that is held for one step and never across
//! an `await`. A request with a payment identifier first locks the identifier's part of a second index and keeps it
//! until its order is written. Locks are taken in that order only, and never two of a kind at once, so that nobody
//! waits in a circle. Identifiers change hands under their lock alone; an entry whose order is gone means nothing.
//!
//! *Forgetting.* Every order is in its shard's queue. Each new order works off a few that are over, so that memory
//! follows traffic; [`MemoryStore::expire`] works off all. Live orders are never dropped: at capacity, new ones are
//! refused.
//!
//! *Failing.* Should a thread panic while it holds a shard, that shard is closed: what it would have to say may be
//! half written.

mod builder;
mod identifiers;
mod record;
mod shard;
mod table;
mod terms;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};

pub use self::builder::MemoryStoreBuilder;
use self::{
    identifiers::{Identifier, Identifiers},
    shard::{Forgotten, Shard},
};
use super::{
    Cursor, Deferred, Event, Filter, KeptPayment, Lease, OpenRequest, Opened, Opening, Order, OrderStore,
    Page, StoreError, StoredResponse, Transition, Worker, frees_identifier, opening,
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

struct Inner {
    shards: Vec<Mutex<Shard>>,
    identifiers: Identifiers,
    responses: Cache<PaymentKey, Arc<StoredResponse>>,
    /// Of orders that owe their settlement.
    payments: Mutex<HashMap<PaymentKey, Arc<KeptPayment>>>,
    orders: AtomicUsize,
    capacity: usize,
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
        let seeds = RandomState::new();
        let responses = Cache::builder()
            .max_capacity(limits.response_bytes)
            .weigher(|_, response: &Arc<StoredResponse>| u32::try_from(response.size()).unwrap_or(u32::MAX))
            .time_to_live(limits.response_lifetime)
            // The default policy may decline what is new: the very response a retry is about to ask for.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let inner = Inner {
            shards: (0..SHARDS).map(|shard| Mutex::new(Shard::new(seeds.hash_one(shard)))).collect(),
            identifiers: Identifiers::new(SHARDS),
            responses,
            payments: Mutex::default(),
            orders: AtomicUsize::new(0),
            capacity: limits.capacity,
        };
        Self { inner: Arc::new(inner) }
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
        Box::pin(async move { Ok(lock(&self.inner.payments)?.get(key).cloned()) })
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

impl Inner {
    fn open(&self, request: &OpenRequest, now: UnixSeconds) -> Result<Opened, StoreError> {
        match self.try_open(request, now) {
            Err(StoreError::Full) if self.expire(now) > 0 => self.try_open(request, now),
            done => done,
        }
    }

    fn try_open(&self, request: &OpenRequest, now: UnixSeconds) -> Result<Opened, StoreError> {
        let identifier = request.payment_id.as_ref().map(|id| Identifier::new(&request.payer, id));
        let mut names = identifier.as_ref().map(|name| self.identifiers.lock(name)).transpose()?;
        let namesake = match (&identifier, &names) {
            (Some(name), Some(names)) => self.namesake(request, names.get(name), now)?,
            _ => None,
        };
        let mut shard = self.shard(&request.key)?;
        let Forgotten { mut named, .. } = self.counted(shard.forget(now, FORGOTTEN_PER_CLAIM));
        let existing = shard.find(&request.key, now);
        let opened = match (opening(existing.as_ref(), request, now), existing, namesake) {
            (Opening::TakeOver, Some(mut order), _) => {
                order.take_over(request, now);
                shard.put(order.clone(), request.owner);
                Ok(Opened::Resumed(lease(request, &order), order))
            }
            (Opening::Held, Some(order), _) | (_, _, Some(order)) => Ok(Opened::Held(order)),
            (_, existing, None) => {
                // What is over, or was rejected, gives way; a late holder of it must not match the new order's fence.
                let fence = shard.fence(&request.key);
                if fence.is_none() && !self.reserve() {
                    Err(StoreError::Full)
                } else {
                    let order = Order::opened(request, fence.map_or(1, |fence| fence + 1), now);
                    shard.put(order.clone(), request.owner);
                    if let (Some(name), Some(names)) = (identifier, &mut names) {
                        names.insert(name, request.key);
                    }
                    named.extend(existing.filter(|old| old.payment_id != order.payment_id));
                    Ok(Opened::New(lease(request, &order), order))
                }
            }
        };
        drop((shard, names));
        self.unname(named, now)?;
        opened
    }

    /// The order of another payment that has the request's identifier and does not give it back.
    fn namesake(
        &self,
        request: &OpenRequest,
        holder: Option<&PaymentKey>,
        now: UnixSeconds,
    ) -> Result<Option<Order>, StoreError> {
        let Some(key) = holder.filter(|key| **key != request.key) else { return Ok(None) };
        let order = self.shard(key)?.find(key, now).filter(|order| order.payment_id == request.payment_id);
        Ok(order.filter(|order| !frees_identifier(order, now)))
    }

    fn advance(&self, lease: &Lease, event: &Event, now: UnixSeconds) -> Result<Order, StoreError> {
        let mut shard = self.shard(&lease.key)?;
        let (mut order, owner) = shard.held(&lease.key).ok_or(StoreError::Overtaken)?;
        if owner != lease.owner {
            return Err(StoreError::Overtaken);
        }
        order.admits(lease.fence, event, now)?;
        order.apply(event, now).map_err(StoreError::Illegal)?;
        if let Some(payment) = event.payment() {
            lock(&self.payments)?.insert(lease.key, Arc::clone(payment));
        } else if order.state.deferred && !order.owes_settlement() {
            lock(&self.payments)?.remove(&lease.key);
        }
        if let Some(response) = event.response() {
            // Before the order says that it is there.
            self.responses.insert(lease.key, Arc::clone(response));
        }
        shard.put(order.clone(), owner);
        Ok(order)
    }

    fn due(
        &self,
        worker: &Worker,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Vec<(Lease, Order)>, StoreError> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard)?;
            let due = |order: &Order| order.due().is_some_and(|due| due <= now);
            let due: Vec<Order> = shard.orders(now).filter(due).take(limit - taken.len()).collect();
            for mut order in due {
                let lease = order.take_for(worker, now);
                shard.put(order.clone(), worker.owner);
                taken.push((lease, order));
            }
            if taken.len() == limit {
                break;
            }
        }
        Ok(taken)
    }

    fn deferred(&self, payer: &str) -> Result<Deferred, StoreError> {
        let keys: Vec<PaymentKey> = lock(&self.payments)?.keys().copied().collect();
        let mut deferred = Deferred { in_total: keys.len() as u64, ..Deferred::default() };
        for key in keys {
            let order = self.shard(&key)?.held(&key);
            deferred.of_payer += u64::from(order.is_some_and(|(order, _)| *order.payer == *payer));
        }
        Ok(deferred)
    }

    fn page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Page, StoreError> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let wanted = |order: &Order| {
                after.is_none_or(|cursor| cursor.is_before(order)) && filter.admits(order, now)
            };
            found.extend(lock(shard)?.orders(now).filter(wanted));
        }
        found.sort_unstable_by_key(|order| std::cmp::Reverse(Cursor::at(order)));
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(Cursor::at);
        Ok(Page { orders: found, next })
    }

    fn renew(&self, lease: &Lease, by: Duration, now: UnixSeconds) -> Result<(), StoreError> {
        let mut shard = self.shard(&lease.key)?;
        let (mut order, owner) = shard.held(&lease.key).ok_or(StoreError::Overtaken)?;
        if owner != lease.owner {
            return Err(StoreError::Overtaken);
        }
        order.held_under(lease.fence)?;
        order.leased_until = Some(now.after(by));
        shard.put(order, owner);
        Ok(())
    }

    fn expire(&self, now: UnixSeconds) -> usize {
        let mut total = 0;
        for shard in &self.shards {
            loop {
                // A closed shard keeps what it has.
                let forgotten = lock(shard).map(|mut shard| shard.forget(now, FORGOTTEN_AT_ONCE));
                let Ok(Forgotten { count, named, more }) = forgotten.map(|forgotten| self.counted(forgotten))
                else {
                    break;
                };
                total += count;
                // Identifiers that stay behind in a closed part mean nothing.
                let _ = self.unname(named, now);
                if !more {
                    break;
                }
            }
        }
        total
    }

    fn shard(&self, key: &PaymentKey) -> Result<MutexGuard<'_, Shard>, StoreError> {
        lock(&self.shards[usize::from(key.as_bytes()[31]) % SHARDS])
    }

    /// Takes the place of one order.
    fn reserve(&self) -> bool {
        let more = |orders| (orders < self.capacity).then_some(orders + 1);
        self.orders.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn counted(&self, forgotten: Forgotten) -> Forgotten {
        self.orders.fetch_sub(forgotten.count, Ordering::Relaxed);
        forgotten
    }

    /// Drops the identifiers of orders that are gone. Locks what it needs itself.
    fn unname(&self, named: Vec<Order>, now: UnixSeconds) -> Result<(), StoreError> {
        for order in named {
            let Some(id) = &order.payment_id else { continue };
            let name = Identifier::new(&order.payer, id);
            let mut names = self.identifiers.lock(&name)?;
            let bears = |order: Order| order.payment_id.as_ref() == Some(id);
            if names.get(&name) == Some(&order.key)
                && !self.shard(&order.key)?.find(&order.key, now).is_some_and(bears)
            {
                names.remove(&name);
            }
        }
        Ok(())
    }
}

fn lease(request: &OpenRequest, order: &Order) -> Lease {
    Lease { key: request.key, owner: request.owner, fence: order.fence }
}

fn lock<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, StoreError> {
    mutex
        .lock()
        .map_err(|_| StoreError::Unavailable("a thread panicked while it changed these orders".into()))
}

const SHARDS: usize = 64;
/// More than one, so that the store shrinks while it is used.
const FORGOTTEN_PER_CLAIM: usize = 4;
/// How many orders are forgotten before others get a turn at their shard.
const FORGOTTEN_AT_ONCE: usize = 1024;
