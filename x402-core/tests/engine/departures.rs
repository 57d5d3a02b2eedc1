//! Responses that leave before their payments are settled: not for authorizations about to end, and owed until they leave.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use x402_core::{
    Outcome, SettleTiming,
    order::{DeliveryState, PaymentState},
    testing::{FakeClock, FakeFacilitator, SettleAnswer, TestPayer},
    time::UnixSeconds,
};

use crate::{
    charges::{moved, paid, prices, receipt, shop, using},
    faults::{Fault, FaultyStore, Step},
    ports::{FlowingClock, order, seconds},
    support::{NOW, Request, World},
};

#[tokio::test(start_paused = true)]
async fn payers_do_not_choose_how_much_of_a_stream_is_paid_for() {
    for (timing, path, code) in [
        (SettleTiming::AfterHandler, "/used", Some("permit2_deadline_expired")),
        (SettleTiming::Deferred, "/used", Some("permit2_deadline_expired")),
        (SettleTiming::AfterHandler, "/fixed", None),
    ] {
        for late in [140, 160] {
            let (world, _) = shop(timing).await;
            let request = Request::get(path);
            let unpaid = world.send(&request).await;
            let clock = FakeClock::new(UnixSeconds::new(NOW - late));
            let payer = TestPayer::new("short of time").clock(clock);
            let payment = payer.pay_v2(unpaid.get("payment-required").unwrap());
            let answer = world.enter(&request.paid(&payment)).await;
            match (code, late) {
                (Some(code), 160) => {
                    let answer = answer.unwrap_err();
                    assert_eq!((answer.status, answer.reason().as_str()), (402, code), "{path} {late}");
                    assert!(answer.has("payment-required"), "others are asked for");
                    assert_eq!(world.facilitator.verify_calls(), 0);
                }
                _ => drop(answer.unwrap()),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_unsettled_that_could_not_be_settled_in_time() {
    // A stream is refused, and its payer asked to sign anew.
    let (world, store) = shop(SettleTiming::AfterHandler).await;
    let (ticket, key) = using(&world, &paid(&world, Request::get("/used")).await, 10).await;
    seconds(285).await;
    let reply = ticket.finish(Outcome::streaming(200)).await.unwrap_err();
    assert_eq!((reply.status, reply.get("payment-required").is_some()), (402, true));
    seconds(1).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Verified);
    assert_eq!(moved(&world), []);

    // What is complete is settled before it leaves.
    for (slow, settled) in [(270, false), (285, true)] {
        let (world, _) = shop(SettleTiming::Deferred).await;
        let (ticket, _) = using(&world, &paid(&world, Request::get("/used")).await, 10).await;
        seconds(slow).await;
        let answer = world.run(ticket, 200).await;
        assert_eq!((answer.status, answer.has("payment-response")), (200, settled), "{slow}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_charged_and_never_left_is_run_again_for_nothing() {
    let (world, store) = shop(SettleTiming::AfterHandler).await;
    // No later request can be told to be the same: its response is not kept.
    let paid = paid(&world, Request::new("POST", "/used")).await;
    let (ticket, key) = using(&world, &paid, 10).await;
    {
        let finishing = pin!(ticket.finish(Outcome::complete(200, Vec::new(), "sunny".into())));
        assert!(finishing.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    seconds(5).await;
    assert_eq!(moved(&world), [10.into()], "what was begun is finished");
    assert_ne!(order(&store, key).await.state.delivery, DeliveryState::Delivered);
    let (again, _) = using(&world, &paid, 700).await;
    let answer = world.run(again, 200).await;
    assert_eq!((answer.status, receipt(&answer).0.as_str()), (200, "10"));
    assert_eq!(moved(&world), [10.into()]);
    seconds(1).await;
    assert_eq!(order(&store, key).await.state.delivery, DeliveryState::Delivered);
}

/// Its client reads slowly: nobody else may settle it meanwhile.
#[tokio::test(start_paused = true)]
async fn one_answer_lost_by_the_store_does_not_stop_a_deferred_settlement() {
    let mut settled = 0;
    for lost in 0..8 {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let store = FaultyStore::new(move |step| {
            let hit = step == Step::Advance && counted.fetch_add(1, Ordering::SeqCst) == lost;
            if hit { Fault::Lost } else { Fault::None }
        });
        let clock = FlowingClock::new();
        let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
        let fixed = FakeClock::new(UnixSeconds::new(NOW));
        let world = World::over(prices(SettleTiming::Deferred), facilitator, fixed, |builder| {
            builder.clock(clock).store(store)
        });
        tokio::spawn(world.engine.worker());
        seconds(1).await;
        let paid = paid(&world, Request::get("/used")).await;
        world.facilitator.on_settle(SettleAnswer::Unavailable);
        let Ok(ticket) = world.enter(&paid).await else { continue };
        ticket.charge().set(10).unwrap();
        let Ok(release) = ticket.finish(Outcome::complete(200, Vec::new(), "sunny".into())).await else {
            continue;
        };
        seconds(5).await;
        world.facilitator.on_settle(SettleAnswer::Honest);
        seconds(120).await;
        assert_eq!(moved(&world), [10.into()], "answer {lost} was lost");
        drop(release);
        settled += 1;
    }
    assert!(settled > 3, "{settled}");
}
