use std::net::IpAddr;

use tokio::runtime::{Builder, Runtime};
use x402_core::{
    Admission, Engine, Outcome, Reply, Triage,
    head::{Header, RequestHead},
    order::MemoryStore,
    price::{AtomicAmount, Price, Prices},
    testing::{FakeClock, FakeFacilitator},
    time::UnixSeconds,
    wire::header::{PAYMENT_SIGNATURE, X_PAYMENT},
};

/// An engine over fakes that take any signature, so that inputs get as far as a delivery.
#[derive(Debug)]
pub struct Paywall {
    engine: Engine,
    facilitator: FakeFacilitator,
    runtime: Runtime,
}

impl Paywall {
    /// A paywall with the price and the time of the seeds.
    #[must_use]
    pub fn new() -> Self {
        let prices = Prices::new("https://api.example.com")
            .pay_to(NETWORK, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
            .charge("GET /weather", Price::atomic(NETWORK, PRICE))
            .build()
            .expect("the table has no mistakes");
        let facilitator = FakeFacilitator::new().with_any_signature();
        let engine = Engine::builder(prices)
            .facilitator(facilitator.clone())
            .store(MemoryStore::new())
            .clock(FakeClock::new(UnixSeconds::new(NOW)))
            .build()
            .expect("the engine has no mistakes");
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime can be made");
        Self { engine, facilitator, runtime }
    }

    /// Sends a request to the priced path and delivers if it may enter.
    ///
    /// # Panics
    /// When something is free, or delivered without its price having moved.
    pub fn request(&self, head: &Head<'_>) {
        let attempt = match self.engine.triage(head) {
            Triage::Free | Triage::Demand(_) => panic!("a priced path is free"),
            Triage::Reply(reply) => return refused(&reply),
            Triage::Check(attempt) => attempt,
        };
        self.runtime.block_on(async {
            let ticket = match self.engine.admit(attempt).await {
                // A replay is the answer to a payment that moved.
                Admission::Reply(reply) if reply.get("idempotent-replayed").is_some() => return,
                Admission::Reply(reply) => return refused(&reply),
                Admission::Enter(ticket) => ticket,
            };
            let paid = ticket.context().clone();
            assert_eq!(paid.amount, AtomicAmount::from(PRICE));
            if let Ok(mut release) = ticket.finish(Outcome::streaming(200)).await {
                release.delivery.delivered();
                let settled = self.facilitator.settlement(&paid.payment_key);
                assert!(settled.is_some(), "delivered, and no money moved");
            }
        });
    }
}

impl Default for Paywall {
    fn default() -> Self {
        Self::new()
    }
}

fn refused(reply: &Reply) {
    assert!(reply.status >= 400, "{} on a priced path", reply.status);
}

/// A request to the priced path with these payment headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// The values of `PAYMENT-SIGNATURE`.
    pub v2: &'a [&'a [u8]],
    /// The values of `X-PAYMENT`.
    pub v1: &'a [&'a [u8]],
}

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        "/weather"
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, name: &'static str) -> Header<'_> {
        match name {
            PAYMENT_SIGNATURE => Header::from_values(self.v2.iter().copied()),
            X_PAYMENT => Header::from_values(self.v1.iter().copied()),
            _ => Header::Absent,
        }
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }

    fn has_body(&self) -> bool {
        false
    }
}

const NETWORK: &str = "eip155:84532";
const PRICE: u64 = 1000;
const NOW: u64 = 1_800_000_000;
