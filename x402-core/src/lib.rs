//! The x402 paywall engine, free of any framework and chain library.
//!
//! Applications use it through an adapter: `x402-axum`, `x402-tower` or `x402-actix`. This crate is what they share, and
//! what facilitators, stores and further adapters are written against.
//!
//! # The life of one request
//!
//! An adapter shows the engine each request's head ([`Engine::triage`], synchronous and without allocation on free
//! routes), awaits [`Engine::admit`] where a payment has to be looked at, and ends the [`Ticket`] that it gets for a good
//! one with what the handler did ([`Ticket::finish`]). Where an attempt [asks](Attempt::body_limit) for the request's body,
//! [`adapter::bind_body`] reads and binds it before `admit`.
//!
//! ```text
//! triage ─ Free ───────────────────────────────> handler
//!        ├ Reply (402, 400, 405, 204) ─────────> client
//!        ├ Check ─ admit ─ Reply ──────────────> client
//!        │               └ Enter(ticket) ──────> handler ─ ticket.finish ─> client
//!        └ Demand ─────────────────────────────> handler ─ till.close
//!                                                  └ bill.pay: admit, in between
//! ```
//!
//! On a route that is paid [after its input](price::PriceRule::after_input) the handler itself has its request paid for, by
//! the [`Demand`] that it finds there; [`Engine::demand`] splits an [`Attempt`] into that and the adapter's [`Till`].
//!
//! From the claim on, the engine's own work runs in tasks that the connection does not own: a client that leaves can stop
//! its handler, and nothing else. A ticket that is dropped charges nobody; a settlement once begun is finished, and the
//! response is owed to its payer, who gets it by presenting the same payment again.
//!
//! Where a payment authorizes a maximum, the handler says how much of it is charged: see [`charge`].
//!
//! # Deployment caveats
//!
//! - The default [`MemoryStore`](order::MemoryStore) is for one process. It forgets at restart: what was settled before is
//!   then refused, because its nonce is used on chain, and a response that was still owed is lost to its payer.
//! - With a remote facilitator and no [`Witness`](facilitator::Witness) nobody here can look at the chain, and a settlement
//!   whose answer was lost stays unknown until the facilitator answers. `build()` warns.
//! - A stock client's signature does not name a URL. See [`quote::BindingLevel`] for what ties a payment to a request.
//! - Layers that rewrite paths belong outside the paywall.
//!
//! # Example
//!
//! ```
//! use x402_core::{Engine, Triage, price::Prices};
//! # use x402_core::{head::{Header, RequestHead}, testing::FakeFacilitator};
//! # struct Get(&'static str);
//! # impl RequestHead for Get {
//! #     fn method(&self) -> &str { "GET" }
//! #     fn path(&self) -> &str { self.0 }
//! #     fn query(&self) -> Option<&str> { None }
//! #     fn header(&self, _: &'static str) -> Header<'_> { Header::Absent }
//! #     fn headers(&self) -> Vec<(String, Vec<u8>)> { Vec::new() }
//! #     fn peer(&self) -> Option<std::net::IpAddr> { None }
//! #     fn has_body(&self) -> bool { false }
//! # }
//! # fn main() -> Result<(), x402_core::error::ConfigError> {
//! # let facilitator = FakeFacilitator::new();
//! let prices = Prices::new("https://api.example.com")
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .charge("GET /weather/{city}", "$0.01")
//!     .build()?;
//! let engine = Engine::builder(prices).facilitator(facilitator).build()?;
//!
//! assert!(matches!(engine.triage(&Get("/health")), Triage::Free));
//! let Triage::Reply(unpaid) = engine.triage(&Get("/weather/oslo")) else { panic!("it costs something") };
//! assert_eq!(unpaid.status, 402);
//! assert!(unpaid.get("payment-required").is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `memory` (default) | [`order::MemoryStore`] |
//! | `http-facilitator` | `facilitator::HttpFacilitator` |
//! | `testing` | fakes, a deterministic payer and the store contract suite, for tests of yours |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adapter;
pub mod challenge;
pub mod charge;
mod engine;
pub(crate) mod entropy;
pub mod error;
pub mod facilitator;
pub mod head;
mod hex;
pub mod order;
pub mod price;
pub mod quote;
mod reply;
pub mod scheme;
pub mod telemetry;
mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
mod timing;
pub mod wire;

pub use self::{
    charge::Charge,
    engine::{
        Admission, Attempt, Bill, ChallengeFacts, Closed, DeliveryGuard, Demand, Engine, EngineBuilder,
        HookResult, Hooks, NotPaid, NotReady, Outcome, PaidContext, PaymentFacts, Release, ResponseHeader,
        Ticket, Till, Triage, Veto,
    },
    reply::Reply,
    timing::{DeferredLimits, ExposureLimits, SettleTiming},
};
