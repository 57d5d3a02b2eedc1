//! Which names of the protocol a payment's reasons have.

use super::RejectReason;
use crate::{
    price::PriceOption,
    scheme::{Authorization, SignedMessage},
};

/// Whose names reasons have in version 2: schemes, and ways to move a token, have lists of their own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ReasonNames {
    /// Those of EIP-3009, and of payments that could not be read.
    #[default]
    Eip3009,
    Permit2,
    Upto,
}

impl ReasonNames {
    /// The names for a payment that was read.
    pub(crate) fn of(authorization: &Authorization, option: &PriceOption) -> Self {
        match &authorization.message {
            SignedMessage::Eip3009(_) => Self::Eip3009,
            SignedMessage::Permit2(_) if option.is_upto() => Self::Upto,
            SignedMessage::Permit2(_) => Self::Permit2,
        }
    }

    pub(crate) fn code(self, reason: &RejectReason) -> &str {
        match self {
            Self::Eip3009 => reason.code(),
            Self::Permit2 => reason.permit2_code(),
            Self::Upto => reason.upto_code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixSeconds;

    #[test]
    fn each_way_to_pay_has_its_names_and_a_record_of_a_code_has_the_same() {
        let at = UnixSeconds::new;
        use RejectReason as R;
        for (reason, eip3009, permit2, upto) in [
            (
                R::WrongRecipient,
                "invalid_exact_evm_recipient_mismatch",
                "invalid_permit2_recipient_mismatch",
                "invalid_permit2_recipient_mismatch",
            ),
            (
                R::WrongAmount { wanted: 2.into(), offered: 1.into() },
                "invalid_exact_evm_payload_authorization_value_mismatch",
                "permit2_amount_mismatch",
                "permit2_amount_mismatch",
            ),
            (
                R::Expired { valid_before: at(1), now: at(2) },
                "invalid_exact_evm_payload_authorization_valid_before",
                "permit2_deadline_expired",
                "permit2_deadline_expired",
            ),
            (
                R::ExpiresTooLate { valid_before: at(9), latest: at(2) },
                "invalid_exact_evm_payload_authorization_valid_before",
                "permit2_deadline_expired",
                "permit2_deadline_expired",
            ),
            (
                R::NotYetValid { valid_after: at(9), now: at(2) },
                "invalid_exact_evm_payload_authorization_valid_after",
                "permit2_not_yet_valid",
                "permit2_not_yet_valid",
            ),
            (
                R::MalformedSignature,
                "invalid_exact_evm_failed_to_parse_signature",
                "invalid_permit2_signature",
                "invalid_permit2_signature",
            ),
            (
                R::WrongSignature,
                "invalid_exact_evm_signature",
                "invalid_permit2_signature",
                "invalid_permit2_signature",
            ),
            (
                R::InsufficientFunds,
                "invalid_exact_evm_insufficient_balance",
                "permit2_insufficient_balance",
                "permit2_insufficient_balance",
            ),
            (
                R::NonceAlreadyUsed,
                "invalid_exact_evm_nonce_already_used",
                "permit2_invalid_nonce",
                "permit2_invalid_nonce",
            ),
            (
                R::SimulationFailed,
                "invalid_exact_evm_transaction_simulation_failed",
                "permit2_simulation_failed",
                "permit2_simulation_failed",
            ),
            (
                R::TransferFailed,
                "invalid_exact_evm_transaction_failed",
                "invalid_exact_evm_transaction_failed",
                "invalid_upto_evm_transaction_failed",
            ),
            (
                R::Other("permit2_allowance_required".into()),
                "permit2_allowance_required",
                "permit2_allowance_required",
                "permit2_allowance_required",
            ),
            (R::QuoteExpired, "quote_expired", "quote_expired", "quote_expired"),
            (
                R::NoMatchingTerms,
                "No matching payment requirements",
                "No matching payment requirements",
                "No matching payment requirements",
            ),
            (
                R::Other("kyt_risk_detected: high".into()),
                "kyt_risk_detected: high",
                "kyt_risk_detected: high",
                "kyt_risk_detected: high",
            ),
        ] {
            use ReasonNames::{Eip3009, Permit2, Upto};
            let told = |reason: &R| [Eip3009, Permit2, Upto].map(|names| names.code(reason).to_owned());
            assert_eq!(told(&reason), [eip3009, permit2, upto], "{reason:?}");
            assert_eq!(told(&R::from_code(reason.code())), [eip3009, permit2, upto], "recorded: {reason:?}");
        }
        for code in ["invalid_upto_evm_transaction_failed", "permit2_insufficient_balance"] {
            assert_eq!(ReasonNames::Upto.code(&R::from_code(code)), code, "a facilitator said so");
        }
    }
}
