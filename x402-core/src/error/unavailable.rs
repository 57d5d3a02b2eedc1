//! Faults of ours, or of what we depend on.

use std::fmt;

/// Something on the merchant's side is down. Answered with 503 and `Retry-After`, never with a
/// challenge: a client that is asked to sign again would pay twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The order store did not answer.
    Store,
    /// The order store holds as many live payments as it may.
    StoreFull,
    /// The facilitator, or the chain behind it, did not answer.
    Facilitator,
    /// The price could not be computed.
    Price,
    /// The outcome of a settlement is unknown; the same payment may be presented again.
    SettlementUnresolved,
    /// As many responses are out unsettled as may be, or the payer has as many payments under way as it may, or as its
    /// balance covers.
    AtCapacity,
    /// This process is about to stop; another one may take the request.
    Draining,
    /// A hook of the application failed, so that nobody knows whether it would have let the payment pass.
    Hook,
    /// The configuration does not fit the chain; the operator was told.
    Misconfigured,
}

impl Unavailable {
    /// The code sent to the client.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Store | Self::StoreFull => "store_unavailable",
            Self::Facilitator => "facilitator_unavailable",
            Self::Price => "price_unavailable",
            Self::SettlementUnresolved => "settlement_unresolved",
            Self::AtCapacity => "at_capacity",
            Self::Draining => "shutting_down",
            Self::Hook => "hook_unavailable",
            Self::Misconfigured => "merchant_unavailable",
        }
    }

    /// Seconds after which another try makes sense.
    #[must_use]
    pub const fn retry_after(self) -> u64 {
        match self {
            Self::SettlementUnresolved | Self::Facilitator | Self::AtCapacity | Self::Hook => 5,
            Self::Store | Self::StoreFull | Self::Price | Self::Draining => 2,
            Self::Misconfigured => 60,
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Unavailable {}
