//! One node, over one connection.
//!
//! A connection is given up when it breaks, when an answer is late (what is at the other end may be gone without a
//! word), and when the node turns out to be a replica: the name may lead to another node by then. The next command
//! connects anew. Only one tries at a time; who waited for an attempt that failed fails with it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, RedisError, RedisResult, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};

use super::late;
use crate::patience::within;

#[derive(Clone)]
pub(in crate::redis) struct NodeLink {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    config: AsyncConnectionConfig,
    limit: Duration,
    state: Mutex<State>,
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Grows with each connection, so that a failure of an old one does not end a new one.
    number: u64,
    failed: Option<(Instant, RedisError)>,
}

impl NodeLink {
    /// Does not connect yet.
    pub(in crate::redis) fn new(info: ConnectionInfo, limit: Duration) -> RedisResult<Self> {
        // The limit is kept here: the driver's own would count the time in which nobody could read an answer.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let inner = Inner {
            client: Client::open(info)?,
            config,
            limit,
            state: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) async fn value(&self, command: &Cmd) -> RedisResult<Value> {
        let (mut connection, number) = self.connection().await?;
        let answer = self.in_time(connection.send_packed_command(command)).await;
        let answer = answer.and_then(Value::extract_error);
        answer.inspect_err(|error| self.give_up(error, number))
    }

    pub(super) async fn batch(&self, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        let mut pipeline = redis::pipe();
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let (mut connection, number) = self.connection().await?;
        let answers = self.in_time(connection.send_packed_commands(&pipeline, 0, commands.len())).await;
        let answers = answers.and_then(|all| all.into_iter().map(Value::extract_error).collect());
        answers.inspect_err(|error| self.give_up(error, number))
    }

    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        if let Some(open) = self.open() {
            return Ok(open);
        }
        let since = Instant::now();
        let _turn = self.inner.connecting.lock().await;
        if let Some(open) = self.open() {
            return Ok(open);
        }
        if let Some((at, error)) = &self.state().failed
            && *at >= since
        {
            return Err(error.clone());
        }
        let inner = &self.inner;
        let attempt = inner.client.get_multiplexed_async_connection_with_config(&inner.config);
        let attempt = self.in_time(attempt).await;
        let mut state = self.state();
        match attempt {
            Ok(connection) => {
                state.number += 1;
                state.connection = Some(connection.clone());
                Ok((connection, state.number))
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        within(self.inner.limit, work).await.unwrap_or_else(|| Err(late()))
    }

    fn open(&self) -> Option<(MultiplexedConnection, u64)> {
        let state = self.state();
        state.connection.clone().map(|connection| (connection, state.number))
    }

    fn give_up(&self, error: &RedisError, number: u64) {
        let replica = error.kind() == ServerErrorKind::ReadOnly.into();
        let mut state = self.state();
        if (error.is_unrecoverable_error() || error.is_timeout() || replica) && state.number == number {
            state.connection = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commands that may wait for their turn on the connection.
const QUEUE: usize = 1024;
