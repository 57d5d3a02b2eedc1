//! The steps: each under the locks it needs, none across an `await`.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};

use super::{
    MemoryStoreBuilder,
    identifiers::{Identifier, Identifiers},
    owed::Owed,
    shard::{Forgotten, Shard},
    sync::{Mutex, MutexGuard},
};
use crate::{
    order::{
        Deferred, Event, KeptPayment, Lease, OpenRequest, Opened, Opening, Order, StoreError, StoredResponse,
        Worker, frees_identifier, opening,
    },
    scheme::PaymentKey,
    time::UnixSeconds,
};

pub(super) struct Inner {
    pub(super) shards: Vec<Mutex<Shard>>,
    pub(super) identifiers: Identifiers,
    pub(super) responses: Cache<PaymentKey, Arc<StoredResponse>>,
    pub(super) owed: Mutex<Owed>,
    pub(super) orders: AtomicUsize,
    pub(super) capacity: usize,
    /// When all orders were last looked at to make room.
    cleared: Mutex<UnixSeconds>,
    /// The shard that the next worker comes to first.
    turn: AtomicUsize,
}

impl Inner {
    pub(super) fn new(limits: &MemoryStoreBuilder) -> Self {
        Self::with_shards(limits, (limits.capacity / ORDERS_PER_SHARD).clamp(FEWEST_SHARDS, MOST_SHARDS))
    }

    pub(super) fn with_shards(limits: &MemoryStoreBuilder, shards: usize) -> Self {
        let seeds = RandomState::new();
        let responses = Cache::builder()
            .max_capacity(limits.response_bytes)
            .weigher(|_, response: &Arc<StoredResponse>| u32::try_from(response.size()).unwrap_or(u32::MAX))
            .time_to_live(limits.response_lifetime)
            // The default policy may decline what is new: the very response a retry is about to ask for.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            shards: (0..shards).map(|shard| Mutex::new(Shard::new(seeds.hash_one(shard)))).collect(),
            identifiers: Identifiers::new(shards.min(FEWEST_SHARDS)),
            responses,
            owed: Mutex::default(),
            orders: AtomicUsize::new(0),
            capacity: limits.capacity,
            cleared: Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn open(&self, request: &OpenRequest, now: UnixSeconds) -> Result<Opened, StoreError> {
        match self.try_open(request, now) {
            Err(StoreError::Full) => {
                self.make_room(now)?;
                self.try_open(request, now)
            }
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
        let swept = shard.sweep(now);
        let mut named = self.counted(swept)?.named;
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
                    if fence.is_some() {
                        lock(&self.owed)?.forget(&request.key);
                    }
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

    pub(super) fn advance(
        &self,
        lease: &Lease,
        event: &Event,
        now: UnixSeconds,
    ) -> Result<Order, StoreError> {
        let mut shard = self.shard(&lease.key)?;
        let mut order = shard.held(lease).ok_or(StoreError::Overtaken)?;
        order.admits(lease.fence, event, now)?;
        order.apply(event, now).map_err(StoreError::Illegal)?;
        if let Some(payment) = event.payment() {
            lock(&self.owed)?.keep(lease.key, &order.payer, payment);
        } else if order.state.deferred && !order.owes_settlement() {
            lock(&self.owed)?.forget(&lease.key);
        }
        if let Some(response) = event.response() {
            // Before the order says that it is there.
            self.responses.insert(lease.key, Arc::clone(response));
        }
        shard.put(order.clone(), lease.owner);
        Ok(order)
    }

    pub(super) fn renew(&self, lease: &Lease, by: Duration, now: UnixSeconds) -> Result<(), StoreError> {
        let mut shard = self.shard(&lease.key)?;
        let mut order = shard.held(lease).ok_or(StoreError::Overtaken)?;
        order.renew(lease.fence, by, now)?;
        shard.put(order, lease.owner);
        Ok(())
    }

    /// The next call begins with the shard behind the one where this one had enough.
    pub(super) fn due(
        &self,
        worker: &Worker,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Vec<(Lease, Order)>, StoreError> {
        let mut taken = Vec::new();
        let first = self.turn.load(Ordering::Relaxed);
        for index in first..first + self.shards.len() {
            if taken.len() >= limit {
                self.turn.store(index % self.shards.len(), Ordering::Relaxed);
                break;
            }
            let mut shard = lock(&self.shards[index % self.shards.len()])?;
            shard.take_due(worker, limit, now, &mut taken);
        }
        Ok(taken)
    }

    pub(super) fn payment(&self, key: &PaymentKey) -> Result<Option<Arc<KeptPayment>>, StoreError> {
        Ok(lock(&self.owed)?.payment(key))
    }

    pub(super) fn deferred(&self, payer: &str) -> Result<Deferred, StoreError> {
        Ok(lock(&self.owed)?.count(payer))
    }

    pub(super) fn expire(&self, now: UnixSeconds) -> usize {
        let mut total = 0;
        for shard in &self.shards {
            let mut from = usize::MAX;
            while from > 0 {
                // A closed shard keeps what it has.
                let Ok(mut shard) = lock(shard) else { break };
                let (forgotten, left) = shard.sweep_from(from, SWEPT_AT_ONCE, now);
                total += forgotten.count;
                from = left;
                let forgotten = self.counted(forgotten);
                drop(shard);
                // Identifiers that stay behind in a closed part mean nothing.
                let _ = forgotten.and_then(|forgotten| self.unname(forgotten.named, now));
            }
        }
        total
    }

    /// Forgets what is over, at most once in a second: who fills the store with live orders does not make others look
    /// through all of them. Those who come meanwhile wait.
    fn make_room(&self, now: UnixSeconds) -> Result<(), StoreError> {
        let mut cleared = lock(&self.cleared)?;
        if *cleared < now {
            self.expire(now);
            *cleared = now;
        }
        Ok(())
    }

    pub(super) fn shard(&self, key: &PaymentKey) -> Result<MutexGuard<'_, Shard>, StoreError> {
        let [.., high, low] = *key.as_bytes();
        lock(&self.shards[usize::from(u16::from_be_bytes([high, low])) % self.shards.len()])
    }

    /// Takes the place of one order.
    fn reserve(&self) -> bool {
        let more = |orders| (orders < self.capacity).then_some(orders + 1);
        self.orders.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// What remains to be done about orders that are gone, while their shard is locked.
    fn counted(&self, forgotten: Forgotten) -> Result<Forgotten, StoreError> {
        self.orders.fetch_sub(forgotten.count, Ordering::Relaxed);
        for key in &forgotten.deferred {
            lock(&self.owed)?.forget(key);
        }
        Ok(forgotten)
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, StoreError> {
    mutex
        .lock()
        .map_err(|_| StoreError::Unavailable("a thread panicked while it changed these orders".into()))
}

/// So many are looked through in well under a millisecond.
const ORDERS_PER_SHARD: usize = 16_384;
const FEWEST_SHARDS: usize = 64;
const MOST_SHARDS: usize = 4096;
/// How many orders are looked at before others get a turn at their shard.
const SWEPT_AT_ONCE: usize = 4096;
