//! How much of one payer may be verified and not settled at once.

use std::{sync::Arc, time::Duration};

use x402_core::{
    Engine, ExposureLimits, SettleTiming, Ticket,
    error::RejectReason,
    price::AtomicAmount,
    testing::{FakeClock, FakeFacilitator, SettleAnswer},
    time::UnixSeconds,
};

use crate::support::{Answer, NOW, Request, World, prices};

/// A payer holds so much, and every request costs 1 000.
fn world(
    funds: Option<u64>,
    configure: impl FnOnce(x402_core::EngineBuilder) -> x402_core::EngineBuilder,
) -> World {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness();
    let facilitator = match funds {
        Some(funds) => facilitator.with_funds(AtomicAmount::from(funds)),
        None => facilitator,
    };
    World::over(prices(), facilitator, clock, configure)
}

async fn enter(world: &World) -> Result<Ticket, Answer> {
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.enter(&request.paid(&payment)).await
}

fn assert_at_capacity(answer: &Answer) {
    assert_eq!((answer.status, answer.reason().as_str()), (503, "at_capacity"), "{answer:?}");
    assert!(answer.has("retry-after") && !answer.has("payment-required"));
}

#[tokio::test]
async fn payments_that_together_exceed_the_balance_are_not_all_served() {
    let world = Arc::new(world(Some(2_500), |builder| builder));
    let request = Request::get("/weather/oslo");
    let mut paid = Vec::new();
    for _ in 0..10 {
        paid.push(request.paid(&world.pay(&request).await));
    }
    let entered = paid.iter().map(|paid| {
        let (world, paid) = (Arc::clone(&world), paid.clone());
        tokio::spawn(async move { world.enter(&paid).await })
    });
    let mut tickets = Vec::new();
    for entered in entered.collect::<Vec<_>>() {
        match entered.await.unwrap() {
            Ok(ticket) => tickets.push(ticket),
            Err(answer) => assert_at_capacity(&answer),
        }
    }
    assert_eq!(tickets.len(), 2, "as many as the balance covers");
    for ticket in tickets {
        assert_eq!(world.run(ticket, 200).await.status, 200);
    }
    // What was put off may come again, and is then told that the money is gone.
    let answers = [world.send(&paid[8]).await, world.send(&paid[9]).await];
    assert!(answers.iter().all(|answer| answer.status == 402), "{answers:?}");
    assert_eq!(answers[0].reason(), "invalid_exact_evm_insufficient_balance");
    assert_eq!(world.facilitator.transfers().len(), 2);
}

#[tokio::test]
async fn a_payer_has_so_many_under_way_and_each_end_makes_room() {
    for end in ["settled", "failed", "dropped"] {
        let world = world(None, |builder| builder.exposure(ExposureLimits::default().per_payer(2)));
        let (first, second) = (enter(&world).await.unwrap(), enter(&world).await.unwrap());
        let request = Request::get("/weather/oslo");
        let third = request.paid(&world.pay(&request).await);
        assert_at_capacity(&world.send(&third).await);
        match end {
            "settled" => assert_eq!(world.run(first, 200).await.status, 200),
            "failed" => assert_eq!(world.run(first, 500).await.status, 500),
            _ => {
                drop(first);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        assert_eq!(world.send(&third).await.status, 200, "{end}: the same payment again");
        drop(second);
    }
}

#[tokio::test]
async fn what_is_settled_counts_no_longer_however_long_its_handler_takes() {
    let world = world(None, |builder| {
        builder.settle(SettleTiming::BeforeHandler).exposure(ExposureLimits::default().per_payer(1))
    });
    let mut tickets = Vec::new();
    for _ in 0..5 {
        tickets.push(enter(&world).await.unwrap());
    }
    assert_eq!(world.facilitator.transfers().len(), 5);
}

#[tokio::test]
async fn copies_of_one_payment_count_once_and_replays_not_at_all() {
    let world =
        Arc::new(world(Some(1_000), |builder| builder.exposure(ExposureLimits::default().per_payer(1))));
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    let copies = (0..50).map(|_| {
        let (world, paid) = (Arc::clone(&world), paid.clone());
        tokio::spawn(async move { world.send(&paid).await.status })
    });
    for status in copies.collect::<Vec<_>>() {
        assert_eq!(status.await.unwrap(), 200);
    }
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn a_failed_settlement_leaves_its_payer_one_at_a_time_for_ten_minutes() {
    let world = world(None, |builder| builder);
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
    assert_eq!(world.send(&paid).await.status, 402);
    let one = enter(&world).await.unwrap();
    assert_at_capacity(&enter(&world).await.unwrap_err());
    world.clock.advance(Duration::from_secs(601));
    let another = enter(&world).await.unwrap();
    drop((one, another));
}

#[tokio::test]
async fn strangers_cannot_use_up_a_payers_places() {
    // The facilitator checks signatures, and takes its time.
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new();
    let world = Arc::new(World::over(prices(), facilitator, clock, |builder| {
        builder.exposure(ExposureLimits::default().per_payer(1))
    }));
    let request = Request::get("/weather/oslo");
    let mut paid = Vec::new();
    for _ in 0..4 {
        paid.push(request.paid(&world.pay(&request).await));
    }
    world.facilitator.on_verify(x402_core::testing::VerifyAnswer::Hang);
    let strangers: Vec<_> = paid[..3]
        .iter()
        .map(|paid| {
            let (world, paid) = (Arc::clone(&world), paid.clone());
            tokio::spawn(async move { world.send(&paid).await.status })
        })
        .collect();
    world.facilitator.hanging(3).await;
    world.facilitator.on_verify(x402_core::testing::VerifyAnswer::Honest);
    assert_eq!(world.send(&paid[3]).await.status, 200);
    for stranger in strangers {
        stranger.abort();
    }
}

#[test]
fn a_bound_that_lets_nothing_pass_is_a_mistake() {
    let built = Engine::builder(prices())
        .facilitator(FakeFacilitator::new())
        .exposure(ExposureLimits::default().per_payer(0))
        .build();
    assert!(built.unwrap_err().to_string().contains("exposure"));
}
