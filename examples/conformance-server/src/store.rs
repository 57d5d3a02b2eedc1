//! Where orders are kept, by URL.

use std::sync::Arc;

use x402_core::order::{MemoryStore, OrderStore};
use x402_store::{PostgresStore, RedisStore, SqliteStore};

use crate::BoxError;

/// Opens the store that a URL names.
pub(crate) async fn connect(url: &str) -> Result<Arc<dyn OrderStore>, BoxError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Arc::new(MemoryStore::new())),
        Some(("sqlite", file)) => Ok(Arc::new(SqliteStore::open(file)?)),
        Some(("redis", _)) => Ok(Arc::new(RedisStore::connect(url).await?)),
        Some(("postgres", _)) => Ok(Arc::new(PostgresStore::connect(url).await?)),
        _ => Err("is no store's URL, wanted memory:, sqlite:FILE, redis://.. or postgres://..".into()),
    }
}
