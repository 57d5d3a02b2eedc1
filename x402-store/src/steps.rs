//! The steps of an [`OrderStore`](x402_core::order::OrderStore) over any back end: read a row, let the pure functions
//! of `x402-core` decide, write it if nobody changed it meanwhile.
//!
//! *One round trip.* The holder of an order is nearly always the last who changed it, so the row it wrote is
//! remembered and its next step needs no read. Memory may be out of date and then the write fails; a refusal is never
//! taken from memory.
//!
//! *Lost answers.* A write whose answer was lost is looked for once: it was done if the row there is the one we wrote. So
//! is one that was refused, since a driver that lost the answer may have sent it again.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use moka::sync::Cache;
use x402_core::{
    order::{
        Event, Lease, OpenRequest, Opened, Opening, Order, OwnerToken, StoreError, Transition, Worker,
        frees_identifier, opening,
    },
    scheme::PaymentKey,
    time::UnixSeconds,
};

use crate::{
    patience::within,
    rows::{Change, Displaced, Inserted, Row, Rows},
};

pub(crate) struct Steps<R> {
    pub(crate) rows: R,
    /// How long a back end may take for one call; for a write, with the look whether it was done.
    patience: Duration,
    recent: Cache<PaymentKey, Arc<Row>>,
}

impl<R: Rows> Steps<R> {
    pub(crate) fn new(rows: R, patience: Duration) -> Self {
        let recent = Cache::builder().max_capacity(RECENT).time_to_live(RECENT_FOR).build();
        Self { rows, patience, recent }
    }

    pub(crate) async fn open(&self, request: &OpenRequest, now: UnixSeconds) -> Result<Opened, StoreError> {
        let mut displaced = Displaced::default();
        let mut fence = 1;
        for _ in 0..ATTEMPTS {
            let order = Order::opened(request, fence, now);
            let version = displaced.version.map_or_else(|| first(request.owner), next);
            let row = Row { order, owner: request.owner, version };
            let transition = Some(Transition::to(&row.order, OPENED, now));
            let change = Change { row, transition, response: None, payment: None };
            let there = match self.insert(&change, displaced).await? {
                Inserted::Done => return Ok(self.opened(request, change.row, Opened::New)),
                Inserted::Namesake(row) if !frees_identifier(&row.order, now) => {
                    return Ok(Opened::Held(row.order));
                }
                Inserted::Namesake(row) => {
                    displaced.namesake = Some((row.order.key, row.version));
                    continue;
                }
                Inserted::There(row) if row.is_same_as(&change.row) => {
                    return Ok(self.opened(request, row, Opened::New));
                }
                Inserted::There(row) => row,
            };
            match opening(Some(&there.order), request, now) {
                Opening::Held => return Ok(Opened::Held(there.order)),
                // A late holder of what gives way must not match the new order's fence.
                Opening::Create => {
                    fence = there.order.fence.saturating_add(1);
                    displaced.version = Some(there.version);
                }
                Opening::TakeOver => {
                    let mut order = there.order;
                    order.take_over(request, now);
                    let row = Row { version: next(there.version), owner: request.owner, order };
                    let transition = Some(Transition::to(&row.order, TAKEN_OVER, now));
                    let change = Change { row, transition, response: None, payment: None };
                    if self.replace(&change).await? {
                        return Ok(self.opened(request, change.row, Opened::Resumed));
                    }
                }
            }
        }
        Err(contended())
    }

    fn opened(&self, request: &OpenRequest, row: Row, how: fn(Lease, Order) -> Opened) -> Opened {
        let lease = Lease { key: request.key, owner: request.owner, fence: row.order.fence };
        let order = row.order.clone();
        self.remember(row);
        how(lease, order)
    }

    pub(crate) async fn advance(
        &self,
        lease: &Lease,
        event: &Event,
        now: UnixSeconds,
    ) -> Result<Order, StoreError> {
        self.change(lease, now, |order| {
            order.admits(lease.fence, event, now)?;
            order.apply(event, now).map_err(StoreError::Illegal)?;
            Ok(Some(event))
        })
        .await
    }

    pub(crate) async fn renew(
        &self,
        lease: &Lease,
        by: Duration,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.change(lease, now, |order| {
            order.renew(lease.fence, by, now)?;
            Ok(None)
        })
        .await
        .map(drop)
    }

    /// Changes an order of ours.
    async fn change<'e>(
        &self,
        lease: &Lease,
        now: UnixSeconds,
        step: impl Fn(&mut Order) -> Result<Option<&'e Event>, StoreError>,
    ) -> Result<Order, StoreError> {
        let mut remembered = self.recent.get(&lease.key);
        for _ in 0..ATTEMPTS {
            let fresh = remembered.is_none();
            let before = match remembered.take() {
                Some(row) => row,
                None => self.load(&lease.key).await?.map(Arc::new).ok_or(StoreError::Overtaken)?,
            };
            let mut order = before.order.clone();
            let ours = if before.owner == lease.owner { Ok(()) } else { Err(StoreError::Overtaken) };
            let event = match ours.and_then(|()| step(&mut order)) {
                Ok(event) => event,
                Err(refusal) if fresh => return Err(refusal),
                Err(_) => continue,
            };
            let row = Row { order, owner: lease.owner, version: next(before.version) };
            let transition = event.map(|event| Transition::to(&row.order, event.name(), now));
            let response = event.and_then(Event::response).cloned();
            let payment = event.and_then(Event::payment).cloned();
            let change = Change { row, transition, response, payment };
            if self.replace(&change).await? {
                let order = change.row.order.clone();
                self.remember(change.row);
                return Ok(order);
            }
        }
        Err(contended())
    }

    pub(crate) async fn find(&self, key: &PaymentKey) -> Result<Option<Order>, StoreError> {
        Ok(self.load(key).await?.map(|row| row.order))
    }

    pub(crate) async fn due(
        &self,
        worker: &Worker,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Vec<(Lease, Order)>, StoreError> {
        let mut taken = Vec::new();
        let mut failed = Vec::new();
        for Row { mut order, version, .. } in self.in_time(self.rows.due(limit, now)).await? {
            // An index may be late; the row decides.
            if order.due().is_none_or(|due| due > now) {
                continue;
            }
            let lease = order.take_for(worker, now);
            let row = Row { order, owner: worker.owner, version: next(version) };
            let transition = Some(Transition::to(&row.order, TAKEN_BY_WORKER, now));
            let change = Change { row, transition, response: None, payment: None };
            match self.replace(&change).await {
                Ok(true) => {
                    taken.push((lease, change.row.order.clone()));
                    self.remember(change.row);
                }
                // Another worker, or a presentation, was faster.
                Ok(false) => {}
                // It may be the fault of this one, which would be the first again next time.
                Err(error) => failed.push(error),
            }
            if failed.len() == FAILURES {
                break;
            }
        }
        match failed.pop() {
            // What is taken is worked on.
            Some(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }

    async fn load(&self, key: &PaymentKey) -> Result<Option<Row>, StoreError> {
        self.in_time(self.rows.load(key)).await
    }

    async fn insert(&self, change: &Change, displaced: Displaced) -> Result<Inserted, StoreError> {
        match self.written_in_time(self.rows.insert(change, displaced)).await {
            Err(StoreError::Unavailable(_)) if self.is_written(change).await => Ok(Inserted::Done),
            other => other,
        }
    }

    async fn replace(&self, change: &Change) -> Result<bool, StoreError> {
        match self.written_in_time(self.rows.replace(change)).await {
            Ok(false) | Err(StoreError::Unavailable(_)) if self.is_written(change).await => Ok(true),
            other => other,
        }
    }

    /// Whether a write of which nothing good was heard was done all the same.
    async fn is_written(&self, Change { row, .. }: &Change) -> bool {
        self.recent.invalidate(&row.order.key);
        let read = within(self.patience / 3, self.rows.load(&row.order.key)).await;
        matches!(read, Some(Ok(Some(there))) if there.is_same_as(row))
    }

    /// Leaves time to look whether it was done.
    async fn written_in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        within(self.patience * 2 / 3, work).await.unwrap_or_else(late)
    }

    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        within(self.patience, work).await.unwrap_or_else(late)
    }

    fn remember(&self, row: Row) {
        self.recent.insert(row.order.key, Arc::new(row));
    }
}

impl<R> fmt::Debug for Steps<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps").field("patience", &self.patience).finish_non_exhaustive()
    }
}

fn late<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("no answer in time".into()))
}

/// The version of a new order's first row.
fn first(owner: OwnerToken) -> u64 {
    let random = owner.as_bytes().first_chunk().expect("16 bytes have 8");
    u64::from_be_bytes(*random) >> 16
}

const fn next(version: u64) -> u64 {
    version + 1
}

fn contended() -> StoreError {
    StoreError::Unavailable("the order changes faster than it can be read".into())
}

const ATTEMPTS: usize = 16;
/// Orders that a worker does not get at before the store counts as unavailable.
const FAILURES: usize = 4;
/// Orders that are being worked on by this process, with room.
const RECENT: u64 = 10_000;
const RECENT_FOR: Duration = Duration::from_secs(60);
const OPENED: &str = "opened";
const TAKEN_OVER: &str = "taken_over";
const TAKEN_BY_WORKER: &str = "taken_by_worker";

#[cfg(test)]
mod tests;
