//! What a token's refusal means.

use x402_core::{error::RejectReason, scheme::Eip3009, time::UnixSeconds};

use crate::{
    error::{ChainError, Refusal},
    rpc::{abi, is_revert},
};

/// A failed simulation or estimate: the token's own reason, or the node's trouble.
pub(crate) fn refusal(error: ChainError, message: &Eip3009, now: UnixSeconds) -> Refusal {
    if !is_revert(&error) {
        return Refusal::Chain(error);
    }
    let ChainError::Refused { message: text, data, .. } = &error else { return Refusal::Chain(error) };
    let told = data.as_deref().and_then(abi::revert_text);
    let text = told.as_deref().unwrap_or(text);
    let reason = reason(text, message, now);
    if reason == RejectReason::SimulationFailed {
        // Paused, blacklisted and the like: payers cannot help it, an operator may have to.
        tracing::warn!(revert = %text.chars().take(200).collect::<String>(), "token refused a transfer");
    }
    Refusal::Rejected(reason)
}

fn reason(text: &str, message: &Eip3009, now: UnixSeconds) -> RejectReason {
    let text = text.to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    let seconds = |value| u64::try_from(value).map_or(UnixSeconds::MAX, UnixSeconds::new);
    if has("not yet valid") {
        RejectReason::NotYetValid { valid_after: seconds(message.valid_after), now }
    } else if has("expired") {
        RejectReason::Expired { valid_before: seconds(message.valid_before), now }
    } else if has("used or cancel") || has("authorization is used") || has("authorization already used") {
        RejectReason::NonceAlreadyUsed
    } else if has("exceeds balance") || has("insufficient balance") {
        RejectReason::InsufficientFunds
    } else if has("invalid signature") || has("ecrecover") {
        RejectReason::WrongSignature
    } else {
        RejectReason::SimulationFailed
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use x402_core::scheme::EvmAddress;

    use super::*;

    #[test]
    fn texts_of_known_tokens_become_reasons() {
        let message = Eip3009 {
            from: EvmAddress::ZERO,
            to: EvmAddress::ZERO,
            value: U256::ZERO,
            valid_after: U256::from(5),
            valid_before: U256::MAX,
            nonce: [0; 32],
            signature: Vec::new(),
        };
        let now = UnixSeconds::new(9);
        let after = UnixSeconds::new(5);
        for (text, expected) in [
            (
                "FiatTokenV2: authorization is not yet valid",
                RejectReason::NotYetValid { valid_after: after, now },
            ),
            (
                "FiatTokenV2: authorization is expired",
                RejectReason::Expired { valid_before: UnixSeconds::MAX, now },
            ),
            ("FiatTokenV2: authorization is used or canceled", RejectReason::NonceAlreadyUsed),
            ("ERC20: transfer amount exceeds balance", RejectReason::InsufficientFunds),
            ("FiatTokenV2: invalid signature", RejectReason::WrongSignature),
            ("ECRecover: invalid signature 's' value", RejectReason::WrongSignature),
            ("Pausable: paused", RejectReason::SimulationFailed),
            ("Blacklistable: account is blacklisted", RejectReason::SimulationFailed),
            ("", RejectReason::SimulationFailed),
        ] {
            assert_eq!(reason(text, &message, now), expected, "{text}");
        }
    }

    #[test]
    fn trouble_of_the_node_is_no_reason() {
        let limited = ChainError::Refused { code: -32005, message: "rate limit exceeded".into(), data: None };
        let message = Eip3009 {
            from: EvmAddress::ZERO,
            to: EvmAddress::ZERO,
            value: U256::ZERO,
            valid_after: U256::ZERO,
            valid_before: U256::ZERO,
            nonce: [0; 32],
            signature: Vec::new(),
        };
        for error in [limited, ChainError::Unreachable, ChainError::Lost("timed out")] {
            assert!(matches!(refusal(error, &message, UnixSeconds::new(0)), Refusal::Chain(_)));
        }
    }
}
