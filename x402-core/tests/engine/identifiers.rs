//! Payers' own names for their payments: one payment each, and never more than a name.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use x402_core::{
    error::RejectReason,
    order::MAX_ATTEMPTS,
    price::{PaymentIdentifier, PriceRule, Prices},
    testing::{FakeClock, FakeFacilitator, SettleAnswer, TestPayer, VerifyAnswer},
    time::UnixSeconds,
    wire::header::encode,
};

use crate::support::{NETWORK, NOW, PAY_TO, Request, World};

const BREAKFAST: &str = "order-of-breakfast";
const LUNCH: &str = "order-of-lunch-no-2";

/// The same payment under this name, or under none.
fn named(payment: &Bytes, id: impl Into<Value>) -> Bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut message: Value = serde_json::from_slice(&STANDARD.decode(payment).unwrap()).unwrap();
    message["extensions"]["payment-identifier"]["info"]["id"] = id.into();
    encode(&message)
}

fn nameless(payment: &Bytes) -> Bytes {
    named(payment, Value::Null)
}

async fn pay_as(world: &World, request: &Request, id: &str) -> Bytes {
    named(&world.pay(request).await, id)
}

#[tokio::test]
async fn the_402_declares_the_extension_where_it_is_offered() {
    let world = World::new();
    for (path, declared) in
        [("/weather/oslo", Value::Null), ("/named", json!(false)), ("/named/always", json!(true))]
    {
        let unpaid = world.send(&Request::get(path)).await;
        let entry = &unpaid.json("payment-required")["extensions"]["payment-identifier"];
        assert_eq!(entry["info"]["required"], declared, "{path}");
    }
}

#[tokio::test]
async fn the_table_has_a_default_that_routes_may_change() {
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .payment_identifier(PaymentIdentifier::Required)
        .charge("GET /a", "$0.001")
        .charge("GET /b", PriceRule::from("$0.001").payment_identifier(PaymentIdentifier::Off))
        .build()
        .unwrap();
    let only = prices.only("$0.002").unwrap();
    for (prices, path, offered) in [(&prices, "/a", true), (&prices, "/b", false), (&only, "/a", true)] {
        let clock = FakeClock::new(UnixSeconds::new(NOW));
        let facilitator = FakeFacilitator::new().with_local_proof().with_clock(clock.clone());
        let world = World::over(prices.clone(), facilitator, clock, |builder| builder);
        let terms = world.send(&Request::get(path)).await.json("payment-required");
        assert_eq!(terms.get("extensions").is_some(), offered, "{path}");
    }
}

#[tokio::test]
async fn a_payment_without_a_name_is_refused_where_names_are_required() {
    let world = World::new();
    let request = Request::get("/named/always");
    let payment = world.pay(&request).await;
    let echoed = world.send(&request.paid(&payment)).await;
    assert_eq!((echoed.status, echoed.reason().as_str()), (400, "payment_identifier_required"));
    let v1 = world.payer.pay_v1(&world.send(&Request::get("/named")).await.body);
    let old = world.send(&request.paid_v1(&v1)).await;
    assert_eq!(
        (old.status, old.reason().as_str()),
        (400, "payment_identifier_required"),
        "version 1 has none"
    );
    assert!(!echoed.has("payment-required"), "the same payment is good, with a name");
    let answer = world.send(&request.paid(&named(&payment, BREAKFAST))).await;
    assert_eq!(answer.status, 200);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn a_malformed_name_is_refused_where_names_are_offered_and_ignored_elsewhere() {
    let world = World::new();
    for (path, status) in [("/named", 400), ("/named/always", 400), ("/weather/oslo", 200)] {
        let request = Request::get(path);
        for id in [json!("short"), json!("has a space in the middle"), json!("a".repeat(129)), json!(7)] {
            let payment = world.pay(&request).await;
            let answer = world.send(&request.paid(&named(&payment, id.clone()))).await;
            assert_eq!(answer.status, status, "{path} {id}");
            if status == 400 {
                assert_eq!(answer.reason(), "invalid_payment_identifier");
            }
        }
    }
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (4, 4));
}

#[tokio::test]
async fn where_names_are_not_offered_two_payments_may_bring_the_same() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    for _ in 0..2 {
        assert_eq!(world.send(&request.paid(&pay_as(&world, &request, BREAKFAST).await)).await.status, 200);
    }
    assert_eq!(world.facilitator.transfers().len(), 2);
}

#[tokio::test]
async fn the_four_meetings_of_names_and_payments() {
    let world = World::new();
    let request = Request::get("/named");
    let first = pay_as(&world, &request, BREAKFAST).await;
    let answer = world.send(&request.paid(&first)).await;
    assert_eq!(answer.status, 200);

    let again = world.send(&request.paid(&first)).await;
    assert_eq!((again.status, &again.body, again.has("idempotent-replayed")), (200, &answer.body, true));

    let renamed = world.send(&request.paid(&named(&first, LUNCH))).await;
    assert_eq!((renamed.status, &renamed.body), (200, &answer.body), "what was signed is the same sale");

    let second = pay_as(&world, &request, BREAKFAST).await;
    let stolen = world.send(&request.paid(&second)).await;
    assert_eq!((stolen.status, stolen.reason().as_str()), (409, "idempotency_conflict"));
    assert!(!stolen.has("payment-response") && !stolen.has("x-run"), "nothing is told of the first");
    assert!(
        !stolen.has("retry-after") && !stolen.has("payment-required"),
        "neither waiting nor paying helps"
    );

    let other = world.send(&request.paid(&named(&second, LUNCH))).await;
    assert_eq!((other.status, &*other.body), (200, &b"run 2"[..]), "the second was not consumed");
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (2, 2));
}

#[tokio::test]
async fn payers_do_not_share_names() {
    let world = World::new();
    let request = Request::get("/named");
    let alice = pay_as(&world, &request, BREAKFAST).await;
    let terms = world.send(&request).await;
    let bob = TestPayer::new("bob").clock(world.clock.clone());
    let bob = named(&bob.pay_v2(terms.get("payment-required").unwrap()), BREAKFAST);
    let (alice, bob) = (world.send(&request.paid(&alice)).await, world.send(&request.paid(&bob)).await);
    assert_eq!((alice.status, bob.status), (200, 200));
    assert_ne!(alice.body, bob.body);
    assert_eq!(world.facilitator.transfers().len(), 2);
}

#[tokio::test]
async fn a_name_that_comes_or_goes_loses_no_payment() {
    for path in ["/named", "/named/always"] {
        let world = World::new();
        let request = Request::get(path);
        let payment = pay_as(&world, &request, BREAKFAST).await;
        // The response is lost on its way: paid, and owed.
        let ticket = world.enter(&request.paid(&payment)).await.unwrap();
        drop(ticket.finish(x402_core::Outcome::streaming(200)).await.unwrap());
        assert_eq!(world.facilitator.transfers().len(), 1);
        let answer = world.send(&request.paid(&nameless(&payment))).await;
        assert_eq!(answer.status, 200, "{path}: it is finished without its name");
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
    let world = World::new();
    let request = Request::get("/named");
    let payment = world.pay(&request).await;
    let first = world.send(&request.paid(&payment)).await;
    let again = world.send(&request.paid(&named(&payment, BREAKFAST))).await;
    assert_eq!((again.status, &again.body), (200, &first.body), "a name that comes later changes nothing");
    // Not even if it is another payment's.
    let other = pay_as(&world, &request, LUNCH).await;
    assert_eq!(world.send(&request.paid(&other)).await.status, 200);
    let again = world.send(&request.paid(&named(&payment, LUNCH))).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (2, 2));
}

#[tokio::test]
async fn of_fifty_payments_with_one_name_one_is_charged() {
    let world = Arc::new(World::new());
    let request = Request::get("/named");
    let mut sent = Vec::new();
    for number in 0..50 {
        // Each payment comes twice.
        let paid = request.paid(&pay_as(&world, &request, BREAKFAST).await);
        for _ in 0..2 {
            let (world, paid) = (Arc::clone(&world), paid.clone());
            sent.push((number, tokio::spawn(async move { world.send(&paid).await })));
        }
    }
    let mut served = Vec::new();
    for (number, answer) in sent {
        let answer = answer.await.unwrap();
        match answer.status {
            200 => served.push(number),
            _ => assert_eq!((answer.status, answer.reason().as_str()), (409, "idempotency_conflict")),
        }
    }
    assert_eq!(served.len(), 2, "one payment, and its copy");
    assert_eq!(served[0], served[1]);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn a_payment_that_is_never_charged_gives_its_name_back() {
    // Refused by the stateful checks.
    let world = World::new();
    let request = Request::get("/named");
    let poor = pay_as(&world, &request, BREAKFAST).await;
    world.facilitator.next_verify(VerifyAnswer::Reject(RejectReason::InsufficientFunds));
    assert_eq!(world.send(&request.paid(&poor)).await.status, 402);
    assert_eq!(world.send(&request.paid(&pay_as(&world, &request, BREAKFAST).await)).await.status, 200);

    // The handler failed as often as it may.
    let failed = pay_as(&world, &request, LUNCH).await;
    for left in (0..MAX_ATTEMPTS).rev() {
        assert_eq!(world.send_to(&request.paid(&failed), 500).await.status, 500);
        let newer = world.send(&request.paid(&pay_as(&world, &request, LUNCH).await)).await;
        assert_eq!(newer.status, if left > 0 { 409 } else { 200 }, "{left} attempts left");
    }
    assert_eq!(world.facilitator.transfers().len(), 2);
}

#[tokio::test]
async fn a_name_is_held_while_a_settlement_is_unclear() {
    let world = World::with(|builder| builder.wait_in_flight(Duration::from_millis(20)));
    let request = Request::get("/named");
    let first = pay_as(&world, &request, BREAKFAST).await;
    world.facilitator.next_settle(SettleAnswer::Hang);
    let second = pay_as(&world, &request, BREAKFAST).await;
    let world = Arc::new(world);
    let hanging = tokio::spawn({
        let (world, paid) = (Arc::clone(&world), request.paid(&first));
        async move { world.send(&paid).await.status }
    });
    world.facilitator.hanging(1).await;
    let answer = world.send(&request.paid(&second)).await;
    assert_eq!((answer.status, answer.reason().as_str()), (409, "idempotency_conflict"));
    world.facilitator.release();
    assert_eq!(hanging.await.unwrap(), 200);
    assert_eq!(world.facilitator.transfers().len(), 1);
}
