//! The x402 paywall for axum.

mod extract;
mod route;

pub use x402_core as core;
pub use x402_core::{
    Engine, EngineBuilder, SettleTiming,
    error::ConfigError,
    price::{Price, PriceRule, Prices},
    quote::QuoteKey,
};
pub use x402_tower::{PaywallService, PeerAddr, ResponseBody, ResponseFuture};

pub use self::{
    extract::{NotBehindPaywall, PaidContext},
    route::Paywall,
};
