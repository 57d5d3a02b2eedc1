//! What an application may say about payments, and what it hears of them.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use x402_core::{
    ChallengeFacts, EngineBuilder, HookResult, Hooks, Outcome, PaymentFacts, SettleTiming, Veto,
    error::RejectReason,
    facilitator::{BoxFuture, Settlement},
    testing::{EvidenceAnswer, FakeClock, FakeFacilitator, SettleAnswer, VerifyAnswer},
    time::UnixSeconds,
};

use crate::support::{NOW, Request, World, prices};

/// Hooks that note what they are asked, and do as told.
#[derive(Clone, Default)]
struct Told {
    name: &'static str,
    does: Arc<Mutex<Vec<(&'static str, Does)>>>,
    log: Arc<Mutex<Vec<String>>>,
    facts: Arc<Mutex<Vec<PaymentFacts>>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Does {
    Veto,
    Fail,
    Panic,
    Hang,
}

const QUESTIONS: [&str; 3] = ["before_verify", "after_verify", "before_settle"];
const TIMINGS: [SettleTiming; 3] =
    [SettleTiming::AfterHandler, SettleTiming::BeforeHandler, SettleTiming::Deferred];

impl Told {
    /// Does this when it is next asked that.
    fn next(&self, question: &'static str, does: Does) {
        self.does.lock().unwrap().push((question, does));
    }

    fn log(&self) -> MutexGuard<'_, Vec<String>> {
        self.log.lock().unwrap()
    }

    fn noted(&self, question: &str) -> Option<Does> {
        self.log().push(format!("{}{question}", self.name));
        let mut does = self.does.lock().unwrap();
        let place = does.iter().position(|(at, _)| *at == question)?;
        Some(does.remove(place).1)
    }

    fn answer<'a>(&'a self, question: &'static str, payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        self.facts.lock().unwrap().push(payment.clone());
        let does = self.noted(question);
        Box::pin(async move {
            match does {
                None => Ok(()),
                Some(Does::Veto) => Err(Veto::new("not_today").into()),
                Some(Does::Fail) => Err("the list of the blocked is gone".into()),
                Some(Does::Panic) => panic!("on purpose"),
                Some(Does::Hang) => pending().await,
            }
        })
    }
}

impl Hooks for Told {
    fn on_challenge(&self, challenge: &ChallengeFacts<'_>) -> HookResult {
        let refused = challenge.refused.map(RejectReason::code).unwrap_or_default();
        assert_eq!((challenge.route, challenge.method), ("GET /weather/{city}", "GET"));
        assert_eq!(challenge.path, "/weather/oslo");
        match self.noted(&format!("on_challenge{refused}")) {
            None => Ok(()),
            Some(Does::Veto) => Err(Veto::new("not_today").into()),
            Some(Does::Fail | Does::Hang) => Err("gone".into()),
            Some(Does::Panic) => panic!("on purpose"),
        }
    }

    fn before_verify<'a>(&'a self, payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        self.answer("before_verify", payment)
    }

    fn after_verify<'a>(&'a self, payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        self.answer("after_verify", payment)
    }

    fn before_settle<'a>(&'a self, payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        self.answer("before_settle", payment)
    }

    fn on_settled<'a>(&'a self, payment: &'a PaymentFacts, settlement: &'a Settlement) -> BoxFuture<'a, ()> {
        assert_eq!(settlement.amount, payment.amount);
        Box::pin(async move { drop(self.answer("on_settled", payment).await) })
    }

    fn on_failed<'a>(&'a self, payment: &'a PaymentFacts, reason: &'a str) -> BoxFuture<'a, ()> {
        assert_eq!(reason, "invalid_exact_evm_insufficient_balance");
        Box::pin(async move { drop(self.answer("on_failed", payment).await) })
    }
}

/// A world whose worker runs, and what its hooks were told.
fn world(timing: SettleTiming) -> (World, Told) {
    with(timing, |builder| builder)
}

fn with(timing: SettleTiming, configure: impl FnOnce(EngineBuilder) -> EngineBuilder) -> (World, Told) {
    let told = Told::default();
    let world = World::with(|builder| configure(builder.settle(timing).hooks(told.clone())));
    tokio::spawn(world.engine.worker());
    (world, told)
}

async fn a_while() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_veto_charges_nobody_and_the_same_payment_may_come_again() {
    for timing in TIMINGS {
        for question in QUESTIONS {
            let (world, told) = world(timing);
            a_while().await;
            let request = Request::get("/weather/oslo");
            let paid = request.paid(&world.pay(&request).await);
            told.next(question, Does::Veto);
            let answer = world.send(&paid).await;
            assert_eq!(
                (answer.status, answer.reason().as_str()),
                (403, "not_today"),
                "{question} {timing:?}"
            );
            assert!(!answer.has("payment-required") && !answer.has("retry-after"));
            assert!(!answer.has("payment-response"));
            assert_eq!(answer.get("cache-control"), Some(&b"no-store"[..]));
            a_while().await;
            assert_eq!((world.facilitator.settle_calls(), world.facilitator.transfers().len()), (0, 0));

            assert_eq!(world.send(&paid).await.status, 200, "{question} {timing:?}");
            a_while().await;
            assert_eq!(world.facilitator.transfers().len(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_cannot_tell_lets_nothing_pass() {
    for timing in TIMINGS {
        for question in QUESTIONS {
            for does in [Does::Fail, Does::Panic, Does::Hang] {
                let (world, told) = world(timing);
                a_while().await;
                let request = Request::get("/weather/oslo");
                let paid = request.paid(&world.pay(&request).await);
                told.next(question, does);
                let begun = tokio::time::Instant::now();
                let answer = world.send(&paid).await;
                let what = format!("{question} {does:?} {timing:?}");
                assert_eq!((answer.status, answer.reason().as_str()), (503, "hook_unavailable"), "{what}");
                assert!(answer.has("retry-after") && !answer.has("payment-required"), "{what}");
                assert!(begun.elapsed() < Duration::from_secs(6), "{what}");
                assert_eq!(world.facilitator.settle_calls(), 0, "{what}");
                assert_eq!(world.send(&paid).await.status, 200, "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_hooks_do_once_money_moved_changes_nothing() {
    for timing in TIMINGS {
        for does in [Does::Fail, Does::Panic, Does::Hang] {
            let (world, told) = world(timing);
            a_while().await;
            let request = Request::get("/weather/oslo");
            let paid = request.paid(&world.pay(&request).await);
            told.next("on_settled", does);
            assert_eq!(world.send(&paid).await.status, 200, "{does:?} {timing:?}");
            a_while().await;
            assert_eq!(told.log().iter().filter(|asked| *asked == "on_settled").count(), 1);

            let other = request.paid(&world.pay(&request).await);
            told.next("on_failed", does);
            world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
            let answer = world.send(&other).await;
            assert_eq!(answer.status, if timing == SettleTiming::Deferred { 200 } else { 402 });
            a_while().await;
            assert_eq!(told.log().iter().filter(|asked| *asked == "on_failed").count(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_are_asked_in_order_and_told_what_happened() {
    for timing in TIMINGS {
        let second = Told { name: "2 ", ..Told::default() };
        let first = Told { log: Arc::clone(&second.log), ..Told::default() };
        let clock = FakeClock::new(UnixSeconds::new(NOW));
        let facilitator = FakeFacilitator::new().with_local_proof();
        let both = World::over(prices(), facilitator, clock, |builder| {
            builder.settle(timing).hooks(first.clone()).hooks(second.clone())
        });
        tokio::spawn(both.engine.worker());
        a_while().await;
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&both.pay(&request).await);
        assert_eq!(both.send(&paid).await.status, 200);
        a_while().await;
        let all = ["on_challenge", "before_verify", "after_verify", "before_settle", "on_settled"];
        let expected: Vec<_> = all.iter().flat_map(|at| [(*at).to_owned(), format!("2 {at}")]).collect();
        assert_eq!(*first.log(), expected, "{timing:?}");

        // Delivered and settled: nobody is asked about it again.
        assert_eq!(both.send(&paid).await.status, 200);
        assert_eq!(first.log().len(), expected.len());

        first.log().clear();
        first.next("after_verify", Does::Veto);
        let other = request.paid(&both.pay(&request).await);
        assert_eq!(both.send(&other).await.status, 403);
        let wanted = ["on_challenge", "2 on_challenge", "before_verify", "2 before_verify", "after_verify"];
        assert_eq!(*first.log(), wanted, "the second is not asked what the first refused");
    }
}

#[tokio::test(start_paused = true)]
async fn facts_name_the_payment_and_hold_no_secret() {
    let (world, told) = world(SettleTiming::AfterHandler);
    let request = Request::get("/weather/oslo?token=secret");
    let paid = request.paid(&world.pay(&request).await);
    let ticket = world.enter(&paid).await.unwrap();
    let context = ticket.context().clone();
    assert_eq!(world.run(ticket, 200).await.status, 200);
    a_while().await;
    let facts = told.facts.lock().unwrap().clone();
    assert_eq!(facts.len(), 4);
    for facts in facts {
        assert_eq!(&*facts.route, "GET /weather/{city}");
        assert_eq!((facts.method.as_deref(), facts.path.as_deref()), (Some("GET"), Some("/weather/oslo")));
        assert_eq!((&facts.payer, &facts.network), (&context.payer, &context.network));
        assert_eq!((&facts.asset, facts.amount), (&context.asset, context.amount));
        assert_eq!((facts.payment_key, facts.order_id), (context.payment_key, Some(context.order_id)));
        let text = format!("{facts:?}");
        assert!(!text.contains("secret") && !text.to_lowercase().contains("signature"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_challenge_may_be_vetoed_too() {
    let (world, told) = world(SettleTiming::AfterHandler);
    let request = Request::get("/weather/oslo");
    for (does, status, reason) in [
        (Does::Veto, 403, "not_today"),
        (Does::Fail, 503, "hook_unavailable"),
        (Does::Panic, 503, "hook_unavailable"),
    ] {
        told.next("on_challenge", does);
        let answer = world.send(&request).await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{does:?}");
        assert!(!answer.has("payment-required"));
    }
    let paid = request.paid(&world.pay(&request).await);
    world.facilitator.next_verify(VerifyAnswer::Reject(RejectReason::InsufficientFunds));
    told.next("on_challengeinvalid_exact_evm_insufficient_balance", Does::Veto);
    assert_eq!(world.send(&paid).await.status, 403, "the reason is told");
    assert_eq!(world.send(&paid).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn hooks_have_no_say_once_a_settlement_was_begun() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::BeforeHandler] {
        let (world, told) = with(timing, |builder| builder.resolve_within(Duration::from_millis(1)));
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        world.facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
        world.facilitator.next_evidence(EvidenceAnswer::Unavailable);
        assert_eq!(world.send(&paid).await.status, 503);
        for question in QUESTIONS {
            told.next(question, Does::Veto);
        }
        assert_eq!(world.send(&paid).await.status, 200, "paid, so delivered: {timing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_failed_is_not_settled_so_nobody_is_asked() {
    let (world, told) = world(SettleTiming::AfterHandler);
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    told.next("before_settle", Does::Veto);
    assert_eq!(world.send_to(&paid, 500).await.status, 500);
    assert!(!told.log().iter().any(|asked| asked == "before_settle"));
}

#[tokio::test(start_paused = true)]
async fn a_vetoed_response_does_not_leave_and_its_run_counts() {
    let (world, told) = world(SettleTiming::AfterHandler);
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    for run in 1..=3 {
        told.next("before_settle", Does::Veto);
        let ticket = world.enter(&paid).await.unwrap();
        let reply = ticket.finish(Outcome::complete(200, Vec::new(), "sunny".into())).await.unwrap_err();
        assert_eq!(reply.status, 403, "run {run}");
    }
    let answer = world.send(&paid).await;
    assert_ne!(answer.status, 200, "three runs are all an unpaid order gets: {answer:?}");
    assert_eq!(world.facilitator.settle_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_the_facilitator_checks_signatures_hooks_are_asked_before_anything_is_stored() {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let told = Told::default();
    let world = World::over(prices(), FakeFacilitator::new(), clock, |builder| builder.hooks(told.clone()));
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    for question in ["before_verify", "after_verify"] {
        told.next(question, Does::Veto);
        assert_eq!(world.send(&paid).await.status, 403);
        assert!(told.facts.lock().unwrap().iter().all(|facts| facts.order_id.is_none()));
    }
    assert_eq!(world.facilitator.verify_calls(), 1, "the first veto spared it the question");
    told.log().clear();
    assert_eq!(world.send(&paid).await.status, 200);
    a_while().await;
    assert_eq!(*told.log(), ["before_verify", "after_verify", "before_settle", "on_settled"], "each once");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_until_hooks_were_told() {
    let (world, told) = world(SettleTiming::AfterHandler);
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    told.next("on_settled", Does::Hang);
    assert_eq!(world.send(&paid).await.status, 200);
    assert!(!world.engine.drain(Duration::from_secs(2)).await, "it hangs");
    assert!(world.engine.drain(Duration::from_secs(10)).await, "and is given up");
}
