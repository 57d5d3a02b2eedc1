//! EVM addresses.

use std::{fmt, str::FromStr};

use sha3::{Digest, Keccak256};

/// An EVM address. Displayed with its EIP-55 checksum, compared by value.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EvmAddress([u8; 20]);

impl EvmAddress {
    /// The zero address, which nobody holds.
    pub const ZERO: Self = Self([0; 20]);

    /// The address of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The address's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for EvmAddress {
    type Err = ParseAddressError;

    /// Reads `0x` and 40 hexadecimal digits in any case: programs do not agree on checksums.
    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let digits = text.strip_prefix("0x").ok_or(ParseAddressError)?;
        let mut bytes = [0; 20];
        super::members::hex_into(digits, &mut bytes).ok_or(ParseAddressError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for EvmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0_u8; 42];
        text[..2].copy_from_slice(b"0x");
        for (i, byte) in self.0.iter().enumerate() {
            text[2 + 2 * i] = DIGITS[usize::from(byte >> 4)];
            text[3 + 2 * i] = DIGITS[usize::from(byte & 15)];
        }
        let hash = Keccak256::digest(&text[2..]);
        for (i, digit) in text[2..].iter_mut().enumerate() {
            let nibble = if i % 2 == 0 { hash[i / 2] >> 4 } else { hash[i / 2] & 15 };
            if nibble >= 8 {
                digit.make_ascii_uppercase();
            }
        }
        f.write_str(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for EvmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not `0x` and 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseAddressError;

impl fmt::Display for ParseAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("address is not 0x and 40 hexadecimal digits")
    }
}

impl std::error::Error for ParseAddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_with_their_checksum() {
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        ] {
            let address: EvmAddress = text.to_lowercase().parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }
}
