//! The engine: every decision of the paywall, free of any framework. The crate page tells how it is used.

mod admit;
mod asking;
mod builder;
mod challenge;
mod claim;
mod context;
mod deferral;
mod delivery;
mod demand;
mod exposure;
mod hold;
mod hooks;
mod line;
mod metered;
mod origin;
mod outcome;
mod pulse;
mod ready;
mod recover;
mod refused;
mod renewal;
mod replies;
mod settle;
#[cfg(all(feature = "http-facilitator", feature = "memory"))]
mod short;
mod success;
mod ticket;
mod triage;
mod work;
mod worker;

use std::{fmt, sync::Arc};

pub(crate) use self::replies::body_refused;
pub use self::{
    admit::Admission,
    builder::EngineBuilder,
    context::PaidContext,
    delivery::DeliveryGuard,
    demand::{Bill, Closed, Demand, NotPaid, Till},
    hooks::{ChallengeFacts, HookResult, Hooks, PaymentFacts, Veto},
    outcome::{Outcome, Release, ResponseHeader},
    ready::NotReady,
    ticket::Ticket,
    triage::{Attempt, Triage},
};
use self::{
    asking::HookList, builder::Settings, deferral::Deferrals, exposure::Exposure, line::Lines, pulse::Pulse,
    success::Success, work::Work,
};
use crate::{
    error::ConfigError,
    facilitator::{Facilitator, Witness},
    order::{OrderId, OrderStore, OrderToken, OrderTokens},
    price::{PriceRule, Prices},
    quote::QuoteSealer,
    scheme::Scheme,
    time::Clock,
};

/// The paywall's engine. Cheap to clone; clones share everything.
///
/// See the [crate docs](crate) for how adapters use it.
#[derive(Clone)]
pub struct Engine {
    prices: Prices,
    shared: Arc<Shared>,
}

impl Engine {
    /// Starts to configure an engine for a price table.
    pub fn builder(prices: Prices) -> EngineBuilder {
        EngineBuilder::new(prices)
    }

    /// An engine that charges `rule` for every request it sees, with everything else shared: for a price put on one
    /// route inside a router.
    ///
    /// # Errors
    /// [`ConfigError`] when the rule has a mistake.
    pub fn priced(&self, rule: impl Into<PriceRule>) -> Result<Self, ConfigError> {
        let prices = self.prices.only(rule)?;
        self.shared.settings.check_timeouts(&prices)?;
        self.shared.settings.check_ceilings(&prices)?;
        self.shared.settings.warn_of_deferred(&prices, self.shared.store.may_forget());
        Ok(Self { prices, shared: Arc::clone(&self.shared) })
    }

    /// The price table.
    #[must_use]
    pub const fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Asks the facilitator, and the chain behind it, whether every fixed price could be settled: networks, chain
    /// ids, tokens, signing domains. Call it at start-up; the engine itself never takes the answer for granted.
    ///
    /// # Errors
    /// [`ConfigError`] naming the option that cannot be settled and what to do.
    pub async fn preflight(&self) -> Result<(), ConfigError> {
        let options: Vec<_> = self.prices.options().cloned().collect();
        self.shared.facilitator.preflight(&options).await
    }

    /// The token that lets whoever holds it look at one order; handlers find its id in
    /// [`PaidContext`](crate::PaidContext).
    #[must_use]
    pub fn order_token(&self, order: &OrderId) -> OrderToken {
        self.shared.tokens.token(order)
    }

    /// What recognises those tokens, for the order endpoints.
    #[must_use]
    pub fn order_tokens(&self) -> &OrderTokens {
        &self.shared.tokens
    }

    fn scheme(&self, name: &str) -> Option<&dyn Scheme> {
        self.shared.schemes.iter().find(|scheme| scheme.name() == name).map(AsRef::as_ref)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("prices", &self.prices)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

/// What all clones, and all engines with other prices, have in common.
struct Shared {
    facilitator: Arc<dyn Facilitator>,
    witness: Option<Arc<dyn Witness>>,
    schemes: Vec<Arc<dyn Scheme>>,
    store: Arc<dyn OrderStore>,
    sealer: QuoteSealer,
    tokens: OrderTokens,
    clock: Arc<dyn Clock>,
    settings: Settings,
    /// Copies of payments, in line for their orders.
    lines: Lines,
    /// What is to be waited for at the end.
    work: Work,
    /// When the worker last looked for work.
    pulse: Pulse,
    deferrals: Arc<Deferrals>,
    /// What is verified and not settled.
    exposure: Arc<Exposure>,
    hooks: HookList,
    /// Which responses are paid for.
    success: Success,
}
