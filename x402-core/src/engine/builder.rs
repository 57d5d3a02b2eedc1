//! Configuring an engine; every mistake is found in `build()`.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Engine, Hooks, ResponseHeader, Shared, asking::HookList, deferral::Deferrals, exposure::Exposure,
    line::Lines, pulse::Pulse, success::Success, work::Work,
};
use crate::{
    DeferredLimits, ExposureLimits, SettleTiming,
    error::ConfigError,
    facilitator::{Facilitator, RESOLVE_WITHIN, Witness, cannot_be_asked},
    order::{OrderStore, OrderTokens},
    price::Prices,
    quote::{QuoteKey, QuoteLifetime, QuoteSealer, SKEW},
    scheme::{ExactEvmStructure, Scheme, UptoEvmStructure},
    terms::Window,
    time::{Clock, SystemClock},
};

/// Configures an [`Engine`]. What is required is a facilitator; everything else has a safe default.
#[must_use = "a builder does nothing until it is built"]
pub struct EngineBuilder {
    prices: Prices,
    facilitator: Option<Arc<dyn Facilitator>>,
    witness: Option<Arc<dyn Witness>>,
    schemes: Vec<Arc<dyn Scheme>>,
    store: Option<Arc<dyn OrderStore>>,
    quote_key: Option<QuoteKey>,
    previous_keys: Vec<QuoteKey>,
    clock: Arc<dyn Clock>,
    hooks: HookList,
    success: Success,
    settings: Settings,
}

/// Limits and times of an engine.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) settle: SettleTiming,
    pub(super) deferred: DeferredLimits,
    pub(super) exposure: ExposureLimits,
    pub(super) defer_over_forgetful_store: bool,
    pub(super) quote_lifetime: QuoteLifetime,
    pub(super) clock_skew: Duration,
    pub(super) window: Window,
    pub(super) lease: Duration,
    pub(super) wait_in_flight: Duration,
    pub(super) resolve_within: Duration,
    pub(super) settlement_window: Duration,
    pub(super) response_limit: usize,
    pub(super) hook_deadline: Duration,
}

impl EngineBuilder {
    pub(super) fn new(prices: Prices) -> Self {
        Self {
            prices,
            facilitator: None,
            witness: None,
            schemes: Vec::new(),
            store: None,
            quote_key: None,
            previous_keys: Vec::new(),
            clock: Arc::new(SystemClock),
            hooks: HookList::default(),
            success: Success::default(),
            settings: Settings::default(),
        }
    }

    /// Who verifies and settles. Required. One with a chain of its own brings its schemes and its witness along.
    pub fn facilitator(mut self, facilitator: impl Facilitator + 'static) -> Self {
        self.facilitator = Some(Arc::new(facilitator));
        self
    }

    /// Checks payloads of the scheme's name locally, in place of what the facilitator brings.
    pub fn scheme(mut self, scheme: impl Scheme + 'static) -> Self {
        self.schemes.push(Arc::new(scheme));
        self
    }

    /// Who tells what became of a settlement whose answer was lost, in place of what the facilitator brings. A settlement that
    /// the facilitator reports, and does not [prove](Facilitator::proves_settlement), is believed once the witness has seen it.
    pub fn witness(mut self, witness: impl Witness + 'static) -> Self {
        self.witness = Some(Arc::new(witness));
        self
    }

    /// Where orders are kept. Default: in the memory of this process, for one instance.
    pub fn store(mut self, store: impl OrderStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The key that seals quotes. Instances that share traffic share it. Default: random, so that quotes from before a
    /// restart count as none.
    pub fn quote_key(mut self, key: QuoteKey) -> Self {
        self.quote_key = Some(key);
        self
    }

    /// A key that sealed quotes before the present one; its quotes are honoured until they expire.
    pub fn previous_quote_key(mut self, key: QuoteKey) -> Self {
        self.previous_keys.push(key);
        self
    }

    /// When payments are settled, for routes that do not say. Default: [`SettleTiming::AfterHandler`].
    pub fn settle(mut self, timing: SettleTiming) -> Self {
        self.settings.settle = timing;
        self
    }

    /// How many responses may be out whose payments are not settled yet: where settlement is
    /// [deferred](SettleTiming::Deferred), and streams that are [charged](crate::charge) for what was used of them. Default: 8 of one payer, 1 000 in total.
    pub fn deferred(mut self, limits: DeferredLimits) -> Self {
        self.settings.deferred = limits;
        self
    }

    /// How many payments of one payer may be verified and not settled at once. Default: 64 in each token.
    pub fn exposure(mut self, limits: ExposureLimits) -> Self {
        self.settings.exposure = limits;
        self
    }

    /// Lets settlement be [deferred](SettleTiming::Deferred) over a store that [may forget](OrderStore::may_forget), which
    /// [`build`](Self::build) otherwise refuses.
    ///
    /// **What such a store forgets is served unpaid.** Memory forgets all of it at every restart, Redis what a crash, a
    /// flush, or a failover takes: responses are out, nobody knows any more that money is owed for them, and
    /// [`DeferredLimits`] do not bound how often that happens. What was not settled yet may then be delivered a second
    /// time as well. For tests, and for sellers who would give those responses away.
    pub fn dangerous_defer_over_forgetful_store(mut self) -> Self {
        self.settings.defer_over_forgetful_store = true;
        self
    }

    /// How long a quote is good. Default 120 s.
    pub fn quote_lifetime(mut self, lifetime: QuoteLifetime) -> Self {
        self.settings.quote_lifetime = lifetime;
        self
    }

    /// The longest an authorization may still live when it is presented; so long it is remembered. Default 3 600 s.
    pub fn longest_authorization(mut self, length: Duration) -> Self {
        self.settings.window.most = length;
        self
    }

    /// Responses up to this many bytes are kept for a retry of their payment. Default 1 MiB.
    pub fn response_limit(mut self, bytes: usize) -> Self {
        self.settings.response_limit = bytes;
        self
    }

    /// How long a presentation waits for another one of the same payment. Default 5 s.
    pub fn wait_in_flight(mut self, length: Duration) -> Self {
        self.settings.wait_in_flight = length;
        self
    }

    /// How long a request waits for evidence of a settlement whose answer was lost. Default 30 s.
    pub fn resolve_within(mut self, length: Duration) -> Self {
        self.settings.resolve_within = length;
        self
    }

    /// What the application has to say about payments. Called several times, all are asked, in this order.
    pub fn hooks(mut self, hooks: impl Hooks + 'static) -> Self {
        self.hooks.push(hooks);
        self
    }

    /// How long one [hook](Self::hooks) may take. One that takes longer lets nothing pass. Default 5 s.
    pub fn hook_deadline(mut self, length: Duration) -> Self {
        self.settings.hook_deadline = length;
        self
    }

    /// Which responses count as a success, by status and headers (names in lower case): these are paid for, all others
    /// leave for nothing. Default: status below 400.
    ///
    /// ```
    /// # use x402_core::EngineBuilder;
    /// # fn configure(builder: EngineBuilder) -> EngineBuilder {
    /// // "Not found" is an answer, and costs as much; what says that it is a sample is free.
    /// builder.success(|status, headers| {
    ///     (status < 400 || status == 404) && !headers.iter().any(|(name, _)| name == "x-sample")
    /// })
    /// # }
    /// ```
    ///
    /// What is no response never counts: a handler that panicked, a body that broke while it was collected. A response with a
    /// status of 400 or above that counts is not kept for a retry. What counts leaves unpaid on no route that is paid
    /// [after its input](crate::price::PriceRule::after_input). A predicate that panics lets no response leave: 503, and
    /// nobody is charged for that run.
    pub fn success(
        mut self,
        predicate: impl Fn(u16, &[ResponseHeader]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.success = Success::new(predicate);
        self
    }

    /// The clock, for tests.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the engine after asking the facilitator what it supports, so that every route can be settled and the 402s
    /// carry what the facilitator wants in its terms, such as its account.
    ///
    /// A way to pay that the facilitator does not list in a fixed price is a mistake; in a price computed per request it
    /// is one, too, told by 503 and an error in the log. Nothing is offered to version 1 that the facilitator does not list
    /// for it. Signed approvals of Permit2 are asked for where it brings them to the chain and the 402 has room. What was
    /// said at start holds as long as the engine lives. [`preflight`](Engine::preflight) is included.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`ConfigError`] when the facilitator cannot be asked, or naming the route, its scheme
    /// and its network when it does not settle there.
    pub async fn start(self) -> Result<Engine, ConfigError> {
        let (prices, shared) = self.assemble()?;
        let supported = shared.facilitator.supported().await.map_err(cannot_be_asked)?;
        let engine = announced(prices.settled_by(supported)?, shared);
        engine.preflight().await?;
        Ok(engine)
    }

    /// Builds the engine. Nobody is asked: see [`start`](Self::start) for one that is known to be able to settle.
    ///
    /// # Errors
    /// [`ConfigError`] naming what is missing or contradicts itself, and what to do.
    pub fn build(self) -> Result<Engine, ConfigError> {
        let (prices, shared) = self.assemble()?;
        Ok(announced(prices, shared))
    }

    fn assemble(self) -> Result<(Prices, Shared), ConfigError> {
        let facilitator = self.facilitator.ok_or_else(|| {
            ConfigError::new(
                "facilitator",
                "is missing; set one with `.facilitator(..)`, such as HttpFacilitator or EvmFacilitator",
            )
        })?;
        let store = match self.store {
            Some(store) => store,
            None => default_store()?,
        };
        let key = match self.quote_key {
            Some(key) => key,
            None if store.is_shared() => {
                return Err(ConfigError::new(
                    "quote_key",
                    "is missing; instances that share a store must share a key, set it with `.quote_key(..)`",
                ));
            }
            None => QuoteKey::random(),
        };
        let sealer = QuoteSealer::new(&key, &self.previous_keys);
        let tokens = OrderTokens::new(&key, &self.previous_keys);
        self.settings.check()?;
        self.settings.check_timeouts(&self.prices)?;
        self.settings.check_ceilings(&self.prices)?;
        self.settings.check_deferred(&self.prices, store.may_forget())?;
        let witness = self.witness.or_else(|| facilitator.witness());
        if witness.is_none() {
            tracing::warn!(
                "no witness: a settlement whose answer is lost stays unknown until the facilitator answers; \
                 give the engine one with chain access"
            );
        }
        let mut schemes = self.schemes;
        schemes.extend(facilitator.schemes());
        schemes.push(Arc::new(ExactEvmStructure));
        schemes.push(Arc::new(UptoEvmStructure));
        for option in self.prices.options() {
            if !schemes.iter().any(|scheme| scheme.name() == &*option.scheme) {
                let problem = format!("scheme {:?} is not one this engine can check", option.scheme);
                return Err(ConfigError::new("prices", problem));
            }
        }
        let shared = Shared {
            facilitator,
            witness,
            schemes,
            store,
            sealer,
            tokens,
            clock: self.clock,
            lines: Lines::default(),
            work: Work::new(),
            pulse: Pulse::default(),
            deferrals: Deferrals::new(self.settings.deferred),
            exposure: Exposure::new(self.settings.exposure),
            hooks: self.hooks,
            success: self.success,
            settings: self.settings,
        };
        Ok((self.prices, shared))
    }
}

fn announced(prices: Prices, shared: Shared) -> Engine {
    tracing::info!(
        settle = shared.settings.settle.as_str(),
        shared_store = shared.store.is_shared(),
        "paywall built"
    );
    shared.settings.warn_of_deferred(&prices, shared.store.may_forget());
    Engine { prices, shared: Arc::new(shared) }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("prices", &self.prices)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Settings {
    fn check(&self) -> Result<(), ConfigError> {
        let whole_seconds = |at: &str, length: Duration, least: u64, most: u64| {
            if (least..=most).contains(&length.as_secs()) {
                Ok(())
            } else {
                Err(ConfigError::new(at, format!("is {length:?}, wanted {least} to {most} seconds")))
            }
        };
        if self.exposure.per_payer == 0 {
            return Err(ConfigError::new("exposure", "lets no payment pass; allow a payer one at least"));
        }
        whole_seconds("longest_authorization", self.window.most, 30, 24 * 60 * 60)?;
        whole_seconds("hook_deadline", self.hook_deadline, 1, 60)?;
        whole_seconds("wait_in_flight", self.wait_in_flight, 0, 60 * 60)?;
        whole_seconds("resolve_within", self.resolve_within, 0, 60 * 60)
    }

    /// Routes whose responses leave before they are paid.
    fn deferred_routes<'a>(&self, prices: &'a Prices) -> impl Iterator<Item = &'a str> + use<'a> {
        let default = self.settle;
        let timings = prices.timings().map(move |(route, timing)| (route, timing.unwrap_or(default)));
        timings.filter(|(_, timing)| *timing == SettleTiming::Deferred).map(|(route, _)| route)
    }

    /// What is owed for a response that is out must not be forgotten.
    pub(super) fn check_deferred(&self, prices: &Prices, store_may_forget: bool) -> Result<(), ConfigError> {
        if !store_may_forget || self.defer_over_forgetful_store {
            return Ok(());
        }
        match self.deferred_routes(prices).next() {
            None => Ok(()),
            Some(route) => Err(ConfigError::new(
                "settle",
                format!(
                    "is deferred for route `{route}`, and the store may forget; what it forgets is served unpaid: \
                     keep orders in a permanent store (SQLite or PostgreSQL), or settle after the handler"
                ),
            )),
        }
    }

    /// Whoever risks the price of a response is to know it.
    pub(super) fn warn_of_deferred(&self, prices: &Prices, store_may_forget: bool) {
        if prices.ceilings().next().is_some() {
            tracing::info!(
                store_may_forget,
                "streams that are charged for what was used are settled at their end; spawn the engine's worker"
            );
        }
        let routes = self.deferred_routes(prices).count();
        if routes > 0 {
            tracing::warn!(
                settle = SettleTiming::Deferred.as_str(),
                routes,
                per_payer = self.deferred.per_payer,
                in_total = self.deferred.in_total,
                store_may_forget,
                "responses leave before their payments are settled; spawn the engine's worker"
            );
        }
    }

    /// Where what was used is charged, money cannot move before it was used.
    pub(super) fn check_ceilings(&self, prices: &Prices) -> Result<(), ConfigError> {
        let first =
            |timing: Option<SettleTiming>| timing.unwrap_or(self.settle) == SettleTiming::BeforeHandler;
        match prices.ceilings().find(|(_, timing)| first(*timing)) {
            None => Ok(()),
            Some((route, _)) => Err(ConfigError::new(
                "settle",
                format!(
                    "route `{route}` charges for what was used, which is not known before its handler ran; \
                     settle it after the handler, or give it a fixed price"
                ),
            )),
        }
    }

    /// What payers are told to sign must be what is taken.
    pub(super) fn check_timeouts(&self, prices: &Prices) -> Result<(), ConfigError> {
        let most = self.window.most.as_secs();
        match prices.timeouts().find(|(_, timeout)| *timeout > most) {
            None => Ok(()),
            Some((route, timeout)) => Err(ConfigError::new(
                "longest_authorization",
                format!(
                    "is {most} s, and route `{route}` gives payers {timeout} s; all of them would be refused"
                ),
            )),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            settle: SettleTiming::default(),
            deferred: DeferredLimits::default(),
            exposure: ExposureLimits::default(),
            defer_over_forgetful_store: false,
            quote_lifetime: QuoteLifetime::default(),
            clock_skew: SKEW,
            window: Window { least: Duration::from_secs(6), most: Duration::from_secs(3600), skew: SKEW },
            lease: Duration::from_secs(20),
            wait_in_flight: Duration::from_secs(5),
            resolve_within: RESOLVE_WITHIN,
            settlement_window: Duration::from_secs(600),
            response_limit: 1024 * 1024,
            hook_deadline: Duration::from_secs(5),
        }
    }
}

#[cfg(feature = "memory")]
#[allow(clippy::unnecessary_wraps, reason = "fails without the feature")]
fn default_store() -> Result<Arc<dyn OrderStore>, ConfigError> {
    Ok(Arc::new(crate::order::MemoryStore::new()))
}

#[cfg(not(feature = "memory"))]
fn default_store() -> Result<Arc<dyn OrderStore>, ConfigError> {
    Err(ConfigError::new("store", "is missing; set one with `.store(..)`, or switch on the feature `memory`"))
}
