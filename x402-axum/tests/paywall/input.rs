//! `Paid<E>`: input first, then money.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    routing::{get as on_get, post},
};
use bytes::Bytes;
use tower::Layer as _;
use x402_axum::{
    Engine, EngineBuilder, Paid, Paywall, Price, PriceRule, Prices, SettleTiming,
    core::{
        price::PriceOption,
        testing::{FakeFacilitator, TestPayer},
    },
};

use crate::support::{send, text};

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

/// A shop that sells eggs by the number in the body; `fail` makes its handler fail.
fn app(facilitator: &FakeFacilitator) -> (Router, Arc<AtomicUsize>) {
    behind(Paywall::from(engine(facilitator)))
}

fn behind(paywall: Paywall) -> (Router, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let sell = move |paid: Paid<Eggs>| {
        counted.fetch_add(1, Ordering::SeqCst);
        let settled = paid.payment.settlement.is_some();
        async move {
            let eggs = paid.input.0;
            if eggs == 13 {
                return Err(StatusCode::SERVICE_UNAVAILABLE);
            }
            Ok(format!("{eggs} eggs, settled: {settled}"))
        }
    };
    let on_shelf = {
        let sell = sell.clone();
        async move |Path(_shelf): Path<u32>, paid: Paid<Eggs>| sell(paid).await
    };
    let app = Router::new()
        .route("/orders/{shelf}", post(on_shelf))
        .route("/bound", post(sell.clone()))
        .route("/after", post(sell.clone()))
        .route("/early", post(sell))
        .route("/late/parts/{eggs}", on_get(async |paid: Paid<Path<u32>>| format!("{} eggs", paid.input.0)))
        .route("/late/forgot", on_get(async || "for nothing"))
        .route("/late/refuses", on_get(async || StatusCode::NOT_FOUND))
        .route(
            "/late/panics",
            on_get(async || {
                if true {
                    panic!("on purpose")
                }
            }),
        )
        .route("/late/twice", post(async |paid: Paid<Paid<Eggs>>| paid.input.input.0.to_string()))
        .route(
            "/late/swallows",
            post(async |paid: Result<Paid<Eggs>, _>| {
                let _: Result<Paid<Eggs>, x402_axum::PaidRejection<StatusCode>> = paid;
                "for nothing"
            }),
        )
        .route(
            "/late/forged",
            on_get(async || (StatusCode::GONE, [("payment-response", "e30=")], "for nothing")),
        )
        .route("/late/sample", on_get(async || ([("x-sample", "1")], "half an egg")))
        .route(
            "/metered",
            post(async |paid: Paid<Eggs>| {
                paid.charge
                    .set(u64::from(paid.input.0) * 2_500)
                    .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
                Ok::<_, StatusCode>(format!("{} eggs", paid.input.0))
            }),
        )
        .layer(paywall);
    (app, runs)
}

struct Eggs(u32);

impl<S: Send + Sync> axum::extract::FromRequest<S> for Eggs {
    type Rejection = StatusCode;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, StatusCode> {
        let text = String::from_request(request, state).await.map_err(|_| StatusCode::BAD_REQUEST)?;
        text.parse().map(Self).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)
    }
}

fn order(path: &str, eggs: &'static str, payment: Option<&Bytes>) -> Request<Body> {
    let mut request = Request::post(path);
    if let Some(payment) = payment {
        request = request.header("payment-signature", &payment[..]);
    }
    request.body(Body::from(eggs)).unwrap()
}

async fn payment(app: &Router, payer: &TestPayer, request: Request<Body>) -> Bytes {
    let challenge = send(app, request).await;
    assert_eq!(challenge.status(), 402);
    assert_eq!(challenge.headers()["cache-control"], "no-store");
    payer.pay_v2(challenge.headers()["payment-required"].as_bytes())
}

#[tokio::test]
async fn bad_input_is_refused_before_money_is_asked_for() {
    let (facilitator, alice) = (FakeFacilitator::new(), TestPayer::new("alice"));
    let (app, runs) = app(&facilitator);
    let unpaid = send(&app, order("/orders/1", "some", None)).await;
    assert_eq!(unpaid.status(), 422);
    assert!(!unpaid.headers().contains_key("payment-required"));
    assert_eq!(unpaid.headers()["vary"], "PAYMENT-SIGNATURE, X-PAYMENT");
    // What its other arguments refuse comes before, too.
    assert_eq!(send(&app, order("/orders/top", "2", None)).await.status(), 400);

    let header = payment(&app, &alice, order("/orders/1", "2", None)).await;
    assert_eq!(send(&app, order("/orders/1", "some", Some(&header))).await.status(), 422);
    assert_eq!(send(&app, order("/orders/top", "2", Some(&header))).await.status(), 400);
    assert_eq!((runs.load(Ordering::SeqCst), facilitator.verify_calls()), (0, 0));

    let sold = send(&app, order("/orders/1", "2", Some(&header))).await;
    assert_eq!(sold.status(), 200);
    assert_eq!(sold.headers()["cache-control"], "private, no-store");
    assert!(sold.headers().contains_key("payment-response"));
    assert_eq!(text(sold).await, "2 eggs, settled: true");
    assert_eq!((runs.load(Ordering::SeqCst), facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn input_may_come_from_the_head_alone() {
    let (facilitator, alice) = (FakeFacilitator::new(), TestPayer::new("alice"));
    let (app, _) = app(&facilitator);
    let ask = |eggs: &str| Request::get(format!("/late/parts/{eggs}")).body(Body::empty()).unwrap();
    assert_eq!(send(&app, ask("some")).await.status(), 400);
    let header = payment(&app, &alice, ask("2")).await;
    let mut paid = ask("2");
    paid.headers_mut().insert("payment-signature", header[..].try_into().unwrap());
    assert_eq!(text(send(&app, paid).await).await, "2 eggs");
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn what_nobody_paid_for_never_leaves() {
    let (facilitator, alice) = (FakeFacilitator::new(), TestPayer::new("alice"));
    let (app, _) = app(&facilitator);
    let header = payment(&app, &alice, order("/orders/1", "2", None)).await;
    for (path, status) in
        [("/late/forgot", 500), ("/late/refuses", 404), ("/late/panics", 500), ("/late/missing", 404)]
    {
        for paying in [false, true] {
            let mut request = Request::get(path);
            if paying {
                request = request.header("payment-signature", &header[..]);
            }
            let answer = send(&app, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status(), status, "{path}");
            assert_ne!(text(answer).await, "for nothing");
        }
    }
    // A handler that runs without having been paid gets its client's answer from the paywall.
    let header = payment(&app, &alice, order("/late/swallows", "2", None)).await;
    assert_eq!(send(&app, order("/late/swallows", "some", None)).await.status(), 500);
    assert_eq!(facilitator.transfers().len(), 0);
    assert_eq!(text(send(&app, order("/late/swallows", "2", Some(&header))).await).await, "for nothing");
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn what_the_seller_sells_never_leaves_unpaid_whatever_its_status() {
    let facilitator = FakeFacilitator::new();
    let sold = builder(&facilitator).success(|status, headers| {
        (status < 400 || status == 404) && !headers.iter().any(|(name, _)| name == "x-sample")
    });
    let (app, _) = behind(Paywall::from(sold.build().unwrap()));
    for (path, status) in
        [("/late/refuses", 500), ("/late/missing", 500), ("/late/forgot", 500), ("/late/sample", 200)]
    {
        let answer = send(&app, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), status, "{path}");
        assert!(!answer.headers().contains_key("payment-required"));
    }
    assert_eq!(send(&app, order("/orders/1", "some", None)).await.status(), 422, "bad input is not sold");
    // What only the engine may set makes no difference.
    let sold = builder(&facilitator)
        .success(|_, headers| !headers.iter().any(|(name, _)| name == "payment-response"));
    let (app, _) = behind(Paywall::from(sold.build().unwrap()));
    let forged = send(&app, Request::get("/late/forged").body(Body::empty()).unwrap()).await;
    assert_eq!(forged.status(), 500);
    assert_eq!((facilitator.verify_calls(), facilitator.transfers().len()), (0, 0));
}

#[tokio::test]
async fn what_was_used_is_charged_by_what_the_handler_says_of_its_input() {
    let (facilitator, alice) = (FakeFacilitator::new(), TestPayer::new("alice"));
    let (app, _) = app(&facilitator);
    assert_eq!(send(&app, order("/metered", "some", None)).await.status(), 422);
    let header = payment(&app, &alice, order("/metered", "2", None)).await;
    for (eggs, status) in [("some", 422), ("9", 413), ("2", 200)] {
        assert_eq!(send(&app, order("/metered", eggs, Some(&header))).await.status(), status, "{eggs}");
    }
    let charged: Vec<_> = facilitator.transfers().iter().map(|transfer| transfer.amount).collect();
    assert_eq!(charged, [5_000_u64.into()]);
}

#[tokio::test]
async fn misplaced_it_charges_nobody() {
    let (facilitator, alice) = (FakeFacilitator::new(), TestPayer::new("alice"));
    let (app, runs) = app(&facilitator);
    let twice = send(&app, order("/late/twice", "2", None)).await;
    assert_eq!(twice.status(), 500);
    assert_eq!(text(twice).await, "handler is paid once, and takes more than one `Paid`");
    // Its price is asked for before the handler.
    let header = payment(&app, &alice, order("/early", "some", None)).await;
    assert_eq!(send(&app, order("/early", "2", Some(&header))).await.status(), 500);

    let inner = Paywall::from(engine(&facilitator)).charge("$0.05").unwrap();
    let nested = Router::new().route("/late/inner", post(async || "two eggs")).layer(inner);
    let nested = Paywall::from(engine(&facilitator)).layer(nested);
    let nested = Router::new().fallback_service(nested);
    assert_eq!(send(&nested, order("/late/inner", "2", None)).await.status(), 500);
    assert_eq!((runs.load(Ordering::SeqCst), facilitator.transfers().len()), (0, 0));
}

#[tokio::test]
async fn a_bound_body_is_part_of_what_is_paid_for() {
    let (facilitator, alice) = (FakeFacilitator::new(), TestPayer::new("alice"));
    let (app, runs) = app(&facilitator);
    let header = payment(&app, &alice, order("/bound", "2", None)).await;
    for (eggs, status) in [("some", 422), ("2", 200), ("2", 200), ("10", 409), ("some", 422)] {
        assert_eq!(send(&app, order("/bound", eggs, Some(&header))).await.status(), status, "{eggs}");
    }
    let again = send(&app, order("/bound", "2", Some(&header))).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(text(again).await, "2 eggs, settled: true");
    let long: &'static str = Box::leak("1".repeat(1001).into_boxed_str());
    assert_eq!(send(&app, order("/bound", long, Some(&header))).await.status(), 413);
    assert_eq!((runs.load(Ordering::SeqCst), facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn a_handler_that_fails_is_owed_where_it_was_settled_before() {
    let (facilitator, alice) = (FakeFacilitator::new(), TestPayer::new("alice"));
    let (app, runs) = app(&facilitator);
    for (path, charged) in [("/orders/1", 1), ("/after", 1)] {
        let header = payment(&app, &alice, order(path, "2", None)).await;
        assert_eq!(send(&app, order(path, "13", Some(&header))).await.status(), 503, "{path}");
        assert_eq!(facilitator.transfers().len(), charged, "{path}");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    let header = payment(&app, &alice, order("/after", "2", None)).await;
    assert_eq!(text(send(&app, order("/after", "2", Some(&header))).await).await, "2 eggs, settled: false");
    assert_eq!(facilitator.transfers().len(), 2);
}
