//! A facilitator of one's own: verifies and settles for other servers, over any [`Facilitator`].
//!
//! | request | answer |
//! |---|---|
//! | `POST /verify` | 200 `{"isValid":..}` |
//! | `POST /settle` | 200 `{"success":..}` |
//! | `GET /supported` | 200: what can be settled at present, and who sends it |
//! | `GET /health` | 200 while the process lives |
//! | `GET /ready` | 200, or 503 while there is no network to take payments on: gas and node of each |
//!
//! The command `x402 facilitator` runs it from a [file](FacilitatorConfig); [`FacilitatorService`] puts it under
//! any axum server.
//!
//! # What an answer says
//! Both dialects are spoken; the request's `x402Version` decides. Whatever the protocol has words for is 200. What is not
//! a request of the protocol is 400 with `error`, too many at once and any fault of ours 503 with `error` and
//! `Retry-After`: a fault is never an `isValid:false`.
//!
//! # The same settlement again
//! gets the same answer and makes no second transaction: while it is under way it is waited for, afterwards it is
//! remembered, and after a restart it is found on the chain once it is mined. One that was not mined yet is found in
//! the `journal` of its network; without a journal it is sent again, the second transaction reverts, and the money
//! moves once. One whose transaction is not mined in time gets `settlement_pending` with the transaction, and so does
//! one that was sent before while the node cannot be asked for it, and nothing else; the same request again waits for
//! it. An outcome that is not known at all is 500, never a failure. Another settlement of the same nonce is refused as
//! used.
//!
//! So a settlement asked for twice succeeds twice. That a payment is used once is for the resource server to see to, and not
//! told by a second settlement that fails.
//!
//! # Gas
//! A [`GasGauge`] shows what is left. Where it is not enough for one settlement, the network is not in `/supported`, and
//! `/verify` answers 503, until it is refilled.
//!
//! [`Facilitator`]: x402_core::facilitator::Facilitator

mod answer;
mod callers;
mod config;
mod gauge;
mod memory;
mod networks;
mod routes;
mod service;
pub mod telemetry;

pub use self::{
    callers::Callers,
    config::{FacilitatorConfig, Opened},
    gauge::{Gas, GasGauge, GasWatch},
    networks::ServedNetwork,
    service::{FacilitatorService, FacilitatorServiceBuilder},
};
