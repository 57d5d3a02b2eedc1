//! Ports for tests over time: a clock that flows, ports that stop at once as in a crash, a meter.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tokio::time::Instant;
use x402_core::{
    EngineBuilder,
    facilitator::{
        BoxFuture, Evidence, Facilitator, Payment, SettleError, Settlement, Transfer, VerifyError, Witness,
    },
    order::{MemoryStore, Order, OrderStore},
    scheme::{PaymentKey, Scheme},
    testing::{FakeClock, FakeFacilitator},
    time::{Clock, UnixSeconds},
    wire::facilitator::SupportedResponse,
};

use crate::{
    faults::{Fault, FaultyStore, Step},
    support::{NOW, World, prices},
};

/// The wall clock of tokio's time, paused or not.
#[derive(Clone)]
pub(crate) struct FlowingClock(Instant);

impl FlowingClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for FlowingClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(NOW).after(self.0.elapsed())
    }
}

/// A world whose time flows, and the store behind it.
pub(crate) fn flowing(configure: impl FnOnce(EngineBuilder) -> EngineBuilder) -> (World, MemoryStore) {
    let store = MemoryStore::new();
    (flowing_over(store.clone(), configure), store)
}

/// The same with orders that are there already.
pub(crate) fn flowing_over(
    store: impl OrderStore + 'static,
    configure: impl FnOnce(EngineBuilder) -> EngineBuilder,
) -> World {
    let clock = FlowingClock::new();
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    instance(&clock, facilitator, store, configure)
}

/// One of several instances.
pub(crate) fn instance(
    clock: &FlowingClock,
    facilitator: FakeFacilitator,
    store: impl OrderStore + 'static,
    configure: impl FnOnce(EngineBuilder) -> EngineBuilder,
) -> World {
    World::over(prices(), facilitator, FakeClock::new(clock.now()), |builder| {
        configure(builder.clock(clock.clone()).store(store))
    })
}

/// The order of a payment, as the store has it.
pub(crate) async fn order(store: &impl OrderStore, key: PaymentKey) -> Order {
    store.find(&key, UnixSeconds::new(NOW)).await.unwrap().expect("it is remembered")
}

pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Lets so many calls through, and none after them: as if the process had died, the last one with or without effect.
#[derive(Clone)]
pub(crate) struct Fuse {
    left: Arc<AtomicUsize>,
    last_has_effect: bool,
}

impl Fuse {
    pub(crate) fn new(calls: usize, last_has_effect: bool) -> Self {
        Self { left: Arc::new(AtomicUsize::new(calls + 1)), last_has_effect }
    }

    pub(crate) fn is_blown(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    fn burn(&self) -> Fault {
        let less = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Err(_) => Fault::Hangs,
            Ok(1) if self.last_has_effect => Fault::HangsAfter,
            Ok(1) => Fault::Hangs,
            Ok(_) => Fault::None,
        }
    }

    pub(crate) fn store(&self, inner: &MemoryStore) -> FaultyStore {
        let fuse = self.clone();
        FaultyStore::over(inner.clone(), move |step| match step {
            Step::Ping => Fault::None,
            _ => fuse.burn(),
        })
    }

    async fn pass<T>(&self, work: impl Future<Output = T>) -> T {
        match self.burn() {
            Fault::None => work.await,
            Fault::HangsAfter => {
                let _ = work.await;
                pending().await
            }
            _ => pending().await,
        }
    }
}

/// A facilitator of a process that dies.
#[derive(Clone)]
pub(crate) struct Fused {
    pub(crate) inner: FakeFacilitator,
    pub(crate) fuse: Fuse,
}

impl Facilitator for Fused {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(self.fuse.pass(self.inner.verify(payment)))
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(self.fuse.pass(self.inner.settle(payment)))
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        self.inner.supported()
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        self.inner.schemes()
    }

    fn proves_settlement(&self) -> bool {
        self.inner.proves_settlement()
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        Some(Arc::new(self.clone()))
    }
}

impl Witness for Fused {
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        Box::pin(self.fuse.pass(self.inner.evidence(transfer)))
    }
}

/// Counts what is counted on this thread, by name and labels.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<BTreeMap<String, Arc<Reading>>>>);

#[derive(Default)]
struct Reading(AtomicU64);

impl Meter {
    /// How far a metric is, such as `x402_orders_attention_total{attention=stuck}`.
    pub(crate) fn read(&self, metric: &str) -> u64 {
        self.0.lock().unwrap().get(metric).map_or(0, |reading| reading.0.load(Ordering::SeqCst))
    }

    fn reading(&self, key: &Key) -> Arc<Reading> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = if labels.is_empty() {
            key.name().to_owned()
        } else {
            format!("{}{{{}}}", key.name(), labels.join(","))
        };
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }
}

impl CounterFn for Reading {
    fn increment(&self, by: u64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

impl GaugeFn for Reading {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.0.store(value as u64, Ordering::SeqCst);
    }
}

impl Recorder for Meter {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.reading(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.reading(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}
