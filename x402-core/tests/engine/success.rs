//! Which responses are paid for.

use bytes::Bytes;
use x402_core::{EngineBuilder, Outcome, SettleTiming};

use crate::support::{Request, World};

/// "Not found" is paid for, and what says that it is a sample is not.
fn by_content(builder: EngineBuilder) -> EngineBuilder {
    builder.success(|status, headers| {
        (status < 400 || status == 404) && !headers.iter().any(|(name, _)| name == "x-sample")
    })
}

#[tokio::test]
async fn the_predicate_decides_what_is_charged() {
    let world = World::with(by_content);
    let request = Request::get("/weather/oslo");
    let sample = || vec![("x-sample".into(), Bytes::from_static(b"1"))];
    let mut streamed = Outcome::streaming(200);
    streamed.headers = sample();
    for (outcome, paid) in [
        (Outcome::complete(200, Vec::new(), "sunny".into()), true),
        (Outcome::streaming(404), true),
        (Outcome::complete(200, sample(), "sunny, say".into()), false),
        (streamed, false),
        (Outcome::streaming(500), false),
        (Outcome::failed(), false),
    ] {
        let what = format!("{outcome:?}");
        let before = world.facilitator.transfers().len();
        let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
        assert!(ticket.reads_headers());
        let mut release = ticket.finish(outcome).await.unwrap();
        release.delivery.delivered();
        assert_eq!(world.facilitator.transfers().len() - before, usize::from(paid), "{what}");
        let receipt = release.set.iter().any(|(name, _)| *name == "payment-response");
        assert_eq!(receipt, paid, "{what}");
    }
}

#[tokio::test]
async fn what_is_no_final_response_is_not_paid_for() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    for (status, paid) in [(100, 0), (103, 0), (101, 1)] {
        let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
        assert!(!ticket.reads_headers());
        ticket.finish(Outcome::streaming(status)).await.unwrap().delivery.delivered();
        assert_eq!(world.facilitator.transfers().len(), paid, "{status}");
    }
}

#[tokio::test]
async fn a_predicate_that_panics_lets_no_response_leave_and_charges_nobody_for_it() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::BeforeHandler] {
        let panics = std::sync::Mutex::new(true);
        let world = World::with(|builder| {
            builder.settle(timing).success(move |_, _| {
                let panics = std::mem::take(&mut *panics.lock().unwrap());
                assert!(!panics, "on purpose");
                true
            })
        });
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        let answer = world.send(&paid).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "hook_unavailable"), "{timing:?}");
        assert!(!answer.has("payment-required"));
        let before = usize::from(timing == SettleTiming::BeforeHandler);
        assert_eq!(world.facilitator.transfers().len(), before);
        let answer = world.send(&paid).await;
        assert_eq!((answer.status, world.facilitator.transfers().len()), (200, 1), "{timing:?}");
    }
}
