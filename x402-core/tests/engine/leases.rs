//! Holders that stand still for longer than their lease, and whether their responses leave.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use x402_core::{
    EngineBuilder, Outcome, SettleTiming,
    testing::{FakeClock, FakeFacilitator},
    time::UnixSeconds,
};

use crate::{
    faults::{Fault, FaultyStore, Step},
    support::{NOW, Request, World, prices},
};

#[tokio::test]
async fn a_holder_that_was_overtaken_delivers_nothing() {
    for timing in [SettleTiming::BeforeHandler, SettleTiming::AfterHandler] {
        let world = World::with(|builder| builder.settle(timing));
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        let first = world.enter(&paid).await.unwrap();
        // It stands still for longer than its lease, and a retry takes over.
        world.clock.advance(Duration::from_secs(31));
        let second = world.enter(&paid).await.unwrap();
        let mut release = second.finish(Outcome::streaming(200)).await.unwrap();
        release.delivery.delivered();
        let late = first.finish(Outcome::streaming(200)).await;
        assert_eq!(late.map(|_| ()).map_err(|reply| reply.status), Err(503), "{timing:?}");
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
}

#[tokio::test]
async fn a_response_on_its_way_is_not_run_for_again() {
    for timing in [SettleTiming::BeforeHandler, SettleTiming::AfterHandler] {
        for outcome in [Outcome::streaming(200), Outcome::complete(200, Vec::new(), "sunny".into())] {
            let (store, forgotten) = FaultyStore::switched(Fault::Forgotten, &[Step::Response]);
            let configure = |builder: EngineBuilder| builder.settle(timing).store(store);
            let world = World::with(|builder| configure(builder).wait_in_flight(Duration::from_millis(1)));
            forgotten.store(true, Ordering::SeqCst);
            let request = Request::get("/weather/oslo");
            let paid = request.paid(&world.pay(&request).await);
            let slow = world.enter(&paid).await.unwrap();
            // It stood still for longer than its lease, but nobody came: it goes on, and holds the order again.
            world.clock.advance(Duration::from_secs(31));
            let release = slow.finish(outcome).await.unwrap();
            assert_eq!(world.send(&paid).await.status, 409, "{timing:?}");
            drop(release);
        }
    }
}

#[tokio::test]
async fn a_response_held_up_on_its_way_out_is_still_ours_or_does_not_leave() {
    for timing in [SettleTiming::BeforeHandler, SettleTiming::AfterHandler] {
        for overtaken in [false, true] {
            let wait = Duration::from_millis(1);
            let world = World::with(|builder| builder.settle(timing).wait_in_flight(wait));
            let request = Request::get("/weather/oslo");
            let paid = request.paid(&world.pay(&request).await);
            let ticket = world.enter(&paid).await.unwrap();
            let mut finish = pin!(ticket.finish(Outcome::streaming(200)));
            let begun = poll_fn(|context| Poll::Ready(finish.as_mut().poll(context).is_pending())).await;
            assert!(begun, "the work is a task's of its own");
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            // All is done, but for the connection's turn: it comes after the lease.
            world.clock.advance(Duration::from_secs(31));
            let other = if overtaken { Some(world.enter(&paid).await.unwrap()) } else { None };
            let left = finish.await.map_err(|reply| reply.status);
            assert_eq!(left.as_ref().err(), overtaken.then_some(&503), "{timing:?}");
            if !overtaken {
                assert_eq!(world.send(&paid).await.status, 409, "{timing:?}: it holds the order again");
            }
            drop((left, other));
            assert_eq!(world.facilitator.transfers().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_confirmation_that_comes_too_late_is_asked_for_again() {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let renewals = Arc::new(AtomicUsize::new(0));
    let store = FaultyStore::new({
        let (clock, renewals) = (clock.clone(), Arc::clone(&renewals));
        move |step| {
            if step == Step::Renew && renewals.fetch_add(1, Ordering::SeqCst) == 0 {
                clock.advance(Duration::from_secs(31));
            }
            Fault::None
        }
    });
    let facilitator = FakeFacilitator::new().with_local_proof().with_clock(clock.clone());
    let world = World::over(prices(), facilitator, clock, |builder| {
        let before = builder.settle(SettleTiming::BeforeHandler);
        before.store(store).wait_in_flight(Duration::from_millis(1))
    });
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    let ticket = world.enter(&paid).await.unwrap();
    let release = ticket.finish(Outcome::streaming(200)).await.unwrap();
    assert_eq!(renewals.load(Ordering::SeqCst), 2);
    assert_eq!(world.send(&paid).await.status, 409, "it is held while its response is out");
    drop(release);
}
