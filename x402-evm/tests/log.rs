//! What is written down of a payment, at the most verbose level and by whomever. Alone in its program: other threads
//! would decide, before the log is there, that nobody listens.

#![cfg(feature = "rpc")]

#[allow(dead_code, reason = "shared with the tests against a chain")]
#[path = "chain/world.rs"]
mod world;

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use x402_core::facilitator::Facilitator;

use self::world::{GAS, World, settle};

/// Keeps everything that anybody writes down.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0, "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut Line(&mut self.0.lock().unwrap()));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, record: &span::Record<'_>) {
        record.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn neither_signatures_nor_keys_nor_addresses_of_nodes_are_written_down() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let world = World::start();
    let facilitator =
        world::facilitator_at(&format!("{}/?key=hunter2", world.chain.url().trim_end_matches('/')));
    let payment = world.payment(1000);
    facilitator.verify(&payment).await.unwrap();
    settle(&facilitator, &payment).await;
    let written = log.0.lock().unwrap().to_lowercase();
    assert!(written.contains("settlement sent"), "nobody listened");
    let signature = payment.presented.payment.scheme_payload()["signature"].as_str().unwrap().to_lowercase();
    for secret in [&signature[2..66], &devchain::accounts()[GAS].key[2..].to_lowercase(), "hunter2"] {
        let at = written.find(secret);
        assert!(at.is_none(), "{}", &written[at.unwrap().saturating_sub(300)..][..600]);
    }
}
