//! The x402 paywall engine, free of any framework and chain library.

pub mod challenge;
mod engine;
pub(crate) mod entropy;
pub mod error;
pub mod facilitator;
pub mod head;
pub mod order;
pub mod price;
pub mod quote;
mod reply;
pub mod scheme;
pub mod telemetry;
mod terms;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
mod timing;
pub mod wire;

pub use self::{
    engine::{
        Admission, Attempt, DeliveryGuard, Engine, EngineBuilder, Outcome, PaidContext, Release, Ticket,
        Triage,
    },
    reply::Reply,
    timing::SettleTiming,
};
