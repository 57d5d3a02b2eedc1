//! Payment that is asked for once a handler has looked at its input.

use std::sync::Arc;

use tokio::task::yield_now;
use x402_core::{
    Closed, NotPaid, Outcome, SettleTiming,
    testing::{FakeFacilitator, SettleAnswer},
};

use crate::support::{Answer, Request, World};

fn order() -> Request {
    Request::new("POST", "/orders")
}

#[tokio::test]
async fn it_is_settled_before_the_handler_goes_on() {
    let world = World::new();
    let payment = world.pay(&order()).await;
    assert_eq!(world.facilitator.verify_calls(), 0);
    let (demand, till) = world.look_at_input(&order().paid(&payment));
    let context = demand.take().unwrap().pay().await.unwrap();
    assert!(context.settlement.is_some());
    let Closed::Enter(ticket) = till.close(200) else { panic!("it was paid") };
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
                match till.close(status) {
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
async fn what_the_engine_answers_is_sent_whatever_the_handler_says() {
    let world = World::new();
    let payment = world.pay(&order()).await;
    for status in [200, 402, 500] {
        let (demand, till) = world.look_at_input(&order());
        assert!(matches!(demand.take().unwrap().pay().await, Err(NotPaid { status: 402, .. })));
        let Closed::Reply(reply) = till.close(status) else { panic!("{status}") };
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
    assert!(matches!(till.close(404), Closed::Pass(_)));
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
    let Closed::Reply(reply) = till.close(200) else { panic!("it was not paid") };
    assert_eq!(reply.status, 503);
    assert!(!Answer::from(reply).has("payment-required"));
}
