//! Shops in this process, one per adapter, on real sockets. Money is imaginary, and moves when it is told to.

use std::{net, sync::Arc, thread};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::Semaphore;
use x402_axum::{
    Engine, PriceRule, Prices, SettleTiming,
    core::testing::{FakeFacilitator, TestPayer},
};
use x402_tests::{Connection, Framework, Request};

mod on_actix;
mod on_axum;
mod on_tower;

/// A shop, and who buys.
pub(crate) struct Stall {
    pub(crate) address: net::SocketAddr,
    pub(crate) facilitator: FakeFacilitator,
    pub(crate) payer: TestPayer,
    gate: Arc<Semaphore>,
}

impl Stall {
    pub(crate) fn open(framework: Framework) -> Self {
        Self::with(framework, true)
    }

    /// The same without a paywall: what there is, is free.
    pub(crate) fn bare(framework: Framework) -> Self {
        Self::with(framework, false)
    }

    fn with(framework: Framework, sells: bool) -> Self {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let facilitator = FakeFacilitator::new();
        let gate = Arc::new(Semaphore::new(0));
        let (till, events) = (sells.then(|| facilitator.clone()), Events(Arc::clone(&gate)));
        thread::spawn(move || match framework {
            Framework::Axum => on_axum::serve(listener, till, events),
            Framework::Tower => on_tower::serve(listener, till, events),
            Framework::Actix => on_actix::serve(listener, till, events),
        });
        Self { address, facilitator, payer: TestPayer::new("alice"), gate }
    }

    /// A payment for what this request asks for.
    pub(crate) fn payment(&self, request: &Request) -> Vec<u8> {
        let challenge = request.send(self.address).unwrap();
        assert_eq!(challenge.status, 402, "{}", challenge.text());
        let terms = challenge.header("payment-required").expect("a challenge has its header");
        self.payer.pay_v2(terms.as_bytes()).to_vec()
    }

    /// The request, with a payment for it.
    pub(crate) fn paying(&self, request: &Request) -> Request {
        request.clone().header("payment-signature", self.payment(request))
    }

    /// Sends a request, and leaves its response to be read.
    pub(crate) fn begin(&self, request: &Request) -> Connection {
        let mut connection = Connection::open(self.address).unwrap();
        connection.write(&request.bytes()).unwrap();
        connection
    }

    /// Lets some more events happen.
    pub(crate) fn happen(&self, events: usize) {
        self.gate.add_permits(events);
    }

    pub(crate) fn transfers(&self) -> usize {
        self.facilitator.transfers().len()
    }
}

/// What streams tell of: three things that happen when they are let.
#[derive(Clone)]
pub(crate) struct Events(Arc<Semaphore>);

impl Events {
    fn numbers(&self) -> impl Stream<Item = u32> + Send + use<> {
        let gate = Arc::clone(&self.0);
        let happened = stream::unfold(1, move |number| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.expect("nobody closes it").forget();
                Some((number, number + 1))
            }
        });
        happened.take(3)
    }

    /// The same, as server-sent events.
    fn lines(&self) -> impl Stream<Item = String> + Send + use<> {
        self.numbers().map(|number| format!("data: {number}\n\n"))
    }
}

/// What all of them sell.
fn engine(facilitator: FakeFacilitator) -> Engine {
    let before = || PriceRule::new("$0.01").settle(SettleTiming::BeforeHandler);
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET /before/events", before())
        .charge("GET /after/events", "$0.01")
        .charge("GET /before/talk", before())
        .charge("GET /after/talk", "$0.01")
        .charge("POST /orders", PriceRule::new("$0.01").after_input())
        .build()
        .unwrap();
    Engine::builder(prices).facilitator(facilitator).build().unwrap()
}

pub(crate) const EVERY: [Framework; 3] = [Framework::Axum, Framework::Tower, Framework::Actix];
