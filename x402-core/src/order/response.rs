//! Responses kept for a retry of the payment that bought them.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex;

/// A complete response, as the client first got it or would have got it. Debug output tells its status and size.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoredResponse {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values, in order.
    pub headers: Vec<(Cow<'static, str>, Bytes)>,
    /// The body.
    pub body: Bytes,
}

impl StoredResponse {
    /// A response.
    #[must_use]
    pub const fn new(status: u16, headers: Vec<(Cow<'static, str>, Bytes)>, body: Bytes) -> Self {
        Self { status, headers, body }
    }

    /// About how many bytes it occupies.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        headers + self.body.len() + 64
    }
}

impl fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredResponse")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What a record says of a response.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ResponseMark {
    /// The HTTP status.
    pub status: u16,
    /// SHA-256 of the body.
    #[serde(with = "hex")]
    pub digest: [u8; 32],
    /// How long the body is.
    pub bytes: u64,
}

impl ResponseMark {
    /// The mark of a response.
    #[must_use]
    pub fn of(response: &StoredResponse) -> Self {
        let StoredResponse { status, body, .. } = response;
        Self { status: *status, digest: Sha256::digest(body).into(), bytes: body.len() as u64 }
    }
}
