//! Names of orders, holders, requests and payments.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{error::Malformed, hex, scheme::PaymentKey};

macro_rules! random_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A name made of 16 random bytes.
            #[must_use]
            pub const fn new(random: [u8; 16]) -> Self {
                Self(random)
            }

            /// The name's bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                hex::serialize(&self.0, to)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                hex::deserialize(from).map(Self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

random_name! {
    /// The public name of an order: cannot be guessed, and says of the payment only in which of 64 parts of a store it is.
    OrderId
}

impl OrderId {
    /// A name for the order of a payment, made of 16 random bytes.
    #[must_use]
    pub const fn of(key: &PaymentKey, mut random: [u8; 16]) -> Self {
        random[0] = key.shard();
        Self(random)
    }

    /// Which of 64 parts of a store the order belongs to.
    #[must_use]
    pub const fn shard(&self) -> u8 {
        self.0[0]
    }
}

impl FromStr for OrderId {
    type Err = InvalidOrderId;

    fn from_str(text: &str) -> Result<Self, InvalidOrderId> {
        hex::parse(text).map(Self).ok_or(InvalidOrderId)
    }
}

/// A text that is not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidOrderId;

impl fmt::Display for InvalidOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order id has 32 lower-case hexadecimal digits")
    }
}

impl std::error::Error for InvalidOrderId {}

random_name! {
    /// Made before a claim is sent, so that a lost answer can be read back: the claim is ours if it bears this token.
    OwnerToken
}

/// Hash of what makes two requests the same: method, path and query, content type, content length.
///
/// Half of a SHA-256: only the payer could look for two requests that meet, and would get one response for both.
#[derive(Clone, Copy, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct RequestFingerprint(#[serde(with = "hex")] [u8; 16]);

impl RequestFingerprint {
    /// Hashes the parts, each with its length, so that no two different requests meet.
    #[must_use]
    pub fn new(
        method: &str,
        path: &str,
        query: Option<&str>,
        content_type: Option<&[u8]>,
        content_length: Option<&[u8]>,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"x402 request fingerprint v1\0");
        let parts = [
            Some(method.as_bytes()),
            Some(path.as_bytes()),
            query.map(str::as_bytes),
            content_type,
            content_length,
        ];
        for part in parts {
            // An absent part has a length no part can have.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        Self(first_half(hash.finalize().into()))
    }

    /// The fingerprint of the same request with a body of this SHA-256.
    #[must_use]
    pub fn with_body(self, digest: &[u8; 32]) -> Self {
        let hash = Sha256::new().chain_update(b"x402 request with body v1\0").chain_update(self.0);
        Self(first_half(hash.chain_update(digest).finalize().into()))
    }

    /// A fingerprint that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The fingerprint's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

pub(crate) fn first_half(digest: [u8; 32]) -> [u8; 16] {
    *digest.first_chunk().expect("32 bytes have 16")
}

impl fmt::Debug for RequestFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestFingerprint(..)")
    }
}

/// The payer's own name for a payment, unique per payer: 16 to 128 characters of `[A-Za-z0-9_-]`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PaymentId(Arc<str>);

impl PaymentId {
    /// Reads an identifier.
    ///
    /// # Errors
    /// [`Malformed::InvalidPaymentIdentifier`] when the length or a character is not allowed.
    pub fn new(text: &str) -> Result<Self, Malformed> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if (16..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(Malformed::InvalidPaymentIdentifier)
        }
    }

    /// The identifier's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_request_cannot_flow_into_each_other() {
        let of = |path, query| RequestFingerprint::new("GET", path, query, None, None);
        assert_eq!(of("/a", Some("b")), of("/a", Some("b")));
        assert_ne!(of("/ab", None), of("/a", Some("b")));
        assert_ne!(of("/a", Some("")), of("/a", None));
        assert_ne!(
            RequestFingerprint::new("GET", "/", None, Some(b"1"), None),
            RequestFingerprint::new("GET", "/", None, None, Some(b"1")),
        );
        assert_eq!(of("/a", None).with_body(&[1; 32]), of("/a", None).with_body(&[1; 32]));
        assert_ne!(of("/a", None).with_body(&[1; 32]), of("/a", None).with_body(&[2; 32]));
        assert_ne!(of("/a", None).with_body(&[1; 32]), of("/b", None).with_body(&[1; 32]));
        assert_ne!(of("/a", None).with_body(&[0; 32]), of("/a", None));
    }
}
