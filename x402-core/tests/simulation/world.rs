//! What a seed decides once, and what is written down while it runs.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use x402_core::{
    scheme::PaymentKey,
    time::{Clock, UnixSeconds},
};

use crate::{chain::Chain, deliveries::Deliveries, rng::Rng, store::Rows};

/// One small world: what all its parts share.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) climate: Climate,
    begun: Instant,
    stormy: AtomicBool,
    pub(crate) chain: Mutex<Chain>,
    pub(crate) rows: Mutex<Rows>,
    pub(crate) deliveries: Mutex<Deliveries>,
    /// Whether the store forgot something.
    forgot: Mutex<Option<Forgot>>,
    /// Until when the store does not answer.
    store_stands_until: Mutex<Instant>,
    runs: AtomicU64,
    trace: Option<Mutex<String>>,
    broken: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

/// What a seed decides for the whole of its world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climate {
    pub(crate) memory: Memory,
    pub(crate) witness: bool,
    /// How long the chain takes to show the witness what it knows.
    pub(crate) lag: Duration,
    /// Whether signatures are proved without asking the facilitator.
    pub(crate) local_proof: bool,
    /// Faults of the store, in a hundred steps.
    pub(crate) store_faults: u64,
    /// Faults of the facilitator, in a hundred calls.
    pub(crate) facilitator_faults: u64,
    /// Whether a facilitator repeats the receipt of what it settled before.
    pub(crate) repeats: bool,
    /// Standstills of a process, in a hundred turns of a connection.
    pub(crate) standstills: u64,
    /// How many things happen at large.
    pub(crate) accidents: u64,
    pub(crate) per_payer: u64,
    pub(crate) wait_in_flight: Duration,
    pub(crate) resolve_within: Duration,
}

/// What the store forgot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Forgot {
    /// All it had.
    Everything,
    /// What it learned in the last seconds.
    LastSeconds,
}

/// What may be expected of the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Memory {
    /// A record that forgets nothing, and says so.
    Permanent,
    /// It forgets nothing, and does not promise so.
    Lucky,
    /// It forgets all, or the last seconds, at once.
    Forgetful,
}

impl Climate {
    fn new(rng: &Rng) -> Self {
        let memory = *rng.pick(&[Memory::Permanent, Memory::Permanent, Memory::Lucky, Memory::Forgetful]);
        Self {
            memory,
            witness: rng.chance(80),
            lag: Duration::from_millis(rng.between(0, 8_000)),
            local_proof: rng.chance(60),
            store_faults: *rng.pick(&[0, 0, 3, 12]),
            facilitator_faults: *rng.pick(&[0, 15, 50]),
            // A receipt told twice hides from a store that forgets that it was told before.
            repeats: memory != Memory::Forgetful && rng.chance(50),
            standstills: *rng.pick(&[0, 0, 2, 5]),
            accidents: *rng.pick(&[0, 1, 3, 6]),
            per_payer: rng.between(1, 3),
            wait_in_flight: rng.seconds(0, 8),
            resolve_within: rng.seconds(0, 30),
        }
    }
}

impl World {
    pub(crate) fn new(seed: u64, traced: bool) -> Arc<Self> {
        let rng = Rng::new(seed);
        let climate = Climate::new(&rng);
        let begun = Instant::now();
        let world = Arc::new(Self {
            rng,
            climate,
            begun,
            stormy: AtomicBool::new(true),
            chain: Mutex::default(),
            rows: Mutex::default(),
            deliveries: Mutex::default(),
            forgot: Mutex::default(),
            store_stands_until: Mutex::new(begun),
            runs: AtomicU64::new(0),
            trace: traced.then(Mutex::default),
            broken: Mutex::default(),
            counts: Mutex::default(),
        });
        world.tell("world", || format!("{climate:?}"));
        world
    }

    pub(crate) fn is_stormy(&self) -> bool {
        self.stormy.load(Ordering::Relaxed)
    }

    /// So many times in a hundred, while the storm lasts.
    pub(crate) fn strikes(&self, percent: u64) -> bool {
        self.is_stormy() && self.rng.chance(percent)
    }

    /// From now on nothing fails.
    pub(crate) fn calm(&self) {
        self.stormy.store(false, Ordering::Relaxed);
        self.tell("world", || "calm".to_owned());
    }

    /// The true time, which is the chain's.
    pub(crate) fn now(&self) -> UnixSeconds {
        UnixSeconds::new(BEGIN).after(self.begun.elapsed())
    }

    /// The true time a while ago.
    pub(crate) fn before(&self, length: Duration) -> Instant {
        Instant::now().checked_sub(length).unwrap_or(self.begun).max(self.begun)
    }

    pub(crate) fn seconds_at(&self, at: Instant) -> UnixSeconds {
        UnixSeconds::new(BEGIN).after(at - self.begun)
    }

    pub(crate) fn next_run(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }

    pub(crate) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    pub(crate) fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap()
    }

    /// The store forgets: from now on only the weaker promise holds.
    pub(crate) fn forget(&self, what: Forgot, rows: Rows) {
        *self.rows() = rows;
        *self.forgot.lock().unwrap() = Some(what);
        self.tell("store", || format!("forgets: {what:?}"));
        self.count("stores that forgot");
    }

    pub(crate) fn forgot(&self) -> Option<Forgot> {
        *self.forgot.lock().unwrap()
    }

    pub(crate) fn stop_store(&self, length: Duration) {
        *self.store_stands_until.lock().unwrap() = Instant::now() + length;
    }

    pub(crate) fn store_stands_until(&self) -> Instant {
        *self.store_stands_until.lock().unwrap()
    }

    /// A line of the trace.
    pub(crate) fn tell(&self, who: impl Display, what: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let line = format!("{:>9.3} {who}: {}\n", self.begun.elapsed().as_secs_f64(), what());
            trace.lock().unwrap().push_str(&line);
        }
    }

    /// A promise that was not kept.
    pub(crate) fn broken(&self, what: impl Into<String>) {
        let what = what.into();
        self.tell("BROKEN", || what.clone());
        self.broken.lock().unwrap().push(what);
    }

    /// Counts what a run is to have seen.
    pub(crate) fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    pub(crate) fn report(&self) -> Report {
        Report {
            broken: std::mem::take(&mut self.broken.lock().unwrap()),
            trace: self.trace.as_ref().map(|trace| std::mem::take(&mut *trace.lock().unwrap())),
            counts: std::mem::take(&mut self.counts.lock().unwrap()),
        }
    }
}

/// What came of a seed.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) broken: Vec<String>,
    pub(crate) trace: Option<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

/// A clock that runs a few seconds ahead or behind.
#[derive(Clone)]
pub(crate) struct SkewedClock {
    world: Arc<World>,
    ahead: Arc<AtomicI64>,
}

impl SkewedClock {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        let clock = Self { world: Arc::clone(world), ahead: Arc::default() };
        clock.jump();
        clock
    }

    /// Shows another time from now on, five seconds from the true one at most.
    pub(crate) fn jump(&self) {
        let ahead = i64::try_from(self.world.rng.between(0, 10)).unwrap() - 5;
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> UnixSeconds {
        let now = self.world.now().get();
        UnixSeconds::new(now.saturating_add_signed(self.ahead.load(Ordering::Relaxed)))
    }
}

/// The first bytes of a payment's key, for the trace.
pub(crate) fn short(key: &PaymentKey) -> String {
    key.as_bytes()[..3].iter().map(|byte| format!("{byte:02x}")).collect()
}

const BEGIN: u64 = 1_800_000_000;
