use axum::{Router, http::StatusCode, routing::get as on_get};
use x402_axum::{
    PaidContext,
    core::testing::{FakeFacilitator, TestPayer},
};

use crate::support::{get, paying, payment, paywall, send, text};

fn app(facilitator: &FakeFacilitator) -> Router {
    let who = async |paid: PaidContext| {
        format!("{} paid {}, settled: {}", paid.payer, paid.amount, paid.settlement.is_some())
    };
    Router::new()
        .route("/paid", on_get(who))
        .route("/early", on_get(who))
        .route("/api/health", on_get(async |paid: Option<PaidContext>| paid.map_or("nobody", |_| "somebody")))
        .route("/open", on_get(who))
        .layer(paywall(facilitator))
}

#[tokio::test]
async fn a_handler_learns_who_paid_in_both_timings() {
    let facilitator = FakeFacilitator::new();
    let app = app(&facilitator);
    let alice = TestPayer::new("alice");
    for (path, settled) in [("/paid", "settled: false"), ("/early", "settled: true")] {
        let header = payment(&app, path, &alice).await;
        let response = send(&app, paying(path, &header)).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("payment-response"));
        let body = text(response).await.to_lowercase();
        assert!(body.starts_with(&alice.address().to_string().to_lowercase()), "{body}");
        assert!(body.ends_with(settled), "{body}");
    }
    assert_eq!(facilitator.transfers().len(), 2);
}

#[tokio::test]
async fn without_a_paywall_the_handler_does_not_run() {
    let app = app(&FakeFacilitator::new());
    let response = send(&app, get("/open")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(text(response).await, "route is not behind a paywall");
    assert_eq!(text(send(&app, get("/api/health")).await).await, "nobody");
}
