//! Steps that only read.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Params, Row as Columns, params};
use x402_core::{
    order::{Deferred, KeptPayment, OwnerToken, StoredResponse, Transition},
    time::UnixSeconds,
};

use super::{
    columns::{integer, seconds},
    failure::{Failure, unavailable},
};
use crate::{
    codec::{order_from_json, payment_from_json, response_from_bytes},
    rows::{Row, readable},
};

pub(super) fn row(connection: &Connection, key: &[u8; 32]) -> Result<Option<Row>, Failure> {
    let text = "SELECT document, owner, version FROM orders WHERE key = ?1";
    Ok(rows(connection, text, [key])?.pop())
}

/// The order of another payment of this payer that has this identifier.
pub(super) fn namesake(
    connection: &Connection,
    payer: &str,
    name: &str,
    key: &[u8; 32],
) -> Result<Option<Row>, Failure> {
    let text =
        "SELECT document, owner, version FROM orders WHERE payer = ?1 AND payment_id = ?2 AND key <> ?3";
    Ok(rows(connection, text, params![payer, name, key])?.pop())
}

pub(super) fn due(connection: &Connection, limit: usize, now: UnixSeconds) -> Result<Vec<Row>, Failure> {
    let text = "SELECT document, owner, version FROM orders WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
    let mut statement = connection.prepare_cached(text)?;
    let mut found = statement.query(params![seconds(now), integer(limit as u64)])?;
    let mut rows = Vec::new();
    while let Some(columns) = found.next()? {
        match of(columns) {
            Err(Failure::Sql(error)) => return Err(error.into()),
            Err(Failure::Refused(unreadable)) => rows.push(Err(unreadable)),
            Ok(row) => rows.push(Ok(row)),
        }
    }
    Ok(readable(rows))
}

/// Orders by a text that selects document, owner and version.
pub(super) fn rows(connection: &Connection, text: &str, params: impl Params) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare_cached(text)?;
    let mut found = statement.query(params)?;
    let mut rows = Vec::new();
    while let Some(columns) = found.next()? {
        rows.push(of(columns)?);
    }
    Ok(rows)
}

/// A row of document, owner and version.
fn of(columns: &Columns<'_>) -> Result<Row, Failure> {
    let version = columns.get::<_, i64>(2)?;
    Ok(Row {
        order: order_from_json(columns.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?,
        owner: OwnerToken::new(columns.get(1)?),
        version: u64::try_from(version).map_err(|_| unavailable("a stored version is below zero"))?,
    })
}

pub(super) fn response(
    connection: &Connection,
    key: &[u8; 32],
) -> Result<Option<Arc<StoredResponse>>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT content FROM responses JOIN orders ON number = order_number WHERE key = ?1",
    )?;
    let content: Option<Vec<u8>> = statement.query_row([key], |row| row.get(0)).optional()?;
    Ok(content.map(Bytes::from).map(response_from_bytes).transpose()?.map(Arc::new))
}

pub(super) fn payment(connection: &Connection, key: &[u8; 32]) -> Result<Option<Arc<KeptPayment>>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT payments.document FROM payments JOIN orders ON number = order_number WHERE key = ?1",
    )?;
    let document: Option<String> = statement.query_row([key], |row| row.get(0)).optional()?;
    Ok(document.as_deref().map(payment_from_json).transpose()?.map(Arc::new))
}

pub(super) fn deferred(connection: &Connection, payer: &str) -> Result<Deferred, Failure> {
    let text = "SELECT count(*) FILTER (WHERE payer = ?1), count(*) FROM orders WHERE owes = 1";
    let counts = connection.prepare_cached(text)?.query_row([payer], |row| {
        Ok(Deferred {
            of_payer: row.get::<_, i64>(0)?.unsigned_abs(),
            in_total: row.get::<_, i64>(1)?.unsigned_abs(),
        })
    })?;
    Ok(counts)
}

pub(super) fn history(connection: &Connection, key: &[u8; 32]) -> Result<Vec<Transition>, Failure> {
    let text = "SELECT json_object('at', at, 'event', event, 'payment', payment, 'delivery', delivery, 'fence', fence) \
                FROM transitions WHERE order_number = (SELECT number FROM orders WHERE key = ?1) ORDER BY version";
    let mut statement = connection.prepare_cached(text)?;
    let mut found = statement.query([key])?;
    let mut history = Vec::new();
    while let Some(row) = found.next()? {
        let document = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        history.push(
            serde_json::from_str(document).map_err(|_| unavailable("a stored transition cannot be read"))?,
        );
    }
    Ok(history)
}
