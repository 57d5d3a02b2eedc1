//! `PostgresStore` against a real server: the contract, and what can go wrong between the two.

mod support;

use support::store;
use x402_core::{permanent_store_contract, store_contract};

store_contract!(contract, store().await);
permanent_store_contract!(permanent, store().await);
