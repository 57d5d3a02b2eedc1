//! One part of the store: its orders, and a queue of those to forget.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    record::{Record, Seconds},
    table::Table,
    terms::Shared,
};
use crate::{
    order::{Order, OwnerToken},
    scheme::PaymentKey,
    time::UnixSeconds,
};

pub(super) struct Shard {
    table: Table,
    /// When to look at which position. Every record has the entry its [`queued`](Record::queued) names; others are
    /// passed over.
    queue: BinaryHeap<Reverse<(Seconds, u32)>>,
    terms: Shared,
}

impl Shard {
    pub(super) fn new(seed: u64) -> Self {
        Self { table: Table::new(seed), queue: BinaryHeap::new(), terms: Shared::default() }
    }

    /// The order and its holder, unless it is as good as forgotten.
    pub(super) fn find(&self, key: &PaymentKey, now: UnixSeconds) -> Option<Order> {
        self.record(key).filter(|record| !record.is_over(now)).map(Record::order)
    }

    /// The order and its holder, for as long as they are here.
    pub(super) fn held(&self, key: &PaymentKey) -> Option<(Order, OwnerToken)> {
        self.record(key).map(|record| (record.order(), record.owner()))
    }

    /// Whether the order is here, as good as forgotten or not; and its fence.
    pub(super) fn fence(&self, key: &PaymentKey) -> Option<u64> {
        self.record(key).map(|record| record.order().fence)
    }

    /// Writes an order, new or changed.
    pub(super) fn put(&mut self, mut order: Order, owner: OwnerToken) {
        let Some(position) = self.table.position(&order.key) else {
            order.terms = self.terms.share(order.terms);
            let record = Record::new(order, owner);
            let due = record.queued;
            let position = self.table.insert(record);
            self.queue.push(Reverse((due, position)));
            return;
        };
        let mut record = Record::new(order, owner);
        let old = self.table.get_mut(position).expect("a position found is in use");
        // That the time is later now is found out when the queue comes to the old one.
        let due = record.queued;
        record.queued = due.min(old.queued);
        if due < old.queued {
            self.queue.push(Reverse((due, position)));
        }
        *old = record;
    }

    /// Forgets at most `limit` orders that are over; looks at a bounded number of entries. Returns what it forgot.
    pub(super) fn forget(&mut self, now: UnixSeconds, limit: usize) -> Forgotten {
        let mut forgotten = Forgotten::default();
        for _ in 0..limit.saturating_mul(ENTRIES_PER_ORDER) {
            let Some(Reverse((when, position))) = self.queue.peek().copied() else {
                forgotten.more = false;
                break;
            };
            forgotten.more = when.get() <= now;
            if !forgotten.more || forgotten.count == limit {
                break;
            }
            self.queue.pop();
            let Some(record) = self.table.get_mut(position).filter(|record| record.queued == when) else {
                continue;
            };
            if record.is_over(now) {
                self.remove(position, &mut forgotten);
            } else {
                record.queued = record.due();
                self.queue.push(Reverse((record.queued, position)));
            }
        }
        if self.queue.len() < self.queue.capacity() / 4 {
            self.queue.shrink_to(self.queue.len() * 2);
        }
        forgotten
    }

    /// All orders that are not as good as forgotten.
    pub(super) fn orders(&self, now: UnixSeconds) -> impl Iterator<Item = Order> + use<'_> {
        self.table.records().iter().filter(move |record| !record.is_over(now)).map(Record::order)
    }

    /// How many orders it has room for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.table.capacity().max(self.queue.capacity())
    }

    fn remove(&mut self, position: u32, forgotten: &mut Forgotten) {
        let (record, moved) = self.table.remove(position);
        if moved {
            let moved = self.table.get(position).expect("a record moved here");
            self.queue.push(Reverse((moved.queued, position)));
        }
        forgotten.count += 1;
        if record.has_payment_id() {
            forgotten.named.push(record.order());
        }
    }

    fn record(&self, key: &PaymentKey) -> Option<&Record> {
        self.table.get(self.table.position(key)?)
    }
}

/// What a shard forgot.
#[derive(Default)]
pub(super) struct Forgotten {
    /// How many orders.
    pub(super) count: usize,
    /// Those of them that had an identifier.
    pub(super) named: Vec<Order>,
    /// Whether there is, or may be, more to forget.
    pub(super) more: bool,
}

/// Entries that are out of date come from records that moved, one for each record that was forgotten.
const ENTRIES_PER_ORDER: usize = 4;
