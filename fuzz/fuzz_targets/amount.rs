//! An amount has one spelling: what is printed reads back, and nothing else reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use x402_core::price::AtomicAmount;

// The number of decimals, then a text.
fuzz_target!(|data: &[u8]| {
    let Some((&decimals, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if let Ok(amount) = text.parse::<AtomicAmount>() {
        assert_eq!(amount.to_string(), text);
    }
    if let Ok(amount) = AtomicAmount::from_decimal(text, decimals) {
        assert_eq!(AtomicAmount::from_decimal(&amount.to_decimal(decimals), decimals), Ok(amount));
        assert_eq!(amount.to_string().parse(), Ok(amount));
        // The value of the text, by another way: all its digits, and as many zeros as places are missing.
        let places = text.split_once('.').map_or(0, |(_, places)| places.len());
        let digits = text.replace('.', "") + &"0".repeat(usize::from(decimals) - places);
        let plain = digits.trim_start_matches('0');
        assert_eq!(amount.to_string(), if plain.is_empty() { "0" } else { plain });
    }
});
