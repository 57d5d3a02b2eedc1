//! The approval of Permit2 that a payer signed instead of sending it: the extension `eip2612GasSponsoring`.

use alloy_primitives::U256;
use serde_json::{Map, Value};
use x402_core::{
    error::RejectReason,
    facilitator::Payment,
    price::AtomicAmount,
    scheme::{EvmAddress, PERMIT2, Permit2},
    wire::{PaymentPayload, extension::EIP2612_GAS_SPONSORING},
};

use crate::{hex, recover::EcdsaSignature, rpc::permit2::SignedPermit};

/// The approval in a payment's extensions, if there is a whole one; a payer with nothing to add sends the server's own
/// declaration back.
pub(super) fn approval(payment: &Payment, message: &Permit2) -> Result<Option<SignedPermit>, RejectReason> {
    let PaymentPayload::V2(payload) = &payment.presented.payment else { return Ok(None) };
    let extension = payload.extensions.as_ref().and_then(|extensions| extensions.get(EIP2612_GAS_SPONSORING));
    let info = extension.and_then(|extension| extension.get("info")).and_then(Value::as_object);
    info.filter(|info| is_whole(info)).map(|info| read(info, message)).transpose()
}

fn is_whole(info: &Map<String, Value>) -> bool {
    let given = |value: &Value| !value.is_null() && value != "";
    MEMBERS.iter().all(|member| info.get(*member).is_some_and(given))
}

fn read(info: &Map<String, Value>, message: &Permit2) -> Result<SignedPermit, RejectReason> {
    let refused = |code: &'static str| RejectReason::Other(code.into());
    let malformed = || refused("invalid_eip2612_extension_format");
    let text = |member: &str| info.get(member).and_then(Value::as_str).ok_or_else(malformed);
    let address = |member: &str| text(member)?.parse::<EvmAddress>().map_err(|_| malformed());
    let number = |member: &str| -> Result<U256, RejectReason> {
        Ok(text(member)?.parse::<AtomicAmount>().map_err(|_| malformed())?.get())
    };
    let (from, asset, spender) = (address("from")?, address("asset")?, address("spender")?);
    let (value, deadline) = (number("amount")?, number("deadline")?);
    number("nonce")?;
    if !text("version")?.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())) {
        return Err(malformed());
    }
    let signature: [u8; 65] = hex::decode(text("signature")?).ok_or_else(malformed)?;
    let signature = EcdsaSignature::read(&signature).map_err(|_| malformed())?.to_bytes();
    if from != message.owner {
        return Err(refused("eip2612_from_mismatch"));
    }
    if asset != message.token {
        return Err(refused("eip2612_asset_mismatch"));
    }
    if spender != PERMIT2 {
        return Err(refused("eip2612_spender_not_permit2"));
    }
    if value != message.amount {
        return Err(refused("permit2_2612_amount_mismatch"));
    }
    let half = |start: usize| signature[start..start + 32].try_into().expect("32 of 65 bytes");
    Ok(SignedPermit { value, deadline, r: half(0), s: half(32), v: signature[64] })
}

/// What a payer adds to the declaration.
const MEMBERS: [&str; 8] =
    ["from", "asset", "spender", "amount", "nonce", "deadline", "signature", "version"];
