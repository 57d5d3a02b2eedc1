//! The layer.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tower_layer::Layer;
use x402_core::{Engine, error::ConfigError, price::PriceRule};

use crate::{PaywallService, Rebuilt, RequestView, Untouched};

/// Puts a price on the service beneath it.
///
/// Cheap to clone; clones share the engine. See the [crate docs](crate) for an example.
#[derive(Clone, Debug)]
#[must_use = "a layer charges nothing until it is applied to a service"]
pub struct Paywall<M = Untouched> {
    shared: Arc<Shared>,
    bodies: PhantomData<M>,
}

/// What all services of one layer have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) view: RequestView,
    warned: AtomicBool,
}

impl Paywall {
    /// The short form: orders in memory, settled by the facilitator at `X402_FACILITATOR_URL`, or by the public one for
    /// test networks. For everything else there is [`Engine::builder`] and `Paywall::from(engine)`.
    ///
    /// # Panics
    /// When that facilitator cannot serve the table, with a text that says what to do. It happens where the application
    /// is put together, not when a request comes.
    #[cfg(feature = "http-facilitator")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http-facilitator")))]
    pub fn new(prices: x402_core::price::Prices) -> Self {
        match Engine::from_env(prices) {
            Ok(engine) => Self::from(engine),
            Err(error) => panic!("paywall cannot be built: {error}"),
        }
    }

    /// Lets routes [bind](PriceRule::bind_body) the bodies of their requests: a body that was read for that is rebuilt by
    /// `From<Bytes>`. Where the server's own body has none, wrap it in a [`RequestBody`](crate::RequestBody).
    pub fn bind_bodies(self) -> Paywall<Rebuilt> {
        Paywall::over(self.shared)
    }
}

impl<M> Paywall<M> {
    const fn over(shared: Arc<Shared>) -> Self {
        Self { shared, bodies: PhantomData }
    }

    /// The engine, shared.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// A paywall that charges `rule` for every request it sees, with everything else shared: for the service of one
    /// route.
    ///
    /// # Errors
    /// [`ConfigError`] when the rule has a mistake.
    pub fn charge(&self, rule: impl Into<PriceRule>) -> Result<Self, ConfigError> {
        Ok(Self::over(Shared::new(self.shared.engine.priced(rule)?, self.shared.view)))
    }

    /// Sets where path and peer of a request are found.
    pub fn view(self, view: RequestView) -> Self {
        Self::over(Shared::new(self.shared.engine.clone(), view))
    }
}

impl From<Engine> for Paywall {
    fn from(engine: Engine) -> Self {
        Self::over(Shared::new(engine, RequestView::default()))
    }
}

/// # Panics
/// When a route binds the bodies of its requests: that takes [`bind_bodies`](Paywall::bind_bodies).
impl<S> Layer<S> for Paywall {
    type Service = PaywallService<S>;

    fn layer(&self, inner: S) -> PaywallService<S> {
        assert!(
            !self.engine().prices().binds_bodies(),
            "a route binds the bodies of its requests: make the layer with `Paywall::bind_bodies`"
        );
        PaywallService::new(inner, Arc::clone(&self.shared))
    }
}

impl<S> Layer<S> for Paywall<Rebuilt> {
    type Service = PaywallService<S, Rebuilt>;

    fn layer(&self, inner: S) -> PaywallService<S, Rebuilt> {
        PaywallService::new(inner, Arc::clone(&self.shared))
    }
}

impl Shared {
    fn new(engine: Engine, view: RequestView) -> Arc<Self> {
        Arc::new(Self { engine, view, warned: AtomicBool::new(false) })
    }

    /// Says once that a request came through two paywalls.
    pub(crate) fn warn_of_two(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a paid request meets a second paywall, which does not charge it; a route needs one price only"
            );
        }
    }
}
