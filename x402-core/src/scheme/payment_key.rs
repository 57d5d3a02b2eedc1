//! The identity of a payment.

use std::fmt;

use sha2::{Digest, Sha256};

/// The on-chain identity of a payment: chain, contract that keeps the nonce, payer and nonce.
///
/// Never derived from header bytes or the signature, so that every re-encoding of a payment is the same payment.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PaymentKey([u8; 32]);

impl PaymentKey {
    /// Computes the key. `contract` keeps the nonce: the token for EIP-3009, Permit2 for Permit2.
    #[must_use]
    pub fn new(chain_id: u64, contract: &[u8; 20], payer: &[u8; 20], nonce: &[u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"x402 payment key v1\0evm\0");
        hash.update(chain_id.to_be_bytes());
        hash.update(contract);
        hash.update(payer);
        hash.update(nonce);
        Self(hash.finalize().into())
    }

    /// A key that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PaymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PaymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentKey({self})")
    }
}
