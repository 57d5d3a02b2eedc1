//! What reaches the operator's log.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use serde_json::json;
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{DefaultGuard, NoSubscriber},
};
use x402_core::facilitator::{Facilitator, HttpFacilitator};

use super::{
    fixture::{failed, good, settled, signature},
    server::{Act, Server},
};

/// Keeps every event as a line, at the most verbose level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    /// Keeps what this thread logs from now on.
    pub(crate) fn listen(&self) -> Listening {
        // Beside one subscriber alone, another test's thread that meets an event first has it switched off for all.
        let _second = Dispatch::new(NoSubscriber::new());
        Listening { _second, _guard: tracing::subscriber::set_default(self.clone()) }
    }
}

/// Keeps events for as long as it lives.
pub(crate) struct Listening {
    _guard: DefaultGuard,
    _second: Dispatch,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        writeln!(self.0.lock().unwrap(), "{}", line.0).unwrap();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn what_only_the_operator_can_mend_is_logged_without_secrets() {
    let other = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
    let mut of_another = settled();
    of_another["payer"] = json!(other);
    let server = Server::start([
        Act::Json(200, json!({ "isValid": true, "payer": other })),
        Act::Json(200, json!({ "isValid": false, "invalidReason": "invalid_exact_evm_token_name_mismatch" })),
        Act::Json(200, of_another),
        Act::Json(200, failed("asset_not_deployed_contract", "")),
        Act::Json(200, failed("unexpected_settle_error", "")),
        Act::Json(500, json!({ "error": "secret of theirs" })),
    ])
    .await;
    let url = format!("{}/tenant-token", server.url());
    let facilitator = HttpFacilitator::new(&url).unwrap();
    let payment = good();

    let log = Log::default();
    let guard = log.listen();
    for _ in 0..2 {
        facilitator.verify(&payment).await.unwrap_err();
    }
    for _ in 0..4 {
        facilitator.settle(&payment).await.unwrap_err();
    }
    drop(guard);

    let log = log.text();
    let errors: Vec<_> = log.lines().filter(|line| line.starts_with(Level::ERROR.as_str())).collect();
    assert_eq!(errors.len(), 4, "{log}");
    assert!(errors.iter().all(|line| line.contains(server.url())), "{log}");
    for secret in [&signature(&payment), "tenant-token", "secret of theirs", "paymentPayload", other] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    let shown = format!("{facilitator:?}");
    assert!(!shown.contains("tenant-token"), "{shown}");
}
