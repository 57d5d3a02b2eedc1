//! What a facilitator's reason code says: whose trouble it is.

use crate::error::RejectReason;

/// Whose trouble a reason code tells of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Blame {
    /// The payment is not good. Codes that nobody knows say so, too.
    Payment,
    /// The authorization was settled before, perhaps in our favour.
    Used,
    /// The terms of this server do not fit the chain or the facilitator.
    Merchant,
    /// The facilitator or its node, or it does not know what became of the payment.
    Facilitator,
}

/// Reads a code as facilitators write it; text after a `:` is detail.
pub(super) fn blame(code: &str) -> Blame {
    let name = name(code);
    let ends_with = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends_with(USED) {
        Blame::Used
    } else if ends_with(MERCHANT) {
        Blame::Merchant
    } else if ends_with(FACILITATOR) || is_unfinished(name) {
        Blame::Facilitator
    } else {
        Blame::Payment
    }
}

/// The reason to pass on, at a sane length and without control characters; `default` where there is none.
pub(super) fn reason(code: Option<&str>, default: &'static str) -> String {
    let code = code.unwrap_or_default().chars().filter(|character| !character.is_control());
    let code: String = code.take(MAX_CODE).collect();
    if code.trim().is_empty() { default.to_owned() } else { code }
}

/// The refusal that a code stands for.
pub(super) fn rejection(code: &str) -> RejectReason {
    match blame(code) {
        Blame::Used => RejectReason::NonceAlreadyUsed,
        _ => RejectReason::from_code(code),
    }
}

/// Whether the transaction is said to be on its way.
pub(super) fn is_pending(code: &str) -> bool {
    name(code) == SETTLEMENT_PENDING
}

/// Whether a settlement may have moved the money although it is said to have failed for this reason: facilitators
/// answer so, too, when they lost sight of what they sent.
pub(super) fn leaves_open(code: &str, has_transaction: bool, is_server_error: bool) -> bool {
    let name = name(code);
    let is_failed_transaction = name.ends_with("transaction_failed");
    // Words are those of a library that failed, perhaps after it sent.
    !is_token(name) || (is_failed_transaction && !has_transaction) || (is_server_error && !is_known(name))
}

/// Whether it is made as codes are.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Whether somebody chose this code for this case: it has a meaning here, or begins as the protocol's own do.
fn is_known(name: &str) -> bool {
    blame(name) != Blame::Payment
        || !matches!(RejectReason::from_code(name), RejectReason::Other(_))
        || PROTOCOL.iter().any(|beginning| name.starts_with(beginning))
}

fn name(code: &str) -> &str {
    code.split(':').next().unwrap_or(code).trim()
}

/// `..failed_to_get_balance` is the node's trouble, `..failed_to_parse_signature` the payer's. Words of waiting in a
/// code that nobody knows say that the end is not known either.
fn is_unfinished(name: &str) -> bool {
    (name.contains("failed_to_") && !name.ends_with("failed_to_parse_signature"))
        || ["confirm", "pending", "timed_out", "timeout"].iter().any(|word| name.contains(word))
}

pub(super) const SETTLEMENT_PENDING: &str = "settlement_pending";

const PROTOCOL: &[&str] =
    &["erc20_approval_", "erc6492_", "invalid_", "permit2_", "smart_wallet_", "unsupported_", "upto_"];

const USED: &[&str] = &["nonce_already_used", "permit2_invalid_nonce", "duplicate_settlement"];

const MERCHANT: &[&str] = &[
    "amount_too_low",
    "asset_not_deployed_contract",
    "eip3009_not_supported",
    "facilitator_mismatch",
    "fee_payer_not_managed_by_facilitator",
    "invalid_payment_requirements",
    "missing_eip712_domain",
    "missing_fee_payer",
    "permit2_disabled",
    "permit2_proxy_not_deployed",
    "token_name_mismatch",
    "token_version_mismatch",
    "unsupported_network",
];

const FACILITATOR: &[&str] = &[
    "block_height_exceeded",
    "node_failure",
    "rpc_read_failed",
    "state_read_failed",
    "unexpected_settle_error",
    "unexpected_verify_error",
    "unknown_error",
    "wait_for_receipt_failed",
];

const MAX_CODE: usize = 256;

#[cfg(test)]
mod tests {
    use super::{Blame::*, *};

    #[test]
    fn codes_tell_whose_trouble_it_is() {
        for (code, expected) in [
            ("invalid_exact_evm_signature", Payment),
            ("invalid_exact_evm_failed_to_parse_signature", Payment),
            ("invalid_exact_evm_insufficient_balance", Payment),
            ("invalid_exact_evm_transaction_failed", Payment),
            ("invalid_exact_evm_transaction_simulation_failed: reverted", Payment),
            ("invalid_exact_evm_payload_authorization_from_address_kyt", Payment),
            ("kyt_risk_detected", Payment),
            ("request_blocked_by_location", Payment),
            ("smart_wallet_deployment_failed", Payment),
            ("never heard of", Payment),
            ("", Payment),
            ("invalid_exact_evm_nonce_already_used", Used),
            ("invalid_exact_evm_nonce_already_used: really", Used),
            ("permit2_invalid_nonce", Used),
            ("duplicate_settlement", Used),
            ("invalid_exact_evm_token_name_mismatch", Merchant),
            ("invalid_exact_evm_token_version_mismatch", Merchant),
            ("invalid_exact_evm_missing_eip712_domain", Merchant),
            ("invalid_exact_evm_eip3009_not_supported", Merchant),
            ("invalid_exact_svm_fee_payer_not_managed_by_facilitator", Merchant),
            ("asset_not_deployed_contract", Merchant),
            ("upto_facilitator_mismatch", Merchant),
            ("unexpected_verify_error", Facilitator),
            ("unexpected_settle_error: socket hang up", Facilitator),
            ("invalid_batch_settlement_evm_rpc_read_failed", Facilitator),
            ("invalid_exact_evm_failed_to_get_balance", Facilitator),
            ("invalid_exact_evm_failed_to_execute_transfer", Facilitator),
            ("settle_exact_node_failure", Facilitator),
            ("settle_exact_evm_transaction_confirmation_timed_out", Facilitator),
            ("settle_exact_svm_block_height_exceeded", Facilitator),
            ("settlement_pending", Facilitator),
            ("post_settlement_transfer_not_confirmed", Facilitator),
            ("broadcast_timeout_of_tomorrow", Facilitator),
        ] {
            assert_eq!(blame(code), expected, "{code}");
        }
    }

    #[test]
    fn what_may_have_moved_the_money_is_no_failure() {
        for (code, has_transaction, is_server_error, open) in [
            ("invalid_exact_evm_insufficient_balance", false, false, false),
            ("invalid_exact_evm_insufficient_balance: 3 of 5", false, false, false),
            ("invalid_exact_evm_payload_authorization_valid_before", false, true, false),
            ("invalid_transaction_state", false, true, false),
            ("insufficient_funds", false, true, false),
            ("invalid_exact_evm_transaction_simulation_failed", false, true, false),
            ("invalid_exact_evm_transaction_failed", true, true, false),
            ("invalid_exact_evm_transaction_failed", false, false, true),
            ("invalid_exact_evm_transaction_failed: nonce too low", false, false, true),
            ("invalid_exact_svm_transaction_failed", false, false, true),
            ("transaction_failed", false, false, true),
            ("a_reason_of_tomorrow", false, false, false),
            ("a_reason_of_tomorrow", false, true, true),
            ("HTTP request failed.", false, false, true),
            ("The request took too long to respond.", true, false, true),
            ("Error: invalid_exact_evm_signature", false, false, true),
            ("the nonce_already_used", false, false, true),
            ("insufficient-funds", false, false, true),
            (": invalid_exact_evm_signature", false, false, true),
            ("", false, false, true),
        ] {
            let told = leaves_open(code, has_transaction, is_server_error);
            assert_eq!(told, open, "{code}, transaction {has_transaction}, 5xx {is_server_error}");
        }
    }

    #[test]
    fn reasons_are_passed_on_unchanged_and_bounded() {
        assert_eq!(reason(Some("kyt_risk_detected: high"), "x"), "kyt_risk_detected: high");
        assert_eq!(reason(Some("a\r\nb\u{1b}[31m"), "x"), "ab[31m");
        assert_eq!(reason(None, "invalid_payment"), "invalid_payment");
        assert_eq!(reason(Some(" \n"), "invalid_payment"), "invalid_payment");
        assert_eq!(reason(Some(&"é".repeat(5000)), "x").chars().count(), MAX_CODE);
    }
}
