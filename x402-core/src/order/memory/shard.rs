//! One part of the store: its orders, which of them may be due, and which may be forgotten.
//!
//! *Forgetting.* A sweep goes over the records from the last one down. What it has passed is live or comes from behind it,
//! because the last record takes the place of one that goes: a sweep sees every record that was there when it began. Each
//! claim goes a few records further, and begins anew at the end. So a record that is over is gone at the latest when as many
//! further claims came as twice the records divided by [`SWEPT_PER_CLAIM`]: at most one sweep that had passed it already,
//! and one that finds it. While as many orders come as go, there are at most a seventh more of them here than are live.
//!
//! *Workers.* `quiet_until` is no later than the moment the first order here is due, so that in most shards a worker has
//! nothing to look through.

use super::{record::Record, table::Table, terms::Shared};
use crate::{
    order::{Lease, Order, OwnerToken, Worker},
    scheme::PaymentKey,
    time::UnixSeconds,
};

pub(super) struct Shard {
    table: Table,
    terms: Shared,
    /// How many records the present sweep has yet to look at.
    unswept: usize,
    /// No order is due before.
    quiet_until: UnixSeconds,
}

impl Shard {
    pub(super) fn new(seed: u64) -> Self {
        Self { table: Table::new(seed), terms: Shared::default(), unswept: 0, quiet_until: UnixSeconds::MAX }
    }

    /// The order, unless it is as good as forgotten.
    pub(super) fn find(&self, key: &PaymentKey, now: UnixSeconds) -> Option<Order> {
        self.record(key).filter(|record| !record.is_over(now)).map(Record::order)
    }

    /// The order, as long as it is here and its last holder is the lease's.
    pub(super) fn held(&self, lease: &Lease) -> Option<Order> {
        self.record(&lease.key).filter(|record| record.is_held_by(lease)).map(Record::order)
    }

    /// Whether the order is here, as good as forgotten or not; and its fence.
    pub(super) fn fence(&self, key: &PaymentKey) -> Option<u64> {
        self.record(key).map(Record::fence)
    }

    /// Writes an order, new or changed.
    pub(super) fn put(&mut self, mut order: Order, owner: OwnerToken) {
        self.quiet_until = order.due().map_or(self.quiet_until, |due| due.min(self.quiet_until));
        match self.table.position(&order.key).and_then(|position| self.table.get_mut(position)) {
            Some(record) if record.id() == order.id => record.write(order, owner),
            Some(record) => {
                order.terms = self.terms.share(order.terms);
                *record = Record::new(order, owner);
            }
            None => {
                order.terms = self.terms.share(order.terms);
                self.table.insert(Record::new(order, owner));
            }
        }
    }

    /// Goes a few records further and forgets those that are over.
    pub(super) fn sweep(&mut self, now: UnixSeconds) -> Forgotten {
        let from = if self.unswept == 0 { self.table.len() } else { self.unswept };
        let (forgotten, left) = self.sweep_from(from, SWEPT_PER_CLAIM, now);
        self.unswept = left;
        forgotten
    }

    /// Looks at `count` records below position `from`, or as many as there are, and forgets those that are over. Returns
    /// how many are left to look at.
    pub(super) fn sweep_from(&mut self, from: usize, count: usize, now: UnixSeconds) -> (Forgotten, usize) {
        let mut forgotten = Forgotten::default();
        let from = from.min(self.table.len());
        let to = from.saturating_sub(count);
        for position in (to..from).rev() {
            if self.table.get(position).is_some_and(|record| record.is_over(now)) {
                forgotten.add(&self.table.remove(position));
            }
        }
        (forgotten, to)
    }

    /// Hands orders that are due to a worker, until it has `limit` of them.
    pub(super) fn take_due(
        &mut self,
        worker: &Worker,
        limit: usize,
        now: UnixSeconds,
        taken: &mut Vec<(Lease, Order)>,
    ) {
        if now < self.quiet_until {
            return;
        }
        let (mut due, mut quiet_until) = (Vec::new(), UnixSeconds::MAX);
        for (position, record) in self.table.records().enumerate() {
            match record.standing().due() {
                Some(at) if at <= now && !record.is_over(now) => {
                    if taken.len() + due.len() == limit {
                        // The next worker looks again.
                        quiet_until = now;
                        break;
                    }
                    due.push(position);
                }
                Some(at) if now < at => quiet_until = quiet_until.min(at),
                _ => {}
            }
        }
        self.quiet_until = quiet_until;
        for position in due {
            let mut order = self.table.get(position).expect("none was removed meanwhile").order();
            let lease = order.take_for(worker, now);
            self.put(order.clone(), worker.owner);
            taken.push((lease, order));
        }
    }

    /// What is not as good as forgotten.
    pub(super) fn records(&self, now: UnixSeconds) -> impl Iterator<Item = &Record> + use<'_> {
        self.table.records().filter(move |record| !record.is_over(now))
    }

    /// How many records it has, and has room for.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.table.len(), self.table.capacity())
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
    /// Those of them whose payment may be kept.
    pub(super) deferred: Vec<PaymentKey>,
}

impl Forgotten {
    fn add(&mut self, record: &Record) {
        self.count += 1;
        if record.has_payment_id() {
            self.named.push(record.order());
        }
        if record.is_deferred() {
            self.deferred.push(*record.key());
        }
    }
}

/// How many records a claim looks at.
pub(super) const SWEPT_PER_CLAIM: usize = 16;
