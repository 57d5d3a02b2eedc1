//! Rows in memory that fail when they are told to.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use x402_core::{
    order::{
        Cursor, Deferred, Filter, KeptPayment, Order, OwnerToken, Page, StoreError, StoredResponse,
        Transition,
    },
    scheme::PaymentKey,
    time::UnixSeconds,
};

use crate::rows::{Change, Displaced, Inserted, Row, Rows, one_case};

#[derive(Default)]
pub(super) struct Fake {
    table: Mutex<Table>,
    /// One for each write to come; those after that are well.
    faults: Mutex<VecDeque<Fault>>,
    pub(super) loads: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Table {
    rows: HashMap<PaymentKey, Row>,
    /// Rows whose identifier went to another one.
    nameless: HashSet<PaymentKey>,
    responses: HashMap<PaymentKey, Arc<StoredResponse>>,
    payments: HashMap<PaymentKey, Arc<KeptPayment>>,
    history: HashMap<PaymentKey, Vec<Transition>>,
}

pub(super) enum Fault {
    /// The write does not arrive.
    NotDone,
    /// The write is done and its answer lost.
    Unheard,
    /// The write is done and its answer never comes.
    Silent,
    /// A driver sends the write again and returns the second answer.
    Twice,
    /// Somebody changes the table before the write.
    After(Box<dyn FnOnce(&mut Table) + Send>),
    /// Somebody changes the table, and the write does not arrive.
    NotDoneBut(Box<dyn FnOnce(&mut Table) + Send>),
}

impl Fake {
    pub(super) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub(super) fn table<T>(&self, use_it: impl FnOnce(&mut Table) -> T) -> T {
        use_it(&mut self.table.lock().unwrap())
    }

    async fn write<T>(&self, work: impl Fn(&mut Table) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let lost = || Err(StoreError::Unavailable("connection lost".into()));
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None => self.table(work),
            Some(Fault::NotDone) => lost(),
            Some(Fault::Unheard) => self.table(work).and_then(|_| lost()),
            Some(Fault::Silent) => {
                self.table(work)?;
                pending().await
            }
            Some(Fault::Twice) => self.table(|table| work(table).and_then(|_| work(table))),
            Some(Fault::After(change)) => self.table(|table| {
                change(table);
                work(table)
            }),
            Some(Fault::NotDoneBut(change)) => {
                self.table(change);
                lost()
            }
        }
    }
}

impl Table {
    pub(super) fn row(&self, key: &PaymentKey) -> Row {
        self.rows[key].clone()
    }

    /// Somebody changes an order.
    pub(super) fn change(&mut self, key: &PaymentKey, owner: OwnerToken, by: impl FnOnce(&mut Order)) {
        let row = self.rows.get_mut(key).unwrap();
        by(&mut row.order);
        row.owner = owner;
        row.version += 1;
    }

    /// Everything is forgotten.
    pub(super) fn flush(&mut self) {
        *self = Self::default();
    }

    fn insert(&mut self, change: &Change, displaced: Displaced) -> Inserted {
        let order = &change.row.order;
        if let Some(there) = self.rows.get(&order.key)
            && displaced.version != Some(there.version)
        {
            return Inserted::There(there.clone());
        }
        let namesake = |row: &&Row| {
            row.order.key != order.key
                && order.payment_id.is_some()
                && (&row.order.payer, &row.order.payment_id) == (&order.payer, &order.payment_id)
                && !self.nameless.contains(&row.order.key)
        };
        if let Some(namesake) = self.rows.values().find(namesake) {
            let at = (namesake.order.key, namesake.version);
            if displaced.namesake != Some(at) {
                return Inserted::Namesake(namesake.clone());
            }
            self.nameless.insert(at.0);
        }
        self.nameless.remove(&order.key);
        self.put(change);
        Inserted::Done
    }

    fn replace(&mut self, change: &Change) -> Result<bool, StoreError> {
        let order = &change.row.order;
        let transfer = |order: &Order| {
            let settlement = order.settlement.as_ref()?;
            Some((settlement.network.clone(), one_case(&settlement.transaction), settlement.log_index?))
        };
        let taken = |row: &Row| row.order.key != order.key && transfer(&row.order) == transfer(order);
        if transfer(order).is_some() && self.rows.values().any(taken) {
            return Err(StoreError::TransferTaken);
        }
        let before = self.rows.get(&order.key).map(|row| row.version + 1);
        let done = before == Some(change.row.version);
        if done {
            self.put(change);
        }
        Ok(done)
    }

    fn put(&mut self, change: &Change) {
        let key = change.row.order.key;
        self.history.entry(key).or_default().extend(change.transition.clone());
        self.responses.extend(change.response.clone().map(|response| (key, response)));
        self.payments.extend(change.payment.clone().map(|payment| (key, payment)));
        if !change.row.order.owes_settlement() {
            self.payments.remove(&key);
        }
        self.rows.insert(key, change.row.clone());
    }
}

impl Rows for Fake {
    async fn load(&self, key: &PaymentKey) -> Result<Option<Row>, StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        Ok(self.table(|table| table.rows.get(key).cloned()))
    }

    async fn insert(&self, change: &Change, displaced: Displaced) -> Result<Inserted, StoreError> {
        self.write(|table| Ok(table.insert(change, displaced))).await
    }

    async fn replace(&self, change: &Change) -> Result<bool, StoreError> {
        self.write(|table| table.replace(change)).await
    }

    async fn due(&self, limit: usize, now: UnixSeconds) -> Result<Vec<Row>, StoreError> {
        let is_due = |row: &&Row| row.order.due().is_some_and(|due| due <= now);
        Ok(self.table(|table| table.rows.values().filter(is_due).take(limit).cloned().collect()))
    }

    async fn response(&self, key: &PaymentKey) -> Result<Option<Arc<StoredResponse>>, StoreError> {
        Ok(self.table(|table| table.responses.get(key).cloned()))
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Arc<KeptPayment>>, StoreError> {
        Ok(self.table(|table| table.payments.get(key).cloned()))
    }

    async fn deferred(&self, payer: &str) -> Result<Deferred, StoreError> {
        self.table(|table| {
            let owed = || table.rows.values().filter(|row| row.order.owes_settlement());
            let of_payer = owed().filter(|row| *row.order.payer == *payer).count() as u64;
            Ok(Deferred { of_payer, in_total: owed().count() as u64 })
        })
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Page, StoreError> {
        let wanted =
            |order: &&Order| after.is_none_or(|cursor| cursor.is_before(order)) && filter.admits(order, now);
        let mut orders: Vec<Order> =
            self.table(|table| table.rows.values().map(|row| &row.order).filter(wanted).cloned().collect());
        orders.sort_unstable_by_key(|order| std::cmp::Reverse(Cursor::at(order)));
        let more = orders.len() > limit;
        orders.truncate(limit);
        let next = orders.last().filter(|_| more).map(Cursor::at);
        Ok(Page { orders, next })
    }

    async fn history(&self, key: &PaymentKey) -> Result<Vec<Transition>, StoreError> {
        Ok(self.table(|table| table.history.get(key).cloned().unwrap_or_default()))
    }

    async fn tidy(&self, _: UnixSeconds) -> Result<(), StoreError> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
