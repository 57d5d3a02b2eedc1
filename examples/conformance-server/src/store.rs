//! Where orders are kept, by URL.

use std::sync::Arc;

use x402_core::order::{MemoryStore, OrderStore};
use x402_store::SqliteStore;

use crate::BoxError;

/// Opens the store that a URL names.
pub(crate) async fn connect(url: &str) -> Result<Arc<dyn OrderStore>, BoxError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Arc::new(MemoryStore::new())),
        Some(("sqlite", file)) => Ok(Arc::new(SqliteStore::open(file)?)),
        _ => Err("is no store's URL, wanted memory:, sqlite:FILE, redis://.. or postgres://..".into()),
    }
}
