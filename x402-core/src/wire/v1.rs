//! Version 1: terms in the 402's body, `X-PAYMENT`, `X-PAYMENT-RESPONSE`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    V1,
    shape::{null_as_default, object, objects},
};

/// The body of a 402.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    /// The number 1.
    pub x402_version: V1,
    /// Why payment is asked for, or why the last one was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The ways to pay, in the server's order.
    #[serde(deserialize_with = "objects")]
    pub accepts: Vec<PaymentRequirements>,
    /// The payer of a refused payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
}

/// One way to pay.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    /// The scheme, `exact`.
    pub scheme: String,
    /// The network's version 1 name, such as `base-sepolia`.
    pub network: String,
    /// The price in atomic units, decimal.
    pub max_amount_required: String,
    /// The URL of the resource.
    pub resource: String,
    /// What is sold; may be empty. Strict clients want it present.
    #[serde(default, deserialize_with = "null_as_default")]
    pub description: String,
    /// The media type of the resource; may be empty. Strict clients want it present.
    #[serde(default, deserialize_with = "null_as_default")]
    pub mime_type: String,
    /// Shape of input and output, for discovery; strict clients refuse `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// The recipient's address.
    pub pay_to: String,
    /// How long the authorization should be valid.
    pub max_timeout_seconds: u64,
    /// The token's address.
    pub asset: String,
    /// Data of the scheme: the token's signing domain on EVM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<serde_json::Map<String, Value>>,
}

/// The content of `X-PAYMENT`.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    /// The number 1.
    pub x402_version: V1,
    /// The scheme, `exact`.
    pub scheme: String,
    /// The network's version 1 name.
    pub network: String,
    /// The signed authorization, as its scheme defines it.
    #[serde(deserialize_with = "object")]
    pub payload: Value,
}

impl fmt::Debug for PaymentPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentPayload")
            .field("scheme", &self.scheme)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

/// The content of `X-PAYMENT-RESPONSE`, and the body of a settle answer.
pub type SettlementResponse = super::v2::SettlementResponse;
