//! The way to the server: one connection that everybody shares, and that is replaced when it does not do any more.

mod cluster;
mod node;

use redis::{Cmd, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value};

pub(super) use self::{cluster::ClusterLink, node::NodeLink};
use super::script::Script;

/// Commands to one node, or to whichever node of a cluster has the key.
#[derive(Clone)]
pub(super) enum Link {
    Node(NodeLink),
    Cluster(ClusterLink),
}

impl Link {
    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        Ok(redis::from_redis_value(self.value(command).await?)?)
    }

    /// Independent commands, sent together; the answers in the same order.
    pub(super) async fn batch<T: FromRedisValue>(&self, commands: Vec<Cmd>) -> RedisResult<Vec<T>> {
        let values = match self {
            _ if commands.is_empty() => return Ok(Vec::new()),
            Self::Node(node) => node.batch(&commands).await,
            Self::Cluster(cluster) => cluster.batch(commands).await,
        }?;
        values.into_iter().map(|value| Ok(redis::from_redis_value(value)?)).collect()
    }

    /// One atomic step. A server that does not know the script, or does not any more, is told it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> RedisResult<T> {
        let call = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys);
            for argument in arguments {
                command.arg(*argument);
            }
            command
        };
        let answer = match self.value(&call("EVALSHA", &script.hash)).await {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                self.value(&call("EVAL", script.code)).await
            }
            answer => answer,
        };
        Ok(redis::from_redis_value(answer?)?)
    }

    async fn value(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Node(node) => node.value(command).await,
            Self::Cluster(cluster) => cluster.value(command).await,
        }
    }
}

/// No answer in time, as the driver would say it.
fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
