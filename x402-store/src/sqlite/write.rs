//! Steps that change the file.

use std::time::Duration;

use rusqlite::{Connection, params};
use x402_core::{order::StoreError, time::UnixSeconds};

use super::{
    columns::{Columns, integer, seconds, word},
    failure::{Failure, is_duplicate},
    read,
};
use crate::rows::{Displaced, Inserted};

/// How long and how many responses are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    pub(super) lifetime: Duration,
    pub(super) bytes: u64,
}

pub(super) fn insert(
    connection: &Connection,
    new: &Columns,
    displaced: Displaced,
    keeping: Keeping,
) -> Result<Inserted, Failure> {
    if let Some(there) = read::row(connection, &new.key)?
        && displaced.version != Some(there.version)
    {
        return Ok(Inserted::There(there));
    }
    if let Some(name) = &new.payment_id
        && let Some(namesake) = read::namesake(connection, &new.payer, name, &new.key)?
    {
        if displaced.namesake != Some((namesake.order.key, namesake.version)) {
            return Ok(Inserted::Namesake(namesake));
        }
        let unnamed = "UPDATE orders SET payment_id = NULL WHERE key = ?1";
        connection.prepare_cached(unnamed)?.execute([namesake.order.key.as_bytes()])?;
    }
    connection.prepare_cached(INSERT)?.execute(params![
        new.key,
        new.id,
        new.payer,
        new.payment_id,
        new.route,
        new.status,
        new.payment,
        new.delivery,
        new.created_at,
        new.due_at,
        new.owes,
        new.document,
        new.owner,
        new.version,
    ])?;
    record(connection, new, keeping)?;
    Ok(Inserted::Done)
}

pub(super) fn replace(connection: &Connection, new: &Columns, keeping: Keeping) -> Result<bool, Failure> {
    let replaced = connection.prepare_cached(REPLACE)?.execute(params![
        new.key,
        new.version,
        new.status,
        new.payment,
        new.delivery,
        new.due_at,
        new.owes,
        new.network,
        new.transaction,
        new.log_index,
        new.document,
        new.owner,
    ]);
    match replaced {
        Ok(0) => return Ok(false),
        Ok(_) => {}
        // Of what is unique only the transfer changes.
        Err(error) if is_duplicate(&error) => return Err(StoreError::TransferTaken.into()),
        Err(error) => return Err(error.into()),
    }
    record(connection, new, keeping)?;
    Ok(true)
}

/// What is written beside the row.
fn record(connection: &Connection, new: &Columns, keeping: Keeping) -> Result<(), Failure> {
    if let Some(transition) = &new.transition {
        connection.prepare_cached(TRANSITION)?.execute(params![
            new.key,
            new.version,
            seconds(transition.at),
            transition.event,
            word(serde_json::to_value(transition.payment)),
            word(serde_json::to_value(transition.delivery)),
            integer(transition.fence),
        ])?;
    }
    if let (Some(response), Some(transition)) = (&new.response, &new.transition) {
        keep(connection, &new.key, response, transition.at, keeping)?;
    }
    if let Some(payment) = &new.kept_payment {
        let kept = "INSERT INTO payments (order_number, document) \
                    VALUES ((SELECT number FROM orders WHERE key = ?1), ?2) \
                    ON CONFLICT (order_number) DO UPDATE SET document = excluded.document";
        connection.prepare_cached(kept)?.execute(params![new.key, payment])?;
    }
    if new.deferred && !new.owes {
        let gone = "DELETE FROM payments WHERE order_number = (SELECT number FROM orders WHERE key = ?1)";
        connection.prepare_cached(gone)?.execute([new.key])?;
    }
    Ok(())
}

/// Keeps a response, in the place of those whose time is over and, where that is not enough, of the oldest.
fn keep(
    connection: &Connection,
    key: &[u8; 32],
    response: &[u8],
    now: UnixSeconds,
    keeping: Keeping,
) -> Result<(), Failure> {
    let before = "DELETE FROM responses WHERE order_number = (SELECT number FROM orders WHERE key = ?1)";
    connection.prepare_cached(before)?.execute([key])?;
    forget(connection, now, FORGOTTEN_PER_RESPONSE)?;
    let room = integer(keeping.bytes).saturating_sub(i64::try_from(response.len()).unwrap_or(i64::MAX));
    if room < 0 {
        tracing::warn!(bytes = response.len(), "a response larger than all that may be kept was not kept");
        return Ok(());
    }
    let mut total = connection.prepare_cached("SELECT total FROM response_bytes")?;
    while total.query_row([], |row| row.get::<_, i64>(0))? > room {
        let oldest = "DELETE FROM responses WHERE order_number = (SELECT order_number FROM responses ORDER BY expires_at LIMIT 1)";
        connection.prepare_cached(oldest)?.execute([])?;
    }
    let expires_at = seconds(now.after(keeping.lifetime));
    connection.prepare_cached(RESPONSE)?.execute(params![key, expires_at, response])?;
    Ok(())
}

/// Forgets some responses whose time is over, and says how many.
pub(super) fn forget(connection: &Connection, now: UnixSeconds, limit: usize) -> Result<usize, Failure> {
    let expired = "DELETE FROM responses WHERE order_number IN \
                   (SELECT order_number FROM responses WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    Ok(connection.prepare_cached(expired)?.execute(params![seconds(now), integer(limit as u64)])?)
}

/// A rejected order under the same key gives way.
const INSERT: &str = "INSERT INTO orders \
    (key, id, payer, payment_id, route, status, payment, delivery, created_at, due_at, owes, document, owner, version) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
    ON CONFLICT (key) DO UPDATE SET id = excluded.id, payer = excluded.payer, payment_id = excluded.payment_id, \
    route = excluded.route, status = excluded.status, payment = excluded.payment, delivery = excluded.delivery, \
    created_at = excluded.created_at, due_at = excluded.due_at, owes = excluded.owes, document = excluded.document, \
    owner = excluded.owner, version = excluded.version";

const REPLACE: &str = "UPDATE orders SET version = ?2, status = ?3, payment = ?4, delivery = ?5, due_at = ?6, \
    owes = ?7, network = ?8, transaction_hash = ?9, log_index = ?10, document = ?11, owner = ?12 \
    WHERE key = ?1 AND version = ?2 - 1";

const TRANSITION: &str = "INSERT INTO transitions (order_number, version, at, event, payment, delivery, fence) \
    VALUES ((SELECT number FROM orders WHERE key = ?1), ?2, ?3, ?4, ?5, ?6, ?7)";

const RESPONSE: &str = "INSERT INTO responses (order_number, expires_at, content) \
    VALUES ((SELECT number FROM orders WHERE key = ?1), ?2, ?3)";

/// More than one, so that the file shrinks in use even if the worker does not run.
const FORGOTTEN_PER_RESPONSE: usize = 4;
