//! Header names, their limits and their text form.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::PaymentPayload;
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

/// A decoded payment header: the message, and its JSON exactly as it came, to be passed on unchanged.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The message.
    pub payment: PaymentPayload,
    /// The decoded header.
    pub json: Box<RawValue>,
}

/// Decodes a payment header within the limits.
///
/// # Errors
/// [`Malformed`]: the first limit or rule that the header breaks.
pub fn decode_payment(header: &[u8]) -> Result<Presented, Malformed> {
    let _ = header;
    Err(Malformed::NotBase64)
}

/// The header text of a message: base64 over compact JSON.
pub fn encode(message: &impl Serialize) -> Bytes {
    let _ = message;
    Bytes::new()
}
