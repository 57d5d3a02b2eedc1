//! The payment behind a request, as an extractor.

use std::{convert::Infallible, fmt, ops::Deref};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};

/// The payment behind a request.
///
/// ```
/// use x402_axum::PaidContext;
///
/// async fn weather(paid: PaidContext) -> String {
///     format!("sunny, paid by {} with {} units", paid.payer, paid.amount)
/// }
/// ```
///
/// On a route that is priced only sometimes, take an `Option<PaidContext>`.
///
/// # Rejection
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

impl<S: Sync> FromRequestParts<S> for PaidContext {
    type Rejection = NotBehindPaywall;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotBehindPaywall> {
        find(parts).ok_or_else(|| {
            tracing::error!(
                method = %parts.method,
                path = parts.uri.path(),
                "a handler asks who paid, but its route is not behind a paywall"
            );
            NotBehindPaywall
        })
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for PaidContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(find(parts))
    }
}

/// A handler asked for a [`PaidContext`] on a route that takes no payment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotBehindPaywall;

impl IntoResponse for NotBehindPaywall {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl fmt::Display for NotBehindPaywall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("route is not behind a paywall")
    }
}

impl std::error::Error for NotBehindPaywall {}

fn find(parts: &Parts) -> Option<PaidContext> {
    parts.extensions.get::<x402_core::PaidContext>().cloned().map(PaidContext)
}
