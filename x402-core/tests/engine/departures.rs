//! Responses that leave before their payments are settled.

use x402_core::{
    Outcome, SettleTiming,
    order::PaymentState,
    testing::{FakeClock, TestPayer},
    time::UnixSeconds,
};

use crate::{
    charges::{moved, paid, shop, using},
    ports::{order, seconds},
    support::{NOW, Request},
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
