//! The facilitator's service: over a real chain where money moves, over a fake one where time does.

mod gas;
#[cfg(feature = "cli")]
mod process;
mod recorded;
mod requests;
mod settling;
mod world;
