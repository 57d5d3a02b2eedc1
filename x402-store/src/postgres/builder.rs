//! Options of a PostgreSQL store.

use std::{fmt, sync::Arc, time::Duration};

use x402_core::error::ConfigError;

use super::{
    PostgresStore,
    address::Address,
    link::Link,
    record::Keeping,
    rows::{PostgresRows, SLOWLY},
    schema,
    session::{self, Target},
    trouble::Trouble,
    writer::{Kind, Writer},
};
use crate::steps::Steps;

/// Options of a [`PostgresStore`]. Debug output leaves the URL out.
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect` is called"]
pub struct PostgresStoreBuilder {
    url: String,
    schema: String,
    patience: Duration,
    writers: usize,
    keeping: Keeping,
    may_create: bool,
}

impl PostgresStoreBuilder {
    pub(super) fn new(url: String) -> Self {
        let keeping = Keeping { lifetime: Duration::from_secs(10 * 60), limit: 2 * 1024 * 1024 };
        let patience = Duration::from_secs(1);
        Self { url, schema: "x402".to_owned(), patience, writers: 2, keeping, may_create: true }
    }

    /// The schema its tables are in. It is created if it is missing. Default `x402`.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// How long the server may take for a step of an order; then the store does not answer, and the client is told to
    /// come back. Default one second.
    pub const fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// How many statements that open orders, and how many that change them, may be under way at once. Each has as many
    /// steps in it as were waiting, so few do. It takes twice as many connections, and two to read. Default 2.
    pub const fn writers(mut self, count: usize) -> Self {
        self.writers = count;
        self
    }

    /// How long it keeps a response. Default ten minutes.
    pub const fn response_lifetime(mut self, lifetime: Duration) -> Self {
        self.keeping.lifetime = lifetime;
        self
    }

    /// How many bytes a response that is kept may have, headers included; longer ones are not kept. Default 2 MiB.
    pub const fn response_bytes(mut self, bytes: usize) -> Self {
        self.keeping.limit = bytes;
        self
    }

    /// Whether tables are made, or brought up to date, where that is needed; if not, it is refused. Default `true`.
    pub const fn may_create(mut self, may: bool) -> Self {
        self.may_create = may;
        self
    }

    /// Connects, brings the tables up to date, and checks what can be checked.
    ///
    /// # Errors
    /// [`ConfigError`], without any secret, where the URL cannot be read, the server cannot be reached, does not let us
    /// in or takes no writes, where the tables are of a later release, or the role may not create missing ones.
    pub async fn connect(self) -> Result<PostgresStore, ConfigError> {
        schema::check_name(&self.schema)?;
        if self.patience < SHORTEST || self.writers == 0 {
            return Err(ConfigError::new(
                "PostgreSQL store",
                "needs a patience of 10 ms and a writer at least",
            ));
        }
        let address = Address::parse(&self.url, self.patience)?;
        let name = Arc::clone(&address.name);
        let schema: Arc<str> = self.schema.as_str().into();
        let target = Arc::new(Target { address, schema: Arc::clone(&schema), patience: self.patience });
        let wrong = |trouble: Trouble| ConfigError::new(format!("PostgreSQL at {name}"), trouble.to_string());
        prepare(&target, self.may_create).await.map_err(wrong)?;
        let rows = self.rows(&target).await.map_err(wrong)?;
        Ok(PostgresStore { steps: Arc::new(Steps::new(rows, self.patience)), name, schema })
    }

    async fn rows(&self, target: &Arc<Target>) -> Result<PostgresRows, Trouble> {
        let mut lanes = [Vec::new(), Vec::new()];
        for lane in &mut lanes {
            for _ in 0..self.writers {
                lane.push(Link::open(target, self.patience).await?);
            }
        }
        let [opens, changes] = lanes;
        Ok(PostgresRows {
            opens: Writer::start(Kind::Open, opens),
            changes: Writer::start(Kind::Change, changes),
            reads: Link::open(target, self.patience).await?,
            rest: Link::open(target, SLOWLY).await?,
            keeping: self.keeping,
        })
    }
}

impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("schema", &self.schema)
            .field("patience", &self.patience)
            .field("writers", &self.writers)
            .finish_non_exhaustive()
    }
}

/// Looks at the server, and makes the tables if need be.
async fn prepare(target: &Target, may_create: bool) -> Result<(), Trouble> {
    let (mut client, _driver, settings) = session::look(target).await?;
    let server = &*target.address.name;
    if target.address.is_open {
        tracing::warn!(server, "{UNENCRYPTED}");
    }
    if let Err(off) = settings.durable {
        tracing::warn!(server, off, "{NOT_DURABLE}");
    }
    if may_create {
        schema::migrate(&mut client, &target.schema).await
    } else {
        schema::are_there(&client, &target.schema).await
    }
}

const SHORTEST: Duration = Duration::from_millis(10);
const UNENCRYPTED: &str = "connection to the order store is not encrypted: orders and kept responses can be read, and \
                           changed, on the way; add sslmode=verify-full to its URL";
const NOT_DURABLE: &str = "order store is not durable: a crash of its machine can lose orders that were settled, or the \
                           whole database; switch these settings on";
