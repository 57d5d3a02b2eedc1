//! Keys of quotes.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::ConfigError;

/// A secret that quotes are sealed with. Machines that serve the same routes share it.
///
/// It is wiped when dropped and never shown.
pub struct QuoteKey([u8; 32]);

impl QuoteKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Panics
    /// When the operating system has none to give.
    #[must_use]
    pub fn random() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives randomness");
        Self(key)
    }

    /// From at least 64 hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// [`ConfigError`] when it is not hexadecimal or too short.
    pub fn from_hex(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        let bytes = from_hex(text.strip_prefix("0x").unwrap_or(text)).map(Zeroizing::new);
        let bytes = bytes.ok_or_else(|| ConfigError::new(AT, "it is not pairs of hexadecimal digits"))?;
        Self::try_from(bytes.as_slice())
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for QuoteKey {
    type Error = ConfigError;

    /// From at least 32 secret bytes; more are hashed down.
    fn try_from(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() < 32 {
            let problem = format!("it has {} bytes, wanted at least 32 random ones", bytes.len());
            return Err(ConfigError::new(AT, problem));
        }
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(ConfigError::new(AT, "it repeats one byte, wanted random ones"));
        }
        match bytes.try_into() {
            Ok(key) => Ok(Self(key)),
            Err(_) => Ok(Self(Sha256::digest(bytes).into())),
        }
    }
}

impl Clone for QuoteKey {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl Drop for QuoteKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for QuoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuoteKey(..)")
    }
}

/// Reads pairs of hexadecimal digits of either case.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

const AT: &str = "quote key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_are_refused() {
        for weak in ["", "00", "0x1234", &"00".repeat(32), &"ab".repeat(31), &"zz".repeat(32), "é"] {
            assert!(QuoteKey::from_hex(weak).is_err(), "{weak}");
        }
        let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        assert!(QuoteKey::from_hex(key).is_ok());
        assert!(QuoteKey::from_hex(&format!("0x{}", key.to_uppercase())).is_ok());
        assert!(QuoteKey::try_from([[1; 32], [2; 32]].concat().as_slice()).is_ok());
    }

    #[test]
    fn keys_are_never_shown() {
        assert_eq!(format!("{:?}", QuoteKey::random()), "QuoteKey(..)");
    }
}
