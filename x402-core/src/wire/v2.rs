//! Version 2: `PAYMENT-REQUIRED`, `PAYMENT-SIGNATURE`, `PAYMENT-RESPONSE`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    V2,
    shape::{object, objects, optional_object},
};

/// The content of `PAYMENT-REQUIRED`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    /// The number 2.
    pub x402_version: V2,
    /// Why payment is asked for, or why the last one was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is sold.
    #[serde(deserialize_with = "object")]
    pub resource: ResourceInfo,
    /// The ways to pay, in the server's order.
    #[serde(deserialize_with = "objects")]
    pub accepts: Vec<PaymentRequirements>,
    /// Extensions by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Map<String, Value>>,
}

/// What is sold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInfo {
    /// The URL of the resource.
    pub url: String,
    /// What it is, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The media type of a successful answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The service's name, 1 to 32 printable ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// At most 5 tags of 1 to 32 printable ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// An absolute URL of an icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
}

/// One way to pay.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    /// The scheme, such as `exact`.
    pub scheme: String,
    /// The network in CAIP-2 form, such as `eip155:84532`.
    pub network: String,
    /// The price in atomic units, decimal.
    pub amount: String,
    /// The token's address.
    pub asset: String,
    /// The recipient's address.
    pub pay_to: String,
    /// How long the authorization should be valid.
    pub max_timeout_seconds: u64,
    /// Data of the scheme: the token's signing domain on EVM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
}

/// The content of `PAYMENT-SIGNATURE`.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    /// The number 2.
    pub x402_version: V2,
    /// The entry of `accepts` that the payer chose, echoed.
    #[serde(deserialize_with = "object")]
    pub accepted: PaymentRequirements,
    /// The signed authorization, as its scheme defines it.
    #[serde(deserialize_with = "object")]
    pub payload: Value,
    /// The resource, echoed.
    #[serde(default, deserialize_with = "optional_object", skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceInfo>,
    /// The extensions, echoed and added to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Map<String, Value>>,
}

impl fmt::Debug for PaymentPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentPayload")
            .field("accepted", &self.accepted)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

/// The content of `PAYMENT-RESPONSE`, and the body of a settle answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementResponse {
    /// Whether the money moved.
    pub success: bool,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    /// The same for humans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Who paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// The transaction; empty when nothing was sent.
    pub transaction: String,
    /// The network, in the dialect of the payment.
    pub network: String,
    /// What moved, in atomic units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Extensions by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Map<String, Value>>,
    /// Data of the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
}
