//! A facilitator that says what is not so: it opens no door.

use std::time::Duration;

use serde_json::Value;
use x402_core::{
    EngineBuilder, SettleTiming,
    facilitator::Settlement,
    price::{AtomicAmount, NetworkId},
    testing::{EvidenceAnswer, FakeClock, FakeFacilitator, SettleAnswer},
    time::UnixSeconds,
    wire::{header::encode, v2},
};

use crate::{
    faults::{Fault, FaultyStore},
    support::{Answer, NOW, Request, World, prices},
};

type Lie = fn(&mut Settlement);

const TIMINGS: [SettleTiming; 2] = [SettleTiming::AfterHandler, SettleTiming::BeforeHandler];

/// A remote facilitator, and a witness of our own that sees the same chain.
fn distrustful(configure: impl FnOnce(EngineBuilder) -> EngineBuilder) -> World {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_local_proof().with_clock(clock.clone());
    let witness = facilitator.clone();
    World::over(prices(), facilitator, clock, |builder| {
        configure(builder.witness(witness).resolve_within(Duration::from_millis(1)))
    })
}

fn assert_withheld(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.reason().as_str()), (503, "settlement_unresolved"), "{what}");
    assert!(answer.has("retry-after") && !answer.has("payment-required"), "{what}: {answer:?}");
    assert!(!answer.has("payment-response"), "{what}");
}

#[tokio::test]
async fn a_settlement_that_the_chain_does_not_show_is_not_delivered() {
    for timing in TIMINGS {
        let world = distrustful(|builder| builder.settle(timing));
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        world.facilitator.on_settle(SettleAnswer::Lie { moved: false, told: |_| {} });
        for _ in 0..3 {
            assert_withheld(&world.send(&paid).await, "nothing moved");
        }
        world.facilitator.on_settle(SettleAnswer::Honest);
        let answer = world.send(&paid).await;
        assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]), "{timing:?}");
        assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_settlement_that_the_chain_rules_out_failed() {
    let world = distrustful(|builder| builder);
    let request = Request::get("/weather/oslo");
    let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
    // Its payer spends it while the handler runs.
    world.facilitator.spend_elsewhere(ticket.context().payment_key);
    world.facilitator.next_settle(SettleAnswer::Lie { moved: false, told: |_| {} });
    let answer = world.run(ticket, 200).await;
    assert_eq!(answer.status, 402, "{answer:?}");
    assert_eq!(answer.json("payment-response")["success"], false);
    assert!(answer.has("payment-required"), "it can never be settled: paying anew is safe");
    assert!(!answer.body.starts_with(b"run"));
}

#[tokio::test]
async fn a_receipt_of_another_payment_is_worth_nothing() {
    let lies: [(&str, Lie); 4] = [
        ("payer", |told| told.payer = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".into()),
        ("network", |told| told.network = NetworkId::new("eip155:8453").unwrap()),
        ("amount", |told| told.amount = AtomicAmount::from(1_u64)),
        ("transaction", |told| told.transaction.clear()),
    ];
    for (what, told) in lies {
        for timing in TIMINGS {
            let world = distrustful(|builder| builder.settle(timing));
            let request = Request::get("/weather/oslo");
            let paid = request.paid(&world.pay(&request).await);
            world.facilitator.next_settle(SettleAnswer::Lie { moved: false, told });
            assert_withheld(&world.send(&paid).await, what);
            // What did move is found, whatever was told of it.
            world.facilitator.next_settle(SettleAnswer::Lie { moved: true, told });
            let answer = world.send(&paid).await;
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
            assert_eq!(answer.json("payment-response")["amount"], "1000", "{what}");
            assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1), "{what}");
        }
    }
}

#[tokio::test]
async fn without_a_witness_a_receipt_of_another_payment_is_worth_nothing_either() {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_local_proof();
    let world = World::over(prices(), facilitator, clock, |builder| builder);
    let request = Request::get("/weather/oslo");
    let lies: [Lie; 2] = [|told| told.payer.clear(), |told| told.amount = AtomicAmount::from(999_u64)];
    for told in lies {
        let paid = request.paid(&world.pay(&request).await);
        world.facilitator.next_settle(SettleAnswer::Lie { moved: false, told });
        assert_withheld(&world.send(&paid).await, "implausible");
    }
}

#[tokio::test]
async fn the_chains_own_settlement_is_recorded_in_place_of_the_one_reported() {
    let world = distrustful(|builder| builder);
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    let told = |told: &mut Settlement| told.transaction = OTHERS.to_owned();
    world.facilitator.next_settle(SettleAnswer::Lie { moved: true, told });
    let answer = world.send(&paid).await;
    assert_eq!(answer.status, 200);
    let transaction = &world.facilitator.transfers()[0].transaction;
    assert_eq!(answer.json("payment-response")["transaction"], transaction.as_str());
}

#[tokio::test]
async fn one_transaction_told_for_two_payments_pays_for_the_one_it_moved() {
    let world = distrustful(|builder| builder);
    let request = Request::get("/weather/oslo");
    let (first, second) = (world.pay(&request).await, world.pay(&request).await);
    let told = |told: &mut Settlement| told.transaction = OTHERS.to_owned();
    world.facilitator.next_settle(SettleAnswer::Lie { moved: true, told });
    world.facilitator.next_settle(SettleAnswer::Lie { moved: false, told });
    assert_eq!(world.send(&request.paid(&first)).await.status, 200);
    assert_withheld(&world.send(&request.paid(&second)).await, "it moved nothing for the second");
    assert_eq!(world.handler_runs(), 2);
    assert_eq!(world.facilitator.transfers().len(), 1);
}

/// A store that forgets nothing counts a transfer once, even where nobody can be asked.
#[tokio::test]
async fn a_transfer_that_settled_another_order_is_refused_by_the_store_and_not_delivered() {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_local_proof();
    let store = FaultyStore::new(|_| Fault::None).permanent();
    let world = World::over(prices(), facilitator, clock, |builder| builder.store(store));
    let request = Request::get("/weather/oslo");
    let (first, second) = (world.pay(&request).await, world.pay(&request).await);
    let told = |told: &mut Settlement| {
        told.transaction = OTHERS.to_owned();
        told.log_index = Some(7);
    };
    world.facilitator.next_settle(SettleAnswer::Lie { moved: true, told });
    assert_eq!(world.send(&request.paid(&first)).await.status, 200);
    for _ in 0..2 {
        world.facilitator.next_settle(SettleAnswer::Lie { moved: false, told });
        assert_withheld(&world.send(&request.paid(&second)).await, "taken");
    }
    assert_eq!(world.send(&request.paid(&second)).await.status, 200, "settled honestly at last");
}

#[tokio::test]
async fn a_witness_that_is_down_delivers_nothing_and_loses_nothing() {
    for timing in TIMINGS {
        let world = distrustful(|builder| builder.settle(timing));
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        world.facilitator.on_evidence(EvidenceAnswer::Unavailable);
        assert_withheld(&world.send(&paid).await, "nobody saw it");
        world.facilitator.on_evidence(EvidenceAnswer::Honest);
        assert_eq!(world.send(&paid).await.status, 200, "{timing:?}");
        assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lags_behind_the_facilitators_is_waited_for() {
    let world = distrustful(|builder| builder.resolve_within(Duration::from_secs(30)));
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    for _ in 0..4 {
        world.facilitator.next_evidence(EvidenceAnswer::Unavailable);
    }
    assert_eq!(world.send(&paid).await.status, 200);
    assert_eq!(world.facilitator.settle_calls(), 1);
}

#[tokio::test]
async fn whoever_reads_the_chain_itself_is_not_asked_twice() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    assert_eq!(world.send(&paid).await.status, 200);
    assert_eq!(world.facilitator.evidence_calls(), 0);
}

#[tokio::test]
async fn a_facilitator_that_says_yes_to_everything_is_not_asked_about_other_terms() {
    for local_proof in [false, true] {
        let clock = FakeClock::new(UnixSeconds::new(NOW));
        let facilitator = FakeFacilitator::new().with_any_signature();
        let facilitator = if local_proof { facilitator.with_local_proof() } else { facilitator };
        let world = World::over(prices(), facilitator, clock, |builder| builder);
        let request = Request::get("/weather/oslo");
        let unpaid = world.send(&request).await;
        let challenge: v2::PaymentRequired = serde_json::from_value(unpaid.json("payment-required")).unwrap();
        let honest = serde_json::to_value(world.payer.answer_v2(&challenge)).unwrap();
        for (pointer, value) in [
            ("/accepted/amount", "1"),
            ("/accepted/payTo", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            ("/payload/authorization/value", "1"),
            ("/payload/authorization/to", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            ("/payload/authorization/validBefore", "1"),
        ] {
            let mut altered = honest.clone();
            *altered.pointer_mut(pointer).unwrap() = Value::from(value);
            let answer = world.send(&request.paid(&encode(&altered))).await;
            assert_eq!(answer.status, 402, "{pointer} = {value}: {answer:?}");
        }
        assert_eq!((world.facilitator.verify_calls(), world.handler_runs()), (0, 0));
    }
}

/// The hash of a transaction that paid for something else.
const OTHERS: &str = "0xabababababababababababababababababababababababababababababababab";
