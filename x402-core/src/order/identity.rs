//! Names of orders, holders, requests and payments.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};

use crate::error::Malformed;

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

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

random_name! {
    /// The public name of an order: says nothing about the payment and cannot be guessed.
    OrderId
}

random_name! {
    /// Made before a claim is sent, so that a lost answer can be read back: the claim is ours if it bears this token.
    OwnerToken
}

/// Hash of what makes two requests the same: method, path and query, content type, content length.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct RequestFingerprint([u8; 32]);

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
        Self(hash.finalize().into())
    }

    /// The fingerprint of the same request with a body of this SHA-256.
    #[must_use]
    pub fn with_body(self, digest: &[u8; 32]) -> Self {
        let hash = Sha256::new().chain_update(b"x402 request with body v1\0").chain_update(self.0);
        Self(hash.chain_update(digest).finalize().into())
    }

    /// A fingerprint that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The fingerprint's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RequestFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestFingerprint(..)")
    }
}

/// The payer's own name for a payment, unique per payer: 16 to 128 characters of `[A-Za-z0-9_-]`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
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
