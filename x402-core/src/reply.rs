//! A response the engine gives itself, free of any framework's types.

use std::borrow::Cow;

use bytes::Bytes;

/// A complete response. Adapters turn it into their framework's own without copying.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values, in the order to be sent.
    pub headers: Vec<(Cow<'static, str>, Bytes)>,
    /// The body; empty for some statuses.
    pub body: Bytes,
}

impl Reply {
    /// A reply with this status, no headers and no body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::with_capacity(6), body: Bytes::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Bytes>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }

    /// Sets the body to this JSON text.
    #[must_use]
    pub fn json(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", Bytes::from_static(b"application/json"))
    }

    /// The first value of the header `name` (lower case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }
}
