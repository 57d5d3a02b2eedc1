//! What the handler did, and what the adapter does about it.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use super::{DeliveryGuard, replies::VARY};

/// A header of a handler's response: its name in lower case, and its value.
pub type ResponseHeader = (Cow<'static, str>, Bytes);

/// What the handler did. Debug output tells its status and size.
#[derive(Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The status of its response.
    pub status: u16,
    /// The headers of its response, where its body was collected or
    /// [the engine reads them](super::Ticket::reads_headers).
    pub headers: Vec<ResponseHeader>,
    /// Its body, if its exact size was known and within [`Ticket::body_limit`](super::Ticket::body_limit).
    pub body: Option<Bytes>,
    /// Whether the body is complete, though it may be none that can be kept.
    complete: bool,
    /// Whether it is no response at all.
    broken: bool,
}

impl Outcome {
    /// A response whose body was not collected: it is longer than the limit, or its length is unknown.
    #[must_use]
    pub const fn streaming(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None, complete: false, broken: false }
    }

    /// A response that is complete, and cannot be kept for a retry: its body has trailers, say.
    #[must_use]
    pub const fn complete_unkept(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None, complete: true, broken: false }
    }

    /// A response that is complete.
    #[must_use]
    pub const fn complete(status: u16, headers: Vec<ResponseHeader>, body: Bytes) -> Self {
        Self { status, headers, body: Some(body), complete: true, broken: false }
    }

    /// No usable response: the handler panicked, returned an error, or its body failed half-way.
    #[must_use]
    pub const fn failed() -> Self {
        Self { status: 500, headers: Vec::new(), body: None, complete: false, broken: true }
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("status", &self.status)
            .field("bytes", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// Permission to send the handler's response: with these headers, and with a guard that goes along with its body.
#[derive(Debug)]
#[must_use = "a release dropped unsent counts its response as lost"]
#[non_exhaustive]
pub struct Release {
    /// Headers to set, each in place of all of that name that the handler set.
    pub set: Vec<(&'static str, Bytes)>,
    /// Header values to add to those of the handler.
    pub append: Vec<(&'static str, Bytes)>,
    /// Told when the body was handed to the transport in full; dropped before, the response counts as lost and its
    /// payer may have it again.
    pub delivery: DeliveryGuard,
}

impl Release {
    /// For a refusal of the handler's own, before anything was paid.
    pub(super) fn unpaid() -> Self {
        Self { set: Vec::new(), append: vec![("vary", VARY)], delivery: DeliveryGuard::nothing_owed() }
    }
}
