//! x402 engine.

pub mod error;
pub mod head;
pub mod price;
mod reply;
mod timing;
pub mod time;
pub mod wire;

pub use self::{reply::Reply, timing::SettleTiming};
