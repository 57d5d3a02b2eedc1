//! The tables, and how a file gets them.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// Whose file it is, and how new.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Version {
    /// Nothing is in it yet.
    Empty,
    /// Tables of another program.
    Foreign,
    /// Ours, as the steps up to this one have made it.
    Ours(u32),
}

/// Reads whose file it is, at one moment: another process may be making its tables. Changes nothing.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<Version> {
    let moment = connection.unchecked_transaction()?;
    version_in(&moment)
}

fn version_in(connection: &Connection) -> rusqlite::Result<Version> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables = connection.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(())).optional()?;
    Ok(match (number("application_id")?, number("user_version")?, tables) {
        (APPLICATION, version, _) => Version::Ours(u32::try_from(version).unwrap_or(u32::MAX)),
        (0, 0, None) => Version::Empty,
        _ => Version::Foreign,
    })
}

/// Takes the steps that the file has not seen, all or none. Several processes may come at once.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = match version_in(&transaction)? {
        Version::Ours(done) => done,
        Version::Empty | Version::Foreign => 0,
    };
    for (number, step) in (1..).zip(STEPS) {
        if number > done {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", number)?;
        }
    }
    transaction.commit()
}

/// The newest schema that is known here.
pub(super) const LATEST: u32 = STEPS.len() as u32;

/// Never changed once they are out: a new step is added.
const STEPS: [&str; 1] = [include_str!("schema/1.sql")];

/// `x402` in ASCII.
const APPLICATION: i64 = 0x7834_3032;
