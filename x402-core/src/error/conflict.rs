//! Presentations of a payment that is busy, used up, or somebody else's request.

use std::fmt;

/// Why a payment that is otherwise in order cannot be used for this request now. Answered with 409.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Conflict {
    /// The same payment is being worked on; waiting helps.
    InProgress,
    /// The payment was made for another request.
    OtherRequest,
    /// The payment identifier was used with another payment.
    IdentifierReused,
    /// The payment was delivered, and no response is kept.
    AlreadyDelivered,
    /// The handler failed as often as one payment may run it.
    NoAttemptsLeft,
    /// The authorization was used on chain before this server settled it.
    AlreadyUsed,
}

impl Conflict {
    /// The code sent to the client.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InProgress => "payment_in_progress",
            Self::OtherRequest | Self::IdentifierReused => "idempotency_conflict",
            Self::AlreadyDelivered | Self::AlreadyUsed => "payment_replayed",
            Self::NoAttemptsLeft => "handler_error",
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Conflict {}
