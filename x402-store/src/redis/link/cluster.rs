//! A cluster: commands go to the node that has the key, and follow it when it moves.
//!
//! The driver sends a command again where a node is gone or a slot moves; scripts know a row they have written. Where
//! answers stay away (a node that hangs, with its replica promoted meanwhile) a new connection learns the cluster's
//! layout afresh, in the background; the old one serves the other nodes until then.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    Cmd, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value,
    aio::ConnectionLike,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
};
use tokio::task::JoinSet;

use super::late;
use crate::patience::within;

#[derive(Clone)]
pub(in crate::redis) struct ClusterLink {
    inner: Arc<Inner>,
}

struct Inner {
    client: ClusterClient,
    limit: Duration,
    state: Mutex<State>,
}

struct State {
    connection: ClusterConnection,
    renewed: Instant,
}

impl ClusterLink {
    pub(in crate::redis) async fn connect(nodes: Vec<ConnectionInfo>, limit: Duration) -> RedisResult<Self> {
        let settings = nodes.first().map(|node| node.tcp_settings().clone()).unwrap_or_default();
        let client = ClusterClientBuilder::new(nodes)
            .tcp_settings(settings)
            .connection_timeout(limit / 2)
            .response_timeout(limit * 2)
            .overall_response_timeout(Some(limit * 2))
            .retries(RETRIES)
            .min_retry_wait(5)
            .max_retry_wait(50)
            .build()?;
        let state = State { connection: client.get_async_connection().await?, renewed: Instant::now() };
        Ok(Self { inner: Arc::new(Inner { client, limit, state: Mutex::new(state) }) })
    }

    pub(super) async fn value(&self, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.state().connection.clone();
        // Shorter than the driver's limits, which count the time in which nobody could read an answer.
        let answer = within(self.inner.limit, connection.req_packed_command(command)).await;
        let answer = answer.unwrap_or_else(|| Err(late())).and_then(Value::extract_error);
        answer.inspect_err(|error| self.renew(error))
    }

    pub(super) async fn batch(&self, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        let mut answers = vec![Value::Nil; commands.len()];
        let mut tasks = JoinSet::new();
        for (index, command) in commands.into_iter().enumerate() {
            let link = self.clone();
            tasks.spawn(async move { (index, link.value(&command).await) });
        }
        while let Some(done) = tasks.join_next().await {
            let (index, answer) = done.map_err(|_| cancelled())?;
            answers[index] = answer?;
        }
        Ok(answers)
    }

    /// A command to every node that has slots.
    pub(in crate::redis) async fn everywhere(&self, command: Cmd) -> RedisResult<Value> {
        let mut connection = self.state().connection.clone();
        let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        connection.route_command(command, everywhere).await.and_then(Value::extract_error)
    }

    /// Connects anew in the background, if the error says that the layout may have changed.
    fn renew(&self, error: &RedisError) {
        let lost = error.kind() == ErrorKind::ClusterConnectionNotFound;
        if !(error.is_timeout() || error.is_unrecoverable_error() || lost) {
            return;
        }
        let mut state = self.state();
        if state.renewed.elapsed() < RENEWED_EVERY {
            return;
        }
        state.renewed = Instant::now();
        let link = self.clone();
        tokio::spawn(async move {
            if let Ok(connection) = link.inner.client.get_async_connection().await {
                link.state().connection = connection;
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cancelled() -> RedisError {
    RedisError::from((ErrorKind::Client, "a command was cancelled"))
}

/// Redirections included.
const RETRIES: u32 = 6;
const RENEWED_EVERY: Duration = Duration::from_secs(1);
