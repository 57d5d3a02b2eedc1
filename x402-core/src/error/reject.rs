//! Why a payment was not accepted.

use std::{borrow::Cow, fmt};

use crate::{price::AtomicAmount, time::UnixSeconds, wire::X402Version};

/// Why a payment was not accepted. The payer can act on every one of these.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RejectReason {
    /// What the payer accepted is not, or no longer, on offer for this request.
    NoMatchingTerms,
    /// The scheme is not one this server can check.
    UnsupportedScheme,
    /// The payload does not have the shape its scheme asks for.
    InvalidPayload(&'static str),
    /// The authorization pays somebody else.
    WrongRecipient,
    /// The authorization is for another amount.
    WrongAmount {
        /// What the request costs.
        wanted: AtomicAmount,
        /// What was authorized.
        offered: AtomicAmount,
    },
    /// The authorization ends too soon to be settled, or has ended.
    Expired {
        /// The end of its window.
        valid_before: UnixSeconds,
        /// When it was looked at.
        now: UnixSeconds,
    },
    /// The authorization would live longer than this server remembers payments.
    ExpiresTooLate {
        /// The end of its window.
        valid_before: UnixSeconds,
        /// The latest end this server takes.
        latest: UnixSeconds,
    },
    /// The authorization's window has not begun.
    NotYetValid {
        /// The start of its window.
        valid_after: UnixSeconds,
        /// When it was looked at.
        now: UnixSeconds,
    },
    /// The signature is not one the token would take.
    MalformedSignature,
    /// The signature is not the payer's.
    WrongSignature,
    /// The quote in the payment has expired.
    QuoteExpired,
    /// The quote in the payment was altered.
    QuoteInvalid,
    /// The quote in the payment is for another resource.
    ResourceMismatch,
    /// The route asks for a stronger tie between payment and resource.
    BindingTooWeak,
    /// The payer does not hold the amount.
    InsufficientFunds,
    /// The authorization was used or cancelled on chain.
    NonceAlreadyUsed,
    /// The chain says that the transfer would fail.
    SimulationFailed,
    /// The transfer was sent and did not move the money.
    TransferFailed,
    /// The transaction succeeded without moving the money asked for.
    TransferMissing,
    /// A reason somebody else gave, passed on unchanged but for names that the scheme of the payment has others for.
    Other(Cow<'static, str>),
}

impl RejectReason {
    /// The reason code of the v2 protocol.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NoMatchingTerms => "No matching payment requirements",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::InvalidPayload(_) => "invalid_payload",
            Self::WrongRecipient => "invalid_exact_evm_recipient_mismatch",
            Self::WrongAmount { .. } => "invalid_exact_evm_payload_authorization_value_mismatch",
            Self::Expired { .. } | Self::ExpiresTooLate { .. } => {
                "invalid_exact_evm_payload_authorization_valid_before"
            }
            Self::NotYetValid { .. } => "invalid_exact_evm_payload_authorization_valid_after",
            Self::MalformedSignature => "invalid_exact_evm_failed_to_parse_signature",
            Self::WrongSignature => "invalid_exact_evm_signature",
            Self::QuoteExpired => "quote_expired",
            Self::QuoteInvalid => "quote_invalid",
            Self::ResourceMismatch => "resource_mismatch",
            Self::BindingTooWeak => "binding_too_weak",
            Self::InsufficientFunds => "invalid_exact_evm_insufficient_balance",
            Self::NonceAlreadyUsed => "invalid_exact_evm_nonce_already_used",
            Self::SimulationFailed => "invalid_exact_evm_transaction_simulation_failed",
            Self::TransferFailed => "invalid_exact_evm_transaction_failed",
            Self::TransferMissing => "invalid_exact_evm_transfer_event_mismatch",
            Self::Other(code) => code,
        }
    }

    /// The reason code of the v1 protocol, whose list is closed where it has one.
    #[must_use]
    pub fn code_v1(&self) -> &str {
        match self {
            Self::NoMatchingTerms => "Unable to find matching payment requirements",
            Self::WrongRecipient => "invalid_exact_evm_payload_recipient_mismatch",
            Self::WrongAmount { .. } => "invalid_exact_evm_payload_authorization_value",
            Self::MalformedSignature | Self::WrongSignature => "invalid_exact_evm_payload_signature",
            Self::InsufficientFunds => "insufficient_funds",
            Self::NonceAlreadyUsed
            | Self::SimulationFailed
            | Self::TransferFailed
            | Self::TransferMissing => "invalid_transaction_state",
            other => other.code(),
        }
    }

    /// The status that it is answered with, in the dialect of the payment: 402, but 412 where the payer has yet to approve
    /// the contract that is to move its money. Version 1 does not know of it.
    #[must_use]
    pub fn status(&self, version: X402Version) -> u16 {
        // Some facilitators explain themselves behind a colon.
        let name = self.code().split(':').next();
        if version == X402Version::V2 && name == Some(PERMIT2_ALLOWANCE_REQUIRED) { 412 } else { 402 }
    }

    /// The reason code of the v2 protocol for a payment through Permit2, which has names of its own.
    #[must_use]
    pub fn permit2_code(&self) -> &str {
        // By its code and not its kind: what comes from a record is a code.
        match self.code() {
            "invalid_exact_evm_recipient_mismatch" => "invalid_permit2_recipient_mismatch",
            "invalid_exact_evm_payload_authorization_value_mismatch" => "permit2_amount_mismatch",
            "invalid_exact_evm_payload_authorization_valid_before" => "permit2_deadline_expired",
            "invalid_exact_evm_payload_authorization_valid_after" => "permit2_not_yet_valid",
            "invalid_exact_evm_failed_to_parse_signature" | "invalid_exact_evm_signature" => {
                "invalid_permit2_signature"
            }
            "invalid_exact_evm_insufficient_balance" => "permit2_insufficient_balance",
            "invalid_exact_evm_nonce_already_used" => "permit2_invalid_nonce",
            "invalid_exact_evm_transaction_simulation_failed" => "permit2_simulation_failed",
            code => code,
        }
    }

    /// The reason code of the v2 protocol for a payment by the scheme `upto`: as through Permit2, and one more.
    #[must_use]
    pub fn upto_code(&self) -> &str {
        match self.permit2_code() {
            "invalid_exact_evm_transaction_failed" => "invalid_upto_evm_transaction_failed",
            code => code,
        }
    }

    /// Whether the authorization can never be settled any more, so that signing another is safe.
    ///
    /// A used nonce is not enough: it may have been used to pay us.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self, Self::Expired { .. })
    }

    /// Reads a code as facilitators write it; text after a `:` is detail.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        let name = code.split(':').next().unwrap_or(code).trim();
        match name {
            "insufficient_funds"
            | "invalid_exact_evm_insufficient_balance"
            | "permit2_insufficient_balance" => Self::InsufficientFunds,
            "invalid_exact_evm_nonce_already_used" => Self::NonceAlreadyUsed,
            "invalid_exact_evm_signature" | "invalid_exact_evm_payload_signature" => Self::WrongSignature,
            "invalid_exact_evm_recipient_mismatch" | "invalid_exact_evm_payload_recipient_mismatch" => {
                Self::WrongRecipient
            }
            "invalid_exact_evm_transaction_simulation_failed" => Self::SimulationFailed,
            "invalid_exact_evm_transaction_failed" | "invalid_upto_evm_transaction_failed" => {
                Self::TransferFailed
            }
            "invalid_exact_evm_transfer_event_mismatch" => Self::TransferMissing,
            _ => Self::Other(Cow::Owned(code.to_owned())),
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidPayload(detail) => write!(f, "payment payload: {detail}"),
            Self::WrongAmount { wanted, offered } => write!(f, "wanted {wanted} atomic units, got {offered}"),
            Self::Expired { valid_before, now } => {
                write!(f, "authorization ends at {valid_before}, too soon after {now}")
            }
            Self::ExpiresTooLate { valid_before, latest } => {
                write!(f, "authorization ends at {valid_before}, later than {latest}")
            }
            Self::NotYetValid { valid_after, now } => {
                write!(f, "authorization starts at {valid_after}, after {now}")
            }
            other => f.write_str(other.code()),
        }
    }
}

impl std::error::Error for RejectReason {}

const PERMIT2_ALLOWANCE_REQUIRED: &str = "permit2_allowance_required";
