//! x402 engine.

pub mod error;
pub mod facilitator;
pub mod head;
pub mod order;
pub mod price;
mod reply;
pub mod scheme;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
mod timing;
pub mod wire;

pub use self::{reply::Reply, timing::SettleTiming};
