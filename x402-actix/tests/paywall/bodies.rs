use actix_web::{
    App, HttpResponse,
    test::{TestRequest, init_service},
    web,
};
use bytes::Bytes;
use x402_actix::{
    Engine, Paywall, PriceRule, Prices,
    core::testing::{FakeFacilitator, TestPayer},
};

use crate::support::{payment_of, send, settle_down};

fn paywall(facilitator: &FakeFacilitator) -> Paywall {
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("POST /bound", PriceRule::new("$0.01").bind_body(10))
        .charge("POST /loose", "$0.01")
        .build()
        .unwrap();
    Paywall::from(Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap())
}

fn post(path: &str, payment: Option<&Bytes>, body: &'static str) -> TestRequest {
    let request =
        TestRequest::post().uri(path).append_header(("transfer-encoding", "chunked")).set_payload(body);
    match payment {
        Some(payment) => request.append_header(("payment-signature", &payment[..])),
        None => request,
    }
}

#[actix_web::test]
async fn the_handler_gets_the_body_that_was_bound() {
    let facilitator = FakeFacilitator::new();
    let echo = async |body: Bytes| HttpResponse::Ok().body(body);
    let app = App::new().wrap(paywall(&facilitator)).route("/bound", web::post().to(echo));
    let app = init_service(app).await;
    let payment = payment_of(&send(&app, post("/bound", None, "hello")).await, &TestPayer::new("alice"));
    for (body, status) in [("ten bytes and more", 413), ("hello", 200), ("hello", 200), ("world", 409)] {
        let answer = send(&app, post("/bound", Some(&payment), body)).await;
        assert_eq!(answer.status, status, "{body}");
        if status == 200 {
            assert_eq!(answer.body, "hello");
        }
        settle_down().await;
    }
    assert_eq!(facilitator.transfers().len(), 1);
}

#[actix_web::test]
async fn a_body_that_is_not_bound_goes_through_as_it_came() {
    let facilitator = FakeFacilitator::new();
    let echo = async |body: Bytes| HttpResponse::Ok().body(body);
    let app = App::new().wrap(paywall(&facilitator)).route("/loose", web::post().to(echo));
    let app = init_service(app).await;
    let payment = payment_of(&send(&app, post("/loose", None, "")).await, &TestPayer::new("alice"));
    let answer = send(&app, post("/loose", Some(&payment), "more than ten bytes")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "more than ten bytes"));
}
