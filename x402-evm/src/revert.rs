//! What the refusal of a token, of Permit2 or of a proxy means.

use x402_core::{error::RejectReason, time::UnixSeconds};

use crate::{
    error::{ChainError, Refusal},
    facilitator::Signed,
    rpc::{abi, is_revert},
};

/// A failed simulation or estimate: the contracts' own reason, or the node's trouble.
pub(crate) fn refusal(error: ChainError, signed: &Signed<'_>, now: UnixSeconds) -> Refusal {
    if !is_revert(&error) {
        return Refusal::Chain(error);
    }
    let ChainError::Refused { message: text, data, .. } = &error else { return Refusal::Chain(error) };
    let told = data.as_deref().and_then(abi::revert_text);
    let text = told.as_deref().unwrap_or(text);
    let (valid_after, valid_before) = signed.window();
    let reason = match (signed, data.as_deref()) {
        (Signed::Permit2 { .. }, Some(data)) => permit2_reason(data, valid_before, now),
        _ => None,
    };
    let reason = reason.unwrap_or_else(|| reason_in(text, (valid_after, valid_before), now));
    if reason == RejectReason::SimulationFailed {
        // Paused, blacklisted and the like: payers cannot help it, an operator may have to.
        tracing::warn!(revert = %text.chars().take(200).collect::<String>(), "token refused a transfer");
    }
    Refusal::Rejected(reason)
}

fn reason_in(
    text: &str,
    (valid_after, valid_before): (UnixSeconds, UnixSeconds),
    now: UnixSeconds,
) -> RejectReason {
    let text = text.to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    if has("not yet valid") {
        RejectReason::NotYetValid { valid_after, now }
    } else if has("expired") {
        RejectReason::Expired { valid_before, now }
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

/// The errors that Permit2 and the proxies have names for.
fn permit2_reason(data: &[u8], valid_before: UnixSeconds, now: UnixSeconds) -> Option<RejectReason> {
    let selector: [u8; 4] = data.get(..4)?.try_into().ok()?;
    let other = |code: &'static str| Some(RejectReason::Other(code.into()));
    match selector {
        INVALID_NONCE => Some(RejectReason::NonceAlreadyUsed),
        SIGNATURE_EXPIRED => Some(RejectReason::Expired { valid_before, now }),
        PAYMENT_TOO_EARLY => other("permit2_payment_too_early"),
        INVALID_SIGNER | INVALID_SIGNATURE | INVALID_SIGNATURE_LENGTH | INVALID_CONTRACT_SIGNATURE => {
            Some(RejectReason::WrongSignature)
        }
        INVALID_AMOUNT | INVALID_AMOUNT_OF_PERMIT2 => other("permit2_invalid_amount"),
        INVALID_DESTINATION => other("permit2_invalid_destination"),
        INVALID_OWNER => other("permit2_invalid_owner"),
        AMOUNT_OF_APPROVAL => other("permit2_2612_amount_mismatch"),
        UNAUTHORIZED_FACILITATOR => other("upto_unauthorized_facilitator"),
        AMOUNT_EXCEEDS_PERMITTED => other("upto_amount_exceeds_permitted"),
        _ => None,
    }
}

const SIGNATURE_EXPIRED: [u8; 4] = [0xcd, 0x21, 0xdb, 0x4f];
const INVALID_NONCE: [u8; 4] = [0x75, 0x66, 0x88, 0xfe];
const INVALID_AMOUNT_OF_PERMIT2: [u8; 4] = [0x37, 0x28, 0xb8, 0x3d];
const INVALID_SIGNER: [u8; 4] = [0x81, 0x5e, 0x1d, 0x64];
const INVALID_SIGNATURE: [u8; 4] = [0x8b, 0xaa, 0x57, 0x9f];
const INVALID_SIGNATURE_LENGTH: [u8; 4] = [0x4b, 0xe6, 0x32, 0x1b];
const INVALID_CONTRACT_SIGNATURE: [u8; 4] = [0xb0, 0x66, 0x9c, 0xbc];
const INVALID_DESTINATION: [u8; 4] = [0xac, 0x6b, 0x05, 0xf5];
const PAYMENT_TOO_EARLY: [u8; 4] = [0xa6, 0x55, 0x39, 0xfa];
const INVALID_OWNER: [u8; 4] = [0x49, 0xe2, 0x7c, 0xff];
const INVALID_AMOUNT: [u8; 4] = [0x2c, 0x52, 0x11, 0xc6];
const AMOUNT_OF_APPROVAL: [u8; 4] = [0x05, 0x0c, 0xda, 0x49];
const UNAUTHORIZED_FACILITATOR: [u8; 4] = [0x0f, 0x6f, 0xae, 0x87];
const AMOUNT_EXCEEDS_PERMITTED: [u8; 4] = [0xfe, 0x64, 0xb4, 0xc7];

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use x402_core::scheme::{Eip3009, EvmAddress};

    use super::*;
    use crate::{network::Domain, typed_data::keccak};

    const AFTER: UnixSeconds = UnixSeconds::new(5);
    const BEFORE: UnixSeconds = UnixSeconds::MAX;
    const NOW: UnixSeconds = UnixSeconds::new(9);

    #[test]
    fn texts_of_known_tokens_become_reasons() {
        for (text, expected) in [
            (
                "FiatTokenV2: authorization is not yet valid",
                RejectReason::NotYetValid { valid_after: AFTER, now: NOW },
            ),
            (
                "FiatTokenV2: authorization is expired",
                RejectReason::Expired { valid_before: BEFORE, now: NOW },
            ),
            ("FiatTokenV2: authorization is used or canceled", RejectReason::NonceAlreadyUsed),
            ("ERC20: transfer amount exceeds balance", RejectReason::InsufficientFunds),
            ("FiatTokenV2: invalid signature", RejectReason::WrongSignature),
            ("ECRecover: invalid signature 's' value", RejectReason::WrongSignature),
            ("Pausable: paused", RejectReason::SimulationFailed),
            ("Blacklistable: account is blacklisted", RejectReason::SimulationFailed),
            ("TRANSFER_FROM_FAILED", RejectReason::SimulationFailed),
            ("", RejectReason::SimulationFailed),
        ] {
            assert_eq!(reason_in(text, (AFTER, BEFORE), NOW), expected, "{text}");
        }
    }

    #[test]
    fn errors_of_permit2_and_the_proxies_become_reasons() {
        for (error, code) in [
            ("SignatureExpired(uint256)", "permit2_deadline_expired"),
            ("InvalidNonce()", "permit2_invalid_nonce"),
            ("InvalidAmount(uint256)", "permit2_invalid_amount"),
            ("InvalidSigner()", "invalid_permit2_signature"),
            ("InvalidSignature()", "invalid_permit2_signature"),
            ("InvalidSignatureLength()", "invalid_permit2_signature"),
            ("InvalidContractSignature()", "invalid_permit2_signature"),
            ("InvalidDestination()", "permit2_invalid_destination"),
            ("PaymentTooEarly()", "permit2_payment_too_early"),
            ("InvalidOwner()", "permit2_invalid_owner"),
            ("InvalidAmount()", "permit2_invalid_amount"),
            ("Permit2612AmountMismatch()", "permit2_2612_amount_mismatch"),
            ("UnauthorizedFacilitator()", "upto_unauthorized_facilitator"),
            ("AmountExceedsPermitted()", "upto_amount_exceeds_permitted"),
        ] {
            let data = keccak(error.as_bytes());
            let reason = permit2_reason(&data, BEFORE, NOW).expect(error);
            assert_eq!(reason.permit2_code(), code, "{error}");
        }
        for data in [&[][..], &[1, 2, 3], &[1, 2, 3, 4]] {
            assert_eq!(permit2_reason(data, BEFORE, NOW), None);
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
        let domain = Domain { name: "USDC", version: "2", chain_id: 1, token: EvmAddress::ZERO };
        let signed = Signed::Eip3009 { message: &message, domain };
        for error in [limited, ChainError::Unreachable, ChainError::Lost("timed out")] {
            assert!(matches!(refusal(error, &signed, NOW), Refusal::Chain(_)));
        }
    }
}
