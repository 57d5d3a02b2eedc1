//! What the routes do, free of any framework.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Map, Value};
use x402_core::{Charge, Engine, PaidContext};

use crate::{
    answer::{Answer, Chunks},
    crash::{Crash, Step},
    delivery::{DeliveryLog, token},
    routes::Route,
};

/// All handlers, and what they count and write.
#[derive(Debug)]
pub(crate) struct Handlers {
    log: Option<DeliveryLog>,
    crash: Crash,
    runs: [AtomicU64; Route::ALL.len()],
}

/// A request, as far as handlers care.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) route: Route,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) paid: Option<PaidContext>,
    pub(crate) charge: Option<Charge>,
}

impl Handlers {
    pub(crate) fn new(log: Option<DeliveryLog>, crash: Crash) -> Self {
        Self { log, crash, runs: Default::default() }
    }

    /// Runs the handler of a route.
    ///
    /// # Panics
    /// On purpose, for `/panics`.
    pub(crate) async fn handle(&self, call: Call) -> Answer {
        let route = call.route;
        self.runs[route as usize].fetch_add(1, Ordering::Relaxed);
        match route {
            Route::Free => return Answer::text(200, "free"),
            Route::Stats => return self.stats(),
            Route::Panics => panic!("a handler that panics"),
            Route::Slow => tokio::time::sleep(pause(call.query.as_deref())).await,
            _ => {}
        }
        let Some(paid) = &call.paid else { return Answer::text(500, "a paid handler ran without a payment") };
        let token = token();
        if let Some(log) = &self.log {
            let line = format!("{}, {}, {token}\n", route.name(), paid.payment_key);
            if let Err(error) = log.append(line).await {
                tracing::error!(%error, "delivery not written");
                return Answer::text(500, "delivery log failed");
            }
        }
        self.crash.reached(Step::Handler);
        respond(call).header("delivery-token", token)
    }

    fn stats(&self) -> Answer {
        let count = |route: Route| Value::from(self.runs[route as usize].load(Ordering::Relaxed));
        let runs: Map<_, _> =
            Route::ALL.into_iter().map(|route| (route.name().to_owned(), count(route))).collect();
        Answer::typed(200, "application/json", Value::from(runs).to_string())
    }
}

/// What `/ready` answers: the one route outside of the paywall.
pub(crate) async fn readiness(engine: &Engine) -> Answer {
    match engine.ready().await {
        Ok(()) => Answer::text(200, "ready"),
        Err(why) => Answer::text(503, why.to_string()),
    }
}

fn respond(call: Call) -> Answer {
    match call.route {
        Route::Used | Route::UsedEcho => used(&call),
        Route::UsedStream => {
            let each = parameter(call.query.as_deref(), "each=").and_then(|each| each.parse().ok());
            Answer::stream(Chunks::new(CHUNKS, BETWEEN_CHUNKS).billed(call.charge.zip(each)))
        }
        Route::Echo | Route::Bound => {
            let kind = call.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
            Answer::typed(200, kind, call.body)
        }
        Route::Stream => Answer::stream(Chunks::new(CHUNKS, BETWEEN_CHUNKS)),
        Route::Fails => Answer::text(500, "a handler that fails"),
        Route::Redirects => Answer::text(302, "elsewhere").header("location", "/free"),
        Route::Cacheable => Answer::text(200, "cacheable")
            .header("cache-control", "public, max-age=3600")
            .header("etag", "\"cacheable-1\""),
        _ => Answer::text(200, format!("paid: {}\n", call.path)),
    }
}

/// Says what the query tells it was used, and answers what is charged, or why not.
fn used(call: &Call) -> Answer {
    let Some(charge) = &call.charge else { return Answer::text(500, "no charge was found") };
    match parameter(call.query.as_deref(), "use=").map(|used| charge.set(used)) {
        Some(Err(error)) => Answer::text(500, error.to_string()),
        Some(Ok(())) | None => Answer::text(200, format!("charged: {}\n", charge.amount())),
    }
}

/// A parameter of a query, named with its `=`.
fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').find_map(|pair| pair.strip_prefix(name))
}

fn pause(query: Option<&str>) -> Duration {
    let milliseconds = parameter(query, "ms=").and_then(|text| text.parse().ok()).unwrap_or(0);
    Duration::from_millis(milliseconds).min(LONGEST_PAUSE)
}

const CHUNKS: u32 = 64;
const BETWEEN_CHUNKS: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
