//! Handlers and bodies as axum makes them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Body, http::StatusCode, routing::get as on_get};
use http_body::Body as _;
use x402_axum::core::testing::{FakeFacilitator, TestPayer};

use crate::support::{paying, payment, paywall, request, send, text};

#[tokio::test]
async fn handlers_that_fail_or_panic_charge_nobody() {
    let facilitator = FakeFacilitator::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move || {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_ne!(run, 0, "on purpose");
            if run == 1 { Err(StatusCode::BAD_GATEWAY) } else { Ok("at last") }
        }
    };
    let app = Router::new().route("/paid", on_get(handler)).layer(paywall(&facilitator));
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    for status in [500, 502, 200] {
        assert_eq!(send(&app, paying("/paid", &header)).await.status(), status);
    }
    assert_eq!(facilitator.transfers().len(), 1);
    let replayed = send(&app, paying("/paid", &header)).await;
    assert_eq!(replayed.headers()["idempotent-replayed"], "true");
    assert_eq!(text(replayed).await, "at last");
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn lengths_survive_and_head_is_paid_for() {
    let facilitator = FakeFacilitator::new();
    let app = Router::new().route("/paid", on_get(async || "hello")).layer(paywall(&facilitator));
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    let response = send(&app, paying("/paid", &header)).await;
    assert_eq!(response.headers()["content-length"], "5");
    assert_eq!(response.body().size_hint().exact(), Some(5));
    let mut head = request("HEAD", "/paid");
    let header = payment(&app, "/paid", &TestPayer::new("bob")).await;
    head.headers_mut().insert("payment-signature", header.as_ref().try_into().unwrap());
    let response = send(&app, head).await;
    assert_eq!(response.status(), 200);
    assert_eq!(text(response).await, "");
    assert_eq!(facilitator.transfers().len(), 2);
}

#[tokio::test]
async fn the_body_of_a_request_reaches_its_handler() {
    let facilitator = FakeFacilitator::new();
    let app = Router::new()
        .route("/paid", on_get(async || "x").post(async |body: String| body))
        .layer(paywall(&facilitator));
    let challenge = send(&app, request("POST", "/paid")).await;
    let header = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
    let mut post = request("POST", "/paid");
    post.headers_mut().insert("payment-signature", header.as_ref().try_into().unwrap());
    *post.body_mut() = Body::from("ping");
    let response = send(&app, post).await;
    assert_eq!(text(response).await, "ping");
    assert_eq!(facilitator.transfers().len(), 1);
}
