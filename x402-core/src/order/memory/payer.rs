//! Payers in 20 bytes, if they are EVM addresses.

use std::sync::Arc;

use crate::scheme::EvmAddress;

/// How the letters of an address were written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Case {
    /// All lower.
    Lower,
    /// As its EIP-55 checksum has them.
    Checksum,
}

/// The address that a text is, if it can be told from it how it was written.
pub(super) fn packed(text: &str) -> Option<(EvmAddress, Case)> {
    let address: EvmAddress = text.parse().ok()?;
    [Case::Lower, Case::Checksum]
        .into_iter()
        .find(|case| *unpacked(address, *case) == *text)
        .map(|case| (address, case))
}

/// The text of an address.
pub(super) fn unpacked(address: EvmAddress, case: Case) -> Arc<str> {
    match case {
        Case::Lower => {
            let mut text = [0_u8; 42];
            text[..2].copy_from_slice(b"0x");
            for (i, digit) in text[2..].iter_mut().enumerate() {
                let byte = address.as_bytes()[i / 2];
                let nibble = if i % 2 == 0 { byte >> 4 } else { byte & 15 };
                *digit = b"0123456789abcdef"[usize::from(nibble)];
            }
            std::str::from_utf8(&text).expect("hexadecimal digits are ASCII").into()
        }
        Case::Checksum => address.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_of(text: &str) -> Option<Arc<str>> {
        packed(text).map(|(address, case)| unpacked(address, case))
    }

    #[test]
    fn addresses_are_packed_as_programs_write_them() {
        let checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        for (text, case) in [
            (checksummed, Some(Case::Checksum)),
            (&checksummed.to_lowercase(), Some(Case::Lower)),
            ("0x1111111111111111111111111111111111111111", Some(Case::Lower)),
            (&checksummed.replace('A', "a"), None),
            (&checksummed.to_uppercase(), None),
            ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", None),
            ("7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU", None),
            ("", None),
        ] {
            assert_eq!(packed(text).map(|(_, case)| case), case, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_as_it_was(bytes: [u8; 20], text in "(0x)?[0-9a-fA-Fé]{38,42}") {
            let checksummed = EvmAddress::new(bytes).to_string();
            for text in [&checksummed, &checksummed.to_lowercase()] {
                prop_assert_eq!(&*text_of(text).unwrap(), text);
            }
            if let Some(unpacked) = text_of(&text) {
                prop_assert_eq!(&*unpacked, &text);
            }
        }
    }
}
