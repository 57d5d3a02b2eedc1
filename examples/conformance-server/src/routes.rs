//! The routes and their prices.

use x402_core::{
    SettleTiming,
    error::ConfigError,
    price::{NetworkId, PaymentIdentifier, Price, PriceOption, PriceRule, Prices, default_asset},
};

/// Tells whether the server can do its work; outside of the table, and of the paywall.
pub(crate) const READY: &str = "/ready";

/// A route, as its handler is chosen by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    Exact,
    Echo,
    Cheap,
    Dear,
    Items,
    Files,
    Slow,
    Stream,
    Fails,
    Panics,
    Redirects,
    Cacheable,
    Bound,
    Named,
    NamedAlways,
    Permit2,
    Used,
    UsedStream,
    UsedEcho,
    Free,
    Stats,
}

impl Route {
    pub(crate) const ALL: [Self; 21] = [
        Self::Exact,
        Self::Echo,
        Self::Cheap,
        Self::Dear,
        Self::Items,
        Self::Files,
        Self::Slow,
        Self::Stream,
        Self::Fails,
        Self::Panics,
        Self::Redirects,
        Self::Cacheable,
        Self::Bound,
        Self::Named,
        Self::NamedAlways,
        Self::Permit2,
        Self::Used,
        Self::UsedStream,
        Self::UsedEcho,
        Self::Free,
        Self::Stats,
    ];

    /// Method and path, as in the price table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Exact => "GET /exact",
            Self::Echo => "POST /echo",
            Self::Cheap => "GET /cheap",
            Self::Dear => "GET /dear",
            Self::Items => "GET /items/{id}",
            Self::Files => "GET /files/{*rest}",
            Self::Slow => "GET /slow",
            Self::Stream => "GET /stream",
            Self::Fails => "GET /fails",
            Self::Panics => "GET /panics",
            Self::Redirects => "GET /redirects",
            Self::Cacheable => "GET /cacheable",
            Self::Bound => "POST /bound",
            Self::Named => "GET /named",
            Self::NamedAlways => "GET /named/always",
            Self::Permit2 => "GET /permit2",
            Self::Used => "GET /used",
            Self::UsedStream => "GET /used/stream",
            Self::UsedEcho => "POST /used/echo",
            Self::Free => "GET /free",
            Self::Stats => "GET /stats",
        }
    }

    /// The path, in the syntax of axum and matchit.
    pub(crate) fn path(self) -> &'static str {
        self.name().split_once(' ').expect("a name is a method and a path").1
    }

    /// Whether requests of this method are served: `HEAD` wherever `GET` is.
    pub(crate) fn serves(self, method: &str) -> bool {
        match method {
            "GET" | "HEAD" => !self.takes_a_body(),
            "POST" => self.takes_a_body(),
            _ => false,
        }
    }

    const fn takes_a_body(self) -> bool {
        matches!(self, Self::Echo | Self::Bound | Self::UsedEcho)
    }

    /// The price in atomic units.
    const fn price(self) -> Option<u64> {
        match self {
            Self::Free | Self::Stats => None,
            Self::Cheap => Some(100),
            Self::Dear => Some(1_000_000),
            _ => Some(1000),
        }
    }

    /// Whether its price is a ceiling.
    const fn is_used(self) -> bool {
        matches!(self, Self::Used | Self::UsedStream | Self::UsedEcho)
    }
}

/// The table. What was used is charged only where somebody is named who may settle that.
pub(crate) fn prices(origin: &str, pay_to: &str, settler: Option<&str>) -> Result<Prices, ConfigError> {
    let mut prices = Prices::new(origin).pay_to(NETWORK, pay_to);
    for route in Route::ALL {
        if route.is_used() {
            if let Some(settler) = settler {
                prices = prices.charge(route.name(), used(pay_to, settler));
            }
            continue;
        }
        prices = match route.price() {
            Some(units) => {
                let price = Price::atomic(NETWORK, units);
                let rule = PriceRule::from(match route {
                    Route::Permit2 => price.permit2(),
                    _ => price,
                });
                let rule = match route {
                    Route::Bound => rule.bind_body(BOUND_BODY),
                    Route::Named => rule.payment_identifier(PaymentIdentifier::Optional),
                    Route::NamedAlways => rule.payment_identifier(PaymentIdentifier::Required),
                    _ => rule,
                };
                prices.charge(route.name(), rule)
            }
            None => prices.free(route.name()),
        };
    }
    prices.build()
}

/// Half a cent at most, settled by this account alone, and not before the handler ran whatever other routes do.
fn used(pay_to: &str, settler: &str) -> PriceRule {
    let network: NetworkId = NETWORK.parse().expect("a network");
    let token = default_asset(&network).expect("a known network").address.as_str();
    let option = PriceOption::new(network, token, CEILING, pay_to).upto(settler);
    PriceRule::new(Price::options(vec![option])).settle(SettleTiming::AfterHandler)
}

/// In atomic units.
const CEILING: u64 = 5000;
/// Up to how many bytes of a request are bound to its payment.
const BOUND_BODY: usize = 64 * 1024;
const NETWORK: &str = "eip155:84532";
