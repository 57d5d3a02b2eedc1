//! Handlers run in the span of their payment. Alone in its program: other threads would decide, before the log is there,
//! that nobody listens.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, http::Request, routing::post};
use tower::ServiceExt;
use x402_axum::{
    Engine, Paid, PaidContext, Paywall, PriceRule, Prices,
    core::testing::{FakeFacilitator, TestPayer},
};

/// What was written down, line by line, each with the spans around it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn line(&self, text: &str) -> String {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let line = log.lines().rfind(|line| line.ends_with(text));
        line.unwrap_or_else(|| panic!("{text} is not in {log}")).to_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_writes_in_the_span_of_its_payment() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("POST /late", PriceRule::new("$0.01").after_input())
        .charge("POST /early", "$0.01")
        .build()
        .unwrap();
    let engine = Engine::builder(prices).facilitator(FakeFacilitator::new()).build().unwrap();
    let late = async |paid: Paid<Looked>| tracing::info!("handled for {}", paid.payment.payer);
    let early = async |paid: PaidContext| tracing::info!("handled for {}", paid.payer);
    let app =
        Router::new().route("/late", post(late)).route("/early", post(early)).layer(Paywall::from(engine));

    for path in ["/late", "/early"] {
        let ask = || Request::post(path);
        let unpaid = app.clone().oneshot(ask().body(Body::empty()).unwrap()).await.unwrap();
        let payment = TestPayer::new(path).pay_v2(unpaid.headers()["payment-required"].as_bytes());
        let paid = ask().header("payment-signature", &payment[..]).body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(paid).await.unwrap();
        assert_eq!(answer.status(), 200);
        let line = log.line(&format!("handled for {}", TestPayer::new(path).address()));
        for field in ["x402.payment{", "network=eip155:84532", "amount=10000", "payer=", "order="] {
            assert!(line.contains(field), "{field} is not in {line}");
        }
        assert_eq!(line.matches("x402.payment").count(), 1, "{line}");
        assert!(line.contains(&format!("route=POST {path}")), "{line}");
    }
    // The same handler before it is paid, and for those who do not pay.
    let line = log.line("looked");
    assert!(line.contains("x402.payment{route=POST /late}"), "{line}");
}

/// Writes down that it was extracted.
struct Looked;

impl<S: Sync> axum::extract::FromRequestParts<S> for Looked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        _: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, std::convert::Infallible> {
        tracing::info!("looked");
        Ok(Self)
    }
}
