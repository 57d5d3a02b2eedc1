//! Responses kept for a retry of the payment that bought them.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

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
