//! Payments by their payers' own names for them.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{
    inner::lock,
    sync::{Mutex, MutexGuard},
};
use crate::{
    order::{PaymentId, StoreError},
    scheme::PaymentKey,
};

/// Which payment has which name. An entry alone means nothing: the order must still be there and bear the name.
pub(super) struct Identifiers {
    shards: Vec<Mutex<HashMap<Identifier, PaymentKey>>>,
}

/// Hash of a payer and its name for a payment.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(super) struct Identifier([u8; 32]);

impl Identifier {
    pub(super) fn new(payer: &str, id: &PaymentId) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"x402 payment identifier v1\0");
        // Programs do not agree on the case of addresses.
        hash.update(payer.to_ascii_lowercase());
        hash.update(b"\0");
        hash.update(id.as_str());
        Self(hash.finalize().into())
    }
}

impl Identifiers {
    pub(super) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Mutex::default()).collect() }
    }

    /// Locks the part that the name is in. Whoever also needs an order's shard locks this first.
    pub(super) fn lock(
        &self,
        identifier: &Identifier,
    ) -> Result<MutexGuard<'_, HashMap<Identifier, PaymentKey>>, StoreError> {
        lock(&self.shards[usize::from(identifier.0[0]) % self.shards.len()])
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}
