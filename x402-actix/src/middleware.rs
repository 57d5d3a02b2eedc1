//! The middleware.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
};
use x402_core::{Engine, error::ConfigError, price::PriceRule};

use crate::PaywallService;

/// Puts prices on an app, a scope or a resource.
///
/// Cheap to clone; clones share the engine, so that all workers charge each payment once. Prices name the path that the
/// client sent, also inside scopes. See the [crate docs](crate) for an example.
#[derive(Clone, Debug)]
#[must_use = "a middleware charges nothing until it is wrapped around something"]
pub struct Paywall {
    shared: Arc<Shared>,
}

/// What all workers have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    warned: AtomicBool,
}

impl Paywall {
    /// The short form: orders in memory, settled by the facilitator at `X402_FACILITATOR_URL`, or by the public one for
    /// test networks. For everything else there is [`Engine::builder`] and `Paywall::from(engine)`.
    ///
    /// Make it once and clone it into the factory of the server: each call keeps its own orders.
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

    /// A paywall that charges `rule` for every request it sees, with everything else shared: for one resource.
    ///
    /// # Errors
    /// [`ConfigError`] when the rule has a mistake.
    pub fn charge(&self, rule: impl Into<PriceRule>) -> Result<Self, ConfigError> {
        self.shared.engine.priced(rule).map(Self::from)
    }
}

impl From<Engine> for Paywall {
    fn from(engine: Engine) -> Self {
        Self { shared: Arc::new(Shared { engine, warned: AtomicBool::new(false) }) }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Paywall
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = PaywallService<S>;
    type InitError = ();
    type Future = Ready<Result<PaywallService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(PaywallService::new(inner, Arc::clone(&self.shared))))
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
