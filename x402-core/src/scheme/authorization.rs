//! What a payer signed, as far as every scheme has it.

use std::fmt;

use super::{Eip3009, PaymentKey, Permit2};
use crate::{price::AtomicAmount, time::UnixSeconds};

/// What a payer signed, read out of a payload and not yet compared with anything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Authorization {
    /// The payment's identity.
    pub key: PaymentKey,
    /// Hash over the signed values and the signature: equal for every encoding of one presentation.
    pub digest: [u8; 32],
    /// Who pays, in the network's canonical text form.
    pub payer: String,
    /// Whom the signature pays, in the network's canonical text form.
    pub recipient: String,
    /// How much it moves, or the most it may.
    pub amount: AtomicAmount,
    /// The first second after which it can be settled.
    pub valid_after: UnixSeconds,
    /// The second from which on it cannot be settled; never-ending ones saturate.
    pub valid_before: UnixSeconds,
    /// The authorization's nonce.
    pub nonce: [u8; 32],
    /// The signed message itself.
    pub message: SignedMessage,
}

impl Authorization {
    /// An authorization as its scheme read it.
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "one argument a field, all needed")]
    pub fn new(
        key: PaymentKey,
        digest: [u8; 32],
        payer: String,
        recipient: String,
        amount: AtomicAmount,
        valid_after: UnixSeconds,
        valid_before: UnixSeconds,
        nonce: [u8; 32],
        message: SignedMessage,
    ) -> Self {
        Self { key, digest, payer, recipient, amount, valid_after, valid_before, nonce, message }
    }

    /// The half of the digest that an order keeps.
    #[must_use]
    pub fn mark(&self) -> [u8; 16] {
        crate::order::first_half(self.digest)
    }
}

/// The message that was signed, by kind. Debug output leaves the signature out.
#[derive(Clone)]
#[non_exhaustive]
pub enum SignedMessage {
    /// `TransferWithAuthorization` of EIP-3009.
    Eip3009(Eip3009),
    /// `PermitWitnessTransferFrom` of Permit2, for one of the x402 proxies.
    Permit2(Permit2),
}

impl fmt::Debug for SignedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eip3009(_) => f.write_str("Eip3009(..)"),
            Self::Permit2(_) => f.write_str("Permit2(..)"),
        }
    }
}
