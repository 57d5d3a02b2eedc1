//! Prices.
mod amount;
pub use self::amount::AtomicAmount;
