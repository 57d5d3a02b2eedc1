//! The bodies of a facilitator's `/verify`, `/settle` and `/supported`.
//!
//! `/settle` answers with a [`v2::SettlementResponse`](super::v2::SettlementResponse) in both dialects.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value, value::RawValue};

use super::{
    PaymentPayload, PaymentRequirements, X402Version,
    shape::{null_as_default, objects},
};
use crate::error::Malformed;

/// What `/verify` and `/settle` take: the payment as the client sent it, and the server's own terms.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FacilitatorRequest<'a> {
    /// The dialect of payment and terms.
    pub x402_version: X402Version,
    /// The decoded payment header, with every member the client put there.
    pub payment_payload: Cow<'a, RawValue>,
    /// The server's own entry, never the client's echo of it.
    pub payment_requirements: Cow<'a, PaymentRequirements>,
}

/// The body of `POST /verify`.
pub type VerifyRequest<'a> = FacilitatorRequest<'a>;

/// The body of `POST /settle`.
pub type SettleRequest<'a> = FacilitatorRequest<'a>;

impl<'a> FacilitatorRequest<'a> {
    /// A request about `payment` under `terms`, in the dialect of the terms.
    #[must_use]
    pub const fn new(payment: &'a RawValue, terms: &'a PaymentRequirements) -> Self {
        Self {
            x402_version: terms.version(),
            payment_payload: Cow::Borrowed(payment),
            payment_requirements: Cow::Borrowed(terms),
        }
    }

    /// Reads the payment, within the limits of a payment header.
    ///
    /// # Errors
    /// [`Malformed`]: a limit, the shape, or a version other than the request's.
    pub fn payment(&self) -> Result<PaymentPayload, Malformed> {
        let payment = PaymentPayload::from_json(&self.payment_payload)?;
        if payment.version() == self.x402_version { Ok(payment) } else { Err(Malformed::UnknownVersion) }
    }
}

/// Borrows nothing. Works on JSON text only: the payment is kept as text.
impl<'de> Deserialize<'de> for FacilitatorRequest<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            x402_version: X402Version,
            payment_payload: Box<RawValue>,
            payment_requirements: Box<RawValue>,
        }
        let body = Body::deserialize(deserializer)?;
        let terms = PaymentRequirements::from_json(body.x402_version, &body.payment_requirements)
            .map_err(|error| D::Error::custom(format_args!("paymentRequirements: {error}")))?;
        Ok(Self {
            x402_version: body.x402_version,
            payment_payload: Cow::Owned(body.payment_payload),
            payment_requirements: Cow::Owned(terms),
        })
    }
}

impl fmt::Debug for FacilitatorRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacilitatorRequest")
            .field("x402_version", &self.x402_version)
            .field("payment_requirements", &self.payment_requirements)
            .finish_non_exhaustive()
    }
}

/// The answer to `POST /verify`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyResponse {
    /// Whether the payment could be settled now.
    pub is_valid: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_reason: Option<String>,
    /// The same for humans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_message: Option<String>,
    /// Who would pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// Extensions by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Map<String, Value>>,
    /// Data of the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
}

/// The answer to `GET /supported`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedResponse {
    /// What the facilitator verifies and settles. Entries of other protocol versions are left out.
    #[serde(deserialize_with = "known_kinds")]
    pub kinds: Vec<SupportedKind>,
    /// Keys of the extensions it knows.
    #[serde(default, deserialize_with = "null_as_default")]
    pub extensions: Vec<String>,
    /// The accounts it signs with, by network or family of networks (`eip155:*`).
    #[serde(default, deserialize_with = "null_as_default")]
    pub signers: BTreeMap<String, Vec<String>>,
}

/// One kind of payment that a facilitator handles.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedKind {
    /// The dialect.
    pub x402_version: X402Version,
    /// The scheme, such as `exact`.
    pub scheme: String,
    /// The network in the dialect's spelling, or a family of networks (`eip155:*`).
    pub network: String,
    /// What the terms must carry for this facilitator, such as its fee payer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
}

/// A facilitator may list versions that were made after this code, and still serve the ones it knows.
fn known_kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SupportedKind>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct AnyKind {
        x402_version: u64,
        scheme: String,
        network: String,
        #[serde(default)]
        extra: Option<Map<String, Value>>,
    }
    let kinds: Vec<AnyKind> = objects(deserializer)?;
    let known = kinds.into_iter().filter_map(|AnyKind { x402_version, scheme, network, extra }| {
        let x402_version = X402Version::from_number(x402_version)?;
        Some(SupportedKind { x402_version, scheme, network, extra })
    });
    Ok(known.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::v2::SettlementResponse;

    fn request(outer: u64, inner: u64) -> String {
        json!({
            "x402Version": outer,
            "paymentPayload": {
                "x402Version": inner, "scheme": "exact", "network": "base-sepolia", "payload": { "signature": "0x1b" },
            },
            "paymentRequirements": {
                "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "1000",
                "resource": "https://api.example.com/weather", "payTo": "0x3C", "maxTimeoutSeconds": 60, "asset": "0x03",
            },
        })
        .to_string()
    }

    #[test]
    fn the_payment_must_be_of_the_requests_version() {
        let read = |outer, inner| serde_json::from_str::<FacilitatorRequest<'_>>(&request(outer, inner));
        assert!(read(1, 1).unwrap().payment().is_ok());
        assert_eq!(read(1, 3).unwrap().payment().unwrap_err(), Malformed::UnknownVersion);
        assert_eq!(read(1, 2).unwrap().payment().unwrap_err(), Malformed::NotAPayment);
        let error = read(2, 2).unwrap_err().to_string();
        assert!(error.starts_with("paymentRequirements: "), "{error}");
        assert!(read(3, 3).is_err());
    }

    #[test]
    fn requests_show_no_payload() {
        let request: FacilitatorRequest<'_> = serde_json::from_str(&request(1, 1)).unwrap();
        let shown = format!("{request:?}");
        assert!(shown.contains("base-sepolia") && !shown.contains("0x1b"), "{shown}");
    }

    #[test]
    fn optional_members_of_answers_may_be_absent_or_null() {
        let bare: VerifyResponse = serde_json::from_str(r#"{"isValid":true}"#).unwrap();
        let nulls = r#"{"isValid":true,"invalidReason":null,"invalidMessage":null,"payer":null,
            "extensions":null,"extra":null,"unknown":1}"#;
        assert_eq!(serde_json::from_str::<VerifyResponse>(nulls).unwrap(), bare);
        assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"isValid":true}"#);

        let bare = r#"{"success":false,"transaction":"","network":""}"#;
        let settled: SettlementResponse = serde_json::from_str(bare).unwrap();
        let nulls = r#"{"success":false,"transaction":"","network":"","errorReason":null,"errorMessage":null,
            "payer":null,"amount":null,"extensions":null,"extra":null,"unknown":1}"#;
        assert_eq!(serde_json::from_str::<SettlementResponse>(nulls).unwrap(), settled);
        assert_eq!(serde_json::to_string(&settled).unwrap(), bare);
        assert!(serde_json::from_str::<SettlementResponse>(r#"{"success":true,"network":""}"#).is_err());
    }

    #[test]
    fn old_and_new_facilitators_are_understood() {
        let kinds = json!([
            { "x402Version": 1, "scheme": "exact", "network": "base-sepolia", "extra": null },
            { "x402Version": 3, "scheme": "exact", "network": "eip155:84532" },
            { "x402Version": 2, "scheme": "exact", "network": "eip155:*" },
        ]);
        for supported in
            [json!({ "kinds": kinds }), json!({ "kinds": kinds, "extensions": null, "signers": null })]
        {
            let supported: SupportedResponse = serde_json::from_value(supported).unwrap();
            let networks: Vec<_> = supported.kinds.iter().map(|kind| kind.network.as_str()).collect();
            assert_eq!(networks, ["base-sepolia", "eip155:*"]);
            assert!(supported.extensions.is_empty() && supported.signers.is_empty());
        }
    }
}
