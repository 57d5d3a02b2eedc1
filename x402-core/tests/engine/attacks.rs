//! What payers, races and outages can try: to get something for nothing, twice, or not to get what was paid for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use x402_core::{
    Admission, Engine, EngineBuilder, Outcome, SettleTiming, Triage,
    error::RejectReason,
    facilitator::{BoxFuture, Evidence, Transfer, VerifyError, Witness},
    order::MAX_PAID_RUNS,
    price::{Price, PriceOption, PriceRule, Prices},
    testing::{EvidenceAnswer, FakeClock, FakeFacilitator, SettleAnswer, VerifyAnswer},
    time::UnixSeconds,
};

use crate::{
    faults::{Fault, FaultyStore, Step},
    support::{Answer, NETWORK, NOW, PAY_TO, Request, World, prices},
};

/// Signatures are proved by the facilitator alone, as behind a remote one.
fn remote(configure: impl FnOnce(EngineBuilder) -> EngineBuilder) -> World {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_witness().with_clock(clock.clone());
    World::over(prices(), facilitator, clock, configure)
}

#[tokio::test]
async fn a_store_that_is_down_does_not_ask_for_a_second_payment() {
    for local in [false, true] {
        let (store, down) = FaultyStore::switched(Fault::Lost, &[Step::Find, Step::Open]);
        let configure = |builder: EngineBuilder| builder.store(store);
        let world = if local { World::with(configure) } else { remote(configure) };
        let request = Request::get("/weather/oslo");
        let payment = world.payer.pay_v1(&world.send(&request).await.body);
        assert_eq!(world.send(&request.paid_v1(&payment)).await.status, 200);
        down.store(true, Ordering::SeqCst);
        for age in [0, 400] {
            world.clock.advance(Duration::from_secs(age));
            let answer = world.send(&request.paid_v1(&payment)).await;
            assert_eq!(
                (answer.status, answer.reason().as_str()),
                (503, "store_unavailable"),
                "after {age} s"
            );
            assert!(!answer.has("payment-required"));
        }
        down.store(false, Ordering::SeqCst);
        assert_eq!(world.send(&request.paid_v1(&payment)).await.body, "run 1");
    }
}

#[tokio::test]
async fn a_copy_that_is_verified_after_the_first_was_charged_gets_its_response() {
    for late in [0, 400] {
        let world = Arc::new(remote(|builder| builder));
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        world.facilitator.next_verify(VerifyAnswer::Hang);
        let copy = tokio::spawn({
            let (world, paid) = (Arc::clone(&world), paid.clone());
            async move { world.send(&paid).await }
        });
        world.facilitator.hanging(1).await;
        assert_eq!(world.send(&paid).await.status, 200);
        // Now its nonce is used, or its time is over: no reason to have the payer sign again.
        world.clock.advance(Duration::from_secs(late));
        world.facilitator.release();
        let answer = copy.await.unwrap();
        assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]), "{late} s late");
        assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn copies_whose_clients_are_gone_are_not_worked_on() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let store = FaultyStore::new(move |step| {
        count.fetch_add(usize::from(step == Step::Open), Ordering::SeqCst);
        Fault::None
    });
    let world = World::with(|builder| builder.store(store).wait_in_flight(Duration::from_secs(60)));
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    let ticket = world.enter(&paid).await.unwrap();
    for _ in 0..100 {
        assert!(tokio::time::timeout(Duration::from_millis(1), world.enter(&paid)).await.is_err());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = opened.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(opened.load(Ordering::SeqCst), before);
    assert_eq!(world.run(ticket, 200).await.status, 200);
}

#[tokio::test]
async fn a_paid_stream_is_not_repeated_for_ever() {
    for timing in [SettleTiming::BeforeHandler, SettleTiming::AfterHandler] {
        let world = World::with(|builder| builder.settle(timing));
        let request = Request::get("/weather/oslo");
        let paid = request.paid(&world.pay(&request).await);
        for _ in 0..MAX_PAID_RUNS {
            // All is read but the last byte.
            let ticket = world.enter(&paid).await.unwrap();
            drop(ticket.finish(Outcome::streaming(200)).await.unwrap());
        }
        for _ in 0..2 {
            let answer = world.enter(&paid).await.unwrap_err();
            assert_eq!((answer.status, answer.reason().as_str()), (409, "handler_error"), "{timing:?}");
            assert_eq!(answer.json("payment-response")["success"], true, "it stays paid");
        }
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
}

#[tokio::test]
async fn a_paid_handler_that_fails_may_fail_often() {
    let world = World::with(|builder| builder.settle(SettleTiming::BeforeHandler));
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    for _ in 0..3 * MAX_PAID_RUNS {
        assert_eq!(world.send_to(&paid, 503).await.status, 503);
    }
    assert_eq!(world.send(&paid).await.status, 200);
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_kept_response_that_nobody_waited_for_is_owed() {
    let (store, forgotten) = FaultyStore::switched(Fault::Forgotten, &[Step::Response]);
    let world =
        Arc::new(World::with(|builder| builder.store(store).resolve_within(Duration::from_millis(1))));
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    world.facilitator.next_settle(SettleAnswer::Unresolved { moved: false });
    world.facilitator.next_evidence(EvidenceAnswer::Unavailable);
    assert_eq!(world.send(&paid).await.status, 503);

    world.facilitator.next_settle(SettleAnswer::Hang);
    let retry = tokio::spawn({
        let (world, paid) = (Arc::clone(&world), paid.clone());
        async move { world.send(&paid).await }
    });
    world.facilitator.hanging(1).await;
    retry.abort();
    assert!(retry.await.unwrap_err().is_cancelled());
    world.facilitator.release();
    while world.facilitator.transfers().is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;

    forgotten.store(true, Ordering::SeqCst);
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 2"[..]), "paid, and nobody has seen run 1");
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_remembered_as_long_as_what_was_paid() {
    let world = World::with(|builder| builder.resolve_within(Duration::from_millis(1)));
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    world.facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
    world.facilitator.on_evidence(EvidenceAnswer::Unavailable);
    assert_eq!(world.send(&paid).await.status, 503);
    // The chain is down for hours, and the authorization is long over.
    world.clock.advance(Duration::from_secs(5 * 3600));
    world.facilitator.on_settle(SettleAnswer::Unavailable);
    let answer = world.send(&paid).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(!answer.has("payment-required"));
    world.facilitator.on_evidence(EvidenceAnswer::Honest);
    let answer = world.send(&paid).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_delivery_told_from_outside_the_runtime_counts() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    let ticket = world.enter(&paid).await.unwrap();
    let mut release = ticket.finish(Outcome::streaming(200)).await.unwrap();
    let sent = std::thread::spawn(move || release.delivery.delivered());
    sent.join().unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.clock.advance(Duration::from_secs(31));
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, answer.reason().as_str()), (409, "payment_replayed"));
    assert_eq!(world.handler_runs(), 0, "the run by hand was the only one");
}

#[tokio::test]
async fn version_1_pays_for_the_option_that_its_402_offers() {
    // A token of 18 decimals: its amount is too long for strict version 1 clients, so the second option is offered.
    let token = format!("0x{:040x}", 0xd0115);
    let dollar = PriceOption::new(NETWORK.parse().unwrap(), token, 1_000_000_000_000_000_000, PAY_TO)
        .signing_domain("Dollar", "1");
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /weather/{city}", Price::options(vec![dollar]).or("$1"))
        .build()
        .unwrap();
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let world = World::over(prices, FakeFacilitator::new().with_local_proof(), clock, |builder| builder);
    let request = Request::get("/weather/oslo");
    let v1 = world.payer.pay_v1(&world.send(&request).await.body);
    let answer = world.send(&request.paid_v1(&v1)).await;
    assert_eq!(answer.status, 200, "{}", answer.reason());
}

#[test]
fn a_timeout_that_no_payment_could_use_is_found_at_start() {
    let prices = || {
        let rule = PriceRule::new("$0.01").max_timeout(Duration::from_secs(600));
        Prices::new("https://api.example.com").pay_to(NETWORK, PAY_TO).charge("GET /a", rule).build().unwrap()
    };
    let build = |longest| {
        let builder = Engine::builder(prices()).facilitator(FakeFacilitator::new());
        builder.longest_authorization(Duration::from_secs(longest)).build()
    };
    assert!(build(600).is_ok());
    assert!(build(599).unwrap_err().to_string().contains("longest_authorization"));
}

#[test]
fn waits_without_an_end_are_found_at_start() {
    let builder = || Engine::builder(prices()).facilitator(FakeFacilitator::new());
    assert!(builder().wait_in_flight(Duration::MAX).build().is_err());
    assert!(builder().resolve_within(Duration::MAX).build().is_err());
    assert!(builder().wait_in_flight(Duration::ZERO).resolve_within(Duration::ZERO).build().is_ok());
}

#[tokio::test]
async fn clients_whose_clock_is_a_little_ahead_may_use_the_whole_timeout() {
    let rule = PriceRule::new("$0.01").max_timeout(Duration::from_secs(600));
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /a", rule)
        .build()
        .unwrap();
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let world = World::over(prices, FakeFacilitator::new().with_local_proof(), clock, |builder| {
        builder.longest_authorization(Duration::from_secs(600))
    });
    let request = Request::get("/a");
    let challenge = world.send(&request).await;
    let ahead = |seconds| {
        x402_core::testing::TestPayer::new("bob").clock(FakeClock::new(UnixSeconds::new(NOW + seconds)))
    };
    let pay = |seconds| ahead(seconds).pay_v2(challenge.get("payment-required").unwrap());
    assert_eq!(world.send(&request.paid(&pay(6))).await.status, 402);
    assert_eq!(world.send(&request.paid(&pay(5))).await.status, 200);
}

#[tokio::test]
async fn nothing_that_prints_a_request_prints_its_secrets() {
    let world = World::new();
    let request = Request::get("/weather/oslo?key=hunter2").header("authorization", "Bearer hunter2");
    let paid = request.paid(&world.pay(&request).await);
    let signature = std::str::from_utf8(&paid.headers.last().unwrap().1).unwrap().to_owned();
    let Triage::Check(attempt) = world.engine.triage(&paid) else { panic!("it is priced") };
    let mut printed = format!("{attempt:?}");
    let Admission::Enter(ticket) = world.engine.admit(attempt).await else { panic!("it is paid") };
    printed += &format!("{ticket:?} {:?} {:?}", ticket.context(), world.engine);
    let outcome = Outcome::complete(200, vec![("set-cookie".into(), "hunter2".into())], "hunter2".into());
    printed += &format!("{outcome:?}");
    printed += &format!("{:?}", ticket.finish(outcome).await);
    let facts = x402_core::head::RequestFacts::default();
    let mut facts = facts;
    facts.query = Some("key=hunter2".to_owned());
    facts.headers = vec![("authorization".to_owned(), b"hunter2".to_vec())];
    printed += &format!("{facts:?}");
    let scope = x402_core::quote::QuoteScope::new("https://a.example", "GET /", "GET", "/", Some("hunter2"));
    printed += &format!("{scope:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(!printed.contains(&signature));
    let bytes = format!("{:?}", b"hunter2");
    assert!(!printed.contains(bytes.trim_matches(['[', ']'])), "{printed}");
}

#[test]
fn a_runtime_that_shuts_down_while_it_settles_loses_nothing() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::BeforeHandler] {
        let world = Arc::new(World::with(|builder| builder.settle(timing)));
        let request = Request::get("/weather/oslo");
        let runtime =
            || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let first = runtime();
        let paid = request.paid(&first.block_on(world.pay(&request)));
        world.facilitator.next_settle(SettleAnswer::Hang);
        first.spawn({
            let (world, paid) = (Arc::clone(&world), paid.clone());
            async move { world.send(&paid).await }
        });
        first.block_on(world.facilitator.hanging(1));
        first.shutdown_timeout(Duration::from_secs(5));
        world.clock.advance(Duration::from_secs(31));
        let answer = runtime().block_on(world.send(&paid));
        assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]), "{timing:?}");
        assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
    }
}

/// The client leaves after every number of polls that one request takes.
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_at_any_moment_pays_once_and_is_served_once() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::BeforeHandler] {
        for lost in [false, true] {
            for polls in 0.. {
                let world = World::with(|builder| builder.settle(timing));
                let request = Request::get("/weather/oslo");
                let paid = request.paid(&world.pay(&request).await);
                if lost {
                    world.facilitator.next_settle(SettleAnswer::Unresolved { moved: polls % 2 == 0 });
                }
                let left = leave_after(polls, world.send(&paid)).await.is_none();
                let mut answer = world.send(&paid).await;
                if answer.status == 503 {
                    answer = world.send(&paid).await;
                }
                assert_eq!(answer.status, 200, "{timing:?}, {polls} polls, {answer:?}");
                let again: Answer = world.send(&paid).await;
                assert_eq!((again.status, &again.body), (200, &answer.body));
                assert_eq!(world.facilitator.transfers().len(), 1, "{timing:?}, {polls} polls");
                if !left {
                    break;
                }
            }
        }
    }
}

/// Polls a future so many times, then drops it.
pub(crate) async fn leave_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// A witness whose node takes a question and is not heard from again.
struct Silent;

impl Witness for Silent {
    fn evidence<'a>(&'a self, _: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_never_answers_holds_nobody_up() {
    let used = SettleAnswer::Reject(RejectReason::NonceAlreadyUsed);
    // What was used before we sent anything may be forgotten, delivered and all.
    for (settle, status) in [(SettleAnswer::Unresolved { moved: true }, 503), (used, 409)] {
        let world = World::with(|builder| builder.witness(Silent));
        let request = Request::get("/weather/oslo");
        let payment = world.pay(&request).await;
        world.facilitator.next_settle(settle);
        let paid = request.paid(&payment);
        let sent = tokio::time::timeout(Duration::from_secs(90), world.send(&paid));
        let answer = sent.await.expect("answered");
        assert_eq!((answer.status, answer.has("payment-required")), (status, false));
    }
}
