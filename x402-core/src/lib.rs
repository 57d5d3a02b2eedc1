//! x402 engine.

pub mod error;
pub mod facilitator;
pub mod head;
pub mod price;
mod reply;
pub mod scheme;
mod timing;
pub mod time;
pub mod wire;

pub use self::{reply::Reply, timing::SettleTiming};
