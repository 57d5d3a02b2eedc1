//! What the benchmarks and the tests of their budgets share: services, payments, and races that compare times.
//!
//! Times are told as ratios of two things that ran in turn on the same machine within the same second, so that a
//! promise about speed can be kept by a test: see [`Race`].

mod apps;
mod payments;
mod ready;
mod race;
mod tables;

pub use self::{
    apps::{Apps, FREE, PRICED, bare, request},
    payments::{CountingScheme, Payments, NOW},
    race::{Race, Standings},
    ready::ready,
    tables::{NETWORK, PAY_TO, prices, prices_with_rules},
};
