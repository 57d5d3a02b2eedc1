//! The tables, and how they came to be what they are.
//!
//! Versions are steps that run once each, in one transaction under a lock, so that several instances may start at once
//! and a step that fails leaves nothing. Where the tables are of this version already nothing is written, so that a role
//! without the right to create them can work.

use tokio_postgres::Client;
use x402_core::error::ConfigError;

use super::trouble::Trouble;

/// The version of the tables in a schema; 0 where there are none.
pub(super) async fn version(client: &Client, schema: &str) -> Result<i32, Trouble> {
    let there = client.query_one(THERE, &[&schema]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(0);
    }
    let row =
        client.query_one(&format!("SELECT coalesce(max(version), 0) FROM {schema}.versions"), &[]).await?;
    Ok(row.get(0))
}

/// Whether tables of this version are of use to us.
pub(super) fn check(version: i32, schema: &str) -> Result<(), Trouble> {
    if version > LATEST {
        return Err(Trouble::new(format!(
            "has tables of version {version} in schema {schema}, made by a later release; this one knows version \
             {LATEST}: use that release, or another schema. Nothing was changed"
        )));
    }
    Ok(())
}

/// Whether the tables are there, and of our version. Changes nothing.
pub(super) async fn are_there(client: &Client, schema: &str) -> Result<(), Trouble> {
    let found = version(client, schema).await?;
    check(found, schema)?;
    let what = match found {
        LATEST => return Ok(()),
        0 => "has no order tables",
        _ => "has order tables of an earlier release",
    };
    Err(Trouble::new(format!(
        "{what} in schema {schema}; the paywall makes them when it starts. Nothing was changed"
    )))
}

/// Brings the tables to our version.
pub(super) async fn migrate(client: &mut Client, schema: &str) -> Result<(), Trouble> {
    let found = version(client, schema).await?;
    check(found, schema)?;
    if found == LATEST {
        return Ok(());
    }
    // Another instance may be at it for as long as it takes.
    let step = client.transaction().await?;
    step.batch_execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0").await?;
    step.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let found = version(step.client(), schema).await?;
    check(found, schema)?;
    if found == 0 {
        step.batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema};
             CREATE TABLE {schema}.versions (version int PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())"
        ))
        .await?;
    }
    for (version, sql) in (1..).zip(VERSIONS).filter(|(version, _)| *version > found) {
        step.batch_execute(&format!("SET LOCAL search_path = {schema}; {sql}")).await?;
        step.execute(&format!("INSERT INTO {schema}.versions (version) VALUES ($1)"), &[&version]).await?;
    }
    step.commit().await?;
    if found < LATEST {
        tracing::info!(schema, from = found, to = LATEST, "order tables brought up to date");
    }
    Ok(())
}

/// Names that need no quotes, so that they are the same wherever they are written.
pub(super) fn check_name(schema: &str) -> Result<(), ConfigError> {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    let starts = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if starts && schema.len() <= 63 && schema.bytes().all(allowed) && !schema.starts_with("pg_") {
        return Ok(());
    }
    let problem = "is made of a-z, 0-9 and _, starts with no digit nor pg_, and has at most 63 characters";
    Err(ConfigError::new(format!("PostgreSQL schema {schema:?}"), problem))
}

/// Looks into the catalogue itself: what the server remembers of names may be from before we waited for the lock.
const THERE: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS space
    ON space.oid = relnamespace WHERE nspname = $1 AND relname = 'versions')";
const VERSIONS: [&str; 1] = [include_str!("schema/1.sql")];
pub(super) const LATEST: i32 = 1;
const _: () = assert!(VERSIONS.len() == LATEST as usize);
/// Any number, the same in all releases.
const LOCK: i64 = 0x7834_3032_6f72_6465;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_a_plain_name() {
        for name in ["x402", "_shop_2", "a"] {
            check_name(name).unwrap();
        }
        for name in ["", "2x", "Shop", "a b", "a\"; DROP TABLE x", "pg_shop", &"a".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
