//! Order endpoints: what an operator, or whoever holds an order's token, may ask of one order.
//!
//! | request | answer |
//! |---|---|
//! | `GET /orders/{id}` | 200: status, attention flags, expiry, transaction |
//! | `GET /orders/{id}/proof` | 200: the [proof record](x402_core::order::proof); 409 `not_settled` before settlement |
//! | `POST /orders/{id}/cancel` | 200; 409 `not_cancellable` naming the state |
//!
//! # Who may ask
//! Both show a bearer token: the operator one of their own ([`OperatorToken`]), anybody else the capability token of
//! this one order, which the merchant hands out ([`Engine::order_token`](x402_core::Engine::order_token), with the order
//! id that handlers find in their `PaidContext`). Who has no right gets 404, and so does who asks for an order that is
//! not there: the two look the same, and for the first the store is never asked.
//!
//! The token is not in any message of the protocol today: a 402 is made before there is an order, and stock clients
//! keep nothing of a receipt that they do not know.
//!
//! # Cancelling
//! Only an order on which nothing was begun, and that nobody works on, can be cancelled: its payer was not charged, and
//! this server lets go of the authorization. As long as that is valid its holder may present it again, as a new sale.
//! Once a settlement was sent, only the chain decides.
//!
//! # Deployment caveats
//! - Serve the router on a listener of its own, that the public does not reach, unless payers need it.
//! - Wrong tokens are not counted here; bound them where connections come in.
//! - Nothing is changed by `GET`, and there are no cookies: a browser cannot be made to act on an operator's behalf.
//!
//! # Example
//! ```
//! use axum::{body::Body, http::{Request, StatusCode}};
//! use tower::ServiceExt;
//! use x402_core::order::MemoryStore;
//! use x402_server::orders::{self, Access, OperatorToken};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let access = Access::new().operator(OperatorToken::new("correct horse battery staple")?);
//! let app = orders::router(MemoryStore::new(), access);
//!
//! let unknown = "/orders/00000000000000000000000000000000";
//! let answer = app.oneshot(Request::get(unknown).body(Body::empty())?).await?;
//! assert_eq!(answer.status(), StatusCode::NOT_FOUND);
//! # Ok(())
//! # }
//! ```
//! With an engine, `Access::new().order_tokens(engine.order_tokens().clone())` admits the tokens it makes; the store is
//! the one that the engine was built with.

mod access;
mod answers;
mod cancel;
mod routes;

pub use self::{
    access::{Access, OperatorToken},
    routes::router,
};
