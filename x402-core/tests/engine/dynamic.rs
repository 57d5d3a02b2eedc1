//! Prices computed per request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use x402_core::{
    error::BoxError,
    head::RequestFacts,
    price::{Price, Prices},
    testing::{FakeClock, FakeFacilitator},
    time::UnixSeconds,
};

use crate::support::{NETWORK, NOW, PAY_TO, Request, World};

fn world(calls: &Arc<AtomicUsize>) -> World {
    let calls = Arc::clone(calls);
    let price = Price::dynamic(move |request| {
        let calls = Arc::clone(&calls);
        async move { dearer(&request, calls.fetch_add(1, Ordering::SeqCst) + 1) }
    });
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /weather/{city}", price)
        .build()
        .unwrap();
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    World::over(prices, FakeFacilitator::new().with_local_proof().with_witness(), clock, |builder| builder)
}

/// Every call is dearer than the one before.
fn dearer(request: &RequestFacts, call: usize) -> Result<Price, BoxError> {
    match request.param("city") {
        Some("nowhere") => Err("no such city".into()),
        _ => Ok(Price::usd(&format!("0.00{call}"))?),
    }
}

#[tokio::test]
async fn a_quoted_price_is_honoured_and_not_computed_again() {
    let calls = Arc::default();
    let world = world(&calls);
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    assert_eq!(world.send(&request).await.json("payment-required")["accepts"][0]["amount"], "2000");
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.paid.unwrap().amount.to_string(), "1000");
    assert_eq!(calls.load(Ordering::SeqCst), 2, "once per challenge");
}

#[tokio::test]
async fn a_payment_refused_for_another_reason_gets_a_challenge_with_the_price_of_now() {
    let calls = Arc::default();
    let world = world(&calls);
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.clock.advance(std::time::Duration::from_secs(100));
    let late = x402_core::testing::TestPayer::new("late").clock(FakeClock::new(UnixSeconds::new(NOW - 290)));
    let unpaid = world.send(&request).await;
    let answer = world.send(&request.paid(&late.pay_v2(unpaid.get("payment-required").unwrap()))).await;
    assert_eq!(answer.reason(), "invalid_exact_evm_payload_authorization_valid_before");
    assert_eq!(answer.json("payment-required")["accepts"][0]["amount"], "3000");
    assert_eq!(world.send(&request.paid(&payment)).await.status, 200);
}

#[tokio::test]
async fn a_price_that_cannot_be_computed_is_503() {
    let world = world(&Arc::default());
    let answer = world.send(&Request::get("/weather/nowhere")).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "price_unavailable"));
    assert!(answer.has("retry-after"));
}

#[tokio::test]
async fn version_1_pays_what_the_price_is_when_it_pays() {
    let world = world(&Arc::default());
    let request = Request::get("/weather/oslo");
    let v1 = world.payer.pay_v1(&world.send(&request).await.body);
    let answer = world.send(&request.paid_v1(&v1)).await;
    assert_eq!(answer.status, 402, "the price has moved, and version 1 cannot bring a quote back");
}
