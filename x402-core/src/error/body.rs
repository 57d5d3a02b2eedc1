//! Request bodies that cannot be bound to their payment.

use std::fmt;

/// Why a request's body could not be read to be bound to its payment. Nothing of the payment is consumed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than the route allows. Answered with 413.
    TooLarge,
    /// It broke off, or cannot be read. Answered with 400.
    Incomplete,
    /// It did not arrive in time. Answered with 408.
    TooSlow,
}

impl BodyError {
    /// The code sent to the client.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "request_body_too_large",
            Self::Incomplete => "request_body_incomplete",
            Self::TooSlow => "request_body_too_slow",
        }
    }

    /// The status it is answered with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::Incomplete => 400,
            Self::TooSlow => 408,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for BodyError {}
