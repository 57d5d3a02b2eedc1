//! A paywall over a store, without a framework, and payers for it.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use x402_core::{
    Admission, Engine, Outcome, PaidContext, Ticket, Triage,
    facilitator::Facilitator,
    head::{Header, RequestHead},
    order::OrderStore,
    price::Prices,
    quote::QuoteKey,
    testing::{FakeFacilitator, SettleAnswer, TestPayer},
    time::{Clock, SystemClock},
};

pub(crate) const PAY_TO: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
pub(crate) const NETWORK: &str = "eip155:84532";
/// What must not be found anywhere but where it was put.
pub(crate) const QUERY_SECRET: &str = "query-secret-5f1c";
pub(crate) const RESPONSE_SECRET: &str = "response-secret-77aa";

/// An engine over a store.
pub(crate) struct Shop {
    pub(crate) engine: Engine,
    pub(crate) facilitator: FakeFacilitator,
    payer: TestPayer,
    store: Arc<dyn OrderStore>,
}

/// What a payment came to.
pub(crate) struct Sale {
    pub(crate) context: PaidContext,
    /// The header that paid.
    pub(crate) payment: Bytes,
}

impl Shop {
    pub(crate) fn over(store: Arc<dyn OrderStore>, key: QuoteKey) -> Self {
        let facilitator = FakeFacilitator::new().with_local_proof();
        let engine = engine(Arc::clone(&store), key, facilitator.clone());
        Self { engine, facilitator, payer: TestPayer::new("alice"), store }
    }

    /// Pays, and is delivered.
    pub(crate) async fn sell(&self, path: &'static str) -> Sale {
        let (ticket, payment) = self.enter(path).await;
        let context = ticket.context().clone();
        let body = Bytes::from_static(RESPONSE_SECRET.as_bytes());
        let mut release = ticket.finish(Outcome::complete(200, Vec::new(), body)).await.unwrap();
        release.delivery.delivered();
        self.released(&context).await;
        Sale { context, payment }
    }

    /// Pays, and the response is lost on the way.
    pub(crate) async fn lose(&self, path: &'static str) -> Sale {
        let (ticket, payment) = self.enter(path).await;
        let context = ticket.context().clone();
        let outcome = Outcome::complete(200, Vec::new(), Bytes::from_static(b"lost"));
        drop(ticket.finish(outcome).await.unwrap());
        self.released(&context).await;
        Sale { context, payment }
    }

    /// Pays, and nobody learns what became of it.
    pub(crate) async fn lose_track(&self, path: &'static str) -> Sale {
        let (ticket, payment) = self.enter(path).await;
        let context = ticket.context().clone();
        self.facilitator.next_settle(SettleAnswer::Unresolved { moved: false });
        let outcome = Outcome::complete(200, Vec::new(), Bytes::new());
        assert_eq!(ticket.finish(outcome).await.unwrap_err().status, 503);
        Sale { context, payment }
    }

    /// Pays, and the handler fails: nothing is charged.
    pub(crate) async fn fail(&self, path: &'static str) -> Sale {
        let (ticket, payment) = self.enter(path).await;
        let context = ticket.context().clone();
        let _ = ticket.finish(Outcome::complete(500, Vec::new(), Bytes::new())).await.unwrap();
        Sale { context, payment }
    }

    /// As far as the handler, which the caller now holds.
    pub(crate) async fn enter(&self, path: &'static str) -> (Ticket, Bytes) {
        let unpaid = Get { path, payment: None };
        let Triage::Reply(reply) = self.engine.triage(&unpaid) else { panic!("{path} is priced") };
        let payment = self.payer.pay_v2(reply.get("payment-required").unwrap());
        match present(&self.engine, path, &payment).await {
            Admission::Enter(ticket) => (ticket, payment),
            Admission::Reply(reply) => panic!("{reply:?}"),
        }
    }

    /// Waits until its report has arrived, which a task of its own sends.
    async fn released(&self, context: &PaidContext) {
        let now = SystemClock.now();
        loop {
            let order = self.store.find(&context.payment_key, now).await.unwrap().unwrap();
            if order.leased_until.is_none() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

/// A paywall that keeps its orders there.
pub(crate) fn engine(
    store: Arc<dyn OrderStore>,
    key: QuoteKey,
    facilitator: impl Facilitator + 'static,
) -> Engine {
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /weather/{city}", "$0.01")
        .charge("GET /dear", "$1")
        .build()
        .unwrap();
    let engine = Engine::builder(prices).facilitator(facilitator).store(store).quote_key(key);
    engine.resolve_within(std::time::Duration::ZERO).build().unwrap()
}

/// Presents a payment for a path.
pub(crate) async fn present(engine: &Engine, path: &'static str, payment: &Bytes) -> Admission {
    let paid = Get { path, payment: Some(payment.clone()) };
    let Triage::Check(attempt) = engine.triage(&paid) else { panic!("{path} is priced") };
    engine.admit(attempt).await
}

struct Get {
    path: &'static str,
    payment: Option<Bytes>,
}

impl RequestHead for Get {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        Some(QUERY_SECRET)
    }

    fn header(&self, name: &'static str) -> Header<'_> {
        match &self.payment {
            Some(payment) if name == "payment-signature" => Header::One(payment),
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
