//! One connection: made, checked, set up, and with its statements prepared.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::AbortHandle;
use tokio_postgres::Client;

use super::{
    address::Address,
    schema,
    statements::Statements,
    trouble::{READ_ONLY, Trouble},
};
use crate::patience::within;

/// What connections are made to, and for how long each of their statements may take.
pub(super) struct Target {
    pub(super) address: Address,
    pub(super) schema: Arc<str>,
    pub(super) patience: Duration,
}

/// A connection and its statements.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) statements: Statements,
    /// Carries bytes; it would go on waiting for answers nobody is waiting for.
    driver: AbortHandle,
    made_at: Instant,
    /// A statement was given up on.
    is_doubtful: AtomicBool,
}

impl Session {
    /// A connection for statements that take at most `limit` each.
    pub(super) async fn open(target: &Target, limit: Duration) -> Result<Self, Trouble> {
        in_time(CONNECT, async {
            let (client, driver) = dial(target).await?;
            set_up(&client, target, limit).await?;
            schema::check(schema::version(&client, &target.schema).await?, &target.schema)?;
            let statements = Statements::prepare(&client).await?;
            let is_doubtful = AtomicBool::new(false);
            Ok(Self { client, statements, driver: driver.keep(), made_at: Instant::now(), is_doubtful })
        })
        .await
    }

    /// Whether it is worth using once more. One on which a statement was given up on is given some time: a server that is
    /// slow gets no better by new connections.
    pub(super) fn is_good(&self, patience: Duration) -> bool {
        let doubtful = self.is_doubtful.load(Ordering::Relaxed) && self.made_at.elapsed() > patience;
        !self.client.is_closed() && !doubtful
    }

    pub(super) fn doubt(&self) {
        self.is_doubtful.store(true, Ordering::Relaxed);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What the server says of itself when we arrive.
pub(super) struct Settings {
    pub(super) durable: Result<(), String>,
}

/// A connection that nothing was prepared on: to look at the server, and to make the tables.
pub(super) async fn look(target: &Target) -> Result<(Client, Driver, Settings), Trouble> {
    in_time(CONNECT, async {
        let (client, driver) = dial(target).await?;
        set_up(&client, target, CONNECT).await?;
        let row = client.query_one(DURABILITY, &[]).await?;
        let off: Vec<&str> = row.get(0);
        let durable = if off.is_empty() { Ok(()) } else { Err(off.join(", ")) };
        Ok((client, driver, Settings { durable }))
    })
    .await
}

/// Ends its connection when dropped.
pub(super) struct Driver(Option<AbortHandle>);

impl Driver {
    fn keep(mut self) -> AbortHandle {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(driver) = self.0.take() {
            driver.abort();
        }
    }
}

async fn dial(target: &Target) -> Result<(Client, Driver), Trouble> {
    let Address { config, connector, .. } = &target.address;
    let (client, connection) =
        config.connect(connector.clone()).await.map_err(|error| Trouble::from(error).before_greeting())?;
    let driver = tokio::spawn(async move {
        // Who waits for an answer is told.
        let _ = connection.await;
    });
    Ok((client, Driver(Some(driver.abort_handle()))))
}

async fn set_up(client: &Client, target: &Target, limit: Duration) -> Result<(), Trouble> {
    let (schema, limit) = (&target.schema, limit.as_millis());
    let waits = (target.patience / 4).as_millis();
    client
        .batch_execute(&format!(
            "SET search_path = {schema}; SET statement_timeout = {limit}; SET lock_timeout = {waits}; {SETTINGS}"
        ))
        .await?;
    let row = client.query_one(STANDING, &[]).await?;
    if row.get(0) {
        return Err(Trouble::new(READ_ONLY));
    }
    let version: i32 = row.get(1);
    if version < OLDEST {
        let major = version / 10_000;
        return Err(Trouble::new(format!(
            "is of version {major}: a store needs {} or later",
            OLDEST / 10_000
        )));
    }
    Ok(())
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    within(limit, work).await.unwrap_or_else(|| Err(Trouble::silence()))
}

/// Every statement finds its rows by an index, whatever the server believes to know of the tables: they grow fast, and
/// rows must be locked in the order they are given in. A commit is an answer from the disk.
const SETTINGS: &str = "
    SET default_transaction_isolation = 'read committed';
    SET idle_in_transaction_session_timeout = '10s';
    SET client_min_messages = 'warning';
    SET plan_cache_mode = 'force_generic_plan';
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
const STANDING: &str = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
    current_setting('server_version_num')::int";
const DURABILITY: &str = "SELECT coalesce(array_agg(name::text), '{}') FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'";
/// For greetings, settings and statements to prepare, perhaps over a long way.
const CONNECT: Duration = Duration::from_secs(5);
const OLDEST: i32 = 120_000;
