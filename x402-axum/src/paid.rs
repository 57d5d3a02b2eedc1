//! Input first, then money.

use std::{fmt, ops::Deref};

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{Extensions, Method, StatusCode, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use x402_core::{Bill, Demand, NotPaid};

use crate::{Charge, PaidContext};

/// The handler's input, and the payment that was asked for once the input was found to be good.
///
/// `E` is extracted first. What it refuses is answered as it does that, with or without a payment, and nobody is asked for
/// money. Then the payment is demanded, verified and, by default, settled; then the handler runs. For that the price of
/// the route is marked [`after_input`](x402_core::price::PriceRule::after_input). Where it is a ceiling, it is settled after
/// the handler, which says by [`charge`](Self::charge) what was used.
///
/// ```
/// use axum::{Json, Router, body::Body, http::Request, routing::post};
/// use tower::ServiceExt;
/// use x402_axum::{Engine, Paid, Paywall, PriceRule, Prices};
/// # use x402_axum::core::testing::FakeFacilitator;
///
/// async fn order(paid: Paid<Json<u32>>) -> String {
///     let Json(eggs) = paid.input;
///     format!("{eggs} eggs, paid by {}", paid.payment.payer)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let facilitator = FakeFacilitator::new();
/// let prices = Prices::new("https://api.example.com")
///     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
///     .charge("POST /orders", PriceRule::new("$0.01").after_input())
///     .build()?;
/// let engine = Engine::builder(prices).facilitator(facilitator).build()?;
/// let app = Router::new().route("/orders", post(order)).layer(Paywall::from(engine));
///
/// let request = |text: &'static str| {
///     Request::post("/orders").header("content-type", "application/json").body(Body::from(text))
/// };
/// assert_eq!(app.clone().oneshot(request("\"some\"")?).await?.status(), 422);
/// assert_eq!(app.clone().oneshot(request("2")?).await?.status(), 402);
/// # Ok(())
/// # }
/// ```
///
/// Let it be the last argument of its handler: axum extracts them in order, and what comes later would refuse a request
/// that is paid for. Where `E` takes the body it has to be the last anyway.
///
/// # Rejection
/// What `E` refuses; what the paywall answers instead of the handler; or 500, logged, where there is nothing to be paid:
/// the route is not behind a paywall, its price is not marked, or another `Paid` of the same handler was first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Paid<E> {
    /// What `E` extracted.
    pub input: E,
    /// Who paid for it, and how much.
    pub payment: PaidContext,
    /// Says what was used, where the price is a ceiling.
    pub charge: Charge,
}

impl<E> Deref for Paid<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.input
    }
}

impl<S, E> FromRequest<S> for Paid<E>
where
    S: Send + Sync,
    E: FromRequest<S> + Send,
{
    type Rejection = PaidRejection<E::Rejection>;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let bill = take(request.extensions(), request.method(), request.uri())?;
        let input = E::from_request(request, state).await.map_err(PaidRejection::Input)?;
        Self::once(bill, input).await.map_err(PaidRejection::NotPaid)
    }
}

impl<S, E> FromRequestParts<S> for Paid<E>
where
    S: Send + Sync,
    E: FromRequestParts<S> + Send,
{
    type Rejection = PaidRejection<E::Rejection>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let bill = take(&parts.extensions, &parts.method, &parts.uri)?;
        let input = E::from_request_parts(parts, state).await.map_err(PaidRejection::Input)?;
        Self::once(bill, input).await.map_err(PaidRejection::NotPaid)
    }
}

impl<E> Paid<E> {
    async fn once(bill: Bill, input: E) -> Result<Self, NotPaid> {
        let (payment, charge) = bill.pay().await?;
        Ok(Self { input, payment: PaidContext(payment), charge: Charge(charge) })
    }
}

fn take<R>(extensions: &Extensions, method: &Method, uri: &Uri) -> Result<Bill, PaidRejection<R>> {
    let taken = match extensions.get::<Demand>() {
        Some(demand) => demand.take().ok_or(NothingToPay::TakenBefore),
        None => Err(NothingToPay::NoDemand),
    };
    taken.map_err(|problem| {
        tracing::error!(%method, path = uri.path(), %problem, "handler not paid");
        PaidRejection::NothingToPay(problem)
    })
}

/// Why a handler that takes [`Paid<E>`](Paid) does not run.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PaidRejection<R> {
    /// `E` refused the input. Nobody was asked for money.
    Input(R),
    /// The paywall answers: with the terms, with what is wrong with the payment, or with the response that was kept for it.
    /// It sends its own answer, whatever this one is turned into.
    NotPaid(NotPaid),
    /// There is nothing to be paid. Answered with 500, and logged.
    NothingToPay(NothingToPay),
}

impl<R: IntoResponse> IntoResponse for PaidRejection<R> {
    fn into_response(self) -> Response {
        match self {
            Self::Input(rejection) => rejection.into_response(),
            Self::NotPaid(not_paid) => {
                StatusCode::from_u16(not_paid.status).unwrap_or(StatusCode::PAYMENT_REQUIRED).into_response()
            }
            Self::NothingToPay(problem) => {
                (StatusCode::INTERNAL_SERVER_ERROR, problem.to_string()).into_response()
            }
        }
    }
}

impl<R: fmt::Display> fmt::Display for PaidRejection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(rejection) => rejection.fmt(f),
            Self::NotPaid(not_paid) => not_paid.fmt(f),
            Self::NothingToPay(problem) => problem.fmt(f),
        }
    }
}

impl<R: std::error::Error + 'static> std::error::Error for PaidRejection<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Input(rejection) => Some(rejection),
            Self::NotPaid(not_paid) => Some(not_paid),
            Self::NothingToPay(problem) => Some(problem),
        }
    }
}

/// A handler asked to be [`Paid`] where nothing is to be paid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NothingToPay {
    /// The route is not behind a paywall, or its price is not marked
    /// [`after_input`](x402_core::price::PriceRule::after_input).
    NoDemand,
    /// The handler has more than one [`Paid`].
    TakenBefore,
}

impl fmt::Display for NothingToPay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDemand => "route is not behind a paywall, or its price is not marked `after_input`",
            Self::TakenBefore => "handler is paid once, and takes more than one `Paid`",
        })
    }
}

impl std::error::Error for NothingToPay {}
