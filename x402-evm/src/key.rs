//! Private keys: zeroised when dropped, never shown.

use std::fmt;

use x402_core::scheme::EvmAddress;
use zeroize::Zeroizing;

use crate::{
    curve, hex,
    recover::{EcdsaSignature, address_of},
    typed_data::Hash,
};

/// A private key and the address it controls.
#[derive(Clone)]
pub(crate) struct PrivateKey {
    secret: Zeroizing<[u8; 32]>,
    address: EvmAddress,
}

impl PrivateKey {
    pub(crate) fn from_bytes(secret: Zeroizing<[u8; 32]>) -> Result<Self, InvalidKey> {
        let point = curve::point(&secret).ok_or(InvalidKey)?;
        Ok(Self { secret, address: address_of(&point) })
    }

    pub(crate) fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        let secret = hex::decode(text.trim()).map(Zeroizing::new).ok_or(InvalidKey)?;
        Self::from_bytes(secret)
    }

    pub(crate) const fn address(&self) -> EvmAddress {
        self.address
    }

    pub(crate) fn sign(&self, digest: &Hash) -> EcdsaSignature {
        curve::sign(&self.secret, digest)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key of {}", self.address)
    }
}

/// A text or number that is not a private key. Says nothing of what it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a private key: wanted 32 bytes as 64 hexadecimal digits, not zero and below the curve's order")
    }
}

impl std::error::Error for InvalidKey {}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";

    #[test]
    fn a_key_has_its_address_and_shows_nothing_else() {
        let key = PrivateKey::from_hex(KEY).unwrap();
        assert_eq!(format!("{key:?}"), "key of 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for text in ["", "0x", "1", &KEY[..65], &"0".repeat(64), order, &"z".repeat(64)] {
            assert_eq!(PrivateKey::from_hex(text).err(), Some(InvalidKey), "{text}");
        }
    }
}
