//! The payment behind a request, and what it is charged, as extractors.

use std::{
    fmt,
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, body::BoxBody, dev::Payload,
    http::Method,
};

/// The payment behind a request.
///
/// ```
/// use actix_web::get;
/// use x402_actix::PaidContext;
///
/// #[get("/weather")]
/// async fn weather(paid: PaidContext) -> String {
///     format!("sunny, paid by {} with {} units", paid.payer, paid.amount)
/// }
/// ```
///
/// On a route that is priced only sometimes, take an `Option<PaidContext>`.
///
/// # Errors
/// Where no payment was taken the handler does not run: the answer is 500, and the log says that the route is not
/// behind a paywall.
#[derive(Clone, Debug)]
pub struct PaidContext(pub x402_core::PaidContext);

impl Deref for PaidContext {
    type Target = x402_core::PaidContext;

    fn deref(&self) -> &x402_core::PaidContext {
        &self.0
    }
}

impl FromRequest for PaidContext {
    type Error = NotBehindPaywall;
    type Future = Ready<Result<Self, NotBehindPaywall>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(found(request).map(Self))
    }
}

/// How a handler says what was used, on a route that charges for that. See [`core::charge`](x402_core::charge).
///
/// ```
/// use actix_web::{Error, error::ErrorInternalServerError, post};
/// use x402_actix::Charge;
///
/// #[post("/complete")]
/// async fn complete(charge: Charge, prompt: String) -> Result<String, Error> {
///     let answer = format!("you said: {prompt}");
///     // Atomic units of the token, at most what was authorized.
///     charge.set(answer.len() as u64 * 25).map_err(ErrorInternalServerError)?;
///     Ok(answer)
/// }
/// ```
///
/// On a route that is paid after its input, [`Paid::charge`](crate::Paid::charge) has it.
///
/// # Errors
/// As for [`PaidContext`].
#[derive(Clone, Debug)]
pub struct Charge(pub x402_core::Charge);

impl Deref for Charge {
    type Target = x402_core::Charge;

    fn deref(&self) -> &x402_core::Charge {
        &self.0
    }
}

impl FromRequest for Charge {
    type Error = NotBehindPaywall;
    type Future = Ready<Result<Self, NotBehindPaywall>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(found(request).map(Self))
    }
}

fn found<T: Clone + 'static>(request: &HttpRequest) -> Result<T, NotBehindPaywall> {
    request
        .extensions()
        .get::<T>()
        .cloned()
        .ok_or_else(|| NotBehindPaywall { method: request.method().clone(), path: request.path().to_owned() })
}

/// A handler asked for a [`PaidContext`], or a [`Charge`], on a route that takes no payment. Answered with 500, and logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotBehindPaywall {
    method: Method,
    path: String,
}

impl ResponseError for NotBehindPaywall {
    // Logged here and not where it is made: an `Option<PaidContext>` makes one, too.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        tracing::error!(
            method = %self.method,
            path = self.path,
            "a handler asks who paid, but its route is not behind a paywall"
        );
        HttpResponse::InternalServerError().body(self.to_string())
    }
}

impl fmt::Display for NotBehindPaywall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("route is not behind a paywall")
    }
}

impl std::error::Error for NotBehindPaywall {}
