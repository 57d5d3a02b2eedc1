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

    /// Also who shows the token with this SHA-256 digest.
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
        let shown: [u8; 32] = Sha256::digest(bearer(headers).unwrap_or_default()).into();
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
    fn weak_tokens_are_refused() {
        for weak in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcde\u{e9}"] {
            let refused = Callers::everybody().token(weak).unwrap_err().to_string();
            assert!(weak.is_empty() || !refused.contains(weak), "{refused}");
        }
    }
}
