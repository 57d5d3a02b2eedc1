//! Input first, then money.

use std::{
    fmt,
    future::{Future, poll_fn, ready},
    ops::Deref,
    pin::Pin,
    task::Poll,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, body::BoxBody, dev::Payload,
    http::StatusCode,
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
/// use actix_web::{App, test, web};
/// use x402_actix::{Engine, Paid, Paywall, PriceRule, Prices};
/// # use x402_actix::core::testing::FakeFacilitator;
/// # use std::collections::HashMap;
///
/// async fn order(paid: Paid<web::Form<HashMap<String, u32>>>) -> String {
///     format!("{} eggs, paid by {}", paid.input["eggs"], paid.payment.payer)
/// }
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let facilitator = FakeFacilitator::new();
/// let prices = Prices::new("https://api.example.com")
///     .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
///     .charge("POST /orders", PriceRule::new("$0.01").after_input())
///     .build()?;
/// let engine = Engine::builder(prices).facilitator(facilitator).build()?;
/// let app = App::new().wrap(Paywall::from(engine)).route("/orders", web::post().to(order));
/// let app = test::init_service(app).await;
///
/// for (eggs, status) in [("some", 400), ("2", 402)] {
///     let request = test::TestRequest::post().uri("/orders").set_form([("eggs", eggs)]).to_request();
///     assert_eq!(test::call_service(&app, request).await.status(), status);
/// }
/// # Ok(())
/// # }
/// ```
///
/// actix-web extracts the arguments of a handler side by side. Those that can be told at once (path, query, headers) are,
/// before money is asked for; one that has to wait for something belongs into `E`, which may be a tuple:
/// `Paid<(Session, web::Json<Order>)>`.
///
/// # Errors
/// What `E` refuses; what the paywall answers instead of the handler; or 500, logged, where there is [nothing to be
/// paid](NothingToPay).
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

impl<E: FromRequest + 'static> FromRequest for Paid<E> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bill = match take(request) {
            Ok(bill) => bill,
            Err(problem) => {
                tracing::error!(method = %request.method(), path = request.path(), %problem, "handler not paid");
                return Box::pin(ready(Err(problem.into())));
            }
        };
        let input = E::from_request(request, payload);
        Box::pin(async move {
            let input = input.await.map_err(Into::into)?;
            others_first().await;
            let (payment, charge) = bill.pay().await.map_err(PaywallAnswers)?;
            Ok(Self { input, payment: PaidContext(payment), charge: Charge(charge) })
        })
    }
}

fn take(request: &HttpRequest) -> Result<Bill, NothingToPay> {
    match request.extensions().get::<Demand>() {
        Some(demand) => demand.take().ok_or(NothingToPay::TakenBefore),
        None => Err(NothingToPay::NoDemand),
    }
}

/// Lets the handler's other arguments be looked at.
async fn others_first() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// In place of a handler's response; the paywall sends its own.
#[derive(Debug)]
struct PaywallAnswers(NotPaid);

impl ResponseError for PaywallAnswers {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::PAYMENT_REQUIRED)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status_code())
    }
}

impl fmt::Display for PaywallAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A handler asked to be [`Paid`] where nothing is to be paid. Answered with 500, and logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NothingToPay {
    /// The route is not behind a paywall, or its price is not marked
    /// [`after_input`](x402_core::price::PriceRule::after_input).
    NoDemand,
    /// The handler has more than one [`Paid`].
    TakenBefore,
}

impl ResponseError for NothingToPay {
    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::InternalServerError().body(self.to_string())
    }
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
