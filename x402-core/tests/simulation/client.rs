//! Payers: they sign, present, lose connections, come back, present copies, and sign again only when they are told to.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};
use x402_core::{
    Admission, Engine, Outcome, Reply, SettleTiming, Ticket, Triage,
    head::RequestHead,
    price::PriceOption,
    scheme::{ExactEvmStructure, PaymentKey},
    testing::TestPayer,
    wire::{decode_payment, header::decode_json, v2},
};

use crate::{
    deliveries::{Run, arrives, is_sent_again, leaves, leaves_from_handler},
    process::Process,
    request::Request,
    server::{Life, Server, TIMINGS},
    world::{World, short},
};

/// Somebody who wants one thing once.
pub(crate) struct Client {
    world: Arc<World>,
    servers: Arc<[Server]>,
    payer: Arc<TestPayer>,
    request: Request,
    deferred: bool,
    /// Whether the response has a known size, so that it can be kept.
    sized: bool,
    dialect: Dialect,
    signed: Mutex<Vec<Signed>>,
    /// Whether a copy was presented for something else.
    strayed: AtomicBool,
}

/// A payment, ready to be presented.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) key: PaymentKey,
    request: Request,
}

impl Signed {
    fn elsewhere(&self) -> Self {
        Self { request: self.request.elsewhere(), ..self.clone() }
    }
}

#[derive(Clone, Copy, Debug)]
enum Dialect {
    V1,
    V2,
}

/// What a presentation came to.
enum Got {
    Response,
    Reply(Reply),
    /// The connection is gone.
    Nothing,
}

impl Client {
    pub(crate) fn new(
        world: &Arc<World>,
        servers: &Arc<[Server]>,
        payer: &Arc<TestPayer>,
        number: u64,
    ) -> Self {
        let rng = &world.rng;
        let (path, timing) = *rng.pick(&TIMINGS);
        Self {
            world: Arc::clone(world),
            servers: Arc::clone(servers),
            payer: Arc::clone(payer),
            request: Request::new(rng.chance(30), format!("/{path}/{number}")),
            deferred: timing == SettleTiming::Deferred,
            sized: rng.chance(60),
            dialect: *rng.pick(&[Dialect::V1, Dialect::V2]),
            signed: Mutex::default(),
            strayed: AtomicBool::new(false),
        }
    }

    /// All payments it signed for the one thing it wants, the last one last.
    pub(crate) fn signed(&self) -> Vec<Signed> {
        self.signed.lock().unwrap().clone()
    }

    fn is_served(&self, signed: &Signed) -> bool {
        !self.world.deliveries().of(&signed.key).is_empty()
    }

    /// Buys in the storm.
    pub(crate) async fn buy(self: Arc<Self>) {
        let rng = &self.world.rng;
        sleep(rng.seconds(0, 40)).await;
        let mut signed = loop {
            match rng.pick(&self.servers).life().engine.triage(&self.request) {
                Triage::Reply(challenge) if is_challenge(&challenge) => break self.sign(&challenge),
                // It is about to stop.
                Triage::Reply(_) if self.world.is_stormy() => sleep(rng.seconds(1, 10)).await,
                _ => return,
            }
        };
        while self.world.is_stormy() {
            let mut copies = Vec::new();
            if rng.chance(35) {
                for _ in 0..rng.between(1, 3) {
                    copies.push(tokio::spawn(Arc::clone(&self).present_copy(signed.clone())));
                }
            }
            let alone = copies.is_empty();
            let got = self.present_and_leave(&signed, alone).await;
            for copy in copies {
                copy.await.unwrap();
            }
            let pause = match &got {
                _ if self.is_served(&signed) => {
                    // Served is served. Some try whether there is more to be had.
                    if rng.chance(60) {
                        return;
                    }
                    rng.seconds(0, 60)
                }
                // Whoever has sent copies does not know what came of them.
                Got::Reply(reply) if is_challenge(reply) && alone => {
                    if rng.chance(20) {
                        return;
                    }
                    signed = self.sign(reply);
                    rng.seconds(0, 5)
                }
                Got::Reply(reply) => match retry_after(reply) {
                    Some(after) => after + rng.seconds(0, 10),
                    None if rng.chance(50) => return,
                    None => rng.seconds(1, 40),
                },
                Got::Response | Got::Nothing => rng.seconds(0, 20),
            };
            if rng.chance(10) {
                sleep(rng.seconds(20, 100)).await;
            }
            sleep(pause).await;
        }
    }

    /// All is honest now: what was paid for arrives, if it has not.
    pub(crate) async fn collect(&self) {
        let Some(signed) = self.signed().pop() else { return };
        if self.is_served(&signed) && self.world.rng.chance(70) {
            return;
        }
        self.collect_one(&signed).await;
        if self.strayed.load(Ordering::Relaxed) && !self.is_served(&signed) {
            self.collect_one(&signed.elsewhere()).await;
        }
    }

    async fn collect_one(&self, signed: &Signed) {
        for _ in 0..20 {
            match self.present(signed, false).await {
                Got::Reply(reply) if retry_after(&reply).is_some() => {}
                Got::Reply(_) | Got::Response => return,
                Got::Nothing => self.world.broken("a connection was lost in a calm"),
            }
            sleep(Duration::from_secs(15)).await;
        }
        if self.world.climate.witness {
            self.world.broken(format!("{}: put off for ever", short(&signed.key)));
        }
    }

    /// Signs what a challenge asks for.
    fn sign(&self, challenge: &Reply) -> Signed {
        let required = challenge.get("payment-required").expect("a challenge speaks version 2 too");
        let (header, payment) = match self.dialect {
            Dialect::V1 => ("x-payment", self.payer.pay_v1(&challenge.body)),
            Dialect::V2 => ("payment-signature", self.payer.pay_v2(required)),
        };
        let required: v2::PaymentRequired = decode_json(required, 1 << 20).unwrap();
        let option = PriceOption::from_v2(&required.accepts[0]).unwrap();
        let presented = decode_payment(&payment).unwrap().payment;
        let key = ExactEvmStructure::authorization(presented.scheme_payload(), &option).unwrap().key;
        let signed = Signed { key, request: self.request.paid(header, payment) };
        self.world.tell("client", || format!("signs {} for {:?}", short(&key), self.request));
        self.world.count("signed");
        self.signed.lock().unwrap().push(signed.clone());
        signed
    }

    async fn present_copy(self: Arc<Self>, signed: Signed) {
        let rng = &self.world.rng;
        // At once, or when whoever has the order may have lost it.
        let late = rng.chance(35);
        sleep(if late { Duration::from_secs(rng.between(15, 80)) } else { rng.seconds(0, 15) }).await;
        let signed = if rng.chance(15) {
            self.strayed.store(true, Ordering::Relaxed);
            signed.elsewhere()
        } else {
            signed
        };
        let _ = self.present_and_leave(&signed, false).await;
    }

    /// Presents a payment; the connection may be lost at some await, or be given up after a while.
    async fn present_and_leave(&self, signed: &Signed, alone: bool) -> Got {
        let rng = &self.world.rng;
        let polls = if rng.chance(25) { rng.between(0, 14) } else { u64::MAX };
        let patience = if rng.chance(20) { rng.seconds(1, 60) } else { Duration::from_secs(90) };
        let exchange = timeout(patience, self.present(signed, alone));
        leave_after(polls, exchange).await.and_then(Result::ok).unwrap_or_else(|| {
            self.world.tell("client", || format!("leaves {}", short(&signed.key)));
            Got::Nothing
        })
    }

    async fn present(&self, signed: &Signed, alone: bool) -> Got {
        let Life { engine, process, .. } = self.world.rng.pick(&self.servers).life();
        if process.is_dead() {
            return Got::Nothing;
        }
        let (world, key, begun) = (&self.world, &signed.key, Instant::now());
        world.tell("client", || format!("presents {} to s{}", short(key), process.server));
        let got = tokio::select! {
            biased;
            () = process.gone() => Got::Nothing,
            got = process.turns(world, self.exchange(&engine, &process, signed)) => got,
        };
        if let Got::Reply(reply) = &got {
            world.tell("client", || {
                let text = String::from_utf8_lossy(&reply.body);
                let text = if is_challenge(reply) { "challenge".into() } else { text };
                format!("{} gets {} {text}", short(key), reply.status)
            });
            self.read(reply, signed, begun, alone);
        }
        got
    }

    async fn exchange(&self, engine: &Engine, process: &Arc<Process>, signed: &Signed) -> Got {
        let attempt = match engine.triage(&signed.request) {
            Triage::Check(attempt) => attempt,
            Triage::Reply(reply) => return Got::Reply(reply),
            Triage::Free | Triage::Demand(_) => panic!("it is priced"),
        };
        match engine.admit(attempt).await {
            Admission::Reply(reply) => Got::Reply(reply),
            Admission::Enter(ticket) => self.handle(ticket, process, signed).await,
        }
    }

    /// The handler, and the response on its way.
    async fn handle(&self, ticket: Ticket, process: &Arc<Process>, signed: &Signed) -> Got {
        let (world, rng, key) = (&self.world, &self.world.rng, &signed.key);
        let run = world.next_run();
        world.tell("handler", || format!("run {run} for {}", short(key)));
        world.count("handler runs");
        let (path, fence) =
            (signed.request.path().to_owned(), world.rows().fence_of_run(process.server, key));
        world.deliveries().begins(run, Run { path, fence, process: Arc::clone(process) });
        if ticket.context().payment_key != *key {
            world.broken("a handler was told of another payment");
        }
        sleep(rng.seconds(0, if world.is_stormy() { 40 } else { 1 })).await;
        if world.strikes(3) {
            std::future::pending::<()>().await;
        }
        let fails = world.strikes(12);
        let outcome = match (fails, self.sized) {
            (true, _) if rng.chance(30) => Outcome::failed(),
            (true, _) => Outcome::complete(502, Vec::new(), Bytes::new()),
            (false, true) => Outcome::complete(200, Vec::new(), Bytes::from(run.to_string())),
            (false, false) => Outcome::streaming(200),
        };
        let mut release = match ticket.finish(outcome).await {
            Ok(release) => release,
            Err(reply) => return Got::Reply(reply),
        };
        if fails {
            return Got::Reply(Reply::new(500));
        }
        let begun = Instant::now();
        world.tell("handler", || format!("response of run {run} leaves"));
        leaves_from_handler(world, key, run);
        leaves(world, key, &self.payer.address().to_string(), self.deferred);
        sleep(rng.seconds(0, if world.is_stormy() { 40 } else { 1 })).await;
        if world.strikes(20) {
            return Got::Nothing;
        }
        release.delivery.delivered();
        world.tell("client", || format!("has run {run} for {}", short(key)));
        arrives(world, key, run, begun, self.deferred);
        Got::Response
    }

    /// A reply of the engine: a kept response, or a refusal that must not cost a second payment.
    fn read(&self, reply: &Reply, signed: &Signed, begun: Instant, alone: bool) {
        let (world, key) = (&self.world, &signed.key);
        if reply.get("idempotent-replayed").is_some() {
            world.count("kept responses sent again");
            let run = std::str::from_utf8(&reply.body).unwrap().parse().unwrap();
            is_sent_again(world, run, signed.request.path());
            leaves(world, key, &self.payer.address().to_string(), self.deferred);
            arrives(world, key, run, Instant::now(), self.deferred);
        }
        if reply.status == 503 && (is_challenge(reply) || retry_after(reply).is_none()) {
            world.broken("503 with a challenge, or without Retry-After");
        }
        if is_challenge(reply) && world.forgot().is_none() {
            let now = world.now();
            let is_over = world.rows().orders.get(key).is_some_and(|row| now >= row.order.valid_before);
            let mut chain = world.chain();
            let note = chain.note(key);
            // A copy may have got further than this one knew, unless it had begun before.
            let knew = alone || note.first_sent.is_some_and(|sent| sent < begun);
            let wrong = knew && note.may_be_charged(is_over);
            drop(chain);
            if wrong {
                world.broken(format!("{}: asked to pay again", short(key)));
            }
        }
    }
}

fn is_challenge(reply: &Reply) -> bool {
    reply.status == 402 && reply.get("payment-required").is_some()
}

fn retry_after(reply: &Reply) -> Option<Duration> {
    let seconds = std::str::from_utf8(reply.get("retry-after")?).unwrap().parse().unwrap();
    Some(Duration::from_secs(seconds))
}

/// Polls a future so many times, then drops it.
async fn leave_after<F: Future>(polls: u64, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
