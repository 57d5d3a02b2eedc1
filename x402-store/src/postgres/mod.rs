//! Orders in PostgreSQL: for many machines, and the permanent record.
//!
//! *One step, one statement.* A write compares the row's version, changes it, adds the transition and keeps the response
//! in one statement, which is a transaction by itself (`statements.rs`). Nothing is locked while anybody waits for the
//! network.
//!
//! *Group commit.* Steps that come at the same time go in one statement and wait for the disk together (`writer.rs`).
//!
//! *Failing.* A connection that is lost is made again by whoever needs it next (`link.rs`). What was under way then is
//! sent again, which does no harm, since a write only follows the version it knows; `steps.rs` finds out what became of it.
//!
//! *Rules.* What is final stays: transitions are only added, orders never deleted, settlements never changed, and no
//! transfer settles two orders. The database enforces it against everybody (`schema/1.sql`).

mod address;
mod batch;
mod builder;
mod link;
mod page;
mod record;
mod rows;
mod schema;
mod session;
mod statements;
mod tls;
mod trouble;
mod writer;

use std::{fmt, sync::Arc};

use x402_core::error::ConfigError;

pub use self::builder::PostgresStoreBuilder;
use self::rows::PostgresRows;
use crate::{forward::order_store, rows::Rows as _, steps::Steps};

/// Orders in a PostgreSQL database, 12 or later: for many instances on many machines, and the permanent record. Clones
/// share one store.
///
/// An order is on disk before its step is answered, whatever `synchronous_commit` is set to; nothing but kept responses
/// is ever deleted. A server that does not answer within the [patience](PostgresStoreBuilder::patience) fails the step,
/// and is used again as soon as it answers. A replica that takes over has what had reached it: replicate synchronously,
/// or orders can be lost with the primary. The store lives on the tokio runtime it was made on.
///
/// Where settlement is [deferred](x402_core::SettleTiming::Deferred) the payment is kept with its signature until it is
/// settled. Then its column is empty, and what PostgreSQL wrote before it stays where it was: in the table's pages until
/// they are vacuumed and used again, in the write-ahead log, its archive, and in backups. The signature moves this one
/// payment, once, and nothing when its time is over; still, give these files to nobody. Responses are kept until the
/// [worker](x402_core::Engine::worker) of some instance has come by after their time: run one.
///
/// # Who may do what
/// The first start with a new release creates tables, in a schema of their own. Give it a role that may (`CREATE` on the
/// database), and the others one that may use them: `USAGE` on the schema, `SELECT`, `INSERT`, `UPDATE` and `DELETE` on
/// its tables.
///
/// # The URL
/// `postgres://user:password@host:5432/database`, with `%40` for an `@` in a password. Over a network say
/// `sslmode=verify-full`, or `require`, which is the same here: the server's certificate is always checked, against the
/// system's authorities or those in `sslrootcert=FILE`. Without `sslmode` nothing is encrypted. Of several hosts
/// (`one,two`) the one that takes writes is used. A pooler in between must pool sessions, not transactions.
///
/// ```no_run
/// use x402_store::PostgresStore;
///
/// # async fn example() -> Result<(), x402_core::error::ConfigError> {
/// let store = PostgresStore::connect("postgres://shop:secret@localhost/shop").await?;
///
/// let url = "postgres://shop:secret@db.example.com/shop?sslmode=verify-full";
/// let store = PostgresStore::builder(url).schema("x402_test").writers(4).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    steps: Arc<Steps<PostgresRows>>,
    name: Arc<str>,
    schema: Arc<str>,
}

impl PostgresStore {
    /// Connects with the default options.
    ///
    /// # Errors
    /// As [`PostgresStoreBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConfigError> {
        Self::builder(url).connect().await
    }

    /// A store with other options.
    pub fn builder(url: impl Into<String>) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(url.into())
    }
}

order_store!(PostgresStore, is_shared: true, may_forget: false);

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("at", &self.name)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
