//! A payment as a facilitator is asked about it.

use std::{fmt, sync::Arc};

use super::Payment;
use crate::{
    error::{Malformed, RejectReason},
    price::{AtomicAmount, NetworkId, PriceOption},
    scheme::{EvmAddress, Scheme},
    wire::{
        PaymentPayload, PaymentRequirements, Presented, facilitator::FacilitatorRequest, v2::ResourceInfo,
    },
};

/// What a facilitator is asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// Whether the payment could be settled: the terms say what may be charged at most.
    Verify,
    /// To settle it: the terms say what is charged, which may be less where the scheme lets it.
    Settle,
}

/// Why a facilitator needs nobody else to refuse what it was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unasked {
    /// Why.
    pub reason: RejectReason,
    /// Who would have paid, where that much could be read.
    pub payer: Option<String>,
}

impl Payment {
    /// Reads the payment that a facilitator is asked about, and compares what the client says it accepted with the terms:
    /// scheme and network. All else is compared with what was signed, by whoever verifies. Pure.
    ///
    /// `scheme` finds the scheme of a network by its name, or says why there is none: `invalid_network`, or
    /// [`RejectReason::UnsupportedScheme`].
    ///
    /// # Errors
    /// [`Unasked`]: a reason to answer with. The request itself was readable.
    pub fn asked(
        asked: Asked,
        request: &FacilitatorRequest<'_>,
        scheme: impl FnOnce(&NetworkId, &str) -> Result<Arc<dyn Scheme>, RejectReason>,
    ) -> Result<Self, Unasked> {
        let payment = request.payment().map_err(|error| match error {
            Malformed::UnknownVersion => code("invalid_x402_version"),
            _ => RejectReason::InvalidPayload("is not a payment of this version").into(),
        })?;
        let mut option = terms(&request.payment_requirements)?;
        let scheme = scheme(&option.network, &option.scheme)?;
        let authorization = scheme.read(payment.scheme_payload(), &option);
        let payer = authorization.as_ref().ok().map(|authorization| authorization.payer.clone());
        same_kind(&payment, &request.payment_requirements)
            .map_err(|reason| Unasked { reason, payer: payer.clone() })?;
        let authorization = authorization?;
        let mut charge = None;
        if asked == Asked::Settle && *option.scheme == *UPTO {
            charge = Some(option.amount);
            option.amount = authorization.amount;
        }
        let resource = resource(&payment, &request.payment_requirements);
        let presented = Presented { payment, json: request.payment_payload.clone().into_owned() };
        let payment = Self::new(presented, option, resource, authorization);
        Ok(match charge {
            Some(charge) => payment.charging(charge),
            None => payment,
        })
    }
}

/// The terms as they were sent, `extra` and all: they are the server's own.
fn terms(terms: &PaymentRequirements) -> Result<PriceOption, Unasked> {
    let amount = |amount: &str| amount.parse::<AtomicAmount>().map_err(|_| code(BAD_TERMS));
    let extra = |extra: &Option<_>| Arc::new(extra.clone().unwrap_or_default());
    let option = match terms {
        PaymentRequirements::V1(terms) => PriceOption {
            scheme: terms.scheme.as_str().into(),
            network: NetworkId::from_v1_name(&terms.network).ok_or_else(|| code(BAD_NETWORK))?,
            asset: terms.asset.as_str().into(),
            amount: amount(&terms.max_amount_required)?,
            pay_to: terms.pay_to.as_str().into(),
            max_timeout_seconds: terms.max_timeout_seconds,
            extra: extra(&terms.extra),
        },
        PaymentRequirements::V2(terms) => PriceOption {
            scheme: terms.scheme.as_str().into(),
            network: NetworkId::new(&terms.network).map_err(|_| code(BAD_NETWORK))?,
            asset: terms.asset.as_str().into(),
            amount: amount(&terms.amount)?,
            pay_to: terms.pay_to.as_str().into(),
            max_timeout_seconds: terms.max_timeout_seconds,
            extra: extra(&terms.extra),
        },
    };
    let is_account = |text: &str| text.parse::<EvmAddress>().is_ok();
    if option.network.is_evm() && !(is_account(&option.asset) && is_account(&option.pay_to)) {
        return Err(code(BAD_TERMS));
    }
    Ok(option)
}

/// What the client says it answers, and what the server asks.
fn same_kind(payment: &PaymentPayload, terms: &PaymentRequirements) -> Result<(), RejectReason> {
    let ((scheme, network), (wanted, on)) = match (payment, terms) {
        (PaymentPayload::V1(payment), PaymentRequirements::V1(terms)) => {
            ((&payment.scheme, &payment.network), (&terms.scheme, &terms.network))
        }
        (PaymentPayload::V2(payment), PaymentRequirements::V2(terms)) => {
            ((&payment.accepted.scheme, &payment.accepted.network), (&terms.scheme, &terms.network))
        }
        _ => return Err(RejectReason::Other("invalid_x402_version".into())),
    };
    if scheme != wanted {
        return Err(RejectReason::Other(format!("invalid_{wanted}_evm_scheme").into()));
    }
    if network != on {
        return Err(RejectReason::Other(format!("invalid_{wanted}_evm_network_mismatch").into()));
    }
    Ok(())
}

fn resource(payment: &PaymentPayload, terms: &PaymentRequirements) -> ResourceInfo {
    match (payment, terms) {
        (_, PaymentRequirements::V1(terms)) => {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            ResourceInfo {
                url: terms.resource.clone(),
                description: text(&terms.description),
                mime_type: text(&terms.mime_type),
                ..ResourceInfo::default()
            }
        }
        (PaymentPayload::V2(payment), _) => payment.resource.clone().unwrap_or_default(),
        _ => ResourceInfo::default(),
    }
}

fn code(code: &'static str) -> Unasked {
    RejectReason::Other(code.into()).into()
}

impl From<RejectReason> for Unasked {
    fn from(reason: RejectReason) -> Self {
        Self { reason, payer: None }
    }
}

impl fmt::Display for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Unasked {}

const BAD_NETWORK: &str = "invalid_network";
const BAD_TERMS: &str = "invalid_payment_requirements";
const UPTO: &str = "upto";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scheme::ExactEvmStructure;

    const PAYER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    const PAY_TO: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

    fn payload() -> Value {
        json!({
            "signature": format!("0x{}1b", "11".repeat(64)),
            "authorization": {
                "from": PAYER, "to": PAY_TO, "value": "1000", "validAfter": "0", "validBefore": "1800000600",
                "nonce": format!("0x{}", "22".repeat(32)),
            },
        })
    }

    fn v2() -> Value {
        let terms = json!({
            "scheme": "exact", "network": "eip155:84532", "amount": "1000", "payTo": PAY_TO, "maxTimeoutSeconds": 60,
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "extra": { "name": "USDC", "version": "2", "unknown": [1] },
        });
        json!({
            "x402Version": 2,
            "paymentPayload": {
                "x402Version": 2, "accepted": terms, "payload": payload(), "resource": { "url": "https://a.example/x" },
            },
            "paymentRequirements": terms,
        })
    }

    fn v1() -> Value {
        json!({
            "x402Version": 1,
            "paymentPayload": {
                "x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": payload(),
            },
            "paymentRequirements": {
                "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "1000", "payTo": PAY_TO,
                "resource": "https://a.example/x", "description": "", "mimeType": "text/plain",
                "maxTimeoutSeconds": 60, "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            },
        })
    }

    fn ask(request: &Value) -> Result<Payment, Unasked> {
        let request: FacilitatorRequest<'_> = serde_json::from_str(&request.to_string()).unwrap();
        Payment::asked(Asked::Settle, &request, |network, scheme| match (network.as_str(), scheme) {
            ("eip155:84532", "exact") => Ok(Arc::new(ExactEvmStructure)),
            ("eip155:84532", _) => Err(RejectReason::UnsupportedScheme),
            _ => Err(RejectReason::Other(BAD_NETWORK.into())),
        })
    }

    #[test]
    fn both_dialects_become_the_same_payment() {
        let (one, two) = (ask(&v1()).unwrap(), ask(&v2()).unwrap());
        assert_eq!(one.authorization.key, two.authorization.key);
        assert_eq!(one.authorization.digest, two.authorization.digest);
        assert_eq!(two.option.extra["unknown"], json!([1]), "the server's own terms are kept whole");
        assert_eq!((one.amount(), two.amount()), (1_000.into(), 1_000.into()));
        assert_eq!(
            (&one.resource.url, &two.resource.url),
            (&"https://a.example/x".into(), &"https://a.example/x".into())
        );
        assert_eq!(one.resource.mime_type.as_deref(), Some("text/plain"));
        assert_eq!(two.presented.json.get(), v2()["paymentPayload"].to_string());
    }

    #[test]
    fn what_is_no_payment_for_these_terms_gets_a_reason() {
        type Case = (&'static str, Value, &'static str, bool);
        let cases: [Case; 16] = [
            ("/paymentPayload/accepted/scheme", "upto".into(), "invalid_exact_evm_scheme", true),
            (
                "/paymentPayload/accepted/network",
                "eip155:8453".into(),
                "invalid_exact_evm_network_mismatch",
                true,
            ),
            (
                "/paymentPayload/accepted/network",
                "base-sepolia".into(),
                "invalid_exact_evm_network_mismatch",
                true,
            ),
            ("/paymentRequirements/scheme", "later".into(), "unsupported_scheme", false),
            ("/paymentRequirements/network", "eip155:1".into(), "invalid_network", false),
            ("/paymentRequirements/network", "base-sepolia".into(), "invalid_network", false),
            ("/paymentRequirements/network", "eip155:084532".into(), "invalid_network", false),
            ("/paymentRequirements/amount", "1e3".into(), "invalid_payment_requirements", false),
            ("/paymentRequirements/amount", "-1".into(), "invalid_payment_requirements", false),
            ("/paymentRequirements/asset", "USDC".into(), "invalid_payment_requirements", false),
            ("/paymentRequirements/payTo", "".into(), "invalid_payment_requirements", false),
            ("/paymentPayload/x402Version", 1.into(), "invalid_payload", false),
            ("/paymentPayload/x402Version", 3.into(), "invalid_x402_version", false),
            ("/paymentPayload/payload", json!({}), "invalid_payload", false),
            ("/paymentPayload/payload/authorization/value", 1_000.into(), "invalid_payload", false),
            ("/paymentPayload/payload/signature", "1b".into(), "invalid_payload", false),
        ];
        for (member, value, reason, payer) in cases {
            let mut request = v2();
            *request.pointer_mut(member).unwrap() = value.clone();
            let refused = ask(&request).unwrap_err();
            assert_eq!(refused.reason.code(), reason, "{member} {value}");
            assert_eq!(refused.payer.as_deref(), payer.then_some(PAYER), "{member} {value}");
        }
        let mut old = v1();
        old["paymentPayload"]["network"] = "base".into();
        assert_eq!(ask(&old).unwrap_err().reason.code(), "invalid_exact_evm_network_mismatch");
        old["paymentRequirements"]["network"] = "eip155:84532".into();
        assert_eq!(ask(&old).unwrap_err().reason.code(), "invalid_network", "version 1 has names of its own");
    }
}
