use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix_web::{App, HttpResponse, error, http::StatusCode, test::init_service, web};
use x402_actix::{
    PaidContext,
    core::{
        error::RejectReason,
        testing::{FakeFacilitator, SettleAnswer, TestPayer},
    },
};

use crate::support::{get, paying, payment, paywall, send};

async fn who(paid: PaidContext) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("cache-control", "public, max-age=3600"))
        .insert_header(("payment-response", "forged"))
        .insert_header(("vary", "accept"))
        .body(format!("{} paid, settled: {}", paid.payer, paid.settlement.is_some()))
}

#[actix_web::test]
async fn a_paid_request_reaches_its_handler_in_both_timings_and_gets_a_receipt() {
    let facilitator = FakeFacilitator::new();
    let app = App::new()
        .wrap(paywall(&facilitator))
        .route("/paid", web::get().to(who))
        .route("/early", web::get().to(who));
    let app = init_service(app).await;
    let alice = TestPayer::new("alice");
    for (path, settled) in [("/paid", "settled: false"), ("/early", "settled: true")] {
        let header = payment(&app, path, &alice).await;
        let answer = send(&app, paying(path, &header)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), "private, no-store");
        assert_ne!(answer.header("payment-response"), "forged");
        let vary: Vec<_> = answer.headers.get_all("vary").map(|value| value.to_str().unwrap()).collect();
        assert_eq!(vary, ["accept", "PAYMENT-SIGNATURE, X-PAYMENT"]);
        let body = answer.body.to_lowercase();
        assert!(
            body.starts_with(&alice.address().to_string().to_lowercase()) && body.ends_with(settled),
            "{body}"
        );
    }
    assert_eq!(facilitator.transfers().len(), 2);
}

#[actix_web::test]
async fn version_1_is_answered_in_version_1() {
    let app = App::new().wrap(paywall(&FakeFacilitator::new())).route("/paid", web::get().to(who));
    let app = init_service(app).await;
    let challenge = send(&app, get("/paid")).await;
    let header = TestPayer::new("alice").pay_v1(challenge.body.as_bytes());
    let answer = send(&app, get("/paid").append_header(("x-payment", header.as_ref()))).await;
    assert_eq!(answer.status, 200);
    assert!(answer.has("x-payment-response"));
}

#[actix_web::test]
async fn handlers_that_fail_charge_nobody_and_the_kept_response_is_sent_again() {
    let facilitator = FakeFacilitator::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move || {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_ne!(run, 0, "on purpose");
            if run == 1 { Err(error::ErrorImATeapot("teapot")) } else { Ok("at last") }
        }
    };
    let app =
        init_service(App::new().wrap(paywall(&facilitator)).route("/paid", web::get().to(handler))).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    for (status, body) in
        [(500, "{\"error\":\"handler_failed\"}"), (418, "teapot"), (200, "at last"), (200, "at last")]
    {
        let answer = send(&app, paying("/paid", &header)).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
        assert_eq!(answer.has("payment-response"), status == 200);
    }
    assert_eq!(send(&app, paying("/paid", &header)).await.header("idempotent-replayed"), "true");
    assert_eq!(send(&app, paying("/paid?other", &header)).await.status, 409);
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    assert_eq!(facilitator.transfers().len(), 1);
}

#[actix_web::test]
async fn errors_of_inner_middleware_pass_and_charge_nobody() {
    let facilitator = FakeFacilitator::new();
    let refuse = actix_web::middleware::from_fn(
        async |_: actix_web::dev::ServiceRequest,
               _: actix_web::middleware::Next<actix_web::body::BoxBody>|
               -> Result<actix_web::dev::ServiceResponse, actix_web::Error> {
            Err(error::ErrorForbidden("not you"))
        },
    );
    let app = App::new().wrap(refuse).wrap(paywall(&facilitator)).route("/paid", web::get().to(who));
    let app = init_service(app).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    let answer = send(&app, paying("/paid", &header)).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "not you"));
    assert_eq!(facilitator.settle_calls(), 0);
}

#[actix_web::test]
async fn a_response_whose_settlement_fails_is_withheld() {
    let facilitator = FakeFacilitator::new();
    let app = App::new().wrap(paywall(&facilitator)).route(
        "/paid",
        web::get().to(async || HttpResponse::Ok().insert_header(("etag", "\"leak\"")).body("secret")),
    );
    let app = init_service(app).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
    let answer = send(&app, paying("/paid", &header)).await;
    assert_eq!(answer.status, 402);
    assert!(!answer.has("etag") && !answer.body.contains("secret"));
}

#[actix_web::test]
async fn without_a_paywall_a_handler_that_asks_who_paid_does_not_run() {
    let app = App::new().wrap(paywall(&FakeFacilitator::new())).route("/open", web::get().to(who)).route(
        "/maybe",
        web::get().to(async |paid: Option<PaidContext>| if paid.is_some() { "paid" } else { "free" }),
    );
    let app = init_service(app).await;
    assert_eq!(send(&app, get("/open")).await.status, StatusCode::INTERNAL_SERVER_ERROR.as_u16());
    assert_eq!(send(&app, get("/maybe")).await.body, "free");
}
