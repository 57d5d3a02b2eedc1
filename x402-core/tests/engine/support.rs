//! A paywall without a framework: a request in, an answer out.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use x402_core::{
    Admission, Closed, Demand, Engine, EngineBuilder, Outcome, PaidContext, Reply, Ticket, Till, Triage,
    adapter,
    error::BodyError,
    head::{Header, RequestHead},
    price::{PaymentIdentifier, Price, PriceRule, Prices},
    quote::BindingLevel,
    testing::{FakeClock, FakeFacilitator, TestPayer},
    time::UnixSeconds,
};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const PAY_TO: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
pub(crate) const NETWORK: &str = "eip155:84532";

/// An engine, and both ends of its world.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) facilitator: FakeFacilitator,
    pub(crate) payer: TestPayer,
    pub(crate) clock: FakeClock,
    pub(crate) handled: Arc<AtomicUsize>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(configure: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        let clock = FakeClock::new(UnixSeconds::new(NOW));
        let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
        Self::over(prices(), facilitator, clock, configure)
    }

    pub(crate) fn over(
        prices: Prices,
        facilitator: FakeFacilitator,
        clock: FakeClock,
        configure: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        // Orders are in memory here, whatever the timing.
        let builder = Engine::builder(prices)
            .facilitator(facilitator.clone())
            .clock(clock.clone())
            .dangerous_defer_over_forgetful_store();
        Self {
            engine: configure(builder).build().unwrap(),
            facilitator,
            payer: TestPayer::new("alice").clock(clock.clone()),
            clock,
            handled: Arc::default(),
        }
    }

    pub(crate) fn handler_runs(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }

    /// Sends a request whose handler answers 200 and a number.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        self.send_to(request, 200).await
    }

    /// Sends a request whose handler answers `status` and a number.
    pub(crate) async fn send_to(&self, request: &Request, status: u16) -> Answer {
        match self.enter(request).await {
            Err(answer) => answer,
            Ok(ticket) => self.run(ticket, status).await,
        }
    }

    /// Takes a request as far as its handler.
    pub(crate) async fn enter(&self, request: &Request) -> Result<Ticket, Answer> {
        match self.engine.triage(request) {
            Triage::Free => Err(Answer::free()),
            Triage::Reply(reply) => Err(reply.into()),
            Triage::Check(mut attempt) => {
                if let Some(limit) = attempt.body_limit() {
                    let read = async {
                        (request.content.len() <= limit)
                            .then(|| request.content.clone())
                            .ok_or(BodyError::TooLarge)
                    };
                    adapter::bind_body(&mut attempt, read).await.map_err(Answer::from)?;
                }
                match self.engine.admit(attempt).await {
                    Admission::Reply(reply) => Err(reply.into()),
                    Admission::Enter(ticket) => Ok(ticket),
                }
            }
            Triage::Demand(attempt) => {
                let (demand, till) = self.engine.demand(attempt);
                let bill = demand.take().expect("nobody took it yet");
                let _ = bill.pay().await; // the till tells
                match till.close(&Outcome::streaming(200)) {
                    Closed::Enter(ticket) => Ok(ticket),
                    Closed::Reply(reply) => Err(reply.into()),
                    Closed::Pass(_) => panic!("a success passes unpaid"),
                }
            }
        }
    }

    /// Takes a request as far as its handler's input.
    pub(crate) fn look_at_input(&self, request: &Request) -> (Demand, Till) {
        match self.engine.triage(request) {
            Triage::Demand(attempt) => self.engine.demand(attempt),
            other => panic!("{other:?}"),
        }
    }

    /// Runs the handler and hands its response over in full.
    pub(crate) async fn run(&self, ticket: Ticket, status: u16) -> Answer {
        let run = self.handled.fetch_add(1, Ordering::SeqCst) + 1;
        let context = ticket.context().clone();
        let body = Bytes::from(format!("run {run}"));
        let headers = vec![("x-run".into(), Bytes::from(run.to_string()))];
        match ticket.finish(Outcome::complete(status, headers, body.clone())).await {
            Err(reply) => reply.into(),
            Ok(mut release) => {
                release.delivery.delivered();
                let set = release.set.into_iter().map(|(name, value)| (name.into(), value)).collect();
                Answer { status, headers: set, body, paid: Some(context) }
            }
        }
    }

    /// The `PAYMENT-SIGNATURE` header that pays for a request.
    pub(crate) async fn pay(&self, request: &Request) -> Bytes {
        let unpaid = self.send(request).await;
        assert_eq!(unpaid.status, 402, "{unpaid:?}");
        self.payer.pay_v2(unpaid.get("payment-required").unwrap())
    }
}

/// The table that most tests use.
pub(crate) fn prices() -> Prices {
    Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /weather/{city}", "$0.001")
        .charge("GET /same", "$0.001")
        .charge("POST /render", "$0.001")
        .charge("GET /bound", PriceRule::from("$0.001").binding(BindingLevel::Quote))
        .charge("GET /dear", Price::usd("1").unwrap())
        .charge("POST /upload", PriceRule::from("$0.001").bind_body(1000))
        .charge("GET /named", PriceRule::from("$0.001").payment_identifier(PaymentIdentifier::Optional))
        .charge(
            "GET /named/always",
            PriceRule::from("$0.001").payment_identifier(PaymentIdentifier::Required),
        )
        .charge("POST /orders", PriceRule::from("$0.001").after_input())
        .free("GET /health")
        .build()
        .unwrap()
}

/// A request's head.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: Vec<(&'static str, Bytes)>,
    pub(crate) body: bool,
    pub(crate) content: Bytes,
}

impl Request {
    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn new(method: &'static str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method,
            path: path.to_owned(),
            query,
            headers: Vec::new(),
            body: method == "POST",
            content: Bytes::new(),
        }
    }

    /// A `POST` of these bytes.
    pub(crate) fn post(target: &str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let length = content.len().to_string();
        Self { content, ..Self::new("POST", target) }.header("content-length", length)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<Bytes>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn paid(&self, payment: &Bytes) -> Self {
        self.clone().header("payment-signature", payment.clone())
    }

    pub(crate) fn paid_v1(&self, payment: &Bytes) -> Self {
        self.clone().header("x-payment", payment.clone())
    }
}

impl RequestHead for Request {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn header(&self, name: &'static str) -> Header<'_> {
        Header::from_values(self.headers.iter().filter(|(key, _)| *key == name).map(|(_, value)| &**value))
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }

    fn has_body(&self) -> bool {
        self.body
    }
}

/// What the client sees, and what the handler saw.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Bytes)>,
    pub(crate) body: Bytes,
    pub(crate) paid: Option<PaidContext>,
}

impl Answer {
    fn free() -> Self {
        Self { status: 200, headers: Vec::new(), body: Bytes::from_static(b"free"), paid: None }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A base64 header, decoded.
    pub(crate) fn json(&self, name: &str) -> serde_json::Value {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let text = self.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"));
        serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap()
    }

    /// The reason code, from the challenge or the body.
    pub(crate) fn reason(&self) -> String {
        let value: serde_json::Value = if self.has("payment-required") {
            self.json("payment-required")
        } else {
            serde_json::from_slice(&self.body).unwrap()
        };
        value["error"].as_str().unwrap().to_owned()
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let headers = reply.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        Self { status: reply.status, headers, body: reply.body, paid: None }
    }
}
