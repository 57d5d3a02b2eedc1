//! The order endpoints, the facilitator's service, and the command as operators run it.

// All of them need every store; what is without features is tested by itself.
#[cfg(all(feature = "cli", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod chain;
#[cfg(all(feature = "cli", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod cli;
#[cfg(all(feature = "cli", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod deferred;
#[cfg(feature = "facilitator")]
mod facilitator;
mod orders;
#[cfg(all(feature = "cli", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod places;
mod support;
