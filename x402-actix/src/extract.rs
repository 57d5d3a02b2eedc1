//! The payment behind a request, as an extractor.

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
        let paid = request.extensions().get::<x402_core::PaidContext>().cloned();
        ready(paid.map(Self).ok_or_else(|| NotBehindPaywall {
            method: request.method().clone(),
            path: request.path().to_owned(),
        }))
    }
}

/// A handler asked for a [`PaidContext`] on a route that takes no payment. Answered with 500, and logged.
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
