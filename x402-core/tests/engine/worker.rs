//! What the worker does for orders that nobody works on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ruint::aliases::U256;
use x402_core::{
    Engine, EngineBuilder,
    facilitator::{BoxFuture, Evidence, Settlement, Transfer, VerifyError, Witness},
    order::{DeliveryState, MemoryStore, PaymentState},
    price::PriceOption,
    scheme::{Eip3009, PaymentKey},
    testing::{EvidenceAnswer, FakeFacilitator, SettleAnswer, header, payload, sign},
    time::UnixSeconds,
};

use crate::{
    faults::{Fault, FaultyStore, Step},
    ports::{FlowingClock, Meter, flowing, flowing_over, instance, order, seconds},
    support::{NOW, Request, World},
};

const STUCK: &str = "x402_orders_attention_total{attention=stuck}";
const UNDELIVERED: &str = "x402_orders_attention_total{attention=paid_undelivered}";

fn recovered(meter: &Meter, outcome: &str) -> u64 {
    meter.read(&format!("x402_orders_recovered_total{{outcome={outcome}}}"))
}

/// Presents a payment whose settlement ends with an unknown outcome.
async fn unresolved(world: &World, request: &Request, moved: bool) -> (Request, PaymentKey) {
    let paid = request.paid(&world.pay(request).await);
    world.facilitator.next_settle(SettleAnswer::Unresolved { moved });
    world.facilitator.next_evidence(EvidenceAnswer::Unavailable);
    let ticket = world.enter(&paid).await.unwrap();
    let key = ticket.context().payment_key;
    assert_eq!(world.run(ticket, 200).await.status, 503);
    (paid, key)
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_and_is_over_expires() {
    let meter = Meter::default();
    let _metered = metrics::set_default_local_recorder(&meter);
    let (world, store) = flowing(|builder| builder);
    tokio::spawn(world.engine.worker());
    let request = Request::get("/weather/oslo");
    let paid = request.paid(&world.pay(&request).await);
    let ticket = world.enter(&paid).await.unwrap();
    let key = ticket.context().payment_key;
    drop(ticket);
    seconds(200).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Verified, "its payer may still come");
    seconds(200).await;
    let over = order(&store, key).await;
    assert_eq!((over.state.payment, over.leased_until), (PaymentState::Expired, None));
    assert_eq!(recovered(&meter, "expired"), 1);
    assert_eq!(meter.read("x402_worker_lag_seconds"), 0);
    assert!(meter.read("x402_worker_last_run_timestamp_seconds") > NOW + 390);
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, answer.has("payment-required")), (402, true));
    assert_eq!(world.facilitator.transfers().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn money_that_moved_is_found_and_its_payer_collects() {
    let meter = Meter::default();
    let _metered = metrics::set_default_local_recorder(&meter);
    let (world, store) = flowing(|builder| builder.resolve_within(Duration::from_millis(1)));
    let (paid, key) = unresolved(&world, &Request::get("/weather/oslo"), true).await;
    tokio::spawn(world.engine.worker());
    seconds(5).await;
    let found = order(&store, key).await;
    assert_eq!((found.state.payment, found.leased_until), (PaymentState::Settled, None));
    assert_eq!((recovered(&meter, "settled"), meter.read(UNDELIVERED)), (1, 0));
    // Nobody comes for it: told once.
    seconds(600).await;
    assert_eq!((meter.read(UNDELIVERED), recovered(&meter, "noticed")), (1, 1));
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]));
    assert!(answer.has("payment-response"));
    seconds(600).await;
    assert_eq!(meter.read(UNDELIVERED), 1);
    assert_eq!(order(&store, key).await.state.delivery, DeliveryState::Delivered);
    assert_eq!((world.facilitator.settle_calls(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn without_its_payer_an_authorization_is_not_sent_again() {
    let meter = Meter::default();
    let _metered = metrics::set_default_local_recorder(&meter);
    let (world, store) = flowing(|builder| builder.resolve_within(Duration::from_millis(1)));
    let (paid, key) = unresolved(&world, &Request::get("/weather/oslo"), false).await;
    tokio::spawn(world.engine.worker());
    seconds(250).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Unresolved);
    assert_eq!(world.facilitator.settle_calls(), 1);
    let looks = world.facilitator.evidence_calls();
    assert!((5..20).contains(&looks), "later and later: {looks}");
    // The chain says that it never will be.
    seconds(400).await;
    let dead = order(&store, key).await;
    assert_eq!((dead.state.payment, dead.dead), (PaymentState::Failed, true));
    assert_eq!(recovered(&meter, "failed"), 1);
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, answer.has("payment-required")), (402, true));
    assert_eq!(world.facilitator.transfers().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_stays_unknown_is_told_once_and_still_looked_for() {
    let meter = Meter::default();
    let _metered = metrics::set_default_local_recorder(&meter);
    let (world, store) = flowing(|builder| builder.resolve_within(Duration::from_millis(1)));
    let (_, key) = unresolved(&world, &Request::get("/weather/oslo"), true).await;
    world.facilitator.on_evidence(EvidenceAnswer::Unavailable);
    tokio::spawn(world.engine.worker());
    seconds(590).await;
    assert_eq!(meter.read(STUCK), 0);
    seconds(3 * 3600).await;
    assert_eq!((meter.read(STUCK), order(&store, key).await.state.payment), (1, PaymentState::Unresolved));
    world.facilitator.on_evidence(EvidenceAnswer::Honest);
    seconds(400).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Settled);
    assert_eq!(meter.read(UNDELIVERED), 1);
}

/// Says that everything was settled, by somebody else's transaction.
#[derive(Clone, Copy)]
struct Liar;

impl Witness for Liar {
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        let option = &transfer.option;
        let settlement =
            Settlement::new("0x1".into(), option.network.clone(), "0xmallory".into(), option.amount);
        Box::pin(async move { Ok(Evidence::Settled(settlement)) })
    }
}

#[tokio::test(start_paused = true)]
async fn evidence_of_another_payment_is_none() {
    let (world, store) = flowing(|builder| builder.witness(Liar).resolve_within(Duration::from_millis(1)));
    let (_, key) = unresolved(&world, &Request::get("/weather/oslo"), false).await;
    tokio::spawn(world.engine.worker());
    seconds(100).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Unresolved);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_or_panics_or_hangs_does_not_end_the_worker() {
    for fault in [Fault::Lost, Fault::Unanswered, Fault::Panics, Fault::Hangs] {
        let (faulty, down) = FaultyStore::switched(fault, &[Step::Due]);
        let store = faulty.honest().clone();
        let world = flowing_over(faulty, |builder| builder.resolve_within(Duration::from_millis(1)));
        let (_, key) = unresolved(&world, &Request::get("/weather/oslo"), true).await;
        down.store(true, Ordering::SeqCst);
        let worker = tokio::spawn(world.engine.worker());
        seconds(120).await;
        assert_eq!(order(&store, key).await.state.payment, PaymentState::Unresolved, "{fault:?}");
        down.store(false, Ordering::SeqCst);
        // A claim that nobody was told of lapses first.
        seconds(80).await;
        assert_eq!(order(&store, key).await.state.payment, PaymentState::Settled, "{fault:?}");
        assert!(!worker.is_finished());
        worker.abort();
    }
}

/// Panics for the first few questions.
struct Panicky {
    honest: FakeFacilitator,
    panics: AtomicUsize,
}

impl Witness for Panicky {
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        let less = |left: usize| left.checked_sub(1);
        assert!(self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_err(), "on purpose");
        self.honest.evidence(transfer)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_order_is_not_the_end_of_it_or_of_others() {
    let (clock, store) = (FlowingClock::new(), MemoryStore::new());
    let honest = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    let quick = |builder: EngineBuilder| builder.resolve_within(Duration::from_millis(1));
    let world = instance(&clock, honest.clone(), store.clone(), quick);
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(unresolved(&world, &Request::get("/weather/oslo"), true).await.1);
    }
    let panicky = Panicky { honest: honest.clone(), panics: AtomicUsize::new(4) };
    let other = instance(&clock, honest, store.clone(), |builder| quick(builder).witness(panicky));
    let worker = tokio::spawn(other.engine.worker());
    seconds(60).await;
    for key in keys {
        let order = order(&store, key).await;
        assert_eq!((order.state.payment, order.leased_until), (PaymentState::Settled, None));
    }
    assert!(!worker.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_finishes_what_it_began() {
    let (world, store) = flowing(|builder| builder.resolve_within(Duration::from_millis(1)));
    let (_, key) = unresolved(&world, &Request::get("/weather/oslo"), true).await;
    let worker = tokio::spawn(world.engine.worker());
    while !order(&store, key).await.is_leased(UnixSeconds::new(NOW)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if order(&store, key).await.is_settled() {
            break;
        }
    }
    worker.abort();
    seconds(1).await;
    let order = order(&store, key).await;
    assert_eq!((order.state.payment, order.leased_until), (PaymentState::Settled, None));
}

#[tokio::test(start_paused = true)]
async fn more_than_fits_at_once_is_worked_off_without_a_pause() {
    let (world, store) = flowing(|builder| builder);
    let mut keys = Vec::new();
    for _ in 0..300 {
        let request = Request::get("/weather/oslo");
        let ticket = world.enter(&request.paid(&world.pay(&request).await)).await.unwrap();
        keys.push(ticket.context().payment_key);
        drop(ticket);
    }
    seconds(400).await;
    tokio::spawn(world.engine.worker());
    seconds(5).await;
    for key in keys {
        assert_eq!(order(&store, key).await.state.payment, PaymentState::Expired);
    }
}

#[tokio::test(start_paused = true)]
async fn orders_that_are_over_are_tidied_away() {
    let (world, store) = flowing(|builder| builder);
    let request = Request::get("/weather/oslo");
    drop(world.enter(&request.paid(&world.pay(&request).await)).await.unwrap());
    tokio::spawn(world.engine.worker());
    seconds(300).await;
    assert_eq!(store.len(), 1);
    seconds(3 * 3600).await;
    assert!(store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_presentation_and_the_worker_deliver_once() {
    let (world, store) = flowing(|builder| builder.resolve_within(Duration::from_millis(1)));
    let world = Arc::new(world);
    let (paid, key) = unresolved(&world, &Request::new("POST", "/render"), true).await;
    tokio::spawn(world.engine.worker());
    let retries: Vec<_> = (0..20)
        .map(|number| {
            let (world, paid) = (Arc::clone(&world), paid.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 97)).await;
                world.send(&paid).await.status
            })
        })
        .collect();
    let mut delivered = 0;
    for retry in retries {
        match retry.await.unwrap() {
            200 => delivered += 1,
            status => assert_eq!(status, 409),
        }
    }
    seconds(1).await;
    assert_eq!((delivered, world.facilitator.transfers().len()), (1, 1));
    assert_eq!(order(&store, key).await.state.delivery, DeliveryState::Delivered);
}

#[test]
fn a_worker_can_be_spawned_wherever_its_engine_goes() {
    fn spawnable<T: Send + 'static>(_: T) {}
    let world = World::new();
    let engine: Engine = world.engine.clone();
    spawnable(engine.worker());
}

#[tokio::test(start_paused = true)]
async fn another_message_under_the_same_nonce_is_looked_for_as_it_was_signed() {
    let (world, store) = flowing(|builder| builder.resolve_within(Duration::from_millis(1)));
    let request = Request::get("/weather/oslo");
    let unpaid = world.send(&request).await;
    let challenge = serde_json::from_value(unpaid.json("payment-required")).unwrap();
    let mut message = world.payer.answer_v2(&challenge);
    let option = PriceOption::from_v2(&message.accepted).unwrap();
    let long = world.payer.authorize(&option);
    let short = Eip3009 { valid_before: U256::from(NOW + 20), ..long.clone() };
    message.payload = payload(&sign(short, &option));
    drop(world.enter(&request.paid(&header(&message))).await.unwrap());
    seconds(1).await;

    message.payload = payload(&long);
    let paid = request.paid(&header(&message));
    world.facilitator.next_settle(SettleAnswer::Unresolved { moved: false });
    world.facilitator.next_evidence(EvidenceAnswer::Unavailable);
    let ticket = world.enter(&paid).await.unwrap();
    let key = ticket.context().payment_key;
    assert_eq!(world.run(ticket, 200).await.status, 503);
    tokio::spawn(world.engine.worker());
    seconds(100).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Unresolved, "it may still be settled");
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]));
    assert_eq!(world.facilitator.transfers().len(), 1);
}
