//! Who may ask.

use std::fmt;

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use x402_core::error::ConfigError;

use crate::bearer::bearer;

/// Who may have payments verified and settled, each by a bearer token: everybody, as long as nobody is named.
#[derive(Clone, Default)]
#[must_use = "everybody may ask until callers are given to the service"]
pub struct Callers(Vec<[u8; 32]>);

impl Callers {
    /// Everybody.
    pub fn everybody() -> Self {
        Self::default()
    }

    /// Also who shows this token.
    ///
    /// # Errors
    /// [`ConfigError`] when it is shorter than 16 bytes, or has characters that a header cannot carry.
    pub fn token(mut self, token: &str) -> Result<Self, ConfigError> {
        if token.len() < LEAST {
            let problem = format!("has {} bytes, wanted at least {LEAST} that nobody can guess", token.len());
            return Err(ConfigError::new("caller's token", problem));
        }
        if !token.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
            return Err(ConfigError::new("caller's token", "has characters that a header cannot carry"));
        }
        self.0.push(Sha256::digest(token).into());
        Ok(self)
    }

    /// The digest of an empty token, which a command makes whose variable is not set.
    pub(super) const OF_NOTHING: [u8; 32] = [
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ];

    /// Also who shows the token with this SHA-256 digest. That of an empty token admits nobody.
    pub fn token_sha256(mut self, digest: [u8; 32]) -> Self {
        self.0.push(digest);
        self
    }

    /// Whether everybody may ask.
    #[must_use]
    pub const fn are_everybody(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether who sent these headers may ask. All tokens are compared, by their digests: the time it takes tells
    /// nothing of them.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        if self.are_everybody() {
            return true;
        }
        // Nothing is no token, even where its digest is in the list.
        let Some(token) = bearer(headers).filter(|token| !token.is_empty()) else { return false };
        let shown: [u8; 32] = Sha256::digest(token).into();
        self.0.iter().fold(false, |found, token| found | bool::from(token.ct_eq(&shown)))
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callers({})", self.0.len())
    }
}

const LEAST: usize = 16;

#[cfg(test)]
mod tests {
    use axum::http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn a_caller_needs_a_token_of_the_list() {
        let digest = Sha256::digest("fedcba9876543210").into();
        let callers = Callers::everybody().token("0123456789abcdef").unwrap().token_sha256(digest);
        for (value, admitted) in [
            (Some("Bearer 0123456789abcdef"), true),
            (Some("bearer fedcba9876543210"), true),
            (Some("Bearer 0123456789abcdeg"), false),
            (Some("Bearer "), false),
            (Some("0123456789abcdef"), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (AUTHORIZATION, value.parse().unwrap())));
            assert_eq!(callers.admit(&headers), admitted, "{value:?}");
            assert!(Callers::everybody().admit(&headers));
        }
        assert_eq!(format!("{callers:?}"), "Callers(2)");
    }

    #[test]
    fn the_digest_of_nothing_admits_nobody() {
        assert_eq!(Callers::OF_NOTHING, <[u8; 32]>::from(Sha256::digest("")));
        let callers = Callers::everybody().token_sha256(Callers::OF_NOTHING);
        assert!(!callers.are_everybody());
        for value in [None, Some("Bearer"), Some("Bearer "), Some("Bearer \t "), Some("Basic eDp5"), Some("")]
        {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (AUTHORIZATION, value.parse().unwrap())));
            assert!(!callers.admit(&headers), "{value:?}");
        }
    }

    #[test]
    fn weak_tokens_are_refused() {
        for weak in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcde\u{e9}"] {
            let refused = Callers::everybody().token(weak).unwrap_err().to_string();
            assert!(weak.is_empty() || !refused.contains(weak), "{refused}");
        }
    }
}
