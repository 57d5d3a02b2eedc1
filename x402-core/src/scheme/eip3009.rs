//! EIP-3009: the token itself moves what its holder signed.

use ruint::aliases::U256;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Authorization, EvmAddress, PaymentKey, SignedMessage,
    members::{address, decimal, invalid, recipient, saturating_seconds, signature, word},
};
use crate::{
    error::RejectReason,
    price::{AtomicAmount, PriceOption},
};

/// The message and signature of an EIP-3009 `TransferWithAuthorization`.
#[derive(Clone, Eq, PartialEq)]
pub struct Eip3009 {
    /// The payer.
    pub from: EvmAddress,
    /// The recipient.
    pub to: EvmAddress,
    /// Atomic units.
    pub value: U256,
    /// Exclusive start of the window, unix seconds.
    pub valid_after: U256,
    /// Exclusive end of the window, unix seconds.
    pub valid_before: U256,
    /// Unique per payer and token.
    pub nonce: [u8; 32],
    /// As sent: 65 bytes `r`, `s`, `v` for plain accounts, anything for contract accounts.
    pub signature: Vec<u8>,
}

impl Eip3009 {
    /// Reads `{"signature", "authorization": {..}}`.
    ///
    /// # Errors
    /// [`RejectReason::InvalidPayload`] naming the member that is missing or malformed.
    pub fn read(payload: &Value) -> Result<Self, RejectReason> {
        if payload.get("permit2Authorization").is_some() {
            return Err(invalid("permit2 is not offered here"));
        }
        let message = payload.get("authorization").ok_or(invalid("authorization is missing"))?;
        Ok(Self {
            from: address(message, "from").ok_or(invalid("from is not an address"))?,
            to: address(message, "to").ok_or(invalid("to is not an address"))?,
            value: decimal(message, "value").ok_or(invalid("value is not a decimal string"))?,
            valid_after: decimal(message, "validAfter")
                .ok_or(invalid("validAfter is not a decimal string"))?,
            valid_before: decimal(message, "validBefore")
                .ok_or(invalid("validBefore is not a decimal string"))?,
            nonce: word(message, "nonce").ok_or(invalid("nonce is not 32 bytes of hex"))?,
            signature: signature(payload).ok_or(invalid("signature is not hex of a sane length"))?,
        })
    }

    /// What it says as an authorization for `option`, which keeps its nonce in the option's token.
    pub(super) fn authorization(self, option: &PriceOption) -> Result<Authorization, RejectReason> {
        let chain_id = option.network.chain_id().ok_or(RejectReason::UnsupportedScheme)?;
        let token: EvmAddress = option.asset.parse().map_err(|_| RejectReason::UnsupportedScheme)?;
        if self.from == EvmAddress::ZERO {
            return Err(invalid("from is the zero address"));
        }
        Ok(Authorization::new(
            PaymentKey::new(chain_id, token.as_bytes(), self.from.as_bytes(), &self.nonce),
            self.digest(),
            self.from.to_string(),
            recipient(self.to, option),
            AtomicAmount::new(self.value),
            saturating_seconds(self.valid_after),
            saturating_seconds(self.valid_before),
            self.nonce,
            SignedMessage::Eip3009(self),
        ))
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"x402 presentation v1\0eip3009\0");
        hash.update(self.from.as_bytes());
        hash.update(self.to.as_bytes());
        for number in [self.value, self.valid_after, self.valid_before] {
            hash.update(number.to_be_bytes::<32>());
        }
        hash.update(self.nonce);
        hash.update(&self.signature);
        hash.finalize().into()
    }
}

impl std::fmt::Debug for Eip3009 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eip3009")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
