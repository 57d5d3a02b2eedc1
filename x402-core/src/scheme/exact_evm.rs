//! `exact` on EVM chains through EIP-3009: the shape of its payload, without cryptography.

use ruint::aliases::U256;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Authorization, EvmAddress, PaymentKey, Proof, Scheme, SignedMessage};
use crate::{
    error::RejectReason,
    price::{AtomicAmount, PriceOption},
    time::UnixSeconds,
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
            return Err(RejectReason::InvalidPayload("permit2 is not offered here"));
        }
        let message = payload.get("authorization").ok_or(invalid("authorization is missing"))?;
        Ok(Self {
            from: address(message, "from").ok_or(invalid("from is not an address"))?,
            to: address(message, "to").ok_or(invalid("to is not an address"))?,
            value: integer(message, "value").ok_or(invalid("value is not a decimal string"))?,
            valid_after: integer(message, "validAfter")
                .ok_or(invalid("validAfter is not a decimal string"))?,
            valid_before: integer(message, "validBefore")
                .ok_or(invalid("validBefore is not a decimal string"))?,
            nonce: nonce(message).ok_or(invalid("nonce is not 32 bytes of hex"))?,
            signature: signature(payload).ok_or(invalid("signature is not hex of a sane length"))?,
        })
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

/// `exact` on EVM without a look at the signature, for servers that leave verification to a facilitator.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExactEvmStructure;

impl ExactEvmStructure {
    /// Reads an EIP-3009 payload made for `option`; what [`Scheme::read`] does, for schemes built on this one.
    ///
    /// # Errors
    /// [`RejectReason::InvalidPayload`].
    pub fn authorization(payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        let chain_id = option.network.chain_id().ok_or(RejectReason::UnsupportedScheme)?;
        let token: EvmAddress = option.asset.parse().map_err(|_| RejectReason::UnsupportedScheme)?;
        let message = Eip3009::read(payload)?;
        if message.from == EvmAddress::ZERO {
            return Err(invalid("from is the zero address"));
        }
        Ok(Authorization::new(
            PaymentKey::new(chain_id, token.as_bytes(), message.from.as_bytes(), &message.nonce),
            message.digest(),
            message.from.to_string(),
            recipient(&message, option),
            AtomicAmount::new(message.value),
            saturating_seconds(message.valid_after),
            saturating_seconds(message.valid_before),
            message.nonce,
            SignedMessage::Eip3009(message),
        ))
    }
}

impl Scheme for ExactEvmStructure {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn read(&self, payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        Self::authorization(payload, option)
    }

    fn prove(&self, _: &Authorization, _: &PriceOption) -> Result<Proof, RejectReason> {
        Ok(Proof::Unknown)
    }
}

/// The recipient as the option writes it, if it is the same: its checksum need not be computed again.
fn recipient(message: &Eip3009, option: &PriceOption) -> String {
    match option.pay_to.parse() {
        Ok(asked) if message.to == asked => option.pay_to.to_string(),
        _ => message.to.to_string(),
    }
}

const fn invalid(detail: &'static str) -> RejectReason {
    RejectReason::InvalidPayload(detail)
}

fn address(message: &Value, member: &str) -> Option<EvmAddress> {
    message.get(member)?.as_str()?.parse().ok()
}

fn integer(message: &Value, member: &str) -> Option<U256> {
    let text = message.get(member)?.as_str()?;
    text.parse::<AtomicAmount>().ok().map(AtomicAmount::get)
}

fn nonce(message: &Value) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex_into(message.get("nonce")?.as_str()?.strip_prefix("0x")?, &mut bytes)?;
    Some(bytes)
}

fn signature(payload: &Value) -> Option<Vec<u8>> {
    let digits = payload.get("signature")?.as_str()?.strip_prefix("0x")?;
    if digits.len() % 2 != 0 || digits.len() > 2 * MAX_SIGNATURE {
        return None;
    }
    let mut bytes = vec![0; digits.len() / 2];
    hex_into(digits, &mut bytes)?;
    Some(bytes)
}

/// Decodes exactly `bytes.len()` bytes of hexadecimal digits in any case.
pub(super) fn hex_into(digits: &str, bytes: &mut [u8]) -> Option<()> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(())
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn saturating_seconds(value: U256) -> UnixSeconds {
    u64::try_from(value).map_or(UnixSeconds::MAX, UnixSeconds::new)
}

/// Wrapped signatures of contract accounts carry deployment calls; none needs more than this.
const MAX_SIGNATURE: usize = 4096;
