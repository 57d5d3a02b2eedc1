//! `Paid<E>`: input first, then money.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_http::Request;
use actix_web::{
    App, Error, FromRequest, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{Payload, Service, ServiceResponse},
    error,
    http::header::HeaderValue,
    test::init_service,
    web,
};
use bytes::Bytes;
use x402_actix::{
    Engine, EngineBuilder, Paid, Paywall, Price, PriceRule, Prices, SettleTiming,
    core::{
        price::PriceOption,
        testing::{FakeFacilitator, TestPayer},
    },
};

use crate::support::{Answer, payment_of, request, send};

fn engine(facilitator: &FakeFacilitator) -> Engine {
    builder(facilitator).build().unwrap()
}

fn builder(facilitator: &FakeFacilitator) -> EngineBuilder {
    let late = || PriceRule::new("$0.01").after_input();
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let account = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
    let pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
    let ceiling = PriceOption::new("eip155:84532".parse().unwrap(), usdc, 10_000_u64, pay_to).upto(account);
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("POST /orders/{shelf}", late())
        .charge("POST /bound", late().bind_body(1000))
        .charge("POST /after", late().settle(SettleTiming::AfterHandler))
        .charge("GET,POST /late/{*rest}", late())
        .charge("POST /early", "$0.01")
        .charge("POST /metered", PriceRule::new(Price::options(vec![ceiling])).after_input())
        .build()
        .unwrap();
    Engine::builder(prices).facilitator(facilitator.clone())
}

/// A shop that sells eggs by the number in the body; thirteen make its handler fail.
async fn app(
    facilitator: FakeFacilitator,
) -> (impl Service<Request, Response = ServiceResponse<impl MessageBody>, Error = Error>, Arc<AtomicUsize>) {
    behind(engine(&facilitator)).await
}

async fn behind(
    engine: Engine,
) -> (impl Service<Request, Response = ServiceResponse<impl MessageBody>, Error = Error>, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let sell = move |paid: Paid<web::Json<u32>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        let (eggs, settled) = (paid.input.0, paid.payment.settlement.is_some());
        ready(if eggs == 13 {
            HttpResponse::ServiceUnavailable().finish()
        } else {
            HttpResponse::Ok().body(format!("{eggs} eggs, settled: {settled}"))
        })
    };
    let on_shelf = {
        let sell = sell.clone();
        // Extracted after `Paid`, and refused before it pays.
        move |paid: Paid<web::Json<u32>>, _shelf: web::Path<u32>| sell(paid)
    };
    let inner = Paywall::from(engine.clone()).charge("$0.05").unwrap();
    let app = App::new()
        .wrap(Paywall::from(engine))
        .route("/orders/{shelf}", web::post().to(on_shelf))
        .route("/bound", web::post().to(sell.clone()))
        .route("/after", web::post().to(sell.clone()))
        .route("/early", web::post().to(sell))
        .route("/late/forgot", web::post().to(async || "for nothing"))
        .route("/late/refuses", web::post().to(async || HttpResponse::NotFound()))
        .route(
            "/late/sample",
            web::post().to(async || HttpResponse::Ok().insert_header(("x-sample", "1")).body("half an egg")),
        )
        .route(
            "/late/forged",
            web::post().to(async || {
                HttpResponse::Gone().insert_header(("payment-response", "e30=")).body("for nothing")
            }),
        )
        .route(
            "/metered",
            web::post().to(async |paid: Paid<web::Json<u32>>| {
                let used = paid.charge.set(u64::from(paid.input.0) * 2_500);
                used.map(|()| format!("{} eggs", paid.input.0)).map_err(error::ErrorPayloadTooLarge)
            }),
        )
        .route("/late/errs", web::post().to(async || Err::<&str, _>(error::ErrorNotFound("none"))))
        .route("/late/panics", web::post().to(async || if true { panic!("on purpose") } else { "" }))
        .route(
            "/late/twice",
            web::post().to(async |_a: Paid<web::Json<u32>>, _b: Paid<web::Bytes>| "for nothing"),
        )
        .route(
            "/late/swallows",
            web::post().to(async |paid: Result<Paid<web::Json<u32>>, Error>| {
                drop(paid);
                "for nothing"
            }),
        )
        .route(
            "/late/tuple",
            web::post().to(async |paid: Paid<(Slow, web::Json<u32>)>| paid.input.1.to_string()),
        )
        .service(web::resource("/late/inner").wrap(inner).to(async || "for nothing"));
    (init_service(app).await, runs)
}

/// Is there only for those who have the header.
struct Slow;

impl FromRequest for Slow {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let there = request.headers().contains_key("x-session");
        ready(if there { Ok(Self) } else { Err(error::ErrorUnauthorized("no session")) })
    }
}

async fn order<S, B>(app: &S, path: &str, eggs: &str, payment: Option<&Bytes>) -> Answer
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let mut order = request("POST", path)
        .insert_header(("content-type", "application/json"))
        .insert_header(("content-length", eggs.len()))
        .set_payload(eggs.to_owned());
    if let Some(payment) = payment {
        let payment = HeaderValue::from_maybe_shared(payment.clone()).unwrap();
        order = order.append_header(("payment-signature", payment));
    }
    send(app, order).await
}

#[actix_web::test]
async fn bad_input_is_refused_before_money_is_asked_for() {
    let facilitator = FakeFacilitator::new();
    let (app, runs) = app(facilitator.clone()).await;
    let unpaid = order(&app, "/orders/1", "some", None).await;
    assert_eq!(unpaid.status, 400);
    assert!(!unpaid.has("payment-required"));
    assert_eq!(unpaid.header("vary"), "PAYMENT-SIGNATURE, X-PAYMENT");
    assert_eq!(order(&app, "/orders/top", "2", None).await.status, 404);

    let header = payment_of(&order(&app, "/orders/1", "2", None).await, &TestPayer::new("alice"));
    assert_eq!(order(&app, "/orders/1", "some", Some(&header)).await.status, 400);
    assert_eq!(order(&app, "/orders/top", "2", Some(&header)).await.status, 404);
    assert_eq!((runs.load(Ordering::SeqCst), facilitator.verify_calls()), (0, 0));

    let sold = order(&app, "/orders/1", "2", Some(&header)).await;
    assert_eq!((sold.status, sold.body.as_str()), (200, "2 eggs, settled: true"));
    assert_eq!(sold.header("cache-control"), "private, no-store");
    assert!(sold.has("payment-response"));
    assert_eq!((runs.load(Ordering::SeqCst), facilitator.transfers().len()), (1, 1));

    assert_eq!(order(&app, "/late/tuple", "2", None).await.status, 401);
}

#[actix_web::test]
async fn what_nobody_paid_for_never_leaves() {
    let facilitator = FakeFacilitator::new();
    let (app, _) = app(facilitator.clone()).await;
    let alice = TestPayer::new("alice");
    let header = payment_of(&order(&app, "/orders/1", "2", None).await, &alice);
    for (path, status) in [
        ("/late/forgot", 500),
        ("/late/refuses", 404),
        ("/late/errs", 404),
        ("/late/panics", 500),
        ("/late/missing", 404),
    ] {
        for payment in [None, Some(&header)] {
            let answer = order(&app, path, "2", payment).await;
            assert_eq!(answer.status, status, "{path}");
            assert_ne!(answer.body, "for nothing");
        }
    }
    let header = payment_of(&order(&app, "/late/swallows", "2", None).await, &alice);
    assert_eq!(order(&app, "/late/swallows", "some", None).await.status, 500);
    assert_eq!(facilitator.transfers().len(), 0);
    assert_eq!(order(&app, "/late/swallows", "2", Some(&header)).await.body, "for nothing");
    assert_eq!(facilitator.transfers().len(), 1);
}

#[actix_web::test]
async fn what_the_seller_sells_never_leaves_unpaid_whatever_its_status() {
    let facilitator = FakeFacilitator::new();
    let sold = builder(&facilitator).success(|status, headers| {
        (status < 400 || status == 404) && !headers.iter().any(|(name, _)| name == "x-sample")
    });
    let (app, _) = behind(sold.build().unwrap()).await;
    for (path, status) in [
        ("/late/refuses", 500),
        ("/late/errs", 500),
        ("/late/missing", 500),
        ("/late/forgot", 500),
        ("/late/sample", 200),
        ("/late/panics", 500),
    ] {
        let answer = order(&app, path, "2", None).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.has("payment-required") && answer.body != "for nothing");
    }
    assert_eq!(order(&app, "/orders/1", "some", None).await.status, 400, "bad input is not sold");
    // What only the engine may set makes no difference.
    let sold = builder(&facilitator)
        .success(|_, headers| !headers.iter().any(|(name, _)| name == "payment-response"));
    let (app, _) = behind(sold.build().unwrap()).await;
    assert_eq!(order(&app, "/late/forged", "2", None).await.status, 500);
    assert_eq!((facilitator.verify_calls(), facilitator.transfers().len()), (0, 0));
}

#[actix_web::test]
async fn what_was_used_is_charged_by_what_the_handler_says_of_its_input() {
    let facilitator = FakeFacilitator::new();
    let (app, _) = app(facilitator.clone()).await;
    assert_eq!(order(&app, "/metered", "some", None).await.status, 400);
    let header = payment_of(&order(&app, "/metered", "2", None).await, &TestPayer::new("alice"));
    for (eggs, status) in [("some", 400), ("9", 413), ("2", 200)] {
        assert_eq!(order(&app, "/metered", eggs, Some(&header)).await.status, status, "{eggs}");
    }
    let charged: Vec<_> = facilitator.transfers().iter().map(|transfer| transfer.amount).collect();
    assert_eq!(charged, [5_000_u64.into()]);
}

#[actix_web::test]
async fn misplaced_it_charges_nobody() {
    let facilitator = FakeFacilitator::new();
    let (app, runs) = app(facilitator.clone()).await;
    let alice = TestPayer::new("alice");
    let header = payment_of(&order(&app, "/orders/1", "2", None).await, &alice);
    for payment in [None, Some(&header)] {
        let twice = order(&app, "/late/twice", "2", payment).await;
        assert_eq!(twice.status, 500);
        assert_eq!(twice.body, "handler is paid once, and takes more than one `Paid`");
        assert_eq!(order(&app, "/late/inner", "2", payment).await.status, 500);
    }
    // Its price is asked for before the handler.
    let header = payment_of(&order(&app, "/early", "some", None).await, &alice);
    assert_eq!(order(&app, "/early", "2", Some(&header)).await.status, 500);
    assert_eq!((runs.load(Ordering::SeqCst), facilitator.transfers().len()), (0, 0));
}

#[actix_web::test]
async fn a_bound_body_is_part_of_what_is_paid_for() {
    let facilitator = FakeFacilitator::new();
    let (app, runs) = app(facilitator.clone()).await;
    let header = payment_of(&order(&app, "/bound", "2", None).await, &TestPayer::new("alice"));
    for (eggs, status) in [("some", 400), ("2", 200), ("2", 200), ("10", 409), ("some", 400)] {
        assert_eq!(order(&app, "/bound", eggs, Some(&header)).await.status, status, "{eggs}");
    }
    let again = order(&app, "/bound", "2", Some(&header)).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, "2 eggs, settled: true");
    assert_eq!(order(&app, "/bound", &"1".repeat(1001), Some(&header)).await.status, 413);
    assert_eq!((runs.load(Ordering::SeqCst), facilitator.transfers().len()), (1, 1));
}

#[actix_web::test]
async fn a_handler_that_fails_is_owed_where_it_was_settled_before() {
    let facilitator = FakeFacilitator::new();
    let (app, runs) = app(facilitator.clone()).await;
    let alice = TestPayer::new("alice");
    for (path, charged) in [("/orders/1", 1), ("/after", 1)] {
        let header = payment_of(&order(&app, path, "2", None).await, &alice);
        assert_eq!(order(&app, path, "13", Some(&header)).await.status, 503, "{path}");
        assert_eq!(facilitator.transfers().len(), charged, "{path}");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    let header = payment_of(&order(&app, "/after", "2", None).await, &alice);
    assert_eq!(order(&app, "/after", "2", Some(&header)).await.body, "2 eggs, settled: false");
    assert_eq!(facilitator.transfers().len(), 2);
}
