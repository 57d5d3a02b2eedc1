//! Header names, their limits and their text form.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use super::scan::{MAX_DEPTH, MAX_MEMBERS};
use super::{PaymentPayload, scan, shape::Object};
use crate::error::Malformed;

/// The 402's terms, version 2.
pub const PAYMENT_REQUIRED: &str = "payment-required";
/// The payment, version 2.
pub const PAYMENT_SIGNATURE: &str = "payment-signature";
/// The receipt, version 2.
pub const PAYMENT_RESPONSE: &str = "payment-response";
/// The payment, version 1.
pub const X_PAYMENT: &str = "x-payment";
/// The receipt, version 1.
pub const X_PAYMENT_RESPONSE: &str = "x-payment-response";

/// How many bytes a payment header may have.
pub const MAX_PAYMENT_HEADER: usize = 16 * 1024;

/// A decoded payment header: the message, and its JSON exactly as it came, to be passed on unchanged.
#[derive(Clone)]
pub struct Presented {
    /// The message.
    pub payment: PaymentPayload,
    /// The decoded header, without the whitespace around it.
    pub json: Box<RawValue>,
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("payment", &self.payment).finish_non_exhaustive()
    }
}

/// Decodes a payment header within the limits: [`MAX_PAYMENT_HEADER`], then [`MAX_DEPTH`] and
/// [`MAX_MEMBERS`] of the JSON. The message's own `x402Version` decides the dialect, whichever of the
/// two headers it came in.
///
/// One text form is taken: base64 of the standard alphabet, padded or not, no line breaks, no bits left
/// over, around one JSON object in UTF-8. Members that the protocol does not know are ignored.
///
/// # Errors
/// [`Malformed`]: the first limit or rule that the header breaks.
pub fn decode_payment(header: &[u8]) -> Result<Presented, Malformed> {
    let json = decode_text(header, MAX_PAYMENT_HEADER)?;
    let payment = PaymentPayload::from_json(&json)?;
    Ok(Presented { payment, json })
}

/// Decodes a header of at most `limit` bytes that holds a JSON object, by the rules of
/// [`decode_payment`]: `PAYMENT-REQUIRED` and the receipts.
///
/// # Errors
/// [`Malformed`]: the first limit or rule that the header breaks.
pub fn decode_json<T: DeserializeOwned>(header: &[u8], limit: usize) -> Result<T, Malformed> {
    let json = decode_text(header, limit)?;
    scan::check(json.get())?;
    let Object(message) = serde_json::from_str(json.get()).map_err(|_| Malformed::NotAPayment)?;
    Ok(message)
}

/// The header text of a message: padded base64 over compact JSON.
///
/// # Panics
/// If the message's own `Serialize` fails. Those of [`wire`](super) never do.
pub fn encode(message: &impl Serialize) -> Bytes {
    let json = serde_json::to_vec(message).expect("messages are plain data");
    BASE64_STANDARD.encode(json).into()
}

/// Base64, UTF-8 and the grammar of JSON, each in one pass and none recursive.
fn decode_text(header: &[u8], limit: usize) -> Result<Box<RawValue>, Malformed> {
    if header.len() > limit {
        return Err(Malformed::HeaderTooLarge);
    }
    // Padding makes the length a multiple of four, so its length tells which form a text claims to be.
    let engine = if header.len().is_multiple_of(4) { &BASE64_STANDARD } else { &BASE64_STANDARD_NO_PAD };
    let json = engine.decode(header).map_err(|_| Malformed::NotBase64)?;
    let json = String::from_utf8(json).map_err(|_| Malformed::NotJson)?;
    RawValue::from_string(json).map_err(|_| Malformed::NotJson)
}

#[cfg(test)]
mod tests;
