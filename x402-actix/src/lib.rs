//! The x402 paywall for actix-web.

mod body;
mod extract;
mod future;
mod head;
mod middleware;
mod paid;
mod reply;
mod service;

pub use x402_core as core;
pub use x402_core::{
    Engine, EngineBuilder, SettleTiming,
    error::ConfigError,
    price::{Price, PriceRule, Prices},
    quote::QuoteKey,
};

pub use self::{
    extract::{NotBehindPaywall, PaidContext},
    future::ResponseFuture,
    middleware::Paywall,
    service::PaywallService,
};
