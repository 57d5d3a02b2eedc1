//! The same payment again: joined, replayed, resumed, refused; never charged or delivered twice.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use x402_core::{
    Outcome, SettleTiming,
    order::MAX_ATTEMPTS,
    testing::{SettleAnswer, VerifyAnswer},
};

use crate::support::{Request, World};

#[tokio::test]
async fn a_delivered_payment_gets_its_kept_response_again() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    let first = world.send(&request.paid(&payment)).await;
    let again = world.send(&request.paid(&payment)).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.get("idempotent-replayed").unwrap(), b"true");
    assert_eq!(again.json("payment-response"), first.json("payment-response"));
    assert_eq!(again.get("x-run").unwrap(), b"1");
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn fifty_copies_at_once_run_the_handler_once() {
    let world = Arc::new(World::new());
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    let copies: Vec<_> = (0..50)
        .map(|_| {
            let (world, paid) = (Arc::clone(&world), paid.clone());
            tokio::spawn(async move { world.send(&paid).await })
        })
        .collect();
    for copy in copies {
        let answer = copy.await.unwrap();
        assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]));
    }
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
    assert_eq!(world.facilitator.settle_calls(), 1);
}

#[tokio::test]
async fn a_payment_is_for_the_request_it_was_first_presented_for() {
    let world = World::new();
    let oslo = Request::get("/weather/oslo");
    let v1 = world.payer.pay_v1(&world.send(&oslo).await.body);
    assert_eq!(world.send(&oslo.paid_v1(&v1)).await.status, 200);
    for other in ["/weather/rome", "/same", "/weather/oslo?units=f"] {
        let answer = world.send(&Request::get(other).paid_v1(&v1)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (409, "idempotency_conflict"), "{other}");
        assert!(!answer.has("x-payment-response"), "nothing is told about somebody's order");
    }
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn requests_with_a_body_get_the_receipt_instead_of_a_response() {
    let world = World::new();
    let request = Request::new("POST", "/render");
    let payment = world.pay(&request).await;
    let first = world.send(&request.paid(&payment)).await;
    let again = world.send(&request.paid(&payment)).await;
    assert_eq!((again.status, again.reason().as_str()), (409, "payment_replayed"));
    assert_eq!(again.json("payment-response"), first.json("payment-response"));
    assert!(!again.has("payment-required"));
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn a_failing_handler_charges_nobody_and_may_be_tried_three_times() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    for _ in 0..MAX_ATTEMPTS {
        let answer = world.send_to(&request.paid(&payment), 500).await;
        assert_eq!(answer.status, 500);
        assert!(!answer.has("payment-response"));
    }
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!((answer.status, answer.reason().as_str()), (409, "handler_error"));
    assert_eq!(world.handler_runs(), usize::from(MAX_ATTEMPTS));
    assert_eq!(world.facilitator.settle_calls(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_is_not_charged_and_may_come_back() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    drop(world.enter(&request.paid(&payment)).await.unwrap());
    assert_eq!(world.send(&request.paid(&payment)).await.status, 200);
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_response_lost_on_its_way_is_owed() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::BeforeHandler] {
        let world = World::with(|builder| builder.settle(timing));
        let request = Request::new("POST", "/render");
        let payment = world.pay(&request).await;
        let ticket = world.enter(&request.paid(&payment)).await.unwrap();
        assert_eq!(ticket.context().settlement.is_some(), timing == SettleTiming::BeforeHandler);
        drop(ticket.finish(Outcome::streaming(200)).await.unwrap());

        let answer = world.send(&request.paid(&payment)).await;
        assert_eq!(answer.status, 200, "{timing:?}");
        assert!(answer.has("payment-response"));
        assert_eq!(world.send(&request.paid(&payment)).await.status, 409, "delivered now");
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
}

#[tokio::test]
async fn what_is_owed_goes_to_one_of_fifty_retries() {
    let world = Arc::new(World::with(|builder| builder.settle(SettleTiming::BeforeHandler)));
    let request = Request::new("POST", "/render");
    let payment = world.pay(&request).await;
    assert_eq!(world.send_to(&request.paid(&payment), 500).await.status, 500, "paid, and the handler failed");
    let retries: Vec<_> = (0..50)
        .map(|_| {
            let (world, paid) = (Arc::clone(&world), request.paid(&payment));
            tokio::spawn(async move { world.send(&paid).await.status })
        })
        .collect();
    let mut delivered = 0;
    for retry in retries {
        match retry.await.unwrap() {
            200 => delivered += 1,
            status => assert_eq!(status, 409),
        }
    }
    assert_eq!((delivered, world.handler_runs(), world.facilitator.transfers().len()), (1, 2, 1));
}

#[tokio::test]
async fn an_outage_after_payment_does_not_send_the_payer_to_pay_again() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.send(&request.paid(&payment)).await;
    world.clock.advance(Duration::from_secs(3600));
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]), "quote and authorization are long over");
}

#[tokio::test]
async fn knowing_a_nonce_is_not_enough_to_learn_about_its_order() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.send(&request.paid(&payment)).await;
    let text = base64_decode(&payment);
    let mut message: serde_json::Value = serde_json::from_slice(&text).unwrap();
    message["payload"]["signature"] = format!("0x{}", "11".repeat(65)).into();
    world.clock.advance(Duration::from_secs(3600));
    let answer = world.send(&request.paid(&x402_core::wire::header::encode(&message))).await;
    assert_eq!(answer.status, 402);
    assert!(!answer.has("payment-response"));
}

#[tokio::test]
async fn a_copy_waits_for_the_first_and_is_told_when_it_takes_too_long() {
    let world = Arc::new(World::with(|builder| builder.wait_in_flight(Duration::from_millis(50))));
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.facilitator.next_verify(VerifyAnswer::Hang);
    let first = tokio::spawn({
        let (world, paid) = (Arc::clone(&world), request.paid(&payment));
        async move { world.send(&paid).await }
    });
    world.facilitator.hanging(1).await;
    let copy = world.send(&request.paid(&payment)).await;
    assert_eq!((copy.status, copy.reason().as_str()), (409, "payment_in_progress"));
    assert!(copy.has("retry-after"));
    world.facilitator.release();
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_dropped_while_it_settles_is_settled_and_owed() {
    let world = Arc::new(World::new());
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.facilitator.next_settle(SettleAnswer::Hang);
    let first = tokio::spawn({
        let (world, paid) = (Arc::clone(&world), request.paid(&payment));
        async move { world.send(&paid).await }
    });
    world.facilitator.hanging(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.facilitator.release();
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]));
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

fn base64_decode(text: &Bytes) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(text).unwrap()
}

#[tokio::test]
async fn a_handler_that_outlives_its_lease_is_paid_if_nobody_came_for_the_order() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
    world.clock.advance(Duration::from_secs(45));
    assert_eq!(world.run(ticket, 200).await.status, 200);
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_handler_that_was_overtaken_neither_settles_nor_delivers() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    let slow = world.enter(&paid).await.unwrap();
    world.clock.advance(Duration::from_secs(45));
    let quick = world.enter(&paid).await.unwrap();
    let late = world.run(slow, 200).await;
    assert_eq!((late.status, late.has("payment-response")), (503, false));
    assert_eq!(world.facilitator.transfers().len(), 0);
    assert_eq!(world.run(quick, 200).await.status, 200);
    assert_eq!(world.facilitator.transfers().len(), 1);
}
