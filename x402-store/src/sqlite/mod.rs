//! Orders in one file on one machine.
//!
//! *Durable.* A write-ahead log with `synchronous=FULL`: what was answered is on the disk. Steps that come while one is
//! written share the next write (`thread.rs`), so that many at once cost little more than one.
//!
//! *Atomic.* A step is done in whole or not at all. It compares versions in a transaction that was begun for writing, so
//! several processes may have the file open.
//!
//! *A record.* Orders and what happened to them are never deleted, a settlement never changes, a transfer settles one
//! order: the file's own triggers and indexes see to it (`schema/1.sql`).

mod builder;
mod columns;
mod failure;
mod file;
mod page;
mod read;
mod rows;
mod schema;
mod thread;
mod write;

use std::{fmt, path::Path, sync::Arc};

use x402_core::error::ConfigError;

pub use self::builder::SqliteStoreBuilder;
use self::rows::SqliteRows;
use crate::{forward::order_store, rows::Rows as _, steps::Steps};

/// Orders in one file, for ever. Clones share one store.
///
/// Instances and processes of one machine may share the file; those of several machines may not, and it must not be on
/// a network's file system, which confirms what it has not written. Beside it are its log (`-wal`) and an index of the
/// log (`-shm`): whoever copies the file while it is open copies all three, or uses `sqlite3 FILE ".backup COPY"`.
///
/// Where settlement is [deferred](x402_core::SettleTiming::Deferred) the payment is kept with its signature until it is
/// settled. Then it is overwritten in the file; in the log it may be read until its place there is used again, and in
/// copies for as long as they last. The signature moves this one payment, once, and nothing when its time is over; still,
/// give these files to nobody.
///
/// Where the file cannot be written any more (a full disk, a lock of another process, the file is gone), steps answer
/// [`Unavailable`](x402_core::order::StoreError::Unavailable) and nothing is charged; it goes on by itself when the
/// reason is gone. When the last clone is dropped its threads end, which takes until what they are writing is written.
///
/// ```
/// use x402_core::order::OrderStore;
/// use x402_store::SqliteStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("orders.db");
/// let store = SqliteStore::open(&file)?;
/// store.ping().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    steps: Arc<Steps<SqliteRows>>,
    path: Arc<Path>,
}

impl SqliteStore {
    /// Opens the file with the default options, and makes it if there is none. Takes some milliseconds and blocks
    /// meanwhile.
    ///
    /// # Errors
    /// As [`SqliteStoreBuilder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::builder().open(path)
    }

    /// A store with other options.
    pub fn builder() -> SqliteStoreBuilder {
        SqliteStoreBuilder::default()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

order_store!(SqliteStore, is_shared: true, may_forget: false);

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}
