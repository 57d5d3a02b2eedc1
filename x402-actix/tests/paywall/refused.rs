use actix_web::{App, HttpResponse, test::init_service, web};
use x402_actix::core::testing::{FakeFacilitator, TestPayer};

use crate::support::{get, paying, payment, paywall, request, send};

#[actix_web::test]
async fn free_requests_pass_untouched() {
    let handler =
        async || HttpResponse::Ok().insert_header(("payment-response", "the handler's own")).body("hello");
    let app = App::new().wrap(paywall(&FakeFacilitator::new())).route("/api/health", web::get().to(handler));
    let app = init_service(app).await;
    let answer = send(&app, get("/api/health")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    assert_eq!(answer.header("payment-response"), "the handler's own");
    assert!(!answer.has("vary") && !answer.has("cache-control"));
}

#[actix_web::test]
async fn an_unpaid_request_is_told_the_price_in_both_dialects() {
    let app =
        App::new().wrap(paywall(&FakeFacilitator::new())).route("/paid", web::route().to(async || "secret"));
    let app = init_service(app).await;
    let answer = send(&app, get("/paid")).await;
    assert_eq!(answer.status, 402);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.has("payment-required"));
    assert!(answer.body.contains("maxAmountRequired") && answer.body.contains("\"10000\""));
    for (method, status) in [("HEAD", 402), ("DELETE", 405), ("OPTIONS", 204)] {
        let answer = send(&app, request(method, "/paid")).await;
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.has("allow"), status != 402, "{method}");
    }
}

#[actix_web::test]
async fn bad_headers_and_paths_are_400() {
    let app =
        App::new().wrap(paywall(&FakeFacilitator::new())).route("/paid", web::get().to(async || "secret"));
    let app = init_service(app).await;
    let good = payment(&app, "/paid", &TestPayer::new("alice")).await;
    let cases = [
        paying("/paid", &"not base64!".into()),
        paying("/paid", &good).append_header(("payment-signature", good.as_ref())),
        paying("/paid", &good).append_header(("x-payment", good.as_ref())),
        get("/api/../paid"),
        get("/paid/"),
        get("/%70aid"),
    ];
    for case in cases {
        let answer = send(&app, case).await;
        assert_eq!(answer.status, 400);
        assert!(!answer.has("payment-required") && answer.body.contains("error"));
    }
}
