//! Routers behind the paywall, with a facilitator that moves imaginary money.

mod delivery;
mod extractor;
mod input;
mod routers;
mod support;
