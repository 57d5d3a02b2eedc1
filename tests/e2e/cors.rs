//! Browsers see payment headers only where a CORS layer outside the paywall names them.

use axum::{Router, body::Body, response::Response, routing::get};
use http::{HeaderName, Method, Request, StatusCode, header::ORIGIN};
use tower::ServiceExt;
use tower_http::cors::CorsLayer;
use x402_axum::{
    Engine, Paywall, Prices,
    core::testing::{FakeFacilitator, TestPayer},
};

const PAYMENTS: [HeaderName; 2] =
    [HeaderName::from_static("payment-signature"), HeaderName::from_static("x-payment")];
const ANSWERS: [HeaderName; 3] = [
    HeaderName::from_static("payment-required"),
    HeaderName::from_static("payment-response"),
    HeaderName::from_static("x-payment-response"),
];
const APP: &str = "https://app.example.com";

/// The order is the point: what is added last is outermost.
fn app() -> Router {
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET /paid", "$0.01")
        .build()
        .unwrap();
    let facilitator = FakeFacilitator::new().with_local_proof();
    let engine = Engine::builder(prices).facilitator(facilitator).build().unwrap();
    let cors = CorsLayer::new()
        .allow_origin([APP.parse().unwrap()])
        .allow_methods([Method::GET])
        .allow_headers(PAYMENTS)
        .expose_headers(ANSWERS);
    Router::new().route("/paid", get(async || "paid for")).layer(Paywall::from(engine)).layer(cors)
}

async fn send(app: &Router, request: http::request::Builder) -> Response {
    app.clone().oneshot(request.header(ORIGIN, APP).body(Body::empty()).unwrap()).await.unwrap()
}

#[track_caller]
fn assert_readable(response: &Response, header: &str) {
    assert_eq!(response.headers()["access-control-allow-origin"], APP);
    let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.split(',').any(|name| name.trim() == header), "{header} in {exposed}");
    assert!(response.headers().contains_key(header), "{header} is there to be read");
    let vary: Vec<_> = response.headers().get_all("vary").iter().map(|vary| vary.to_str().unwrap()).collect();
    let vary = vary.join(", ").to_lowercase();
    assert!(vary.contains("origin") && vary.contains("payment-signature"), "{vary}");
}

#[tokio::test]
async fn a_preflight_never_meets_the_paywall() {
    let preflight = Request::options("/paid")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "payment-signature");
    let response = send(&app(), preflight).await;
    assert_eq!(response.status(), StatusCode::OK);
    let allowed = response.headers()["access-control-allow-headers"].to_str().unwrap().to_lowercase();
    assert!(allowed.contains("payment-signature") && allowed.contains("x-payment"), "{allowed}");
}

#[tokio::test]
async fn a_script_reads_the_terms_and_the_receipt() {
    let app = app();
    let challenge = send(&app, Request::get("/paid")).await;
    assert_eq!(challenge.status(), StatusCode::PAYMENT_REQUIRED);
    assert_readable(&challenge, "payment-required");

    let payment = TestPayer::new("browser").pay_v2(challenge.headers()["payment-required"].as_bytes());
    let paid = send(&app, Request::get("/paid").header("payment-signature", payment.as_ref())).await;
    assert_eq!(paid.status(), StatusCode::OK);
    assert_readable(&paid, "payment-response");
}
