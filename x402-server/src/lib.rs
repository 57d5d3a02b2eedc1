//! The command `x402`: looks after the orders of a paywall, and runs a facilitator. Beside it the parts for axum:
//! [order endpoints](orders), and a [facilitator's service](facilitator).
//!
//! # The command
//! `x402 orders list|show|proof|export|reconcile` looks at any store that `x402-store` knows:
//!
//! ```sh
//! export X402_STORE=sqlite:payments.db
//! x402 orders list --attention paid_undelivered
//! x402 orders show 2f0c5a1e9b7d4c3f8a6e5d4c3b2a1908
//! x402 orders export --from 2026-11-01 --status completed > november.jsonl
//! x402 orders reconcile --all --rpc https://sepolia.base.org
//! ```
//!
//! It never creates a database, and it changes nothing but what `reconcile` finds out for
//! orders whose outcome is unknown. `x402 orders --help` tells the exit codes.
//!
//! `x402 facilitator --config FILE` verifies and settles for other servers, on networks whose gas you pay; an example of
//! the file is in the crate. It ends on SIGTERM, after the settlements that are under way.
//!
//! # The endpoints
//! [`orders::router`] gives payers and operators `GET /orders/{id}`, its proof, and cancellation.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `cli` (default) | the command, and evidence from a chain for it |
//! | `facilitator` (default, by `cli`) | the facilitator's service |
//! | `sqlite`, `postgres`, `redis` (default) | the stores that the command can look at |
//!
//! Without any, the router alone: axum and `x402-core`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bearer;
#[cfg(feature = "facilitator")]
#[cfg_attr(docsrs, doc(cfg(feature = "facilitator")))]
pub mod facilitator;
mod lookup;
pub mod orders;
mod taken;

#[cfg(feature = "cli")]
#[cfg_attr(docsrs, doc(cfg(feature = "cli")))]
pub mod cli;
#[cfg(feature = "cli")]
#[cfg_attr(docsrs, doc(cfg(feature = "cli")))]
pub mod reconcile;
