//! When money moves, relative to the handler.

/// When a payment is settled.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SettleTiming {
    /// Verify, run the handler, settle, then release the response. A handler that fails charges nobody;
    /// a settlement that fails withholds the response. The default.
    #[default]
    AfterHandler,
    /// Verify, settle, then run the handler. For streams, for handlers whose effects must not happen unpaid, and the only one
    /// that sells connections (WebSockets). A handler that fails leaves its payer an entitlement: the same payment runs it
    /// again. Not for prices up to a ceiling: what was used is not known yet.
    BeforeHandler,
    /// Verify, run the handler, release the response, then settle. The client does not wait for the chain, and **a
    /// settlement may fail after its response is out**: the payer spent the money meanwhile, say. Then the seller has
    /// lost the price of the response, and hears of it in the log and in [metrics](crate::telemetry).
    ///
    /// How much may be on its way is bounded by [`DeferredLimits`]. A request over a bound, one whose payer let a
    /// settlement fail in the last ten minutes, one whose signature only its contract account can check, and all of
    /// them while the [worker](crate::Engine::worker) does not run in this process, are settled before their responses
    /// leave, as [`AfterHandler`](Self::AfterHandler) does.
    ///
    /// It takes a [store that forgets nothing](crate::order::OrderStore::may_forget), SQLite or PostgreSQL: what is forgotten
    /// before it is settled is served unpaid, and while its transaction is not yet to be seen on the chain, twice. Over
    /// any other store [`build`](crate::EngineBuilder::build) refuses it, unless it is told
    /// [not to](crate::EngineBuilder::dangerous_defer_over_forgetful_store).
    ///
    /// The response carries no receipt. The payer gets one by presenting the same payment again once it is settled.
    Deferred,
}

impl SettleTiming {
    /// The name used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterHandler => "after_handler",
            Self::BeforeHandler => "before_handler",
            Self::Deferred => "deferred",
        }
    }
}

/// How many responses may be out whose payments are not settled yet: with [`SettleTiming::Deferred`], and streams that are
/// [charged](crate::charge) for what was used of them.
///
/// The store counts for all instances that share it. What an instance is about to add, the others do not see yet: with
/// several, a bound may be passed by what arrives at them in the same moment.
///
/// ```
/// use x402_core::DeferredLimits;
///
/// let limits = DeferredLimits::default().per_payer(2);
/// assert_eq!((limits.per_payer, limits.in_total), (2, 1000));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct DeferredLimits {
    /// Of one payer. Default 8.
    pub per_payer: u64,
    /// Of all payers. Default 1 000.
    pub in_total: u64,
}

impl DeferredLimits {
    /// With another limit for each payer.
    pub const fn per_payer(mut self, responses: u64) -> Self {
        self.per_payer = responses;
        self
    }

    /// With another limit for all payers together.
    pub const fn in_total(mut self, responses: u64) -> Self {
        self.in_total = responses;
        self
    }
}

/// How many payments of one payer may be verified and not settled at once, in one token: their handlers may run, and only some
/// of them may turn out to be covered.
///
/// Every instance counts for itself. One payment over the bound is answered with 503 and `Retry-After`. A payer whose
/// settlement failed is down to one for ten minutes.
///
/// Besides, where the facilitator reads balances (one with a node of its own does), payments that together exceed their
/// payer's balance are not all served: those beyond it get the same answer.
///
/// ```
/// use x402_core::ExposureLimits;
///
/// assert_eq!(ExposureLimits::default().per_payer, 64);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct ExposureLimits {
    /// Of one payer in one token. Default 64.
    pub per_payer: usize,
}

impl ExposureLimits {
    /// With another limit for each payer.
    pub const fn per_payer(mut self, payments: usize) -> Self {
        self.per_payer = payments;
        self
    }
}

impl Default for ExposureLimits {
    fn default() -> Self {
        Self { per_payer: 64 }
    }
}

impl Default for DeferredLimits {
    fn default() -> Self {
        Self { per_payer: 8, in_total: 1_000 }
    }
}
