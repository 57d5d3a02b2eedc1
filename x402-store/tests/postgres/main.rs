//! `PostgresStore` against a real server: the contract, and what can go wrong between the two.

mod crowds;
mod encryption;
mod figures;
mod load;
mod outages;
mod records;
mod start;
mod support;

use support::store;
use x402_core::{permanent_store_contract, store_contract};

store_contract!(contract, store().await);
permanent_store_contract!(permanent, store().await);
