//! Two servers: each an engine and its worker in a process that comes and goes.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use tokio::task::AbortHandle;
use x402_core::{
    DeferredLimits, Engine, SettleTiming,
    price::{Price, PriceRule, Prices},
    quote::QuoteKey,
};

use crate::{
    facilitator::Remote,
    process::Process,
    store::StoreLine,
    world::{SkewedClock, World},
};

/// One of the servers.
pub(crate) struct Server {
    number: usize,
    world: Arc<World>,
    pub(crate) clock: SkewedClock,
    life: Mutex<Life>,
}

/// From one start to the next.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) process: Arc<Process>,
    pub(crate) engine: Engine,
    worker: AbortHandle,
}

impl Server {
    pub(crate) fn start(world: &Arc<World>, number: usize) -> Self {
        let clock = SkewedClock::new(world);
        let life = Mutex::new(Life::begin(world, &clock, number));
        Self { number, world: Arc::clone(world), clock, life }
    }

    pub(crate) fn life(&self) -> Life {
        self.life.lock().unwrap().clone()
    }

    /// A new process in place of what is left of the old one.
    pub(crate) fn restart(&self) {
        self.kill();
        self.world.tell(format_args!("s{}", self.number), || "starts again".to_owned());
        *self.life.lock().unwrap() = Life::begin(&self.world, &self.clock, self.number);
    }

    pub(crate) fn kill(&self) {
        let life = self.life();
        if !life.process.is_dead() {
            self.world.tell(format_args!("s{}", self.number), || "dies".to_owned());
        }
        life.process.die();
        life.worker.abort();
    }

    /// The good end of a process: no new work, and time for the old.
    pub(crate) async fn stop(&self, within: Duration) -> bool {
        let Life { engine, process, worker } = self.life();
        let drained = tokio::select! {
            biased;
            () = process.gone() => false,
            drained = engine.drain(within) => drained,
        };
        self.world.tell(format_args!("s{}", self.number), || format!("drained: {drained}"));
        worker.abort();
        drained
    }
}

impl Life {
    fn begin(world: &Arc<World>, clock: &SkewedClock, number: usize) -> Self {
        let process = Arc::new(Process::new(number));
        let climate = world.climate;
        let line = (Arc::clone(world), Arc::clone(&process));
        let engine = Engine::builder(PRICES.clone())
            .facilitator(Remote { world: line.0.clone(), process: line.1.clone() })
            .store(StoreLine { world: line.0, process: line.1 })
            .quote_key(QuoteKey::from_hex(QUOTES).unwrap())
            .clock(clock.clone())
            .deferred(DeferredLimits::default().per_payer(climate.per_payer))
            .dangerous_defer_over_forgetful_store()
            .wait_in_flight(climate.wait_in_flight)
            .resolve_within(climate.resolve_within)
            .build()
            .unwrap();
        let worker = tokio::spawn(engine.worker()).abort_handle();
        Self { process, engine, worker }
    }
}

/// What is sold: the timing is told by the path, whether a response can be kept by the method.
static PRICES: LazyLock<Prices> = LazyLock::new(|| {
    let mut prices = Prices::new("https://api.example.com").pay_to("eip155:84532", PAY_TO);
    for (name, timing) in TIMINGS {
        for method in ["GET", "POST"] {
            let rule = PriceRule::new(Price::usd("0.001").unwrap());
            let rule = rule.settle(timing).max_timeout(Duration::from_secs(60));
            prices = prices.charge(format!("{method} /{name}/{{item}}"), rule);
        }
    }
    prices.build().unwrap()
});

/// When each path settles.
pub(crate) const TIMINGS: [(&str, SettleTiming); 3] = [
    ("after", SettleTiming::AfterHandler),
    ("before", SettleTiming::BeforeHandler),
    ("deferred", SettleTiming::Deferred),
];
const PAY_TO: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const QUOTES: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
