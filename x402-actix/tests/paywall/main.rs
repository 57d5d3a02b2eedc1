//! Apps behind the paywall, with a facilitator that moves imaginary money.

mod bodies;
mod delivery;
mod input;
mod paid;
mod refused;
mod scopes;
mod support;
