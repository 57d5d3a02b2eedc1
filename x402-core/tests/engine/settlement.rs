//! What becomes of the money when settling does not go smoothly.

use std::time::Duration;

use x402_core::{
    SettleTiming,
    error::RejectReason,
    testing::{EvidenceAnswer, FakeClock, FakeFacilitator, SettleAnswer},
    time::UnixSeconds,
};

use crate::support::{NOW, Request, World, prices};

const TIMINGS: [SettleTiming; 2] = [SettleTiming::AfterHandler, SettleTiming::BeforeHandler];

#[tokio::test]
async fn a_failed_settlement_withholds_the_response_and_asks_for_no_second_payment() {
    for timing in TIMINGS {
        let world = World::with(|builder| builder.settle(timing));
        let request = Request::get("/weather/oslo");
        let payment = world.pay(&request).await;
        world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
        for _ in 0..2 {
            let answer = world.send(&request.paid(&payment)).await;
            assert_eq!(answer.status, 402, "{timing:?}");
            assert_eq!(answer.json("payment-response")["success"], false);
            assert!(!answer.has("payment-required"), "the authorization is still alive");
            assert!(!answer.body.starts_with(b"run"));
        }
        assert_eq!(world.facilitator.settle_calls(), 1);
    }
}

#[tokio::test]
async fn a_dead_authorization_gets_a_fresh_challenge() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    let now = UnixSeconds::new(NOW);
    let expired = RejectReason::Expired { valid_before: now, now };
    world.facilitator.next_settle(SettleAnswer::Reject(expired));
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!(answer.status, 402);
    assert_eq!(answer.json("payment-response")["success"], false);
    assert!(answer.has("payment-required"));
}

#[tokio::test]
async fn a_lost_answer_is_found_on_the_chain() {
    for timing in TIMINGS {
        let world = World::with(|builder| builder.settle(timing));
        let request = Request::get("/weather/oslo");
        let payment = world.pay(&request).await;
        world.facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
        let answer = world.send(&request.paid(&payment)).await;
        assert_eq!(answer.status, 200, "{timing:?}: the witness saw the transfer");
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_503_and_the_same_payment_finishes_it() {
    for timing in TIMINGS {
        for moved in [true, false] {
            let world =
                World::with(|builder| builder.settle(timing).resolve_within(Duration::from_millis(1)));
            let request = Request::get("/weather/oslo");
            let payment = world.pay(&request).await;
            world.facilitator.next_settle(SettleAnswer::Unresolved { moved });
            world.facilitator.next_evidence(EvidenceAnswer::Unavailable);
            let answer = world.send(&request.paid(&payment)).await;
            assert_eq!((answer.status, answer.reason().as_str()), (503, "settlement_unresolved"));
            assert!(answer.has("retry-after") && !answer.has("payment-required"));

            let answer = world.send(&request.paid(&payment)).await;
            assert_eq!(answer.status, 200, "{timing:?}, moved: {moved}");
            assert!(answer.has("payment-response"));
            assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
        }
    }
}

#[tokio::test]
async fn without_a_witness_the_same_authorization_is_sent_again() {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_local_proof();
    let world = World::over(prices(), facilitator, clock, |builder| builder);
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
    assert_eq!(world.send(&request.paid(&payment)).await.status, 503);
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]));
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn a_nonce_spent_elsewhere_meanwhile_is_a_failure_and_not_a_delivery() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    let ticket = world.enter(&request.paid(&payment)).await.unwrap();
    world.facilitator.spend_elsewhere(ticket.context().payment_key);
    let answer = world.run(ticket, 200).await;
    assert_eq!(answer.status, 402);
    assert!(!answer.body.starts_with(b"run"));
    assert!(answer.has("payment-required"), "it can never be settled: paying anew is safe");
    assert_eq!(world.facilitator.transfers().len(), 0);
}

#[tokio::test]
async fn a_facilitator_that_cannot_be_reached_to_settle_is_503_and_tried_again() {
    let world = World::with(|builder| builder.resolve_within(Duration::from_millis(1)));
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.facilitator.next_settle(SettleAnswer::Unavailable);
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.has("payment-required"));
    assert_eq!(world.send(&request.paid(&payment)).await.status, 200);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn settling_before_the_handler_owes_what_the_handler_did_not_give() {
    let world = World::with(|builder| builder.settle(SettleTiming::BeforeHandler));
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    let answer = world.send_to(&request.paid(&payment), 500).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json("payment-response")["success"], true, "the payer learns that it was charged");
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 2"[..]));
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 2"[..]), "kept once it was delivered");
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (2, 1));
}

#[tokio::test]
async fn a_refusal_after_an_unknown_outcome_is_no_proof_that_nothing_moved() {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_local_proof();
    let world = World::over(prices(), facilitator, clock, |builder| builder);
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
    assert_eq!(world.send(&request.paid(&payment)).await.status, 503);
    // The second try fails because the first one landed.
    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::TransferFailed));
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.has("payment-required") && !answer.has("payment-response"));
    assert_eq!(world.send(&request.paid(&payment)).await.status, 200);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn nobody_waits_for_a_settlement_that_was_not_sent() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    world.facilitator.next_settle(SettleAnswer::Unavailable);
    let begun = std::time::Instant::now();
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "settlement_unresolved"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(!answer.has("payment-required") && answer.has("retry-after"));
    assert_eq!(world.send(&paid).await.status, 200);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}
