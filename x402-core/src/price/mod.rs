//! Prices.
mod amount;
mod network;
mod option;
pub use self::{amount::AtomicAmount, network::NetworkId, option::PriceOption};
