//! What the engine writes down, at the most verbose level. Alone in its program: other threads would decide, before the
//! log is there, that nobody listens.

#[allow(dead_code, reason = "shared with the tests of the engine")]
#[path = "engine/faults.rs"]
mod faults;
#[allow(dead_code, reason = "shared with the tests of the engine")]
#[path = "engine/support.rs"]
mod support;

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use x402_core::{
    SettleTiming,
    error::RejectReason,
    testing::{SettleAnswer, VerifyAnswer},
};

use self::{
    faults::{Fault, FaultyStore, Step},
    support::{Request, World},
};

/// Keeps every event and every field of a span as a line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Log {
    fn line(&self, name: &str, record: impl FnOnce(&mut dyn Visit)) {
        let mut text = self.0.lock().unwrap();
        text.push_str(name);
        record(&mut Line(&mut text));
        text.push('\n');
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("x402")
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.line(span.metadata().name(), |line| span.record(line));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, record: &span::Record<'_>) {
        self.line("span", |line| record.record(line));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        self.line("event", |line| event.record(line));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// One log at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(start_paused = true)]
async fn operators_are_told_once_an_episode() {
    let _alone = ALONE.lock().await;
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let told = |line: &str| log.0.lock().unwrap().matches(line).count();
    let (store, down) = FaultyStore::switched(Fault::Lost, &[Step::Due]);
    let world = World::with(|builder| builder.store(store).settle(SettleTiming::Deferred));
    assert_eq!(told("responses leave before their payments are settled"), 1);
    assert!(log.0.lock().unwrap().contains("settle=\"deferred\""));
    let request = Request::get("/weather/oslo");
    for _ in 0..3 {
        let paid = request.paid(&world.pay(&request).await);
        assert!(world.send(&paid).await.has("payment-response"));
    }
    assert_eq!(told("settlement not deferred"), 1, "no worker");

    down.store(true, Ordering::SeqCst);
    tokio::spawn(world.engine.worker());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(told("order store does not answer the worker"), 1);
    down.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(told("order store answers the worker again"), 1);

    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
    let paid = request.paid(&world.pay(&request).await);
    assert_eq!(world.send(&paid).await.status, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(told("response is out, and its settlement failed"), 1);
    let text = x402_core::wire::decode_payment(&paid.headers[0].1).unwrap();
    let signature = text.payment.scheme_payload()["signature"].as_str().unwrap()[2..].to_owned();
    assert_eq!(told(&signature), 0);
}

#[tokio::test]
async fn neither_signatures_nor_queries_nor_headers_are_written_down() {
    let _alone = ALONE.lock().await;
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let (store, down) = FaultyStore::switched(Fault::Lost, &[Step::Advance, Step::Open, Step::Find]);
    let world = World::with(|builder| builder.store(store));
    let request = Request::get("/weather/oslo?key=hunter2").header("cookie", "hunter2");
    let mut secrets = vec!["hunter2".to_owned()];
    for (verify, settle, outage) in [
        (VerifyAnswer::Honest, SettleAnswer::Honest, false),
        (VerifyAnswer::Reject(RejectReason::InsufficientFunds), SettleAnswer::Honest, false),
        (VerifyAnswer::Unavailable, SettleAnswer::Honest, false),
        (VerifyAnswer::Honest, SettleAnswer::Reject(RejectReason::SimulationFailed), false),
        (VerifyAnswer::Honest, SettleAnswer::Unresolved { moved: true }, false),
        (VerifyAnswer::Honest, SettleAnswer::Unavailable, true),
    ] {
        let payment = world.pay(&request).await;
        let text = x402_core::wire::decode_payment(&payment).unwrap();
        secrets.push(String::from_utf8(payment.to_vec()).unwrap());
        secrets.push(text.payment.scheme_payload()["signature"].as_str().unwrap()[2..].to_owned());
        world.facilitator.on_verify(verify);
        world.facilitator.on_settle(settle);
        down.store(outage, Ordering::SeqCst);
        for _ in 0..2 {
            world.send(&request.paid(&payment)).await;
        }
        down.store(false, Ordering::SeqCst);
    }
    let log = log.0.lock().unwrap().clone();
    for line in
        ["x402.payment", "payment settled", "kept response sent again", "settlement failed", "order store"]
    {
        assert!(log.contains(line), "{line} is missing in {log}");
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} in {log}");
    }
}
