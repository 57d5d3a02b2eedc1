//! Routers behind the paywall, with a facilitator that moves imaginary money.

mod delivery;
mod extractor;
mod routers;
mod support;
