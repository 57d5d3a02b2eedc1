//! Rows in tables.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio_postgres::Row as Columns;
use x402_core::{
    order::{
        Cursor, Deferred, Filter, KeptPayment, OwnerToken, Page, StoreError, StoredResponse, Transition,
    },
    scheme::PaymentKey,
    time::UnixSeconds,
};

use super::{
    batch::Parameter,
    link::{Ask, Link},
    page::Query,
    record::{Keeping, Record, seconds, text},
    trouble::{READ_ONLY, Trouble},
    writer::Writer,
};
use crate::{
    codec::{order_from_json, payment_from_json, response_from_bytes},
    rows::{Change, Displaced, Inserted, Row, Rows, readable},
};

/// One database.
pub(crate) struct PostgresRows {
    pub(super) opens: Writer,
    pub(super) changes: Writer,
    /// For what must be answered at once.
    pub(super) reads: Link,
    /// For what may take its time.
    pub(super) rest: Link,
    pub(super) keeping: Keeping,
}

impl PostgresRows {
    async fn read(&self, ask: Ask<'_>, with: &[Parameter<'_>]) -> Result<Vec<Columns>, StoreError> {
        self.reads.query(ask, with).await.map_err(|trouble| StoreError::from(&trouble))
    }

    async fn slowly(&self, ask: Ask<'_>, with: &[Parameter<'_>]) -> Result<Vec<Columns>, StoreError> {
        self.rest.query(ask, with).await.map_err(|trouble| StoreError::from(&trouble))
    }
}

impl Rows for PostgresRows {
    async fn load(&self, key: &PaymentKey) -> Result<Option<Row>, StoreError> {
        let found = self.read(Ask::Prepared(|all| &all.load), &[&&key.as_bytes()[..]]).await?;
        found.first().map(row).transpose()
    }

    async fn insert(&self, change: &Change, displaced: Displaced) -> Result<Inserted, StoreError> {
        let order = &change.row.order;
        for _ in 0..ATTEMPTS {
            if self.opens.write(Record::of(change, self.keeping), displaced).await? {
                return Ok(Inserted::Done);
            }
            if let Some(there) =
                self.load(&order.key).await?.filter(|there| Some(there.version) != displaced.version)
            {
                return Ok(Inserted::There(there));
            }
            let Some(name) = order.payment_id.as_ref().map(|id| id.as_str()) else { continue };
            let payer = text(&order.payer);
            let with: [Parameter<'_>; 2] = [&payer, &name];
            let found = self.read(Ask::Prepared(|all| &all.namesake), &with).await?;
            if let Some(namesake) = found.first().map(row).transpose()? {
                if namesake.order.key != order.key {
                    return Ok(Inserted::Namesake(namesake));
                }
                // It came back under that name since it was looked at, and must not be displaced twice.
                if Some(namesake.version) != displaced.version {
                    return Ok(Inserted::There(namesake));
                }
            }
        }
        Err(StoreError::Unavailable(CONTENDED.into()))
    }

    async fn replace(&self, change: &Change) -> Result<bool, StoreError> {
        self.changes.write(Record::of(change, self.keeping), Displaced::default()).await
    }

    async fn due(&self, limit: usize, now: UnixSeconds) -> Result<Vec<Row>, StoreError> {
        let with: [Parameter<'_>; 2] = [&seconds(now), &count(limit)];
        Ok(readable(self.read(Ask::Prepared(|all| &all.due), &with).await?.iter().map(row)))
    }

    async fn response(&self, key: &PaymentKey) -> Result<Option<Arc<StoredResponse>>, StoreError> {
        let found = self.read(Ask::Prepared(|all| &all.response), &[&&key.as_bytes()[..]]).await?;
        let content = found.first().map(|columns| Bytes::from(columns.get::<_, Vec<u8>>(0)));
        content.map(|content| response_from_bytes(content).map(Arc::new)).transpose()
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Arc<KeptPayment>>, StoreError> {
        let found = self.read(Ask::Prepared(|all| &all.kept), &[&&key.as_bytes()[..]]).await?;
        let kept = found.first().and_then(|columns| columns.get::<_, Option<&str>>(0));
        kept.map(|json| payment_from_json(json).map(Arc::new)).transpose()
    }

    async fn deferred(&self, payer: &str) -> Result<Deferred, StoreError> {
        let found = self.read(Ask::Prepared(|all| &all.deferred), &[&text(payer)]).await?;
        let count = |column: usize| {
            found.first().and_then(|columns| u64::try_from(columns.get::<_, i64>(column)).ok()).unwrap_or(0)
        };
        Ok(Deferred { of_payer: count(0), in_total: count(1) })
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, PAGE);
        let query = Query::of(filter, after, count(limit.saturating_add(1)));
        let found = self.slowly(Ask::Text(&query.text), &query.parameters()).await?;
        let mut orders = Vec::with_capacity(found.len().min(limit));
        for columns in found.iter().take(limit) {
            orders.push(row(columns)?.order);
        }
        let next = if found.len() > limit { orders.last().map(Cursor::at) } else { None };
        orders.retain(|order| filter.admits(order, now));
        Ok(Page { orders, next })
    }

    async fn history(&self, key: &PaymentKey) -> Result<Vec<Transition>, StoreError> {
        let found = self.read(Ask::Prepared(|all| &all.history), &[&&key.as_bytes()[..]]).await?;
        found.iter().map(transition).collect()
    }

    async fn tidy(&self, now: UnixSeconds) -> Result<(), StoreError> {
        let with: [Parameter<'_>; 2] = [&seconds(now), &PORTION];
        loop {
            let gone = self.slowly(Ask::Prepared(|all| &all.tidy), &with).await?;
            if count(gone.len()) < PORTION {
                return Ok(());
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let found = self.read(Ask::Text(WRITABLE), &[]).await?;
        if found.first().is_some_and(|columns| columns.get(0)) {
            Ok(())
        } else {
            Err((&Trouble::new(READ_ONLY)).into())
        }
    }
}

fn row(columns: &Columns) -> Result<Row, StoreError> {
    let owner: [u8; 16] = columns.get::<_, &[u8]>(1).try_into().map_err(|_| unreadable("owner"))?;
    let version = u64::try_from(columns.get::<_, i64>(2)).map_err(|_| unreadable("version"))?;
    Ok(Row { order: order_from_json(columns.get(0))?, owner: OwnerToken::new(owner), version })
}

fn transition(columns: &Columns) -> Result<Transition, StoreError> {
    let word = |column: usize| columns.get::<_, &str>(column);
    let number = |column: usize| columns.get::<_, i64>(column);
    serde_json::from_value(json!({
        "at": number(0),
        "event": word(1),
        "payment": word(2),
        "delivery": word(3),
        "fence": number(4),
    }))
    .map_err(|_| unreadable("transition"))
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Unavailable(format!("a stored {what} cannot be read").into())
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// How often names may change hands while one is asked for.
const ATTEMPTS: usize = 4;
const CONTENDED: &str =
    "PostgreSQL has another order of this name, and it changes faster than it can be read";
const PAGE: usize = 1000;
const PORTION: i64 = 500;
const WRITABLE: &str = "SELECT NOT current_setting('transaction_read_only')::bool";
/// A page of orders that no index leads to, or a heap of responses to forget.
pub(super) const SLOWLY: Duration = Duration::from_secs(30);
