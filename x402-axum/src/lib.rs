//! The x402 paywall for [`axum`]: a price on a router or on a route, and an extractor that tells who paid.
//!
//! ```no_run
//! use axum::{Router, extract::Path, routing::get};
//! use x402_axum::{PaidContext, Paywall, Prices};
//!
//! # #[cfg(feature = "http-facilitator")]
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let prices = Prices::new("https://api.example.com")       // the public origin: never taken from `Host`
//!         .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!         .charge("GET /weather/{city}", "$0.01")
//!         .free("GET /health")
//!         .build()?;                                            // every mistake in the table is found here
//!     let app = Router::new()
//!         .route("/weather/{city}", get(weather))
//!         .route("/health", get(async || "ok"))
//!         .layer(Paywall::new(prices));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     Ok(axum::serve(listener, app).await?)
//! }
//! # #[cfg(not(feature = "http-facilitator"))]
//! # fn main() {}
//!
//! async fn weather(Path(city): Path<String>, paid: PaidContext) -> String {
//!     format!("{city}: sunny, paid by {}", paid.payer)
//! }
//! ```
//!
//! # What happens to a request
//!
//! What is free goes straight to its handler, untouched. What is priced and unpaid is answered with 402 and the terms, for
//! clients of both protocol versions. What is paid is checked, its payment is claimed for this one use, and the handler
//! runs. Its response is held until the payment is settled, and sent with a receipt. A handler that fails (status 400 or
//! above, a panic) or that loses its client charges nobody, unless its route is settled
//! [before the handler](SettleTiming::BeforeHandler).
//!
//! # Deployment caveats
//!
//! - A layer covers the routes that were added *before* it, as always in axum. List what the table says with
//!   [`Prices::rules`] and hold it against your routes in a test.
//! - Prices name the path that the client sent, also where the layer is inside `nest`. Where something other than `nest`
//!   rewrote it between a router and the layer, a request is free only if both paths are. Rewrite outside of all routers.
//! - Layers that answer requests on their own (authentication, CORS, rate limits) belong outside the paywall, so that
//!   nobody pays for a refusal: they are added *after* it.
//! - A route needs one price. Of two paywalls around it the outer one charges; one inside that asks for more answers 500,
//!   as a handler that fails.
//! - One payment buys one response. Where that is an upgrade (101), it buys the connection for as long as the handler
//!   keeps it. So WebSockets, and whatever else asks for a connection (`Upgrade`, `CONNECT`), are for routes that are
//!   settled [before the handler](SettleTiming::BeforeHandler); any other refuses them with 400, before money is asked for.
//! - `Paywall::new` keeps orders in the memory of this process. Instances that share traffic share a store.
//!
//! # A node of your own
//!
//! [`Engine::builder`] is the full form: who settles, where orders are kept, when money moves.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use tower::ServiceExt;
//! use x402_axum::{Engine, Paywall, Prices, SettleTiming};
//! # use x402_axum::core::testing::{FakeFacilitator, TestPayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let facilitator = FakeFacilitator::new();
//! # let prices = Prices::new("https://api.example.com")
//! #     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//! #     .charge("GET /weather/{city}", "$0.01")
//! #     .build()?;
//! let engine = Engine::builder(prices)
//!     .facilitator(facilitator)                                 // `EvmFacilitator` of `x402-evm`, for one
//!     .settle(SettleTiming::AfterHandler)
//!     .start()                                                  // can it settle what the table asks for?
//!     .await?;
//! let app = Router::new()
//!     .route("/weather/{city}", get(async || "sunny"))
//!     .layer(Paywall::from(engine));
//!
//! let unpaid = Request::get("/weather/oslo").body(Body::empty())?;
//! let challenge = app.clone().oneshot(unpaid).await?;
//! assert_eq!(challenge.status(), 402);
//!
//! # let payment = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
//! // A client reads the terms in `PAYMENT-REQUIRED`, signs, and asks again:
//! let paid = Request::get("/weather/oslo").header("payment-signature", &payment[..]).body(Body::empty())?;
//! let response = app.oneshot(paid).await?;
//! assert_eq!(response.status(), 200);
//! assert!(response.headers().contains_key("payment-response"));
//! # Ok(())
//! # }
//! ```
//!
//! # Charging what was used
//!
//! Where the price is a ceiling ([`Price::up_to`]), the handler takes a [`Charge`] and says how much of it was used, for a stream
//! until it ends. [`core::charge`] has the rules.
//!
//! # Running it
//!
//! [`Engine::worker`] finishes what a crash or a lost answer left behind, [`Engine::ready`] is for a readiness probe, and
//! [`Engine::drain`] ends the work of a process before its server stops accepting connections:
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::{Router, http::StatusCode, routing::get};
//! use x402_axum::{Engine, Paywall};
//! # async fn signal_to_stop() {}
//!
//! # #[cfg(feature = "tokio")]
//! async fn serve(engine: Engine, app: Router) -> std::io::Result<()> {
//!     tokio::spawn(engine.worker());
//!     let (probed, stopping) = (engine.clone(), engine.clone());
//!     let ready = async move || match probed.ready().await {
//!         Ok(()) => StatusCode::OK,
//!         Err(_) => StatusCode::SERVICE_UNAVAILABLE,            // its text names the part and the cause
//!     };
//!     let app = app.layer(Paywall::from(engine)).route("/ready", get(ready));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     let stopped = async move {
//!         signal_to_stop().await;                               // `tokio::signal`: SIGTERM, Ctrl-C
//!         stopping.drain(Duration::from_secs(30)).await;        // priced routes answer 503 meanwhile
//!     };
//!     axum::serve(listener, app).with_graceful_shutdown(stopped).await
//! }
//! ```
//!
//! # A price on one route
//!
//! [`Paywall::charge`] makes a layer for a single route, with everything else shared.
//!
//! # Input first, then money
//!
//! A handler that takes [`Paid<E>`](Paid) has `E` extracted before anybody is asked for money: a request with bad input gets
//! 400 or 422, with or without a payment, and costs nothing. The price is marked
//! [`after_input`](PriceRule::after_input), and settled before the handler unless it says otherwise:
//!
//! ```
//! use axum::{Json, Router, extract::Path, routing::post};
//! use x402_axum::{Engine, Paid, Paywall, PriceRule, Prices};
//! # use x402_axum::core::{error::ConfigError, testing::FakeFacilitator};
//!
//! async fn render(Path(size): Path<u32>, paid: Paid<Json<Vec<String>>>) -> String {
//!     format!("{} pages of size {size}, paid by {}", paid.input.len(), paid.payment.payer)
//! }
//!
//! # fn app(facilitator: FakeFacilitator) -> Result<Router, ConfigError> {
//! let prices = Prices::new("https://api.example.com")
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .charge("POST /render/{size}", PriceRule::new("$0.01").after_input())
//!     .build()?;
//! let engine = Engine::builder(prices).facilitator(facilitator).build()?;
//! let app = Router::new().route("/render/{size}", post(render)).layer(Paywall::from(engine));
//! # Ok(app)
//! # }
//! ```
//!
//! A handler of such a route that answers with a success without having been paid has its response withheld: 500, and the
//! log names the route. What counts as one is what [would be paid for](EngineBuilder::success). Where the price is a ceiling, the
//! handler says by [`Paid::charge`] what it used. What can only be told by hand, takes the request's [`Demand`] by hand.
//!
//! # Retries
//!
//! The same payment again is the same sale: it joins the request in flight, gets the stored response, or has what was
//! begun finished. Payers may name their payments besides ([`PaymentIdentifier`]), so that one that signs anew by mistake
//! is not charged twice; and a rule may [bind](PriceRule::bind_body) the bodies of its requests, so that a retry of those
//! gets the stored response, too.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::post};
//! use tower::ServiceExt;
//! use x402_axum::{Engine, Paywall, PaymentIdentifier, PriceRule, Prices};
//! # use x402_axum::core::testing::{FakeFacilitator, TestPayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let facilitator = FakeFacilitator::new();
//! let prices = Prices::new("https://api.example.com")
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .payment_identifier(PaymentIdentifier::Optional)          // on every route, declared in its 402
//!     .charge("POST /orders", PriceRule::new("$0.01").bind_body(64 * 1024))
//!     .build()?;
//! let engine = Engine::builder(prices).facilitator(facilitator).build()?;
//! let app = Router::new()
//!     .route("/orders", post(async |order: String| format!("ordered: {order}")))
//!     .layer(Paywall::from(engine));
//!
//! let challenge = app.clone().oneshot(Request::post("/orders").body(Body::from("two eggs"))?).await?;
//! # let payment = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
//! for (order, status) in [("two eggs", 200), ("two eggs", 200), ("ten eggs", 409)] {
//!     let paid = Request::post("/orders").header("payment-signature", &payment[..]).body(Body::from(order))?;
//!     assert_eq!(app.clone().oneshot(paid).await?.status(), status);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `memory` | orders in memory, the default of [`Engine::builder`] |
//! | `http-facilitator` (default) | `Paywall::new`, and the facilitator it takes |
//! | `tokio` (default) | the peer's address from axum's `ConnectInfo`, for prices that depend on it |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod extract;
mod paid;
mod route;
mod service;

pub use x402_core as core;
#[cfg(feature = "http-facilitator")]
pub use x402_core::facilitator::HttpFacilitator;
pub use x402_core::{
    Demand, Engine, EngineBuilder, SettleTiming,
    error::ConfigError,
    price::{PaymentIdentifier, Price, PriceRule, Prices},
    quote::QuoteKey,
};
pub use x402_tower::PeerAddr;

pub use self::{
    extract::{Charge, NotBehindPaywall, PaidContext},
    paid::{NothingToPay, Paid, PaidRejection},
    route::Paywall,
    service::{PaywallService, ResponseFuture},
};
