//! A process that dies at any step, and another one that finishes what it began.

use x402_core::{
    Outcome, SettleTiming,
    order::{DeliveryState, MemoryStore, Order, OrderStore, PaymentState},
    scheme::PaymentKey,
    testing::FakeFacilitator,
    time::UnixSeconds,
};

use crate::{
    ports::{FlowingClock, Fuse, Fused, Meter, instance, seconds},
    support::{NOW, Request, World},
};

const TIMINGS: [SettleTiming; 3] =
    [SettleTiming::AfterHandler, SettleTiming::BeforeHandler, SettleTiming::Deferred];

/// What is left when a process has died after so many calls of its ports.
struct Wreck {
    /// The instance that is started after it.
    next: World,
    store: MemoryStore,
    facilitator: FakeFacilitator,
    paid: Request,
    key: PaymentKey,
    /// Whether its client had the response in full.
    arrived: bool,
    /// Whether it died at all.
    died: bool,
}

async fn wreck(timing: SettleTiming, request: &Request, calls: usize, last_has_effect: bool) -> Wreck {
    let (clock, store) = (FlowingClock::new(), MemoryStore::new());
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    let fuse = Fuse::new(calls, last_has_effect);
    let fused = Fused { inner: facilitator.clone(), fuse: fuse.clone() };
    let first = instance(&clock, facilitator.clone(), fuse.store(&store), |builder| {
        builder.settle(timing).facilitator(fused)
    });
    let next = instance(&clock, facilitator.clone(), store.clone(), |builder| builder.settle(timing));
    let paid = request.paid(&next.pay(request).await);
    let key = key_of(&next, &paid).await;
    let worker = tokio::spawn(first.engine.worker());
    let mut arrived = false;
    let presentation = async {
        seconds(1).await;
        let Ok(ticket) = first.enter(&paid).await else { return };
        let outcome = match request.body {
            false => Outcome::complete(200, Vec::new(), "sunny".into()),
            true => Outcome::streaming(200),
        };
        let Ok(mut release) = ticket.finish(outcome).await else { return };
        arrived = true;
        release.delivery.delivered();
        seconds(5).await;
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(20), presentation).await;
    worker.abort();
    Wreck { next, store, facilitator, paid, key, arrived, died: fuse.is_blown() }
}

/// The payment's identity, without presenting it anywhere that counts.
async fn key_of(world: &World, paid: &Request) -> PaymentKey {
    let elsewhere = World::over(
        crate::support::prices(),
        FakeFacilitator::new().with_local_proof(),
        world.clock.clone(),
        |builder| builder,
    );
    let ticket = elsewhere.enter(paid).await.unwrap();
    ticket.context().payment_key
}

impl Wreck {
    async fn order(&self) -> Option<Order> {
        self.store.find(&self.key, UnixSeconds::new(NOW)).await.unwrap()
    }

    fn charged(&self) -> usize {
        self.facilitator.transfers().len()
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_step_it_dies_at_a_retry_finishes_the_payment() {
    for timing in TIMINGS {
        for request in [Request::get("/weather/oslo"), Request::new("POST", "/render")] {
            for last_has_effect in [false, true] {
                let mut calls = 0;
                loop {
                    let named = format!("{timing:?} {} after {calls}, {last_has_effect}", request.method);
                    let wreck = wreck(timing, &request, calls, last_has_effect).await;
                    let worker = tokio::spawn(wreck.next.engine.worker());
                    let mut got = wreck.next.send(&wreck.paid).await;
                    let begun = tokio::time::Instant::now();
                    while got.has("retry-after") && begun.elapsed().as_secs() < 120 {
                        seconds(5).await;
                        got = wreck.next.send(&wreck.paid).await;
                    }
                    let delivered = wreck.arrived || got.status == 200;
                    assert!(delivered, "{named}: {got:?}");
                    assert!([200, 409].contains(&got.status), "{named}: {got:?}");
                    assert!(begun.elapsed().as_secs() <= 35, "{named}: took {:?}", begun.elapsed());
                    seconds(60).await;
                    assert_eq!(wreck.charged(), 1, "{named}");
                    let order = wreck.order().await.expect("it is remembered");
                    assert_eq!(order.state.payment, PaymentState::Settled, "{named}");
                    // A kept response that was sent again while the dead process still held its order stays owed.
                    let told = order.state.delivery == DeliveryState::Delivered
                        || order.response_kept && order.state.delivery == DeliveryState::Ready;
                    assert!(told, "{named}: {order:?}");
                    assert_eq!(order.leased_until, None, "{named}");
                    worker.abort();
                    calls += 1;
                    if !wreck.died {
                        break;
                    }
                }
                assert!(calls > 7, "it died often enough: {calls}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_step_it_dies_at_nothing_hangs_in_the_air_and_what_is_owed_is_told_once() {
    for timing in TIMINGS {
        for last_has_effect in [false, true] {
            let mut calls = 0;
            loop {
                let meter = Meter::default();
                let _metered = metrics::set_default_local_recorder(&meter);
                let named = format!("{timing:?} after {calls}, {last_has_effect}");
                let wreck = wreck(timing, &Request::get("/weather/oslo"), calls, last_has_effect).await;
                let worker = tokio::spawn(wreck.next.engine.worker());
                seconds(500).await;
                let order = wreck.order().await;
                let state = order.as_ref().map(|order| order.state);
                let payment = state.map(|state| state.payment);
                let delivered = state.is_some_and(|state| state.delivery == DeliveryState::Delivered);
                let flagged = meter.read("x402_orders_attention_total{attention=paid_undelivered}");
                if wreck.charged() == 1 {
                    assert_eq!(payment, Some(PaymentState::Settled), "{named}");
                    assert_eq!(flagged, u64::from(!delivered), "{named}: {order:?}");
                } else {
                    let over = [None, Some(PaymentState::Expired), Some(PaymentState::Failed)];
                    assert!(over.contains(&payment), "{named}: {order:?}");
                    assert_eq!(flagged, 0, "{named}");
                    assert!(!wreck.arrived, "{named}: delivered unpaid");
                }
                assert!(order.is_none_or(|order| order.leased_until.is_none()), "{named}");
                worker.abort();
                calls += 1;
                if !wreck.died {
                    break;
                }
            }
            assert!(calls > 7, "it died often enough: {calls}");
        }
    }
}
