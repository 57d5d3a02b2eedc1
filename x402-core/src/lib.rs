//! x402 engine.

pub mod challenge;
pub mod entropy;
pub mod error;
pub mod head;
pub mod price;
pub mod quote;
mod reply;
pub mod time;
mod timing;
pub mod wire;

use std::pin::Pin;

pub use self::{reply::Reply, timing::SettleTiming};

/// A boxed future, as the ports return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
