//! When money moves, relative to the handler.

/// When a payment is settled.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SettleTiming {
    /// Verify, run the handler, settle, then release the response. A handler that fails charges nobody;
    /// a settlement that fails withholds the response. The default.
    #[default]
    AfterHandler,
    /// Verify, settle, then run the handler. For streams and for handlers whose effects must not happen
    /// unpaid. A handler that fails leaves its payer an entitlement: the same payment runs it again.
    BeforeHandler,
}

impl SettleTiming {
    /// The name used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterHandler => "after_handler",
            Self::BeforeHandler => "before_handler",
        }
    }
}
