//! Readiness, and the end of a process.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use x402_core::{
    Outcome, SettleTiming,
    order::{DeliveryState, PaymentState},
    testing::{SettleAnswer, VerifyAnswer},
};

use crate::{
    faults::{Fault, FaultyStore, Step},
    ports::{flowing, flowing_over, order, seconds},
    support::{Request, World},
};

const WITHIN: Duration = Duration::from_secs(30);

async fn drained_at_once(world: &World) -> bool {
    world.engine.drain(Duration::from_millis(1)).await
}

#[tokio::test(start_paused = true)]
async fn an_idle_engine_is_drained_at_once_and_refuses_what_is_priced() {
    let (world, _) = flowing(|builder| builder);
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    assert!(drained_at_once(&world).await);
    for request in [&request, &paid] {
        let answer = world.send(request).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "shutting_down"));
        assert!(answer.has("retry-after") && !answer.has("payment-required"));
    }
    assert_eq!(world.send(&Request::get("/health")).await.body, "free");
    assert_eq!(world.handler_runs(), 0);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_claims_handlers_settlements_and_deliveries() {
    let (world, store) = flowing(|builder| builder);
    let world = Arc::new(world);
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    // Being verified.
    world.facilitator.next_verify(VerifyAnswer::Hang);
    let entering = tokio::spawn({
        let (world, paid) = (Arc::clone(&world), paid.clone());
        async move { world.enter(&paid).await }
    });
    world.facilitator.hanging(1).await;
    assert!(!drained_at_once(&world).await, "a claim");
    world.facilitator.release();
    let ticket = entering.await.unwrap().unwrap();
    assert!(!drained_at_once(&world).await, "a handler");
    let key = ticket.context().payment_key;
    world.facilitator.next_settle(SettleAnswer::Hang);
    let finishing = tokio::spawn(ticket.finish(Outcome::streaming(200)));
    world.facilitator.hanging(1).await;
    assert!(!drained_at_once(&world).await, "a settlement");
    world.facilitator.release();
    let mut release = finishing.await.unwrap().unwrap();
    assert!(!drained_at_once(&world).await, "a response on its way");
    let draining = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.engine.drain(WITHIN).await }
    });
    seconds(20).await;
    release.delivery.delivered();
    assert!(draining.await.unwrap());
    assert_eq!(order(&store, key).await.state.delivery, DeliveryState::Delivered);
    assert_eq!(order(&store, key).await.leased_until, None);
}

#[tokio::test(start_paused = true)]
async fn a_deferred_settlement_is_waited_for() {
    let (world, store) = flowing(|builder| builder.settle(SettleTiming::Deferred));
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    let request = Request::get("/weather/oslo");
    let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
    let key = ticket.context().payment_key;
    world.facilitator.next_settle(SettleAnswer::Hang);
    assert_eq!(world.run(ticket, 200).await.status, 200);
    world.facilitator.hanging(1).await;
    assert!(!drained_at_once(&world).await);
    world.facilitator.release();
    assert!(world.engine.drain(WITHIN).await);
    let order = order(&store, key).await;
    assert_eq!((order.state.payment, order.leased_until), (PaymentState::Settled, None));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_not_waited_for_for_ever() {
    let (world, _) = flowing(|builder| builder);
    let request = Request::get("/weather/oslo");
    let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert!(!world.engine.drain(WITHIN).await);
    assert_eq!(begun.elapsed().as_secs(), 30);
    // It is given up after all.
    drop(ticket);
    assert!(world.engine.drain(WITHIN).await);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_the_store_does_not_take_is_waited_for() {
    let (faulty, down) = FaultyStore::switched(Fault::Lost, &[Step::Advance]);
    let store = faulty.honest().clone();
    let world = flowing_over(faulty, |builder| builder);
    let request = Request::get("/weather/oslo");
    let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
    let key = ticket.context().payment_key;
    let mut release = ticket.finish(Outcome::streaming(200)).await.unwrap();
    down.store(true, Ordering::SeqCst);
    release.delivery.delivered();
    assert!(!world.engine.drain(Duration::from_millis(400)).await);
    down.store(false, Ordering::SeqCst);
    assert!(world.engine.drain(WITHIN).await);
    assert_eq!(order(&store, key).await.state.delivery, DeliveryState::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_draining_worker_takes_up_nothing() {
    let (world, store) = flowing(|builder| builder);
    let request = Request::get("/weather/oslo");
    let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
    let key = ticket.context().payment_key;
    drop(ticket);
    assert!(world.engine.drain(WITHIN).await);
    tokio::spawn(world.engine.worker());
    seconds(600).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Verified);
}

#[tokio::test(start_paused = true)]
async fn readiness_names_the_part_that_is_not() {
    for fault in [Fault::Lost, Fault::Hangs] {
        let (faulty, down) = FaultyStore::switched(fault, &[Step::Ping]);
        let world = flowing_over(faulty, |builder| builder);
        world.engine.ready().await.unwrap();
        down.store(true, Ordering::SeqCst);
        let not_ready = world.engine.ready().await.unwrap_err();
        assert_eq!(not_ready.part(), "store");
        let why = if fault == Fault::Lost { "the store is down" } else { "did not answer in time" };
        assert!(not_ready.to_string().ends_with(why), "{not_ready}");
        down.store(false, Ordering::SeqCst);
        assert!(drained_at_once(&world).await);
        let not_ready = world.engine.ready().await.unwrap_err();
        assert_eq!(not_ready.to_string(), "engine is not ready: is shutting down");
    }
}
