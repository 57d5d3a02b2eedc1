//! The layer, for routers and for single routes.

use std::net::IpAddr;

use axum::{
    extract::{NestedPath, OriginalUri},
    http::{Extensions, Uri},
};
use tower_layer::Layer;
use x402_core::{Engine, error::ConfigError, price::PriceRule};
use x402_tower::{PeerAddr, Rebuilt, RequestView};

use crate::PaywallService;

/// Puts prices on a router, or on one of its routes.
///
/// Cheap to clone; clones share the engine. Prices name the path that the client sent, also inside `nest`. See the
/// [crate docs](crate) for an example.
#[derive(Clone, Debug)]
#[must_use = "a layer charges nothing until it is applied to a router"]
pub struct Paywall(x402_tower::Paywall<Rebuilt>);

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
        Self(x402_tower::Paywall::new(prices).bind_bodies().view(VIEW))
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
        Self(x402_tower::Paywall::from(engine).bind_bodies().view(VIEW))
    }
}

impl<S> Layer<S> for Paywall {
    type Service = PaywallService<S>;

    fn layer(&self, inner: S) -> PaywallService<S> {
        PaywallService::new(self.0.layer(inner))
    }
}

const VIEW: RequestView = RequestView { uri: sent_uri, also: rewritten_uri, peer };

/// The URI from before `nest` stripped prefixes. One that was rewritten otherwise chooses the handler, so it counts.
fn sent_uri<'a>(uri: &'a Uri, extensions: &'a Extensions) -> &'a Uri {
    match extensions.get::<OriginalUri>() {
        Some(OriginalUri(sent)) if is_stripped(sent.path(), nested_at(extensions), uri.path()) => sent,
        _ => uri,
    }
}

/// The URI that the client sent, where something other than `nest` made another of it: that may have been a prefix, too.
fn rewritten_uri<'a>(uri: &'a Uri, extensions: &'a Extensions) -> Option<&'a Uri> {
    let OriginalUri(sent) = extensions.get()?;
    (!is_stripped(sent.path(), nested_at(extensions), uri.path())).then_some(sent)
}

fn nested_at(extensions: &Extensions) -> &str {
    extensions.get::<NestedPath>().map_or("", NestedPath::as_str)
}

/// Whether `now` is what `nest` leaves of `sent`.
fn is_stripped(sent: &str, prefix: &str, now: &str) -> bool {
    let mut rest = sent;
    for wanted in prefix.split('/').filter(|segment| !segment.is_empty()) {
        let Some(path) = rest.strip_prefix('/') else { return false };
        let (segment, tail) = path.split_at(path.find('/').unwrap_or(path.len()));
        if segment != wanted && !wanted.starts_with('{') {
            return false;
        }
        rest = tail;
    }
    rest == now || (rest.is_empty() && now == "/")
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
    fn only_what_nest_strips_is_put_back() {
        let cases = [
            ("/api/weather", "/api", "/weather", true),
            ("/api/weather", "/api/", "/weather", true),
            ("/v1/api/weather", "/{version}/api", "/weather", true),
            ("/api", "/api", "/", true),
            ("/api/", "/api", "/", true),
            ("/weather", "", "/weather", true),
            ("/weather", "/", "/weather", true),
            ("/api/weather", "", "/weather", false),
            ("/other/weather", "/api", "/weather", false),
            ("/api/en/weather", "/api", "/weather", false),
            ("/api", "/api/en", "/", false),
            ("/old", "", "/premium", false),
            ("/old", "", "/", false),
        ];
        for (sent, prefix, now, stripped) in cases {
            assert_eq!(is_stripped(sent, prefix, now), stripped, "{sent} at {prefix} as {now}");
        }
    }

    #[test]
    fn a_rewritten_path_counts_beside_the_one_that_was_sent() {
        let now = Uri::from_static("/weather");
        let mut extensions = Extensions::new();
        assert_eq!(sent_uri(&now, &extensions), &now);
        assert_eq!(rewritten_uri(&now, &extensions), None);
        extensions.insert(OriginalUri(Uri::from_static("/api/weather")));
        assert_eq!(sent_uri(&now, &extensions), &now);
        assert_eq!(rewritten_uri(&now, &extensions).unwrap().path(), "/api/weather");
    }
}
