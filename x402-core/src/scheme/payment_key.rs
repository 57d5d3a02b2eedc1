//! The identity of a payment.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex;

/// The on-chain identity of a payment: chain, contract that keeps the nonce, payer and nonce.
///
/// Never derived from header bytes or the signature, so that every re-encoding of a payment is the same payment.
///
/// Its first byte comes from the payer alone, so that a store which is spread over machines can keep all of a payer's
/// orders in one place, and find that place from the key.
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct PaymentKey(#[serde(with = "hex")] [u8; 32]);

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
        Self::of_payer(payer, hash.finalize().into())
    }

    /// A payer's key with this digest, for schemes that identify payments in another way.
    #[must_use]
    pub fn of_payer(payer: &[u8], digest: [u8; 32]) -> Self {
        let mut key = digest;
        key[0] = Sha256::new().chain_update(b"x402 payer shard v1\0").chain_update(payer).finalize()[0];
        Self(key)
    }

    /// Which of 64 parts of a store all orders of this payer belong to.
    #[must_use]
    pub const fn shard(&self) -> u8 {
        self.0[0] % SHARDS
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

/// How many parts a store that is spread over machines has.
const SHARDS: u8 = 64;

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
