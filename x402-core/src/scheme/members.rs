//! Reading the members of signed messages, strictly.

use ruint::aliases::U256;
use serde_json::Value;

use super::EvmAddress;
use crate::{
    error::RejectReason,
    price::{AtomicAmount, PriceOption},
    time::UnixSeconds,
};

pub(super) const fn invalid(detail: &'static str) -> RejectReason {
    RejectReason::InvalidPayload(detail)
}

pub(super) fn address(message: &Value, member: &str) -> Option<EvmAddress> {
    message.get(member)?.as_str()?.parse().ok()
}

/// A number in decimal digits, as the protocol writes amounts and times.
pub(super) fn decimal(message: &Value, member: &str) -> Option<U256> {
    decimal_text(message.get(member)?.as_str()?)
}

/// A number in decimal digits, or in hexadecimal ones after `0x`, as Permit2 payloads have both.
pub(super) fn number(message: &Value, member: &str) -> Option<U256> {
    let text = message.get(member)?.as_str()?;
    match text.strip_prefix("0x") {
        None => decimal_text(text),
        Some(digits) if !digits.is_empty() && digits.len() <= 64 => {
            let mut word = [0; 32];
            hex_into(&format!("{digits:0>64}"), &mut word)?;
            Some(U256::from_be_bytes(word))
        }
        Some(_) => None,
    }
}

/// 32 bytes in hexadecimal digits.
pub(super) fn word(message: &Value, member: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex_into(message.get(member)?.as_str()?.strip_prefix("0x")?, &mut bytes)?;
    Some(bytes)
}

/// The payload's signature: bytes of a sane length.
pub(super) fn signature(payload: &Value) -> Option<Vec<u8>> {
    let digits = payload.get("signature")?.as_str()?.strip_prefix("0x")?;
    if digits.len() % 2 != 0 || digits.len() > 2 * MAX_SIGNATURE {
        return None;
    }
    let mut bytes = vec![0; digits.len() / 2];
    hex_into(digits, &mut bytes)?;
    Some(bytes)
}

/// The recipient as the option writes it, if it is the same: its checksum need not be computed again.
pub(super) fn recipient(signed: EvmAddress, option: &PriceOption) -> String {
    match option.pay_to.parse() {
        Ok(asked) if signed == asked => option.pay_to.to_string(),
        _ => signed.to_string(),
    }
}

pub(super) fn saturating_seconds(value: U256) -> UnixSeconds {
    u64::try_from(value).map_or(UnixSeconds::MAX, UnixSeconds::new)
}

/// Decodes exactly `bytes.len()` bytes of hexadecimal digits in any case.
pub(super) fn hex_into(digits: &str, bytes: &mut [u8]) -> Option<()> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(())
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn decimal_text(text: &str) -> Option<U256> {
    text.parse::<AtomicAmount>().ok().map(AtomicAmount::get)
}

/// Wrapped signatures of contract accounts carry deployment calls; none needs more than this.
const MAX_SIGNATURE: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_strictly() {
        for (text, expected) in [
            ("0", Some(0_u64)),
            ("10", Some(10)),
            ("0x0a", Some(10)),
            ("0xA", Some(10)),
            ("0x0", Some(0)),
            ("", None),
            ("0x", None),
            ("010", None),
            ("1e3", None),
            ("-1", None),
            ("+1", None),
            (" 1", None),
            ("0X0a", None),
            ("0xg", None),
            ("0x-1", None),
            ("a", None),
        ] {
            let message = json!({ "nonce": text });
            assert_eq!(number(&message, "nonce"), expected.map(U256::from), "{text}");
        }
        assert_eq!(number(&json!({ "nonce": 10 }), "nonce"), None);
        assert_eq!(number(&json!({ "nonce": format!("0x{}", "f".repeat(64)) }), "nonce"), Some(U256::MAX));
        assert_eq!(number(&json!({ "nonce": format!("0x{}", "0".repeat(65)) }), "nonce"), None);
        assert_eq!(number(&json!({ "nonce": format!("{}0", U256::MAX) }), "nonce"), None);
    }

    proptest! {
        #[test]
        fn decimal_and_hexadecimal_say_the_same(bytes in any::<[u8; 32]>()) {
            let value = U256::from_be_bytes(bytes);
            for text in [value.to_string(), format!("{value:#x}"), format!("{value:#066x}")] {
                prop_assert_eq!(number(&json!({ "n": text }), "n"), Some(value));
            }
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,80}") {
            let message = json!({ "n": text, "signature": text });
            let _ = (number(&message, "n"), decimal(&message, "n"), word(&message, "n"));
            let _ = (address(&message, "n"), signature(&message));
        }
    }
}
