//! Stores that forget, and authorizations that somebody else has used.

use std::time::Duration;

use x402_core::{
    SettleTiming,
    error::RejectReason,
    order::{DeliveryState, PaymentState},
    testing::{EvidenceAnswer, SettleAnswer, VerifyAnswer},
    time::UnixSeconds,
};

use crate::{
    faults::{Fault, FaultyStore},
    ports::{flowing, flowing_over, order, seconds},
    support::{Request, World},
};

/// The transfer is not to be seen yet when the payment is verified; when it is settled, it is there.
fn settled_a_moment_ago(world: &World) {
    world.facilitator.next_verify(VerifyAnswer::Honest);
    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::NonceAlreadyUsed));
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_was_delivered_and_forgotten_is_not_delivered_again() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::BeforeHandler, SettleTiming::Deferred] {
        for evidence in [EvidenceAnswer::Honest, EvidenceAnswer::Unavailable] {
            let (world, store) = flowing(|builder| builder.settle(timing));
            let request = Request::get("/weather/oslo");
            let paid = request.paid(&world.pay(&request).await);
            world.facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
            assert_eq!(world.send(&paid).await.status, 200);
            seconds(1).await;
            store.expire(UnixSeconds::MAX);
            assert!(store.is_empty(), "flushed");

            let blind = World::over(
                crate::support::prices(),
                x402_core::testing::FakeFacilitator::new().with_local_proof(),
                world.clock.clone(),
                |builder| builder.settle(timing).store(store.clone()).witness(world.facilitator.clone()),
            );
            settled_a_moment_ago(&blind);
            world.facilitator.next_evidence(evidence);
            for _ in 0..2 {
                let answer = blind.send(&paid).await;
                let told = (answer.status, answer.reason());
                assert_eq!(told, (409, "payment_replayed".to_owned()), "{timing:?}");
                assert!(!answer.has("payment-required") && !answer.has("payment-response"));
                assert!(!answer.body.starts_with(b"run"));
            }
            assert_eq!((world.facilitator.transfers().len(), blind.facilitator.transfers().len()), (1, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_settles_first_has_paid_for_the_payer_where_nothing_is_forgotten() {
    for permanent in [true, false] {
        let store = FaultyStore::new(|_| Fault::None);
        let store = if permanent { store.permanent() } else { store };
        let orders = store.honest().clone();
        let world = flowing_over(store, |builder| builder);
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        let ticket = world.enter(&paid).await.unwrap();
        let key = ticket.context().payment_key;
        // The money moves to us, and the facilitator finds the nonce used.
        world.facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
        let front_runner = World::over(
            crate::support::prices(),
            world.facilitator.clone(),
            world.clock.clone(),
            |builder| builder.resolve_within(Duration::from_millis(1)),
        );
        assert_eq!(front_runner.send(&paid).await.status, 200);
        world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::NonceAlreadyUsed));
        let answer = world.run(ticket, 200).await;
        let state = order(&orders, key).await.state;
        if permanent {
            assert_eq!((answer.status, state.payment), (200, PaymentState::Settled));
            seconds(1).await;
            assert_eq!(order(&orders, key).await.state.delivery, DeliveryState::Delivered);
        } else {
            assert_eq!((answer.status, state.payment), (409, PaymentState::Failed));
            assert!(!answer.has("payment-required"));
        }
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_of_our_own_that_was_lost_counts_in_every_store() {
    let (world, _) = flowing(|builder| builder.resolve_within(Duration::from_millis(1)));
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    world.facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
    world.facilitator.on_evidence(EvidenceAnswer::Unavailable);
    assert_eq!(world.send(&paid).await.status, 503);
    // Sent again, it is refused as used; then the chain can be read again.
    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::NonceAlreadyUsed));
    assert_eq!(world.send(&paid).await.status, 503);
    world.facilitator.on_evidence(EvidenceAnswer::Honest);
    assert_eq!(world.send(&paid).await.status, 200);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_order_is_gone_delivers_nothing() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::BeforeHandler, SettleTiming::Deferred] {
        let (world, store) = flowing(|builder| builder.settle(timing));
        let worker = tokio::spawn(world.engine.worker());
        seconds(1).await;
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        let first = world.enter(&paid).await.unwrap();
        store.expire(UnixSeconds::MAX);
        // It is presented again, and delivered as new, or refused as used.
        let again = world.send(&paid).await;
        let late = world.run(first, 200).await;
        assert_eq!(late.status, 503, "{timing:?}: {late:?}");
        assert!(!late.body.starts_with(b"run"));
        if timing == SettleTiming::BeforeHandler {
            assert_eq!((again.status, again.reason().as_str()), (409, "payment_replayed"));
        } else {
            assert_eq!(again.status, 200);
        }
        seconds(1).await;
        assert_eq!(world.facilitator.transfers().len(), 1);
        worker.abort();
    }
}
