//! Several instances, one store, one chain: a payment is one sale wherever its copies arrive, and an outage of the store
//! costs nobody money.
//!
//! Figures and tables are written to the standard error. `ROUNDS=50` repeats what is repeated that often.
#![cfg(unix)]

mod copies;
mod outages;
mod spread;
mod stage;
mod storm;
