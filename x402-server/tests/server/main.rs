//! The order endpoints, and the command as operators run it.

#[cfg(all(feature = "cli", feature = "sqlite"))]
mod chain;
#[cfg(all(feature = "cli", feature = "sqlite"))]
mod cli;
mod orders;
mod support;
