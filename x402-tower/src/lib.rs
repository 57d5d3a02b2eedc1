//! The x402 paywall as a tower layer.

mod body;
mod future;
mod head;
mod layer;
mod paid;
mod reply;
mod service;

pub use x402_core as core;
pub use x402_core::{
    Engine, EngineBuilder, PaidContext, SettleTiming,
    error::ConfigError,
    price::{Price, PriceRule, Prices},
    quote::QuoteKey,
};

pub use self::{
    body::ResponseBody,
    future::ResponseFuture,
    head::{PeerAddr, RequestView},
    layer::Paywall,
    service::PaywallService,
};
