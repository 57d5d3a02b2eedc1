//! Limits of a memory store.

use std::time::Duration;

use super::MemoryStore;

/// Limits of a [`MemoryStore`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct MemoryStoreBuilder {
    pub(super) capacity: usize,
    pub(super) response_bytes: u64,
    pub(super) response_lifetime: Duration,
}

impl MemoryStoreBuilder {
    /// How many orders it keeps at once; at that number it refuses new ones. Default 1 000 000, which take about
    /// 190 MiB.
    pub const fn capacity(mut self, orders: usize) -> Self {
        self.capacity = orders;
        self
    }

    /// How many bytes of responses it keeps; the least recently used go first. Default 64 MiB.
    pub const fn response_bytes(mut self, bytes: u64) -> Self {
        self.response_bytes = bytes;
        self
    }

    /// How long it keeps a response. Default ten minutes.
    pub const fn response_lifetime(mut self, lifetime: Duration) -> Self {
        self.response_lifetime = lifetime;
        self
    }

    /// The store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        MemoryStore::with(&self)
    }
}

impl Default for MemoryStoreBuilder {
    fn default() -> Self {
        Self {
            capacity: 1_000_000,
            response_bytes: 64 * 1024 * 1024,
            response_lifetime: Duration::from_secs(10 * 60),
        }
    }
}
