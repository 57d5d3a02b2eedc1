//! Permit2: one contract, which a payer approved once, moves any token as its holder signed.
//!
//! The signature names a spender, and the spenders of x402 are two proxies that pay nobody but the recipient the payer
//! signed for: one moves exactly what was permitted, the other as much of it as the named facilitator asks for. All
//! three contracts have the same address on every chain.

use std::fmt;

use ruint::aliases::U256;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Authorization, EvmAddress, PaymentKey, SignedMessage,
    members::{address, invalid, number, recipient, saturating_seconds, signature},
};
use crate::{
    error::RejectReason,
    price::{AtomicAmount, PriceOption},
};

/// The message and signature of a Permit2 `PermitWitnessTransferFrom`, with the witness of one of the x402 proxies.
#[derive(Clone, Eq, PartialEq)]
pub struct Permit2 {
    /// The payer. Not part of what is signed: it is who signed.
    pub owner: EvmAddress,
    /// The token.
    pub token: EvmAddress,
    /// The most that may move, in atomic units.
    pub amount: U256,
    /// Who may move it: one of the proxies.
    pub spender: EvmAddress,
    /// Unique per payer, over all tokens and spenders.
    pub nonce: U256,
    /// The last second in which it can be settled.
    pub deadline: U256,
    /// What the proxy holds it to.
    pub witness: Permit2Witness,
    /// As sent: 65 bytes `r`, `s`, `v` for plain accounts, anything for contract accounts.
    pub signature: Vec<u8>,
}

/// What a proxy is held to by the payer's signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Permit2Witness {
    /// The recipient.
    pub to: EvmAddress,
    /// The only account that may settle, in `upto`.
    pub facilitator: Option<EvmAddress>,
    /// The first second in which it can be settled.
    pub valid_after: U256,
}

impl Permit2 {
    /// Reads `{"signature", "permit2Authorization": {..}}`. Numbers are strings, in decimal or after `0x`.
    ///
    /// # Errors
    /// [`RejectReason::InvalidPayload`] naming the member that is missing or malformed.
    pub fn read(payload: &Value) -> Result<Self, RejectReason> {
        if payload.get("authorization").is_some() {
            return Err(invalid("only permit2 is offered here"));
        }
        let message =
            payload.get("permit2Authorization").ok_or(invalid("permit2Authorization is missing"))?;
        let permitted = message.get("permitted").ok_or(invalid("permitted is missing"))?;
        let witness = message.get("witness").ok_or(invalid("witness is missing"))?;
        let facilitator = match witness.get("facilitator") {
            None | Some(Value::Null) => None,
            Some(_) => {
                let account = address(witness, "facilitator");
                Some(account.ok_or(invalid("witness.facilitator is not an address"))?)
            }
        };
        Ok(Self {
            owner: address(message, "from").ok_or(invalid("from is not an address"))?,
            token: address(permitted, "token").ok_or(invalid("permitted.token is not an address"))?,
            amount: number(permitted, "amount").ok_or(invalid("permitted.amount is not a number"))?,
            spender: address(message, "spender").ok_or(invalid("spender is not an address"))?,
            nonce: number(message, "nonce").ok_or(invalid("nonce is not a number"))?,
            deadline: number(message, "deadline").ok_or(invalid("deadline is not a number"))?,
            witness: Permit2Witness {
                to: address(witness, "to").ok_or(invalid("witness.to is not an address"))?,
                facilitator,
                valid_after: number(witness, "validAfter")
                    .ok_or(invalid("witness.validAfter is not a number"))?,
            },
            signature: signature(payload).ok_or(invalid("signature is not hex of a sane length"))?,
        })
    }

    /// Compares all that was signed, but its times, with terms of our own: spender, recipient, facilitator, amount, token.
    ///
    /// # Errors
    /// [`RejectReason`] naming the first that differs.
    pub fn answers(&self, option: &PriceOption) -> Result<(), RejectReason> {
        let differs = |code| Err(RejectReason::Other(std::borrow::Cow::Borrowed(code)));
        let facilitator = option.facilitator_address();
        let (spender, facilitator_fits) = if option.is_upto() {
            let same = |account: &str| account.parse().ok() == self.witness.facilitator;
            (UPTO_PERMIT2_PROXY, facilitator.is_some_and(same))
        } else {
            (EXACT_PERMIT2_PROXY, self.witness.facilitator.is_none())
        };
        if self.spender != spender {
            return differs("invalid_permit2_spender");
        }
        if option.pay_to.parse() != Ok(self.witness.to) {
            return Err(RejectReason::WrongRecipient);
        }
        if !facilitator_fits {
            return differs("upto_facilitator_mismatch");
        }
        if self.amount != option.amount.get() {
            let offered = AtomicAmount::new(self.amount);
            return Err(RejectReason::WrongAmount { wanted: option.amount, offered });
        }
        if option.asset.parse() != Ok(self.token) {
            return differs("permit2_token_mismatch");
        }
        Ok(())
    }

    /// What it says as an authorization on `option`'s network, where Permit2 keeps its nonce.
    pub(super) fn authorization(self, option: &PriceOption) -> Result<Authorization, RejectReason> {
        let chain_id = option.network.chain_id().ok_or(RejectReason::UnsupportedScheme)?;
        if self.owner == EvmAddress::ZERO {
            return Err(invalid("from is the zero address"));
        }
        let nonce = self.nonce.to_be_bytes();
        Ok(Authorization::new(
            PaymentKey::new(chain_id, PERMIT2.as_bytes(), self.owner.as_bytes(), &nonce),
            self.digest(),
            self.owner.to_string(),
            recipient(self.witness.to, option),
            AtomicAmount::new(self.amount),
            saturating_seconds(self.witness.valid_after),
            // The deadline itself is the last good second.
            saturating_seconds(self.deadline.saturating_add(U256::ONE)),
            nonce,
            SignedMessage::Permit2(self),
        ))
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        let Permit2Witness { to, facilitator, valid_after } = self.witness;
        let mut hash = Sha256::new();
        hash.update(b"x402 presentation v1\0permit2\0");
        for account in [self.owner, self.token, self.spender, to] {
            hash.update(account.as_bytes());
        }
        hash.update([u8::from(facilitator.is_some())]);
        hash.update(facilitator.unwrap_or(EvmAddress::ZERO).as_bytes());
        for number in [self.amount, self.nonce, self.deadline, valid_after] {
            hash.update(number.to_be_bytes::<32>());
        }
        hash.update(&self.signature);
        hash.finalize().into()
    }
}

impl fmt::Debug for Permit2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit2")
            .field("owner", &self.owner)
            .field("token", &self.token)
            .field("amount", &self.amount)
            .field("witness", &self.witness)
            .finish_non_exhaustive()
    }
}

/// Permit2, which keeps the nonces and holds the payers' approvals.
pub const PERMIT2: EvmAddress = EvmAddress::new([
    0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0xd4, 0x73, 0x03, 0x0f, 0x11, 0x6d, 0xde, 0xe9, 0xf6, 0xb4, 0x3a,
    0xc7, 0x8b, 0xa3,
]);
/// The proxy that moves exactly what was permitted.
pub const EXACT_PERMIT2_PROXY: EvmAddress = EvmAddress::new([
    0x40, 0x20, 0x85, 0xc2, 0x48, 0xee, 0xa2, 0x7d, 0x92, 0xe8, 0xb3, 0x0b, 0x2c, 0x58, 0xed, 0x07, 0xf9,
    0xe2, 0x00, 0x01,
]);
/// The proxy that moves as much of what was permitted as the named facilitator asks for.
pub const UPTO_PERMIT2_PROXY: EvmAddress = EvmAddress::new([
    0x40, 0x20, 0xa4, 0xf3, 0xb7, 0xb9, 0x0c, 0xca, 0x42, 0x3b, 0x9f, 0xab, 0xcc, 0x0c, 0xe5, 0x7c, 0x6c,
    0x24, 0x00, 0x02,
]);

#[cfg(test)]
mod tests;
