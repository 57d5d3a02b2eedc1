//! Facilitator bodies.
use super::{X402Version, v1, v2};
use serde::{Deserialize, Serialize};
/// Requirements in one dialect.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Requirements {
    /// v1
    V1(v1::PaymentRequirements),
    /// v2
    V2(v2::PaymentRequirements),
}
/// Kind.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedKind {
    /// version
    pub x402_version: X402Version,
    /// scheme
    pub scheme: String,
    /// network
    pub network: String,
    /// extra
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<serde_json::Map<String, serde_json::Value>>,
}
