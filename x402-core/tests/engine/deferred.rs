//! Responses that leave before their payments are settled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use x402_core::{
    DeferredLimits, Engine, EngineBuilder, Outcome, SettleTiming,
    error::RejectReason,
    facilitator::{BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError},
    order::{DeliveryState, MemoryStore, OrderStore, PaymentState},
    price::{PriceRule, Prices},
    scheme::{PaymentKey, Scheme},
    testing::{EvidenceAnswer, FakeClock, FakeFacilitator, SettleAnswer},
    time::UnixSeconds,
    wire::facilitator::SupportedResponse,
};

use crate::{
    contracts::OfContracts,
    faults::{Fault, FaultyStore, Step},
    ports::{FlowingClock, Meter, flowing, flowing_over, instance, order, seconds},
    support::{NETWORK, NOW, PAY_TO, Request, World},
};

const LOST: &str = "x402_orders_attention_total{attention=delivered_unsettled}";

fn undeferred(meter: &Meter, reason: &str) -> u64 {
    meter.read(&format!("x402_undeferred_total{{reason={reason}}}"))
}

/// A world with a worker, whose routes are deferred.
async fn shop(limits: DeferredLimits) -> (Arc<World>, MemoryStore) {
    let (world, store) = flowing(|builder| builder.settle(SettleTiming::Deferred).deferred(limits));
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    (Arc::new(world), store)
}

async fn paid(world: &World, request: &Request) -> Request {
    request.paid(&world.pay(request).await)
}

#[tokio::test(start_paused = true)]
async fn the_response_leaves_at_once_and_a_retry_gets_the_receipt() {
    let (world, store) = shop(DeferredLimits::default()).await;
    let paid = paid(&world, &Request::get("/weather/oslo")).await;
    world.facilitator.next_settle(SettleAnswer::Hang);
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]));
    assert!(!answer.has("payment-response"), "there is none yet");
    assert_eq!(answer.get("cache-control").unwrap(), b"private, no-store");
    world.facilitator.hanging(1).await;
    let key = answer.paid.unwrap().payment_key;
    assert!(store_payment(&store, key).await, "kept until it is settled");

    // Not settled yet: the same response, and no receipt.
    let again = world.send(&paid).await;
    assert_eq!((again.status, &*again.body, again.has("payment-response")), (200, &b"run 1"[..], false));
    assert_eq!(again.get("idempotent-replayed").unwrap(), b"true");

    // The settlement takes its time, longer than a lease.
    seconds(70).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Settling);
    world.facilitator.release();
    seconds(1).await;
    let settled = order(&store, key).await;
    assert_eq!(
        (settled.state.payment, settled.state.delivery),
        (PaymentState::Settled, DeliveryState::Delivered)
    );
    assert_eq!(settled.leased_until, None);
    assert!(!store_payment(&store, key).await, "the signature is forgotten");
    let again = world.send(&paid).await;
    assert_eq!(again.json("payment-response")["success"], true);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
    assert_eq!(world.facilitator.settle_calls(), 1);
}

async fn store_payment(store: &MemoryStore, key: PaymentKey) -> bool {
    store.payment(&key).await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_delays_no_settlement_and_keeps_its_order() {
    let (world, store) = shop(DeferredLimits::default()).await;
    let paid = paid(&world, &Request::new("POST", "/render")).await;
    let ticket = world.enter(&paid).await.unwrap();
    let key = ticket.context().payment_key;
    let mut release = ticket.finish(Outcome::streaming(200)).await.unwrap();
    seconds(100).await;
    let settled = order(&store, key).await;
    assert_eq!(settled.state.payment, PaymentState::Settled);
    assert!(settled.is_leased(UnixSeconds::new(NOW + 100)), "nobody else may run it");
    let copy = world.send(&paid).await;
    assert_eq!((copy.status, copy.reason().as_str()), (409, "payment_in_progress"));
    release.delivery.delivered();
    seconds(1).await;
    let done = order(&store, key).await;
    assert_eq!((done.state.delivery, done.leased_until), (DeliveryState::Delivered, None));
    let copy = world.send(&paid).await;
    assert_eq!((copy.status, copy.reason().as_str()), (409, "payment_replayed"));
    assert!(copy.has("payment-response"));
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_cannot_be_kept_is_not_sent_twice_while_its_settlement_is_on_its_way() {
    let (world, store) = shop(DeferredLimits::default()).await;
    let paid = paid(&world, &Request::new("POST", "/render")).await;
    world.facilitator.next_settle(SettleAnswer::Hang);
    let first = world.send(&paid).await;
    assert_eq!(first.status, 200);
    seconds(1).await;
    let copy = world.send(&paid).await;
    assert_eq!((copy.status, copy.reason().as_str()), (409, "payment_replayed"));
    assert!(!copy.has("payment-response") && !copy.has("payment-required"));
    world.facilitator.release();
    seconds(1).await;
    assert_eq!(order(&store, first.paid.unwrap().payment_key).await.leased_until, None);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_response_lost_on_its_way_is_owed_once_it_is_settled() {
    for settled_first in [true, false] {
        let (world, store) = shop(DeferredLimits::default()).await;
        let paid = paid(&world, &Request::get("/weather/oslo")).await;
        let ticket = world.enter(&paid).await.unwrap();
        let key = ticket.context().payment_key;
        world.facilitator.next_settle(SettleAnswer::Hang);
        let outcome = Outcome::complete(200, Vec::new(), "sunny".into());
        let release = ticket.finish(outcome).await.unwrap();
        world.facilitator.hanging(1).await;
        if settled_first {
            world.facilitator.release();
            seconds(1).await;
        }
        drop(release);
        seconds(1).await;
        world.facilitator.release();
        seconds(1).await;
        let owed = order(&store, key).await;
        assert_eq!((owed.state.payment, owed.state.delivery), (PaymentState::Settled, DeliveryState::Ready));
        assert_eq!(owed.leased_until, None, "settled first: {settled_first}");
        let answer = world.send(&paid).await;
        assert_eq!((answer.status, &*answer.body), (200, &b"sunny"[..]));
        assert!(answer.has("payment-response"));
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_charges_nobody() {
    let (world, _) = shop(DeferredLimits::default()).await;
    let paid = paid(&world, &Request::get("/weather/oslo")).await;
    assert_eq!(world.send_to(&paid, 500).await.status, 500);
    seconds(5).await;
    assert_eq!(world.facilitator.settle_calls(), 0);
    assert_eq!(world.send(&paid).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_fails_is_told_and_its_payer_pays_first_for_ten_minutes() {
    let meter = Meter::default();
    let _metered = metrics::set_default_local_recorder(&meter);
    let (world, store) = shop(DeferredLimits::default()).await;
    let request = Request::get("/weather/oslo");
    let first = paid(&world, &request).await;
    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
    let answer = world.send(&first).await;
    assert_eq!(answer.status, 200, "it was out before");
    seconds(1).await;
    let failed = order(&store, answer.paid.unwrap().payment_key).await;
    assert_eq!((failed.state.payment, failed.leased_until), (PaymentState::Failed, None));
    assert_eq!(meter.read(LOST), 1);
    assert_eq!(world.send(&first).await.status, 402, "nothing more for this payment");

    let second = paid(&world, &request).await;
    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
    let answer = world.send(&second).await;
    assert_eq!((answer.status, answer.body.starts_with(b"run")), (402, false));
    assert_eq!((undeferred(&meter, "payer_failed"), meter.read(LOST)), (1, 1));

    seconds(600).await;
    world.clock.advance(Duration::from_secs(600));
    let third = paid(&world, &request).await;
    let answer = world.send(&third).await;
    assert_eq!((answer.status, answer.has("payment-response")), (200, false), "deferred again");
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_a_bound_is_settled_before_it_leaves() {
    for (limits, reason) in [
        (DeferredLimits::default().per_payer(3), "payer_limit"),
        (DeferredLimits::default().in_total(3), "total_limit"),
        (DeferredLimits::default().in_total(0), "total_limit"),
    ] {
        let meter = Meter::default();
        let _metered = metrics::set_default_local_recorder(&meter);
        let (world, _) = shop(limits).await;
        world.facilitator.on_settle(SettleAnswer::Hang);
        let (mut sent, mut first) = (Vec::new(), 0);
        let room = limits.in_total.min(limits.per_payer);
        for _ in 0..room + 2 {
            let paid = paid(&world, &Request::get("/weather/oslo")).await;
            let world = Arc::clone(&world);
            sent.push(tokio::spawn(async move { world.send(&paid).await }));
        }
        seconds(2).await;
        for answer in &sent {
            first += u64::from(answer.is_finished());
        }
        assert_eq!(first, room, "{reason}: the others wait for their settlement");
        assert_eq!(undeferred(&meter, reason), 2);
        world.facilitator.release();
        let mut receipts = 0;
        for answer in sent {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status, 200, "nobody is refused");
            receipts += usize::from(answer.has("payment-response"));
        }
        assert_eq!(receipts, 2);
        seconds(1).await;
        world.facilitator.on_settle(SettleAnswer::Honest);
        let paid = paid(&world, &Request::get("/weather/oslo")).await;
        assert_eq!(world.send(&paid).await.has("payment-response"), room == 0, "there is room again");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deferred_while_nobody_would_finish_it() {
    let meter = Meter::default();
    let _metered = metrics::set_default_local_recorder(&meter);
    let (world, _) = flowing(|builder| builder.settle(SettleTiming::Deferred));
    let request = Request::get("/weather/oslo");
    let receipt = async || {
        let paid = paid(&world, &request).await;
        world.send(&paid).await.has("payment-response")
    };
    assert!(receipt().await, "no worker was ever seen");
    let worker = tokio::spawn(world.engine.worker());
    seconds(1).await;
    assert!(!receipt().await);
    worker.abort();
    seconds(40).await;
    assert!(receipt().await, "it was not polled for longer than a lease");
    assert_eq!(undeferred(&meter, "no_worker"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_count_defers_nothing() {
    let meter = Meter::default();
    let _metered = metrics::set_default_local_recorder(&meter);
    let (faulty, down) = FaultyStore::switched(Fault::Lost, &[Step::Deferred]);
    let world = flowing_over(faulty, |builder| builder.settle(SettleTiming::Deferred));
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    down.store(true, Ordering::SeqCst);
    let answer = world.send(&paid(&world, &Request::get("/weather/oslo")).await).await;
    assert_eq!((answer.status, answer.has("payment-response")), (200, true));
    assert_eq!(undeferred(&meter, "store"), 1);
}

#[tokio::test(start_paused = true)]
async fn contract_accounts_pay_first() {
    let (world, _) = flowing(|builder| builder.settle(SettleTiming::Deferred).scheme(OfContracts));
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    let ticket = world.enter(&paid(&world, &Request::get("/weather/oslo")).await).await.unwrap();
    assert_eq!(world.facilitator.transfers().len(), 1, "before the handler");
    assert!(world.run(ticket, 200).await.has("payment-response"));
}

#[tokio::test(start_paused = true)]
async fn one_route_may_be_deferred_and_another_not() {
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /later", PriceRule::from("$0.001").settle(SettleTiming::Deferred))
        .charge("GET /first", "$0.001")
        .build()
        .unwrap();
    let clock = FlowingClock::new();
    let facilitator = FakeFacilitator::new().with_local_proof();
    let world = World::over(prices, facilitator, FakeClock::new(UnixSeconds::new(NOW)), |builder| {
        builder.clock(clock)
    });
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    for (path, receipt) in [("/later", false), ("/first", true)] {
        let answer = world.send(&paid(&world, &Request::get(path)).await).await;
        assert_eq!((answer.status, answer.has("payment-response")), (200, receipt), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_facilitator_that_is_down_is_asked_again_by_the_worker() {
    for slow_reader in [false, true] {
        let (world, store) = shop(DeferredLimits::default()).await;
        let paid = paid(&world, &Request::get("/weather/oslo")).await;
        world.facilitator.on_settle(SettleAnswer::Unavailable);
        let ticket = world.enter(&paid).await.unwrap();
        let key = ticket.context().payment_key;
        let outcome = Outcome::complete(200, Vec::new(), "sunny".into());
        let mut release = Some(ticket.finish(outcome).await.unwrap());
        if !slow_reader && let Some(mut release) = release.take() {
            release.delivery.delivered();
        }
        seconds(120).await;
        let unsettled = order(&store, key).await;
        assert_eq!(unsettled.state.payment, PaymentState::Unresolved, "{slow_reader}");
        assert!(world.facilitator.settle_calls() > 2, "sent again: {}", world.facilitator.settle_calls());
        world.facilitator.on_settle(SettleAnswer::Honest);
        seconds(130).await;
        assert_eq!(order(&store, key).await.state.payment, PaymentState::Settled, "{slow_reader}");
        if let Some(mut release) = release {
            release.delivery.delivered();
            seconds(1).await;
        }
        let done = order(&store, key).await;
        assert_eq!((done.state.delivery, done.leased_until), (DeliveryState::Delivered, None));
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn two_workers_settle_what_a_process_left_behind_once() {
    let (clock, store) = (FlowingClock::new(), MemoryStore::new());
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    let instance = || {
        instance(&clock, facilitator.clone(), store.clone(), |builder| {
            builder.settle(SettleTiming::Deferred).deferred(DeferredLimits::default().per_payer(100))
        })
    };
    let (world, other) = (instance(), instance());
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    world.facilitator.on_settle(SettleAnswer::Unavailable);
    world.facilitator.on_evidence(EvidenceAnswer::Unavailable);
    let mut keys = Vec::new();
    for _ in 0..30 {
        let answer = world.send(&paid(&world, &Request::get("/weather/oslo")).await).await;
        keys.push(answer.paid.unwrap().payment_key);
    }
    seconds(60).await;
    world.facilitator.on_settle(SettleAnswer::Honest);
    let before = world.facilitator.settle_calls();
    tokio::spawn(other.engine.worker());
    seconds(200).await;
    for key in keys {
        assert_eq!(order(&store, key).await.state.payment, PaymentState::Settled);
    }
    assert_eq!(world.facilitator.transfers().len(), 30);
    assert_eq!(world.facilitator.settle_calls() - before, 30, "each sent by one of them");
}

/// Panics when it is first asked to settle.
struct Panicky {
    honest: FakeFacilitator,
    panics: AtomicBool,
}

impl Facilitator for Panicky {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        self.honest.verify(payment)
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "on purpose");
        self.honest.settle(payment)
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        self.honest.supported()
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        self.honest.schemes()
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_panics_is_taken_up_by_the_worker() {
    for slow_reader in [false, true] {
        let (clock, store) = (FlowingClock::new(), MemoryStore::new());
        let honest = FakeFacilitator::new().with_local_proof().with_clock(clock.clone());
        let panicky = Panicky { honest: honest.clone(), panics: AtomicBool::new(true) };
        let world = instance(&clock, honest, store.clone(), |builder| {
            builder.settle(SettleTiming::Deferred).facilitator(panicky)
        });
        tokio::spawn(world.engine.worker());
        seconds(1).await;
        let ticket = world.enter(&paid(&world, &Request::get("/weather/oslo")).await).await.unwrap();
        let key = ticket.context().payment_key;
        let outcome = Outcome::complete(200, Vec::new(), "sunny".into());
        let mut release = ticket.finish(outcome).await.unwrap();
        seconds(if slow_reader { 20 } else { 0 }).await;
        release.delivery.delivered();
        seconds(60).await;
        let order = order(&store, key).await;
        assert_eq!(order.state.payment, PaymentState::Settled, "{slow_reader}");
        assert_eq!((order.state.delivery, order.leased_until), (DeliveryState::Delivered, None));
        assert_eq!(world.facilitator.transfers().len(), 1);
    }
}

#[test]
fn a_store_that_may_forget_is_refused_unless_the_seller_wants_it() {
    let later = || PriceRule::from("$0.001").settle(SettleTiming::Deferred);
    let prices = |rule: PriceRule| {
        let table = Prices::new("https://api.example.com").pay_to(NETWORK, PAY_TO);
        table.charge("GET /first", "$0.001").charge("GET /later", rule).build().unwrap()
    };
    let builder = |rule| Engine::builder(prices(rule)).facilitator(FakeFacilitator::new());
    let permanent = || FaultyStore::new(|_| Fault::None).permanent();
    let told = |builder: EngineBuilder| builder.build().err().map(|error| error.to_string());

    let of_one = told(builder(later())).unwrap();
    assert!(of_one.starts_with("settle: is deferred for route `GET /later`"), "{of_one}");
    let of_all = told(builder(PriceRule::from("$0.001")).settle(SettleTiming::Deferred)).unwrap();
    assert!(of_all.contains("`GET /first`") && of_all.contains("PostgreSQL"), "{of_all}");

    assert_eq!(told(builder(later()).dangerous_defer_over_forgetful_store()), None);
    assert_eq!(told(builder(later()).store(permanent())), None);
    let overruled = builder(PriceRule::from("$0.001").settle(SettleTiming::AfterHandler));
    assert_eq!(told(overruled), None);
}
