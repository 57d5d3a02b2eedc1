//! What the benchmarks and the tests of their budgets share: services, payments, and races that compare times.
//!
//! Times are told as ratios of things that ran in turn on the same machine within the same second, so that a promise
//! about speed can be kept by a test: see [`Race`].

mod apps;
mod cases;
mod checks;
mod claims;
mod engines;
mod head;
mod lookups;
mod payments;
mod race;
mod ready;
mod shop;
mod sqlite;
mod stores;
mod tables;

pub use self::{
    apps::{Apps, FREE, PRICED, request, send},
    cases::{
        BARE, Cases, Counts, FREE_AROUND, FREE_LAYER, IDLE_LAYER, TRIAGE_FREE, TRIAGE_UNPAID, UNPAID_AROUND,
        UNPAID_LAYER,
    },
    checks::{
        ANSWER, CHECKED, Checks, GARBAGE, MALFORMED, NATIVE, PURE, Recovery, WRONG_AMOUNT, WRONG_RECIPIENT,
    },
    claims::{Claims, PARTS},
    engines::{in_memory, over, stateless},
    head::Head,
    lookups::Lookups,
    payments::{CountingScheme, Payments},
    race::{Race, Standings},
    ready::ready,
    shop::{Sales, Shop},
    sqlite::SqliteRace,
    stores::sell,
    tables::{NETWORK, PAY_TO, prices, prices_with_rules},
};
