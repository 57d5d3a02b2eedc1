//! Where orders are kept, by URL.

use std::sync::Arc;

use x402_core::order::{MemoryStore, OrderStore};

use crate::BoxError;

/// Opens the store that a URL names.
pub(crate) async fn connect(url: &str) -> Result<Arc<dyn OrderStore>, BoxError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Arc::new(MemoryStore::new())),
        _ => Err("is no store's URL, wanted memory:, sqlite:FILE, redis://.. or postgres://..".into()),
    }
}
