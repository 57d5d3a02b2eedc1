use std::{fmt, sync::Arc, time::Duration};

use x402_core::{
    order::{Lease, MemoryStore, OpenRequest, Opened, Order, OrderStore, OwnerToken, StoreError, Worker},
    scheme::{EvmAddress, PaymentKey},
    testing::store_contract::Payments,
    time::UnixSeconds,
};

use crate::ready;

/// Live claims in a memory store, as many as it may have.
pub struct Claims {
    store: MemoryStore,
    template: OpenRequest,
    now: UnixSeconds,
}

impl Claims {
    /// A store for so many claims, and none in it.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let store = MemoryStore::builder().capacity(capacity).build();
        let payments = Payments::new(Arc::new(store.clone()));
        Self { store, template: payments.request(0), now: payments.now }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Claims the payment with this number: of a payer of its own, and of the same price as the others.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub fn claim(&self, number: u32) -> Result<Opened, StoreError> {
        ready(self.store.open(&self.request(number), self.now))
    }

    /// Claims so many payments.
    ///
    /// # Panics
    /// When one of them cannot be claimed.
    pub fn fill(&self, count: u32) {
        for number in 0..count {
            let opened = self.claim(number);
            assert!(matches!(opened, Ok(Opened::New(..))), "{opened:?}");
        }
    }

    /// Looks for what is due once every thousandth claim of the next part of them is, so that no shard can be passed over.
    ///
    /// # Panics
    /// When the store fails.
    #[must_use]
    pub fn due(&self, part: u32) -> Vec<(Lease, Order)> {
        let worker = Worker { owner: OwnerToken::new([1; 16]), lease: Duration::from_secs(1_000) };
        // Clocks may be some seconds apart.
        let now = self.valid_before(part).after(Duration::from_secs(5));
        ready(self.store.due(&worker, usize::MAX, now)).expect("the store is in memory")
    }

    fn request(&self, number: u32) -> OpenRequest {
        // Multiplied by an odd number, so that keys and payers differ, in all of their bytes.
        let mixed =
            |seed: u64| (u64::from(number) + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let mut key = [0; 32];
        for (seed, bytes) in (0..).zip(key.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&mixed(seed << 40).to_le_bytes());
        }
        let payer = EvmAddress::new(*key.first_chunk().expect("32 bytes have 20"));
        let part = if number.is_multiple_of(1_000) { number / 1_000 % PARTS } else { PARTS };
        OpenRequest {
            key: PaymentKey::from_bytes(key),
            payer: payer.to_string().into(),
            valid_before: self.valid_before(part),
            terms: Arc::new(self.template.terms.as_ref().clone()),
            ..self.template.clone()
        }
    }

    fn valid_before(&self, part: u32) -> UnixSeconds {
        self.now.after(Duration::from_secs(100 + u64::from(part)))
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Claims become due in so many parts.
pub const PARTS: u32 = 10;
