//! What requests cost: the price table, and how a request finds its rule.
//!
//! A [`Prices`] table says, per route, what a request costs and to whom it is paid. It is checked
//! completely when it is built, and never changes afterwards:
//!
//! ```
//! use x402_core::price::{Lookup, Price, Prices};
//!
//! let prices = Prices::new("https://api.example.com")
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .charge("GET /weather/{city}", "$0.01")
//!     .charge("POST /render", Price::dynamic(|request| async move {
//!         let pages = request.query_param("pages").and_then(|pages| pages.parse().ok()).unwrap_or(1_u64);
//!         Price::usd(&format!("0.{:02}", pages.min(99)))
//!     }))
//!     .free("GET /weather/today")
//!     .build()?;
//!
//! assert!(matches!(prices.lookup("GET", "/weather/oslo"), Lookup::Priced(_)));
//! assert!(matches!(prices.lookup("HEAD", "/weather/oslo"), Lookup::Priced(_)));
//! assert!(matches!(prices.lookup("GET", "/weather/today"), Lookup::Free));
//! assert!(matches!(prices.lookup("PUT", "/weather/oslo"), Lookup::MethodNotAllowed { .. }));
//! assert!(matches!(prices.lookup("GET", "/weather/../weather/oslo"), Lookup::Ambiguous));
//! # Ok::<(), x402_core::error::ConfigError>(())
//! ```
//!
//! # Patterns
//!
//! A pattern is methods, a space and a path: `"GET /weather/{city}"`, `"GET,POST /x"`, `"* /x"` (GET, POST, PUT,
//! PATCH and DELETE). A segment is a literal, `{name}` (any one segment that is not empty) or, at the end,
//! `{*name}` (all the rest). The most specific pattern wins, segment by segment: literal, then parameter, then
//! wildcard. `HEAD` costs what `GET` costs. On a path that costs something, methods without a rule are refused,
//! and `OPTIONS` is answered without the handler.
//!
//! A priced `/files/{*rest}` also covers `/files/` and `/files`, since some routers serve these by the same handler:
//! to let them pass, or cost something else, give them a pattern of their own.
//!
//! # Deployment caveat
//!
//! A router may read a path differently than this table does: it may decode escapes, collapse slashes or
//! drop the last one. Wherever such readings would fall under different rules the request is
//! [`Lookup::Ambiguous`], so that no spelling of a priced path is served for less. What rewrites paths in another
//! way (adds slashes, changes case, strips prefixes) belongs in front of the paywall, where it is seen.

mod address;
mod amount;
mod build;
mod error;
mod network;
mod option;
mod origin;
pub(crate) mod path;
mod pattern;
mod pricer;
mod prices;
mod resolve;
mod routes;
mod rule;
mod table;
mod tokens;
mod trie;

pub use self::{
    address::AddressError,
    amount::{AmountError, AtomicAmount},
    error::PriceError,
    network::{NetworkError, NetworkId},
    option::PriceOption,
    path::is_ambiguous,
    pricer::Pricer,
    prices::{Prices, PricesBuilder, RuleInfo, UnmatchedRoute},
    routes::Lookup,
    rule::{PaymentIdentifier, Price, PriceRule},
    table::{FixedPrice, Rule, RulePrice},
    tokens::{Network, Token, TransferMethod, default_asset, known_network, token},
};
