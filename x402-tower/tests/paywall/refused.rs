use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use tower::{Service, ServiceExt};
use x402_tower::core::{
    testing::{FakeFacilitator, TestPayer, header},
    wire::{header::decode_json, v2::PaymentRequired},
};

use crate::support::{Answer, behind, get, payment, text, with};

fn service() -> impl Service<
    http::Request<http_body_util::Empty<Bytes>>,
    Response = Answer<Full<Bytes>>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone {
    behind(&FakeFacilitator::new(), |_| async { Response::new(Full::new(Bytes::from_static(b"secret"))) })
}

#[tokio::test]
async fn an_unpaid_request_is_told_the_price_in_both_dialects() {
    let response = service().oneshot(get("/paid")).await.unwrap();
    assert_eq!(response.status(), 402);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(response.headers().contains_key("payment-required"));
    let body = text(response).await;
    assert!(body.contains("maxAmountRequired") && body.contains("\"10000\""), "{body}");
}

#[tokio::test]
async fn other_methods_are_answered_by_the_paywall() {
    let cases = [(Method::HEAD, 402), (Method::DELETE, 405), (Method::OPTIONS, 204)];
    for (method, status) in cases {
        let mut request = get("/paid");
        *request.method_mut() = method.clone();
        let response = service().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{method}");
        assert_eq!(response.headers().contains_key("allow"), status != 402, "{method}");
    }
}

#[tokio::test]
async fn bad_headers_and_paths_are_400() {
    let service = service();
    let good = payment(&service, "/paid", &TestPayer::new("alice")).await;
    let cases = [
        with(get("/paid"), "payment-signature", b"not base64!"),
        with(with(get("/paid"), "payment-signature", &good), "payment-signature", &good),
        with(with(get("/paid"), "payment-signature", &good), "x-payment", &good),
        get("/free/../paid"),
        get("/%70aid/"),
    ];
    for request in cases {
        let shown = format!("{request:?}");
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 400, "{shown}");
        assert!(!response.headers().contains_key("payment-required"));
        assert!(text(response).await.contains("error"));
    }
}

#[tokio::test]
async fn a_payment_for_somebody_else_is_refused_with_a_fresh_challenge() {
    let service = service();
    let challenge = service.clone().oneshot(get("/paid")).await.unwrap();
    let required = challenge.headers()["payment-required"].as_bytes().to_vec();
    let payer = TestPayer::new("alice");
    let mut asked: PaymentRequired = decode_json(&required, 8192).unwrap();
    asked.accepts[0].pay_to = "0x1111111111111111111111111111111111111111".into();
    let header = header(&payer.answer_v2(&asked));
    let response = service.oneshot(with(get("/paid"), "payment-signature", &header)).await.unwrap();
    assert_eq!(response.status(), 402);
    assert!(response.headers().contains_key("payment-required"));
}
