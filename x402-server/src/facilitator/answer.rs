//! What came of a payment, as the caller reads it. Pure.
//!
//! What the protocol has words for is 200, with `isValid` or `success`. What is wrong on our side is never a statement
//! about the payment: 500 or 503 with `error`.

use axum::http::StatusCode;
use serde::Serialize;
use x402_core::{
    error::{BoxError, RejectReason},
    facilitator::{Payment, SettleError, Settlement, Unasked, VerifyError},
    scheme::SignedMessage,
    wire::{PaymentRequirements, X402Version, facilitator::VerifyResponse, v2::SettlementResponse},
};
use x402_evm::ChainError;

/// An answer that has not become bytes yet.
#[derive(Debug)]
pub(super) enum Answer {
    Verified(Box<VerifyResponse>),
    Settled(Box<SettlementResponse>),
    Fault(Fault),
}

/// Why there is no answer about the payment.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) error: String,
    /// In how many seconds to ask again.
    pub(super) retry_after: Option<u8>,
}

/// How callers name what they ask about.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    version: X402Version,
    network: String,
    /// The names that reasons have by how the payment moves its money.
    named: fn(&RejectReason) -> &str,
}

impl Dialect {
    pub(super) fn of(terms: &PaymentRequirements) -> Self {
        let network = match terms {
            PaymentRequirements::V1(terms) => &terms.network,
            PaymentRequirements::V2(terms) => &terms.network,
        };
        Self { version: terms.version(), network: network.clone(), named: RejectReason::code }
    }

    /// The same about a payment that could be read: through Permit2 reasons have names of their own.
    pub(super) fn about(mut self, payment: &Payment) -> Self {
        self.named = match &payment.authorization.message {
            SignedMessage::Permit2(_) if payment.option.is_upto() => RejectReason::upto_code,
            SignedMessage::Permit2(_) => RejectReason::permit2_code,
            _ => RejectReason::code,
        };
        self
    }

    /// The reason codes of the reference, which has one of its own for version 1.
    fn code(&self, reason: &RejectReason) -> String {
        match (self.version, reason) {
            (X402Version::V1, RejectReason::WrongAmount { .. }) => {
                "invalid_exact_evm_authorization_value".to_owned()
            }
            _ => (self.named)(reason).to_owned(),
        }
    }

    pub(super) fn verified(&self, verified: Result<(), VerifyError>, payer: &str) -> Answer {
        match verified {
            Ok(()) => Answer::Verified(Box::new(VerifyResponse {
                is_valid: true,
                payer: Some(payer.to_owned()),
                ..VerifyResponse::default()
            })),
            Err(VerifyError::Rejected(reason)) => self.invalid(&reason, Some(payer.to_owned())),
            Err(VerifyError::Unavailable(error)) => match misfit(&error) {
                Some((code, detail)) => invalid(code.to_owned(), Some(detail), Some(payer.to_owned())),
                None => Answer::unavailable("the payment cannot be checked at present", &error),
            },
            Err(other) => Answer::unavailable("the payment cannot be checked at present", &other),
        }
    }

    /// A payment that needed no check to be refused.
    pub(super) fn not_verified(&self, unasked: Unasked) -> Answer {
        self.invalid(&unasked.reason, unasked.payer)
    }

    fn invalid(&self, reason: &RejectReason, payer: Option<String>) -> Answer {
        invalid(self.code(reason), text(reason), payer)
    }

    pub(super) fn settled(&self, settled: Result<Settlement, SettleError>, payer: &str) -> Answer {
        let payer = Some(payer.to_owned());
        match settled {
            Ok(settlement) => {
                let receipt = settlement.receipt(self.version);
                Answer::Settled(Box::new(SettlementResponse { network: self.network.clone(), ..receipt }))
            }
            Err(SettleError::Rejected { reason, transaction }) => {
                self.failed(self.code(&reason), text(&reason), transaction, payer)
            }
            Err(SettleError::Unresolved { transaction: Some(transaction), .. }) => {
                self.failed(PENDING.to_owned(), None, Some(transaction), payer)
            }
            // Nobody may take this for a failure.
            Err(SettleError::Unresolved { transaction: None, source }) => {
                tracing::warn!(error = %source, "outcome of a settlement is not known");
                Answer::Fault(Fault {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    error: "unexpected_settle_error: the outcome is not known; settle the same payment again"
                        .to_owned(),
                    retry_after: None,
                })
            }
            Err(SettleError::Unavailable(error)) => match misfit(&error) {
                Some((code, detail)) => self.failed(code.to_owned(), Some(detail), None, payer),
                None => {
                    Answer::unavailable("nothing was sent, the payment cannot be settled at present", &error)
                }
            },
            Err(other) => Answer::unavailable("the payment cannot be settled at present", &other),
        }
    }

    /// A payment that needed nothing to be sent to fail.
    pub(super) fn not_settled(&self, unasked: Unasked) -> Answer {
        self.failed(self.code(&unasked.reason), text(&unasked.reason), None, unasked.payer)
    }

    fn failed(
        &self,
        code: String,
        message: Option<String>,
        transaction: Option<String>,
        payer: Option<String>,
    ) -> Answer {
        Answer::Settled(Box::new(SettlementResponse {
            success: false,
            error_reason: Some(code),
            error_message: message,
            payer,
            transaction: transaction.unwrap_or_default(),
            network: self.network.clone(),
            amount: None,
            extensions: None,
            extra: None,
        }))
    }
}

impl Answer {
    pub(super) fn fault(status: StatusCode, error: impl Into<String>) -> Self {
        Self::Fault(Fault { status, error: error.into(), retry_after: None })
    }

    pub(super) fn busy(error: impl Into<String>, retry_after: u8) -> Self {
        let retry_after = Some(retry_after);
        Self::Fault(Fault { status: StatusCode::SERVICE_UNAVAILABLE, error: error.into(), retry_after })
    }

    /// What went wrong is for the operator.
    fn unavailable(said: &'static str, error: &impl std::fmt::Display) -> Self {
        tracing::warn!(%error, "facilitator cannot answer");
        Self::busy(said, RETRY_AFTER)
    }

    /// How it ended, as a label.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Verified(response) if response.is_valid => "valid",
            Self::Verified(_) => "invalid",
            Self::Settled(response) if response.success => "settled",
            Self::Settled(response) if response.error_reason.as_deref() == Some(PENDING) => "pending",
            Self::Settled(_) => "failed",
            Self::Fault(fault) if fault.status.is_client_error() => "malformed",
            Self::Fault(_) => "fault",
        }
    }

    /// Status, body, and in how many seconds to ask again.
    pub(super) fn parts(&self) -> (StatusCode, Vec<u8>, Option<u8>) {
        #[derive(Serialize)]
        struct Error<'a> {
            error: &'a str,
        }
        let json = |body: serde_json::Result<Vec<u8>>| body.expect("answers have text for keys");
        match self {
            Self::Verified(response) => (StatusCode::OK, json(serde_json::to_vec(response)), None),
            Self::Settled(response) => (StatusCode::OK, json(serde_json::to_vec(response)), None),
            Self::Fault(Fault { status, error, retry_after }) => {
                (*status, json(serde_json::to_vec(&Error { error })), *retry_after)
            }
        }
    }
}

fn invalid(code: String, message: Option<String>, payer: Option<String>) -> Answer {
    Answer::Verified(Box::new(VerifyResponse {
        is_valid: false,
        invalid_reason: Some(code),
        invalid_message: message,
        payer,
        ..VerifyResponse::default()
    }))
}

/// Terms that do not fit the chain are a mistake of the caller's. A node on another chain is one of ours.
fn misfit(error: &BoxError) -> Option<(&'static str, String)> {
    match error.downcast_ref() {
        Some(ChainError::Misconfigured { code, detail }) if *code != OTHER_CHAIN => {
            Some((code, detail.clone()))
        }
        _ => None,
    }
}

/// A reason in words, where they say more than its code.
fn text(reason: &RejectReason) -> Option<String> {
    let text = reason.to_string();
    (text != reason.code()).then_some(text)
}

const PENDING: &str = "settlement_pending";
const OTHER_CHAIN: &str = "invalid_exact_evm_network_mismatch";
const RETRY_AFTER: u8 = 5;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn dialect(version: X402Version) -> Dialect {
        let network = match version {
            X402Version::V1 => "base-sepolia",
            X402Version::V2 => "eip155:84532",
        };
        Dialect { version, network: network.to_owned(), named: RejectReason::code }
    }

    fn body(answer: &Answer) -> (u16, Value) {
        let (status, body, _) = answer.parts();
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    fn misconfigured(code: &'static str) -> BoxError {
        ChainError::Misconfigured { code, detail: "detail".to_owned() }.into()
    }

    #[test]
    fn verify_speaks_of_the_payment_or_says_that_it_cannot() {
        let amounts = || RejectReason::WrongAmount { wanted: 2.into(), offered: 1.into() };
        let said = "wanted 2 atomic units, got 1";
        let fault = json!({ "error": "the payment cannot be checked at present" });
        for (version, verified, status, wanted) in [
            (X402Version::V2, Ok(()), 200, json!({ "isValid": true, "payer": "0xA" })),
            (
                X402Version::V2,
                Err(VerifyError::Rejected(RejectReason::WrongSignature)),
                200,
                json!({ "isValid": false, "invalidReason": "invalid_exact_evm_signature", "payer": "0xA" }),
            ),
            (
                X402Version::V2,
                Err(VerifyError::Rejected(amounts())),
                200,
                json!({
                    "isValid": false, "invalidReason": "invalid_exact_evm_payload_authorization_value_mismatch",
                    "invalidMessage": said, "payer": "0xA",
                }),
            ),
            (
                X402Version::V1,
                Err(VerifyError::Rejected(amounts())),
                200,
                json!({
                    "isValid": false, "invalidReason": "invalid_exact_evm_authorization_value",
                    "invalidMessage": said, "payer": "0xA",
                }),
            ),
            (
                X402Version::V1,
                Err(VerifyError::Unavailable(misconfigured("asset_not_deployed_contract"))),
                200,
                json!({
                    "isValid": false, "invalidReason": "asset_not_deployed_contract", "invalidMessage": "detail",
                    "payer": "0xA",
                }),
            ),
            (X402Version::V2, Err(VerifyError::Unavailable(misconfigured(OTHER_CHAIN))), 503, fault.clone()),
            (
                X402Version::V2,
                Err(VerifyError::Unavailable(ChainError::Unreachable.into())),
                503,
                fault.clone(),
            ),
            (X402Version::V2, Err(VerifyError::Unavailable("disk secret".into())), 503, fault),
        ] {
            let shown = format!("{verified:?}");
            assert_eq!(body(&dialect(version).verified(verified, "0xA")), (status, wanted), "{shown}");
        }
    }

    #[test]
    fn settle_tells_what_is_known_of_the_money() {
        let moved =
            Settlement::new("0x1".to_owned(), "eip155:84532".parse().unwrap(), "0xA".to_owned(), 7.into());
        let rejected = |transaction: Option<&str>| SettleError::Rejected {
            reason: RejectReason::TransferFailed,
            transaction: transaction.map(str::to_owned),
        };
        let unresolved = |transaction: Option<&str>| SettleError::Unresolved {
            transaction: transaction.map(str::to_owned),
            source: "lost".into(),
        };
        let failed = |reason: &str, transaction: &str| {
            json!({
                "success": false, "errorReason": reason, "payer": "0xA", "transaction": transaction,
                "network": "eip155:84532",
            })
        };
        for (version, settled, status, wanted) in [
            (
                X402Version::V2,
                Ok(moved.clone()),
                200,
                json!({
                    "success": true, "payer": "0xA", "transaction": "0x1", "network": "eip155:84532", "amount": "7",
                }),
            ),
            (
                X402Version::V1,
                Ok(moved),
                200,
                json!({ "success": true, "payer": "0xA", "transaction": "0x1", "network": "base-sepolia" }),
            ),
            (
                X402Version::V2,
                Err(rejected(Some("0x2"))),
                200,
                failed("invalid_exact_evm_transaction_failed", "0x2"),
            ),
            (X402Version::V2, Err(rejected(None)), 200, failed("invalid_exact_evm_transaction_failed", "")),
            (X402Version::V2, Err(unresolved(Some("0x3"))), 200, failed("settlement_pending", "0x3")),
            (
                X402Version::V2,
                Err(unresolved(None)),
                500,
                json!({ "error": "unexpected_settle_error: the outcome is not known; settle the same payment again" }),
            ),
            (
                X402Version::V2,
                Err(SettleError::Unavailable(ChainError::Unreachable.into())),
                503,
                json!({ "error": "nothing was sent, the payment cannot be settled at present" }),
            ),
        ] {
            let shown = format!("{settled:?}");
            assert_eq!(body(&dialect(version).settled(settled, "0xA")), (status, wanted), "{shown}");
        }
    }
}
