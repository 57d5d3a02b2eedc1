//! The payment behind a request, and what it is charged, as extractors.

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
        found(parts).map(Self).ok_or_else(|| not_behind_paywall(parts))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for PaidContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(found(parts).map(Self))
    }
}

/// How a handler says what was used, on a route that charges for that. See [`core::charge`](x402_core::charge).
///
/// ```
/// use x402_axum::{Charge, core::charge::ChargeError};
///
/// async fn complete(charge: Charge, prompt: String) -> Result<String, ChargeErrorResponse> {
///     let answer = format!("you said: {prompt}");
///     charge.set(answer.len() as u64 * 25)?;      // atomic units of the token, at most what was authorized
///     Ok(answer)
/// }
/// # struct ChargeErrorResponse;
/// # impl From<ChargeError> for ChargeErrorResponse { fn from(_: ChargeError) -> Self { Self } }
/// # impl axum::response::IntoResponse for ChargeErrorResponse {
/// #     fn into_response(self) -> axum::response::Response { axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response() }
/// # }
/// # let _ = axum::Router::<()>::new().route("/", axum::routing::post(complete));
/// ```
///
/// On a route that is paid after its input, [`Paid::charge`](crate::Paid::charge) has it.
///
/// # Rejection
/// As that of [`PaidContext`].
#[derive(Clone, Debug)]
pub struct Charge(pub x402_core::Charge);

impl Deref for Charge {
    type Target = x402_core::Charge;

    fn deref(&self) -> &x402_core::Charge {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Charge {
    type Rejection = NotBehindPaywall;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotBehindPaywall> {
        found(parts).map(Self).ok_or_else(|| not_behind_paywall(parts))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Charge {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(found(parts).map(Self))
    }
}

/// A handler asked for a [`PaidContext`], or a [`Charge`], on a route that takes no payment.
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

fn found<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Option<T> {
    parts.extensions.get::<T>().cloned()
}

fn not_behind_paywall(parts: &Parts) -> NotBehindPaywall {
    tracing::error!(
        method = %parts.method,
        path = parts.uri.path(),
        "a handler asks who paid, but its route is not behind a paywall"
    );
    NotBehindPaywall
}
