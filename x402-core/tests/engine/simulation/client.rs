//! Payers that present, leave, come back, and notice when they are cheated.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::sleep;
use x402_core::{
    Admission, Engine, Outcome, Reply, SettleTiming, Ticket, Triage,
    order::{DeliveryState, OrderStore, PaymentState},
    price::PriceOption,
    quote::QuoteKey,
    scheme::{ExactEvmStructure, PaymentKey},
    testing::TestPayer,
    time::Clock,
    wire::{PaymentPayload, decode_payment},
};

use super::{chaos::Chaos, rng::Rng};
use crate::{
    attacks::leave_after,
    support::{Request, prices},
};

/// One or two instances over one store, and what their handlers do.
pub(crate) struct Shop {
    engines: Vec<Engine>,
    chaos: Chaos,
    runs: Cell<u64>,
}

/// One payment, and what it got.
pub(crate) struct Client {
    shop: Rc<Shop>,
    rng: Rng,
    payer: TestPayer,
    request: Request,
    paid: RefCell<Option<Request>>,
    key: Cell<Option<PaymentKey>>,
    /// Whether its response can be kept.
    keeps: bool,
    /// Runs whose response arrived.
    delivered: RefCell<BTreeSet<u64>>,
    /// Whether the clock jumped past a lease while a response was on its way.
    stood_still: Cell<bool>,
}

/// What a presentation came to.
enum Got {
    Response,
    Reply(Reply),
}

impl Shop {
    pub(crate) fn open(chaos: &Chaos, rng: &Rng) -> Self {
        let timing = *rng.pick(&[SettleTiming::AfterHandler, SettleTiming::BeforeHandler]);
        let key = QuoteKey::random();
        let instance = |_| {
            let builder = Engine::builder(prices())
                .facilitator(chaos.clone())
                .store(chaos.store.clone())
                .quote_key(key.clone())
                .clock(chaos.clock.ahead(rng.between(0, 3)))
                .settle(timing)
                .wait_in_flight(rng.seconds(0, 10))
                .resolve_within(rng.seconds(0, 30));
            builder.build().unwrap()
        };
        Self {
            engines: (0..rng.between(1, 2)).map(instance).collect(),
            chaos: chaos.clone(),
            runs: Cell::new(0),
        }
    }
}

impl Client {
    pub(crate) fn new(shop: &Rc<Shop>, rng: &Rng) -> Self {
        let request =
            if rng.chance(70) { Request::get("/weather/oslo") } else { Request::new("POST", "/render") };
        Self {
            shop: Rc::clone(shop),
            rng: rng.clone(),
            payer: TestPayer::new(&format!("payer {}", rng.between(0, u64::MAX - 1)))
                .clock(shop.chaos.clock.clone()),
            keeps: !request.body && rng.chance(80),
            request,
            paid: RefCell::default(),
            key: Cell::default(),
            delivered: RefCell::default(),
            stood_still: Cell::default(),
        }
    }

    /// Asks for the price, and signs.
    pub(crate) async fn order(&self) {
        let Triage::Reply(challenge) = self.shop.engines[0].triage(&self.request) else {
            panic!("it is priced")
        };
        let payment = self.payer.pay_v2(challenge.get("payment-required").unwrap());
        *self.paid.borrow_mut() = Some(self.request.paid(&payment));
        let PaymentPayload::V2(payment) = decode_payment(&payment).unwrap().payment else {
            panic!("it is version 2")
        };
        let option = PriceOption::from_v2(&payment.accepted).unwrap();
        self.key.set(Some(ExactEvmStructure::authorization(&payment.payload, &option).unwrap().key));
    }

    fn key(&self) -> PaymentKey {
        self.key.get().unwrap()
    }

    /// Uses the nonce for something else, now and then.
    pub(crate) fn may_cheat(&self) {
        if self.rng.chance(4) {
            self.shop.chaos.ledger.spend_elsewhere(self.key());
        }
    }

    /// Presents the payment at some time, perhaps leaves at some await.
    pub(crate) async fn present_in_the_storm(self: Rc<Self>) {
        sleep(self.rng.seconds(0, 80)).await;
        let polls = if self.rng.chance(40) { self.rng.between(0, 12) } else { u64::MAX };
        if let Some(Got::Reply(reply)) =
            leave_after(usize::try_from(polls).unwrap(), self.present(true)).await
        {
            self.read(&reply);
        }
    }

    /// All is honest now: what was paid arrives, if it has not.
    pub(crate) async fn collect(&self) {
        let mut got = self.present(false).await;
        for _ in 0..10 {
            let Got::Reply(reply) = &got else { break };
            self.read(reply);
            // Somebody else still works on it, or its outcome is not known yet.
            if reply.status != 503 && !(reply.status == 409 && reply.get("retry-after").is_some()) {
                break;
            }
            sleep(Duration::from_secs(60)).await;
            got = self.present(false).await;
        }
        sleep(Duration::from_secs(60)).await;
        self.check(&got).await;
    }

    async fn check(&self, got: &Got) {
        let chaos = &self.shop.chaos;
        let key = self.key();
        let order = chaos.store.honest().find(&key, chaos.clock.now()).await.unwrap();
        let paid = chaos.ledger.settlement(&key).is_some();
        let delivered = self.delivered.borrow();
        let all = chaos.ledger.transfers();
        let mine = all.iter().filter(|transfer| transfer.payer == self.payer.address().to_string());
        assert!(mine.count() <= 1, "charged twice");
        assert!(delivered.is_empty() || paid, "delivered unpaid");
        // What a frozen process has on its way while others take over cannot be called back.
        if !self.stood_still.get() {
            assert!(delivered.len() <= 1, "delivered {delivered:?}");
        }
        if let Some(order) = &order {
            assert!(!order.is_leased(chaos.clock.now()), "never let go of: {order:?}");
        }
        if paid {
            let order = order.expect("what is paid is remembered");
            assert_eq!(order.state.payment, PaymentState::Settled, "paid, and not recorded: {order:?}");
            assert_eq!(order.state.delivery, DeliveryState::Delivered, "paid, and not delivered: {order:?}");
            assert!(!delivered.is_empty(), "paid, and nothing arrived: {order:?}");
            if let Got::Reply(reply) = got {
                assert!([200, 409].contains(&reply.status), "{reply:?}");
            }
        } else {
            assert!(!matches!(got, Got::Response), "served unpaid");
            if let Got::Reply(reply) = got {
                let told = reply.status != 503 || !chaos.witness;
                assert!(told, "a witness could have told: {reply:?}");
            }
        }
    }

    async fn present(&self, storm: bool) -> Got {
        let paid = self.paid.borrow().clone().unwrap();
        let engine = self.rng.pick(&self.shop.engines);
        let attempt = match engine.triage(&paid) {
            Triage::Check(attempt) => attempt,
            Triage::Reply(reply) => return Got::Reply(reply),
            Triage::Free => panic!("it is priced"),
        };
        match engine.admit(attempt).await {
            Admission::Reply(reply) => Got::Reply(reply),
            Admission::Enter(ticket) => self.handle(ticket, storm).await,
        }
    }

    async fn handle(&self, ticket: Ticket, storm: bool) -> Got {
        assert_eq!(ticket.context().payment_key, self.key());
        let run = self.shop.runs.get() + 1;
        self.shop.runs.set(run);
        sleep(self.rng.seconds(0, if storm { 60 } else { 1 })).await;
        let fails = storm && self.rng.chance(15);
        let status = if fails { 500 } else { 200 };
        let outcome = if self.keeps {
            Outcome::complete(status, Vec::new(), Bytes::from(run.to_string()))
        } else {
            Outcome::streaming(status)
        };
        let mut release = match ticket.finish(outcome).await {
            Ok(release) => release,
            Err(reply) => return Got::Reply(reply),
        };
        let jumped = self.shop.chaos.jumped();
        sleep(self.rng.seconds(0, if storm { 60 } else { 1 })).await;
        if self.shop.chaos.jumped() != jumped {
            self.stood_still.set(true);
        }
        if fails {
            return Got::Reply(Reply::new(500));
        }
        if storm && self.rng.chance(20) {
            return Got::Reply(Reply::new(200)); // lost on its way
        }
        release.delivery.delivered();
        self.delivered.borrow_mut().insert(run);
        Got::Response
    }

    /// A reply of the engine: a kept response, or a refusal that must not cost a second payment.
    fn read(&self, reply: &Reply) {
        if reply.get("idempotent-replayed").is_some() {
            let run = std::str::from_utf8(&reply.body).unwrap().parse().unwrap();
            self.delivered.borrow_mut().insert(run);
        }
        if reply.get("payment-required").is_some() {
            assert!(!self.shop.chaos.may_be_paid(&self.key()), "asked to pay again: {reply:?}");
        }
        if reply.status == 503 {
            assert!(reply.get("retry-after").is_some() && reply.get("payment-required").is_none());
        }
    }
}
