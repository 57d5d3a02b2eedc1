//! The x402 paywall as a [`tower`](https://docs.rs/tower) layer: for hyper, tonic, and anything else made of services.
//!
//! With axum take `x402-axum`, which adds the extractor and knows about nested routers.
//!
//! # What happens to a request
//!
//! The layer looks at its head: method, path and the payment headers. What is free goes straight to the service beneath,
//! untouched. What is priced and unpaid is answered with 402 and the terms, for clients of both protocol versions. What
//! is paid is checked, its payment is claimed for this one use, and the service is called with a [`PaidContext`] in the
//! request's extensions. Its response is held until the payment is settled, and sent with a receipt. A handler that fails
//! (status 400 or above, an error, a panic) or that loses its client charges nobody, unless its route is settled
//! [before the handler](SettleTiming::BeforeHandler).
//!
//! A response of known length up to the engine's limit is collected before the settlement and, where its request had no
//! body or a bound one, kept for a retry of the same payment. A longer one, or a stream, is not looked at; it starts when the money has
//! moved.
//!
//! # Deployment caveats
//!
//! - Layers that answer requests on their own, or rewrite paths, belong outside the paywall: whatever is inside is paid
//!   for. So does authentication, so that nobody pays for a refusal.
//! - Prices name the path in [`Request::uri`](http::Request::uri). A router that strips prefixes *before* the layer hides
//!   them from it: put the layer outside, or see [`RequestView`].
//! - A route needs one price. Of two paywalls around it the outer one charges; one inside that asks for more answers 500,
//!   as a handler that fails.
//! - One payment buys one response. Where that is an upgrade (101), it buys the connection for as long as the handler
//!   keeps it. So WebSockets, and whatever else asks for a connection (`Upgrade`, `CONNECT`), are for routes that are
//!   settled [before the handler](SettleTiming::BeforeHandler); any other refuses them with 400, before money is asked for.
//! - A response counts as delivered when its body was handed to the transport in full: up to its `Content-Length`, if it
//!   has one. One that was lost before is owed: its payer gets it by presenting the same payment again.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{Empty, Full};
//! use tower::{Layer, ServiceExt, service_fn};
//! use x402_tower::{Engine, PaidContext, Paywall, Prices};
//! # use x402_tower::core::testing::{FakeFacilitator, TestPayer};
//!
//! async fn weather(request: Request<Empty<Bytes>>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
//!     let paid = request.extensions().get::<PaidContext>().expect("the route has a price");
//!     Ok(Response::new(Full::from(format!("sunny, paid by {}", paid.payer))))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let facilitator = FakeFacilitator::new();
//! let prices = Prices::new("https://api.example.com")       // the public origin: never taken from `Host`
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .charge("GET /weather/{city}", "$0.01")
//!     .build()?;                                            // every mistake in the table is found here
//! let engine = Engine::builder(prices).facilitator(facilitator).build()?;
//! let service = Paywall::from(engine).layer(service_fn(weather));
//!
//! let unpaid = Request::get("/weather/oslo").body(Empty::new())?;
//! let challenge = service.clone().oneshot(unpaid).await?;
//! assert_eq!(challenge.status(), 402);
//!
//! # let payment = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
//! // A client reads the terms in `PAYMENT-REQUIRED`, signs, and asks again:
//! let paid = Request::get("/weather/oslo").header("payment-signature", &payment[..]).body(Empty::new())?;
//! let response = service.oneshot(paid).await?;
//! assert_eq!(response.status(), 200);
//! assert!(response.headers().contains_key("payment-response"));
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `http-facilitator` (on by default) there is a shorter form: [`Paywall::new`] keeps orders in memory and
//! settles through a remote facilitator.
//!
//! # One service, one price
//!
//! [`Paywall::charge`] puts a price on a single service, with everything else shared:
//!
//! ```
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # use http_body_util::{Empty, Full};
//! # use tower::{Layer, service_fn};
//! # use x402_tower::{ConfigError, Paywall};
//! # fn mount(paywall: Paywall) -> Result<(), ConfigError> {
//! let report = service_fn(async |_: Request<Empty<Bytes>>| Ok::<_, ConfigError>(Response::new(Full::new(Bytes::from("report")))));
//! let report = paywall.charge("$0.02")?.layer(report);
//! # let _ = report;
//! # Ok(())
//! # }
//! ```
//!
//! # Bodies that are paid for
//!
//! A rule may [bind](PriceRule::bind_body) the body of its requests: it is read before the payment is claimed, and a retry
//! gets the stored response only with the same body. The handler gets the body that was read, so its type must be one that
//! can be made of bytes; a [`RequestBody`] around the server's own is one.
//!
//! ```
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # use http_body_util::{BodyExt, Full};
//! # use tower::{Layer, ServiceExt, service_fn};
//! # use x402_tower::{Engine, Paywall, PriceRule, Prices};
//! # use x402_tower::core::{error::BoxError, testing::{FakeFacilitator, TestPayer}};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let facilitator = FakeFacilitator::new();
//! let prices = Prices::new("https://api.example.com")
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .charge("POST /orders", PriceRule::new("$0.01").bind_body(64 * 1024))
//!     .build()?;
//! let engine = Engine::builder(prices).facilitator(facilitator).build()?;
//! let echo = service_fn(async |request: Request<Full<Bytes>>| {
//!     Ok::<_, BoxError>(Response::new(Full::new(request.into_body().collect().await?.to_bytes())))
//! });
//! let service = Paywall::from(engine).bind_bodies().layer(echo);
//!
//! let order = |text: &'static str| Request::post("/orders").body(Full::from(text));
//! let challenge = service.clone().oneshot(order("two eggs")?).await?;
//! # let payment = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
//! # let payment = http::HeaderValue::from_maybe_shared(payment)?;
//! for (text, status) in [("two eggs", 200), ("two eggs", 200), ("ten eggs", 409)] {
//!     let mut paid = order(text)?;
//!     paid.headers_mut().insert("payment-signature", payment.clone());
//!     assert_eq!(service.clone().oneshot(paid).await?.status(), status);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Input first, then money
//!
//! On a route that is paid [after its input](PriceRule::after_input) the service is called at once, and finds a [`Demand`] in
//! the request's extensions. It looks at what it was sent, refuses it for nothing, or has it [paid](Bill::pay), which also gives
//! it the charge, where the price is a ceiling. A success that nobody was asked to pay for is withheld: 500.
//!
//! ```
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # use http_body_util::{BodyExt, Full};
//! # use tower::{Layer, ServiceExt, service_fn};
//! # use x402_tower::{Demand, Engine, Paywall, PriceRule, Prices};
//! # use x402_tower::core::{error::BoxError, testing::FakeFacilitator};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let facilitator = FakeFacilitator::new();
//! let prices = Prices::new("https://api.example.com")
//!     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
//!     .charge("POST /orders", PriceRule::new("$0.01").after_input())
//!     .build()?;
//! let engine = Engine::builder(prices).facilitator(facilitator).build()?;
//! let sell = service_fn(async |mut request: Request<Full<Bytes>>| {
//!     let demand: Option<Demand> = request.extensions_mut().remove();
//!     let order = request.into_body().collect().await?.to_bytes();
//!     if order.is_empty() {
//!         return Ok(Response::builder().status(400).body(Full::from("order something"))?);
//!     }
//!     let bill = demand.and_then(|demand| demand.take()).ok_or("not behind a paywall")?;
//!     Ok::<_, BoxError>(match bill.pay().await {
//!         Ok((paid, _)) => Response::new(Full::from(format!("sold to {}", paid.payer))),
//!         Err(_) => Response::new(Full::default()),               // the paywall sends its own answer
//!     })
//! });
//! let service = Paywall::from(engine).layer(sell);
//!
//! let order = |text: &'static str| Request::post("/orders").body(Full::from(text));
//! assert_eq!(service.clone().oneshot(order("")?).await?.status(), 400);
//! assert_eq!(service.clone().oneshot(order("two eggs")?).await?.status(), 402);
//! # Ok(())
//! # }
//! ```
//!
//! # Charging what was used
//!
//! Where the price is a ceiling ([`Price::up_to`]), the service finds a [`Charge`] in the request's extensions, and says how
//! much of it was used, for a stream until it ends. [`core::charge`] has the rules.
//!
//! # gRPC
//!
//! The layer goes on tonic's server:
//!
//! ```no_run
//! # use tonic::{service::Routes, transport::Server};
//! # use x402_tower::{Engine, Paywall};
//! # async fn serve(engine: Engine, services: Routes) -> Result<(), tonic::transport::Error> {
//! let server = Server::builder().layer(Paywall::from(engine)).add_routes(services);
//! server.serve(([127, 0, 0, 1], 50051).into()).await
//! # }
//! ```
//!
//! Prices name the method's path, `"POST /package.Service/Method"`. A call with the content type `application/grpc` is
//! refused in gRPC: status 200 with `grpc-status` (402 is `FAILED_PRECONDITION`) and `grpc-message`, and the terms as
//! metadata `payment-required`. The payment comes as metadata `payment-signature`, and the receipt goes out in the initial
//! metadata, `payment-response`.
//!
//! A method that fails at once, with its status in the response's head or in trailers that are there already, charges
//! nobody; one that streams is paid for when its stream starts. The length of a message is not known before it was sent,
//! so responses are not kept: a payment that comes again after its delivery is `ABORTED`, with the receipt it had.
//! A method whose rule binds bodies gets its requests when the last of them is there: that is for unary methods.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `memory` | orders in memory, the default of [`Engine::builder`] |
//! | `http-facilitator` (default) | `Paywall::new`, and the facilitator it takes |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod future;
mod head;
mod layer;
mod paid;
mod reply;
mod request;
mod service;

pub use x402_core as core;
#[cfg(feature = "http-facilitator")]
pub use x402_core::facilitator::HttpFacilitator;
pub use x402_core::{
    Bill, Charge, Demand, Engine, EngineBuilder, NotPaid, PaidContext, SettleTiming,
    error::ConfigError,
    price::{PaymentIdentifier, Price, PriceRule, Prices},
    quote::QuoteKey,
};

pub use self::{
    body::ResponseBody,
    future::ResponseFuture,
    head::{PeerAddr, RequestView},
    layer::Paywall,
    request::{Rebuilt, RequestBodies, RequestBody, Untouched},
    service::PaywallService,
};
