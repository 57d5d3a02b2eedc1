//! The key of the account that pays gas.

use std::fmt;

use x402_core::{error::ConfigError, scheme::EvmAddress};
use zeroize::Zeroizing;

use crate::{
    key::{InvalidKey, PrivateKey},
    recover::EcdsaSignature,
    typed_data::Hash,
};

/// The key of the account that sends settlements and pays their gas. It needs coins, but no tokens and no trust: it
/// cannot change whom a payer pays.
///
/// Give each process an account of its own: two senders of one account take each other's nonces.
#[derive(Clone)]
pub struct GasKey(PrivateKey);

impl GasKey {
    /// The key in hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        PrivateKey::from_hex(text).map(Self)
    }

    /// The key's bytes.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_bytes(key: [u8; 32]) -> Result<Self, InvalidKey> {
        PrivateKey::from_bytes(Zeroizing::new(key)).map(Self)
    }

    /// The key in an environment variable.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable, never its content.
    pub fn from_env(variable: &str) -> Result<Self, ConfigError> {
        let text = std::env::var(variable).map(Zeroizing::new);
        let text =
            text.map_err(|_| ConfigError::new(variable, "is not set; it holds the key that pays gas"))?;
        Self::from_hex(&text).map_err(|error| ConfigError::new(variable, error.to_string()))
    }

    /// The account.
    #[must_use]
    pub const fn address(&self) -> EvmAddress {
        self.0.address()
    }

    pub(crate) fn sign(&self, digest: &Hash) -> EcdsaSignature {
        self.0.sign(digest)
    }
}

impl fmt::Debug for GasKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GasKey({})", self.address())
    }
}
