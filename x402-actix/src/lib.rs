//! The x402 paywall for [`actix_web`]: a price on an app, a scope or a resource, and an extractor that tells who paid.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, get, web};
//! use x402_actix::{PaidContext, Paywall, Prices};
//!
//! # #[cfg(feature = "http-facilitator")]
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let prices = Prices::new("https://api.example.com")       // the public origin: never taken from `Host`
//!         .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!         .charge("GET /weather/{city}", "$0.01")
//!         .build()?;                                            // every mistake in the table is found here
//!     let paywall = Paywall::new(prices);                       // made once: all workers share it
//!     let server = HttpServer::new(move || App::new().wrap(paywall.clone()).service(weather));
//!     Ok(server.bind("127.0.0.1:3000")?.run().await?)
//! }
//! # #[cfg(not(feature = "http-facilitator"))]
//! # fn main() {}
//!
//! #[get("/weather/{city}")]
//! async fn weather(city: web::Path<String>, paid: PaidContext) -> String {
//!     format!("{city}: sunny, paid by {}", paid.payer)
//! }
//! ```
//!
//! # What happens to a request
//!
//! What is free goes straight to its handler, untouched. What is priced and unpaid is answered with 402 and the terms, for
//! clients of both protocol versions. What is paid is checked, its payment is claimed for this one use, and the handler
//! runs. Its response is held until the payment is settled, and sent with a receipt. A handler that fails (an error,
//! status 400 or above, a panic) charges nobody, unless its route is settled
//! [before the handler](SettleTiming::BeforeHandler). Handlers and bodies need not be `Send`.
//!
//! # Deployment caveats
//!
//! - Make the paywall outside of the server's factory and clone it in. One per worker would keep orders per worker, and
//!   the same payment could be presented to each.
//! - Prices name the path that the client sent, also inside scopes. Wrap `NormalizePath` around the paywall (`wrap` it
//!   later), if at all.
//! - Middleware that answers requests on its own (authentication, CORS, rate limits) belongs outside the paywall, so that
//!   nobody pays for a refusal: it is wrapped *later*.
//! - A route needs one price. Of two paywalls around it the outer one charges; one inside that asks for more answers 500,
//!   as a handler that fails.
//! - One payment buys one response. Where that is an upgrade (101), it buys the connection for as long as the handler
//!   keeps it. So WebSockets, and whatever else asks for a connection (`Upgrade`, `CONNECT`), are for routes that are
//!   settled [before the handler](SettleTiming::BeforeHandler); any other refuses them with 400, before money is asked for.
//! - actix-web finds out that a client has left when it writes to it: a handler that is running then ends, and is paid for.
//!   Its response is kept, or owed: the payer gets it by presenting the same payment again.
//! - actix-web answers `Expect: 100-continue` before any middleware runs.
//! - A handler's error that middleware between it and the paywall passes on as `Err` leaves without a receipt; that
//!   matters only to routes that are settled before the handler.
//!
//! # A node of your own
//!
//! [`Engine::builder`] is the full form: who settles, where orders are kept, when money moves.
//!
//! ```
//! use actix_web::{App, test, web};
//! use x402_actix::{Engine, Paywall, Prices, SettleTiming};
//! # use x402_actix::core::testing::{FakeFacilitator, TestPayer};
//!
//! # #[actix_web::main]
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
//! let app = App::new()
//!     .wrap(Paywall::from(engine))
//!     .route("/weather/{city}", web::get().to(async || "sunny"));
//! let app = test::init_service(app).await;
//!
//! let unpaid = test::TestRequest::get().uri("/weather/oslo").to_request();
//! let challenge = test::call_service(&app, unpaid).await;
//! assert_eq!(challenge.status(), 402);
//!
//! # let terms = challenge.headers().get("payment-required").expect("the terms are there");
//! # let payment = TestPayer::new("alice").pay_v2(terms.as_bytes());
//! // A client reads the terms in `PAYMENT-REQUIRED`, signs, and asks again:
//! let paid = test::TestRequest::get().uri("/weather/oslo").append_header(("payment-signature", &payment[..]));
//! let response = test::call_service(&app, paid.to_request()).await;
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
//! [`Engine::drain`] ends the work of a process before its server stops:
//!
//! ```no_run
//! use std::time::Duration;
//! use actix_web::{App, HttpResponse, HttpServer, rt, web};
//! use x402_actix::{Engine, Paywall};
//! # async fn signal_to_stop() {}
//!
//! async fn serve(engine: Engine) -> std::io::Result<()> {
//!     rt::spawn(engine.worker());
//!     let shared = engine.clone();
//!     let server = HttpServer::new(move || {
//!         let paywall = Paywall::from(shared.clone());
//!         App::new().app_data(web::Data::new(shared.clone())).wrap(paywall).route("/ready", web::get().to(ready))
//!     });
//!     let server = server.disable_signals().bind(("127.0.0.1", 3000))?.run();
//!     let handle = server.handle();
//!     rt::spawn(async move {
//!         signal_to_stop().await;                               // `tokio::signal`: SIGTERM, Ctrl-C
//!         engine.drain(Duration::from_secs(30)).await;          // priced routes answer 503 meanwhile
//!         handle.stop(true).await;
//!     });
//!     server.await
//! }
//!
//! async fn ready(engine: web::Data<Engine>) -> HttpResponse {
//!     match engine.ready().await {
//!         Ok(()) => HttpResponse::Ok().finish(),
//!         Err(_) => HttpResponse::ServiceUnavailable().finish(),  // its text names the part and the cause
//!     }
//! }
//! ```
//!
//! # A price on one resource
//!
//! [`Paywall::charge`] makes a middleware for a single resource, with everything else shared:
//!
//! ```
//! # use actix_web::{App, web};
//! # use x402_actix::{ConfigError, Paywall};
//! # fn app(paywall: &Paywall) -> Result<(), ConfigError> {
//! let report = web::resource("/report").wrap(paywall.charge("$0.02")?).to(async || "a report");
//! let app = App::new().service(report);
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! # Input first, then money
//!
//! A handler that takes [`Paid<E>`](Paid) has `E` extracted before anybody is asked for money: a request with bad input gets
//! its 400, with or without a payment, and costs nothing. The price is marked [`after_input`](PriceRule::after_input), and
//! settled before the handler unless it says otherwise:
//!
//! ```
//! use actix_web::{App, post, web};
//! use x402_actix::{Paid, PriceRule, Prices};
//!
//! #[post("/render/{size}")]
//! async fn render(size: web::Path<u32>, paid: Paid<web::Json<Vec<String>>>) -> String {
//!     format!("{} pages of size {size}, paid by {}", paid.input.len(), paid.payment.payer)
//! }
//!
//! # fn main() -> Result<(), x402_actix::ConfigError> {
//! let prices = Prices::new("https://api.example.com")
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .charge("POST /render/{size}", PriceRule::new("$0.01").after_input())
//!     .build()?;
//! let app = App::new().service(render);                         // and `.wrap(paywall)`
//! # let _ = (app, prices);
//! # Ok(())
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
//! use x402_actix::{PaymentIdentifier, PriceRule, Prices};
//!
//! # fn main() -> Result<(), x402_actix::ConfigError> {
//! let prices = Prices::new("https://api.example.com")
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .payment_identifier(PaymentIdentifier::Optional)          // on every route, declared in its 402
//!     .charge("POST /orders", PriceRule::new("$0.01").bind_body(64 * 1024))
//!     .build()?;
//! # assert!(prices.binds_bodies());
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

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod extract;
mod future;
mod head;
mod input;
mod middleware;
mod paid;
mod reply;
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

pub use self::{
    extract::{Charge, NotBehindPaywall, PaidContext},
    future::ResponseFuture,
    input::{NothingToPay, Paid},
    middleware::Paywall,
    service::PaywallService,
};
