//! The layer, for routers and for single routes.

use std::net::IpAddr;

use axum::{
    extract::OriginalUri,
    http::{Extensions, Uri},
};
use tower_layer::Layer;
use x402_core::{Engine, error::ConfigError, price::PriceRule};
use x402_tower::{PeerAddr, RequestView};

use crate::PaywallService;

/// Puts prices on a router, or on one of its routes.
///
/// Cheap to clone; clones share the engine. Prices name the path that the client sent, also inside `nest`. See the
/// [crate docs](crate) for an example.
#[derive(Clone, Debug)]
#[must_use = "a layer charges nothing until it is applied to a router"]
pub struct Paywall(x402_tower::Paywall);

impl Paywall {
    /// The short form: orders in memory, settled by the facilitator at `X402_FACILITATOR_URL`, or by the public one for
    /// test networks. For everything else there is [`Engine::builder`] and `Paywall::from(engine)`.
    ///
    /// # Panics
    /// When that facilitator cannot serve the table, with a text that says what to do. Like a router's own panics, it
    /// happens where the application is put together, not when a request comes.
    #[cfg(feature = "http-facilitator")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http-facilitator")))]
    pub fn new(prices: x402_core::price::Prices) -> Self {
        Self(x402_tower::Paywall::new(prices).view(VIEW))
    }

    /// The engine, shared.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.0.engine()
    }

    /// A paywall that charges `rule` for every request it sees, with everything else shared: for one route.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// # use x402_axum::{ConfigError, Engine, Paywall, Prices, core::testing::FakeFacilitator};
    /// # fn app(paywall: Paywall) -> Result<Router, ConfigError> {
    /// let app = Router::new()
    ///     .route("/report", get(async || "a report").layer(paywall.charge("$0.02")?))
    ///     .route("/about", get(async || "free"));
    /// # Ok(app)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] when the rule has a mistake.
    pub fn charge(&self, rule: impl Into<PriceRule>) -> Result<Self, ConfigError> {
        self.0.charge(rule).map(Self)
    }
}

impl From<Engine> for Paywall {
    fn from(engine: Engine) -> Self {
        Self(x402_tower::Paywall::from(engine).view(VIEW))
    }
}

impl<S> Layer<S> for Paywall {
    type Service = PaywallService<S>;

    fn layer(&self, inner: S) -> PaywallService<S> {
        PaywallService::new(self.0.layer(inner))
    }
}

const VIEW: RequestView = RequestView { uri: sent_uri, peer };

/// The URI from before routers stripped prefixes. One that was rewritten otherwise chooses the handler, so it counts.
fn sent_uri<'a>(uri: &'a Uri, extensions: &'a Extensions) -> &'a Uri {
    match extensions.get::<OriginalUri>() {
        Some(OriginalUri(sent)) if is_stripped(sent.path(), uri.path()) => sent,
        _ => uri,
    }
}

fn is_stripped(sent: &str, now: &str) -> bool {
    sent.ends_with(now) || now == "/"
}

fn peer(extensions: &Extensions) -> Option<IpAddr> {
    #[cfg(feature = "tokio")]
    if let Some(info) = extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>() {
        return Some(info.0.ip());
    }
    extensions.get::<PeerAddr>().map(|peer| peer.0.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_put_back_and_rewrites_count() {
        let cases = [
            ("/api/weather", "/weather", "/api/weather"),
            ("/api", "/", "/api"),
            ("/weather", "/weather", "/weather"),
            ("/old", "/premium", "/premium"),
        ];
        for (sent, now, seen) in cases {
            let mut extensions = Extensions::new();
            extensions.insert(OriginalUri(sent.parse().unwrap()));
            let now: Uri = now.parse().unwrap();
            assert_eq!(sent_uri(&now, &extensions).path(), seen, "{sent} as {now}");
        }
        let alone = Uri::from_static("/weather");
        assert_eq!(sent_uri(&alone, &Extensions::new()), &alone);
    }
}
