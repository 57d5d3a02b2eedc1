//! The layer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tower_layer::Layer;
use x402_core::{Engine, error::ConfigError, price::PriceRule};

use crate::{PaywallService, RequestView};

/// Puts a price on the service beneath it.
///
/// Cheap to clone; clones share the engine. See the [crate docs](crate) for an example.
#[derive(Clone, Debug)]
#[must_use = "a layer charges nothing until it is applied to a service"]
pub struct Paywall {
    shared: Arc<Shared>,
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
        Ok(Self::from(self.shared.engine.priced(rule)?).view(self.shared.view))
    }

    /// Sets where path and peer of a request are found.
    pub fn view(self, view: RequestView) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine: self.shared.engine.clone(),
                view,
                warned: AtomicBool::new(false),
            }),
        }
    }
}

impl From<Engine> for Paywall {
    fn from(engine: Engine) -> Self {
        let shared = Shared { engine, view: RequestView::default(), warned: AtomicBool::new(false) };
        Self { shared: Arc::new(shared) }
    }
}

impl<S> Layer<S> for Paywall {
    type Service = PaywallService<S>;

    fn layer(&self, inner: S) -> PaywallService<S> {
        PaywallService::new(inner, Arc::clone(&self.shared))
    }
}

impl Shared {
    /// Says once that a request came through two paywalls.
    pub(crate) fn warn_of_two(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a paid request meets a second paywall, which does not charge it; a route needs one price only"
            );
        }
    }
}
