//! Payment that is asked for once a handler has looked at its input.

use std::sync::Arc;

use tokio::task::yield_now;
use x402_core::{
    Closed, EngineBuilder, NotPaid, Outcome, ResponseHeader, SettleTiming,
    charge::ChargeError,
    price::{PriceRule, Prices},
    testing::{FakeClock, FakeFacilitator, SettleAnswer},
    time::UnixSeconds,
};

use crate::{
    charges::{CEILING, ceiling, moved},
    ports::seconds,
    support::{Answer, NETWORK, NOW, PAY_TO, Request, World},
};

fn order() -> Request {
    Request::new("POST", "/orders")
}

#[tokio::test]
async fn it_is_settled_before_the_handler_goes_on() {
    let world = World::new();
    let payment = world.pay(&order()).await;
    assert_eq!(world.facilitator.verify_calls(), 0);
    let (demand, till) = world.look_at_input(&order().paid(&payment));
    let (context, charge) = demand.take().unwrap().pay().await.unwrap();
    assert!(context.settlement.is_some());
    assert_eq!(charge.set(1), Err(ChargeError::FixedPrice));
    let Closed::Enter(ticket) = till.close(&Outcome::streaming(200)) else { panic!("it was paid") };
    assert_eq!(ticket.context().payment_key, context.payment_key);
    assert!(ticket.finish(Outcome::streaming(200)).await.is_ok());
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn only_refusals_pass_unpaid() {
    let world = World::new();
    let payment = world.pay(&order()).await;
    for request in [order(), order().paid(&payment)] {
        for status in [101, 200, 204, 304, 399, 400, 404, 422, 500] {
            for taken in [false, true] {
                let (demand, till) = world.look_at_input(&request);
                if taken {
                    drop(demand.take().unwrap());
                }
                match till.close(&Outcome::streaming(status)) {
                    Closed::Pass(release) => {
                        assert!(status >= 400, "{status}");
                        assert!(release.set.is_empty());
                    }
                    Closed::Reply(reply) => assert!(status < 400 && reply.status == 500, "{status}"),
                    Closed::Enter(_) => panic!("nobody paid"),
                }
            }
        }
    }
    assert_eq!((world.facilitator.verify_calls(), world.facilitator.settle_calls()), (0, 0));
}

#[tokio::test]
async fn what_counts_as_a_success_does_not_pass_unpaid_whatever_its_status() {
    let sample: ResponseHeader = ("x-sample".into(), "1".into());
    let with = |status, headers: &[ResponseHeader]| {
        let mut outcome = Outcome::streaming(status);
        outcome.headers = headers.to_vec();
        outcome
    };
    type Configure = fn(EngineBuilder) -> EngineBuilder;
    let sells_nothing_found: Configure = |builder| builder.success(|status, _| status < 400 || status == 404);
    let gives_samples: Configure = |builder| {
        builder.success(|status, headers| status < 400 && !headers.iter().any(|(name, _)| name == "x-sample"))
    };
    let sells_all: Configure = |builder| builder.success(|_, _| true);
    let panics: Configure = |builder| builder.success(|_, _| panic!("on purpose"));
    // The status of what is sent in place of the response, if it does not pass.
    for (what, configure, outcome, instead) in [
        ("by default", (|builder| builder) as Configure, with(404, &[]), None),
        ("sold", sells_nothing_found, with(404, &[]), Some(500)),
        ("not sold", sells_nothing_found, with(422, &[]), None),
        ("a sample", gives_samples, with(200, std::slice::from_ref(&sample)), None),
        ("no sample", gives_samples, with(200, &[]), Some(500)),
        ("refused input", sells_all, with(422, &[]), Some(500)),
        ("broken", sells_all, Outcome::failed(), None),
        ("undecided", panics, with(422, &[]), Some(503)),
        ("undecided", panics, with(200, &[]), Some(503)),
        ("nothing to decide", panics, Outcome::failed(), None),
    ] {
        let world = World::with(configure);
        let payment = world.pay(&order()).await;
        for request in [order(), order().paid(&payment)] {
            for taken in [false, true] {
                let (demand, till) = world.look_at_input(&request);
                assert_eq!(till.reads_headers(), what != "by default");
                if taken {
                    drop(demand.take().unwrap());
                }
                let sent = match till.close(&outcome) {
                    Closed::Pass(_) => None,
                    Closed::Reply(reply) => Some(Answer::from(reply)),
                    Closed::Enter(_) => panic!("nobody paid"),
                };
                assert_eq!(sent.as_ref().map(|answer| answer.status), instead, "{what}");
                assert!(sent.is_none_or(|answer| !answer.has("payment-required")));
            }
        }
        assert_eq!((world.facilitator.verify_calls(), world.facilitator.settle_calls()), (0, 0));
    }
}

#[tokio::test]
async fn what_the_engine_answers_is_sent_whatever_the_handler_says() {
    let world = World::new();
    let payment = world.pay(&order()).await;
    for status in [200, 402, 500] {
        let (demand, till) = world.look_at_input(&order());
        assert!(matches!(demand.take().unwrap().pay().await, Err(NotPaid { status: 402, .. })));
        let Closed::Reply(reply) = till.close(&Outcome::streaming(status)) else { panic!("{status}") };
        assert!(Answer::from(reply).has("payment-required"));
    }
    assert_eq!(world.send(&order().paid(&payment)).await.status, 200);
    assert_eq!(
        world.send(&order().paid(&payment)).await.status,
        409,
        "a body that is not bound is not recognised"
    );
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn there_is_one_bill_and_none_after_the_end() {
    let world = World::new();
    let (demand, till) = world.look_at_input(&order());
    let copy = demand.clone();
    let bill = demand.take();
    assert!(bill.is_some());
    assert!(demand.take().is_none() && copy.take().is_none());
    drop(till);
    let (demand, till) = world.look_at_input(&order());
    drop(till);
    assert!(demand.take().is_none());
}

#[tokio::test]
async fn paid_too_late_it_is_given_back() {
    let world = World::new();
    let payment = world.pay(&order()).await;
    let (demand, till) = world.look_at_input(&order().paid(&payment));
    let bill = demand.take().unwrap();
    assert!(matches!(till.close(&Outcome::streaming(404)), Closed::Pass(_)));
    assert_eq!(bill.pay().await.unwrap_err().status, 503);
    // It was settled all the same, and is owed.
    yield_now().await;
    let answer = world.send(&order().paid(&payment)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_till_that_is_dropped_gives_back_what_was_paid_into_it() {
    let world = World::with(|builder| builder.settle(SettleTiming::BeforeHandler));
    let payment = world.pay(&order()).await;
    let (demand, till) = world.look_at_input(&order().paid(&payment));
    demand.take().unwrap().pay().await.unwrap();
    drop(till);
    for _ in 0..20 {
        yield_now().await;
    }
    assert_eq!(world.send(&order().paid(&payment)).await.status, 200, "it is owed");
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_settlement_of_unknown_outcome_is_not_paid() {
    let world = World::new();
    let payment = world.pay(&order()).await;
    let facilitator: Arc<FakeFacilitator> = Arc::new(world.facilitator.clone());
    facilitator.on_settle(SettleAnswer::Unavailable);
    let (demand, till) = world.look_at_input(&order().paid(&payment));
    assert_eq!(demand.take().unwrap().pay().await.unwrap_err().status, 503);
    let Closed::Reply(reply) = till.close(&Outcome::streaming(200)) else { panic!("it was not paid") };
    assert_eq!(reply.status, 503);
    assert!(!Answer::from(reply).has("payment-required"));
}

/// A shop that charges for what was used, once it has looked at what it is asked for.
fn metered(rule: PriceRule) -> World {
    let prices =
        Prices::new("https://api.example.com").pay_to(NETWORK, PAY_TO).charge("POST /orders", rule).build();
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    World::over(prices.unwrap(), facilitator, clock, |builder| builder.settle(SettleTiming::BeforeHandler))
}

fn ceiling_after_input() -> PriceRule {
    PriceRule::new(ceiling()).after_input()
}

#[tokio::test(start_paused = true)]
async fn what_was_used_is_charged_once_the_input_was_paid_for() {
    for rule in [ceiling_after_input(), ceiling_after_input().settle(SettleTiming::Deferred)] {
        for (used, charged) in
            [(Some(12_300), vec![12_300.into()]), (None, vec![CEILING.into()]), (Some(0), vec![])]
        {
            let world = metered(rule.clone());
            tokio::spawn(world.engine.worker());
            seconds(1).await;
            let payment = world.pay(&order()).await;
            let (demand, till) = world.look_at_input(&order().paid(&payment));
            let (context, charge) = demand.take().unwrap().pay().await.unwrap();
            assert_eq!((context.amount, context.settlement), (CEILING.into(), None));
            if let Some(used) = used {
                charge.set(used).unwrap();
            }
            assert_eq!(charge.set(CEILING + 1), Err(ChargeError::AboveCeiling { ceiling: CEILING.into() }));
            let Closed::Enter(ticket) = till.close(&Outcome::streaming(200)) else { panic!("it was paid") };
            assert_eq!(world.run(ticket, 200).await.status, 200);
            seconds(1).await;
            assert_eq!(moved(&world), charged, "{used:?}");
            assert!(matches!(charge.set(1), Err(ChargeError::TooLate { .. })));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_charged_a_ceiling_for_what_failed_or_broke_off_before_it_was_served() {
    let world = metered(ceiling_after_input());
    let payment = world.pay(&order()).await;
    for end in ["fails", "is dropped", "is not paid"] {
        let (demand, till) = world.look_at_input(&order().paid(&payment));
        let bill = demand.take().unwrap();
        match end {
            "is not paid" => assert!(matches!(till.close(&Outcome::streaming(422)), Closed::Pass(_))),
            _ => {
                let (_, charge) = bill.pay().await.unwrap();
                charge.set(9).unwrap();
                if end == "is dropped" {
                    drop(till);
                } else {
                    let Closed::Enter(ticket) = till.close(&Outcome::streaming(500)) else {
                        panic!("it was paid")
                    };
                    assert_eq!(world.run(ticket, 500).await.status, 500);
                }
            }
        }
        seconds(1).await;
        assert_eq!((world.facilitator.settle_calls(), moved(&world)), (0, vec![]), "{end}");
    }
    let (demand, till) = world.look_at_input(&order().paid(&payment));
    let (_, charge) = demand.take().unwrap().pay().await.unwrap();
    charge.set(7).unwrap();
    let Closed::Enter(ticket) = till.close(&Outcome::streaming(200)) else { panic!("it was paid") };
    world.run(ticket, 200).await;
    assert_eq!(
        moved(&world),
        [7.into()],
        "the same payment was still good, and what an earlier run said is gone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_charged_at_its_end_by_the_handle_that_paid_for_it() {
    let world = metered(ceiling_after_input());
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    let payment = world.pay(&order()).await;
    let (demand, till) = world.look_at_input(&order().paid(&payment));
    let (_, charge) = demand.take().unwrap().pay().await.unwrap();
    let Closed::Enter(ticket) = till.close(&Outcome::streaming(200)) else { panic!("it was paid") };
    let mut release = ticket.finish(Outcome::streaming(200)).await.unwrap();
    assert_eq!(moved(&world), [], "it leaves before it is settled");
    charge.set(4_200).unwrap();
    release.delivery.delivered();
    seconds(1).await;
    assert_eq!(moved(&world), [4_200.into()]);
}

#[tokio::test(start_paused = true)]
async fn copies_of_a_payment_pay_for_one_of_their_requests() {
    let world = Arc::new(metered(ceiling_after_input()));
    let payment = world.pay(&order()).await;
    let mut copies = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (world, request) = (Arc::clone(&world), order().paid(&payment));
        copies.spawn(async move {
            let (demand, till) = world.look_at_input(&request);
            let paid = demand.take().unwrap().pay().await;
            if let Ok((_, charge)) = &paid {
                seconds(1).await;
                charge.set(5).unwrap();
            }
            match till.close(&Outcome::streaming(200)) {
                Closed::Enter(ticket) => world.run(ticket, 200).await.status,
                Closed::Reply(reply) => reply.status,
                Closed::Pass(_) => panic!("a success passes unpaid"),
            }
        });
    }
    let mut told = copies.join_all().await;
    told.sort_unstable();
    assert_eq!((told[0], world.handler_runs()), (200, 1), "{told:?}");
    assert!(told[1..].iter().all(|status| *status == 409), "{told:?}");
    assert_eq!(moved(&world), [5.into()]);
}
