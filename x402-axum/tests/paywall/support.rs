//! A paywall with fakes, and a payer.

use std::convert::Infallible;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response},
};
use bytes::Bytes;
use tower::ServiceExt;
use x402_axum::{
    Engine, Paywall, PriceRule, Prices, SettleTiming,
    core::testing::{FakeFacilitator, TestPayer},
};

pub(crate) fn paywall(facilitator: &FakeFacilitator) -> Paywall {
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET,POST /paid", "$0.01")
        .charge("GET /early", PriceRule::new("$0.01").settle(SettleTiming::BeforeHandler))
        .charge("GET /api/weather/{city}", "$0.01")
        .charge("GET /files/{*rest}", "$0.01")
        .free("GET /api/health")
        .build()
        .unwrap();
    Paywall::from(Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap())
}

pub(crate) fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

pub(crate) fn get(path: &str) -> Request<Body> {
    request("GET", path)
}

pub(crate) fn paying(path: &str, payment: &[u8]) -> Request<Body> {
    Request::get(path).header("payment-signature", payment).body(Body::empty()).unwrap()
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    let answer: Result<_, Infallible> = app.clone().oneshot(request).await;
    answer.unwrap()
}

/// Asks for the price, and signs.
pub(crate) async fn payment(app: &Router, path: &str, payer: &TestPayer) -> Bytes {
    let challenge = send(app, get(path)).await;
    assert_eq!(challenge.status(), 402, "{path}");
    payer.pay_v2(challenge.headers()["payment-required"].as_bytes())
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}
