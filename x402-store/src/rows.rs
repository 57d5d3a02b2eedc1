//! What a back end provides: rows that change only if nobody changed them meanwhile.

use std::{future::Future, sync::Arc};

use x402_core::{
    order::{
        Cursor, Deferred, Filter, KeptPayment, Order, OwnerToken, Page, StoreError, StoredResponse,
        Transition,
    },
    scheme::PaymentKey,
    time::UnixSeconds,
};

use crate::codec::order_to_json;

/// An order as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) order: Order,
    /// Who holds it, or held it last.
    pub(crate) owner: OwnerToken,
    /// Grows by one with every change. The first one of an order is random and below 2^48, so that a late write does not
    /// meet the version it waits for in another order, should the back end have forgotten the first.
    pub(crate) version: u64,
}

impl Row {
    /// Whether the two are one row. Its owner and version alone do not tell: both halves of a deferred order are
    /// reported under one lease.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.version == other.version
            && self.owner == other.owner
            && order_to_json(&self.order) == order_to_json(&other.order)
    }
}

/// Those that can be read. One that cannot, and is first each time, must not keep the worker from all others.
pub(crate) fn readable(rows: impl IntoIterator<Item = Result<Row, StoreError>>) -> Vec<Row> {
    let told = |error: &StoreError| {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(cause, "an order that is due cannot be read: nobody looks after it");
    };
    rows.into_iter().filter_map(|row| row.inspect_err(told).ok()).collect()
}

/// A row as it is to be, with everything that becomes durable in the same step.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Its version is that of the row before plus one.
    pub(crate) row: Row,
    /// What happened; none for a renewal.
    pub(crate) transition: Option<Transition>,
    /// The response to keep.
    pub(crate) response: Option<Arc<StoredResponse>>,
    /// The payment to keep. One that was kept goes as soon as the order does not owe its settlement.
    pub(crate) payment: Option<Arc<KeptPayment>>,
}

/// What became of a new row.
#[derive(Debug)]
pub(crate) enum Inserted {
    Done,
    /// There is one already under its key, which is not to be displaced.
    There(Row),
    /// Otherwise nothing is in its way, but its identifier is that of another payment of its payer.
    Namesake(Row),
}

/// What a new row may displace.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Displaced {
    /// The version of the row under the same key, which gives way.
    pub(crate) version: Option<u64>,
    /// The payment that has the identifier, and its version when it had no use for it any more. It keeps its row, only
    /// its name goes on.
    pub(crate) namesake: Option<(PaymentKey, u64)>,
}

/// A transaction's name as it is compared: hashes in hexadecimal digits are the same in both cases.
#[cfg(any(test, feature = "postgres", feature = "sqlite"))]
pub(crate) fn one_case(transaction: &str) -> String {
    if transaction.starts_with("0x") { transaction.to_ascii_lowercase() } else { transaction.to_owned() }
}

/// A back end. Each method is one atomic step; after an error nobody knows whether it was taken.
///
/// Besides the row, a back end keeps an index by what [`Order::due`] says, by name, by time of creation, and of those that
/// [owe their settlement](Order::owes_settlement).
pub(crate) trait Rows: Send + Sync + 'static {
    fn load(&self, key: &PaymentKey) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send;

    /// Writes a new row, if there is none under its key and nobody else has its identifier, save what may be
    /// displaced; else says what is there.
    fn insert(
        &self,
        change: &Change,
        displaced: Displaced,
    ) -> impl Future<Output = Result<Inserted, StoreError>> + Send;

    /// Writes a changed row, if the one there has the version before; else writes nothing and says `false`.
    ///
    /// [`StoreError::TransferTaken`] where another order was settled by the same transfer.
    fn replace(&self, change: &Change) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Rows that are due, in no order.
    fn due(
        &self,
        limit: usize,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    fn response(
        &self,
        key: &PaymentKey,
    ) -> impl Future<Output = Result<Option<Arc<StoredResponse>>, StoreError>> + Send;

    fn payment(
        &self,
        key: &PaymentKey,
    ) -> impl Future<Output = Result<Option<Arc<KeptPayment>>, StoreError>> + Send;

    fn deferred(&self, payer: &str) -> impl Future<Output = Result<Deferred, StoreError>> + Send;

    fn page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    fn history(&self, key: &PaymentKey) -> impl Future<Output = Result<Vec<Transition>, StoreError>> + Send;

    fn tidy(&self, now: UnixSeconds) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
