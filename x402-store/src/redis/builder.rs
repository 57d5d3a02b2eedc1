//! Options of a store, and the way to it.

use std::{sync::Arc, time::Duration};

use x402_core::error::ConfigError;

use super::{
    RedisStore,
    keys::Keys,
    nodes,
    rows::{Kept, RedisRows},
    way::{NAME, Way},
};
use crate::steps::Steps;

/// Options of a [`RedisStore`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `connect` is called"]
pub struct RedisStoreBuilder {
    prefix: String,
    patience: Duration,
    kept: Kept,
}

impl RedisStoreBuilder {
    /// What all keys begin with, for shops that share a Redis and must not share orders. Default `x402`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long Redis may take for one step, with the look for a write whose answer stays away. Default 900 ms.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long it keeps a response. Default ten minutes.
    pub const fn response_lifetime(mut self, lifetime: Duration) -> Self {
        self.kept.lifetime = lifetime;
        self
    }

    /// How large a response it keeps, in bytes. Default 1 MiB.
    pub const fn response_limit(mut self, bytes: usize) -> Self {
        self.kept.bytes = bytes;
        self
    }

    /// Connects, and checks that the server can keep orders.
    ///
    /// # Errors
    /// As [`RedisStore::connect`].
    pub async fn connect(self, urls: &str) -> Result<RedisStore, ConfigError> {
        let problem = |problem: &str| ConfigError::new(NAME, problem);
        if self.prefix.is_empty() || self.prefix.contains(['{', '}']) {
            return Err(problem("a prefix has at least one character, and no brace"));
        }
        if self.patience.is_zero() || self.kept.lifetime.is_zero() {
            return Err(problem("`patience` and `response_lifetime` are longer than nothing"));
        }
        let nodes = nodes::parse(urls, self.patience).map_err(problem)?;
        // Links are less patient, so that what is told is why.
        let way = Way { place: nodes::place(&nodes), limit: self.patience * 3 / 5 };
        let keys = Keys::new(self.prefix);
        let link = way.open(nodes, &keys).await?;
        let rows = RedisRows::new(link, keys, way.place, self.kept);
        Ok(RedisStore { steps: Arc::new(Steps::new(rows, self.patience)) })
    }
}

impl Default for RedisStoreBuilder {
    fn default() -> Self {
        Self {
            prefix: "x402".to_owned(),
            patience: Duration::from_millis(900),
            kept: Kept { lifetime: Duration::from_secs(10 * 60), bytes: 1024 * 1024 },
        }
    }
}
