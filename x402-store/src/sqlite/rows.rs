//! Rows in a file.

use std::sync::Arc;

use x402_core::{
    order::{Cursor, Deferred, Filter, KeptPayment, Page, StoreError, StoredResponse, Transition},
    scheme::PaymentKey,
    time::UnixSeconds,
};

use super::{
    columns::Columns,
    page, read,
    thread::Thread,
    write::{self, Keeping},
};
use crate::rows::{Change, Displaced, Inserted, Row, Rows};

pub(super) struct SqliteRows {
    // Ends first: the last connection that is closed tidies the log away.
    pub(super) reader: Thread,
    pub(super) writer: Thread,
    pub(super) keeping: Keeping,
}

impl Rows for SqliteRows {
    async fn load(&self, key: &PaymentKey) -> Result<Option<Row>, StoreError> {
        let key = *key.as_bytes();
        self.reader.take(move |connection| read::row(connection, &key)).await
    }

    async fn insert(&self, change: &Change, displaced: Displaced) -> Result<Inserted, StoreError> {
        let (new, keeping) = (Columns::of(change), self.keeping);
        self.writer.take(move |connection| write::insert(connection, &new, displaced, keeping)).await
    }

    async fn replace(&self, change: &Change) -> Result<bool, StoreError> {
        let (new, keeping) = (Columns::of(change), self.keeping);
        self.writer.take(move |connection| write::replace(connection, &new, keeping)).await
    }

    async fn due(&self, limit: usize, now: UnixSeconds) -> Result<Vec<Row>, StoreError> {
        self.reader.take(move |connection| read::due(connection, limit, now)).await
    }

    async fn response(&self, key: &PaymentKey) -> Result<Option<Arc<StoredResponse>>, StoreError> {
        let key = *key.as_bytes();
        self.reader.take(move |connection| read::response(connection, &key)).await
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Arc<KeptPayment>>, StoreError> {
        let key = *key.as_bytes();
        self.reader.take(move |connection| read::payment(connection, &key)).await
    }

    async fn deferred(&self, payer: &str) -> Result<Deferred, StoreError> {
        let payer = Box::<str>::from(payer);
        self.reader.take(move |connection| read::deferred(connection, &payer)).await
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Page, StoreError> {
        let filter = filter.clone();
        self.reader.take(move |connection| page::page(connection, &filter, after, limit, now)).await
    }

    async fn history(&self, key: &PaymentKey) -> Result<Vec<Transition>, StoreError> {
        let key = *key.as_bytes();
        self.reader.take(move |connection| read::history(connection, &key)).await
    }

    async fn tidy(&self, now: UnixSeconds) -> Result<(), StoreError> {
        // In portions, so that others get a turn.
        while self.writer.take(move |connection| write::forget(connection, now, FORGOTTEN_AT_ONCE)).await?
            == FORGOTTEN_AT_ONCE
        {}
        Ok(())
    }

    /// Through the writer: whoever can only read keeps no orders.
    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.take(|_| Ok(())).await
    }
}

const FORGOTTEN_AT_ONCE: usize = 64;
