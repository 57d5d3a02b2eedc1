//! Servers, databases, and stores in them.

use std::{
    fmt, fs,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use devservices::Postgres;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use x402_core::{
    error::ConfigError,
    order::{OrderStore, StoreError},
    testing::store_contract::Payments,
};
use x402_store::PostgresStore;

/// The server that all tests share which leave it alone.
pub(crate) fn server() -> &'static Postgres {
    Postgres::shared().unwrap_or_else(|error| panic!("{error}"))
}

/// An empty database there.
pub(crate) fn database() -> String {
    server().database().expect("the server makes a database")
}

/// A store in an empty database.
pub(crate) async fn store() -> PostgresStore {
    connect(&database()).await
}

pub(crate) async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(url).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A store that waits, for tests in which a slow machine is no fault.
pub(crate) async fn patient(url: &str) -> PostgresStore {
    let builder = PostgresStore::builder(url).patience(Duration::from_secs(20));
    builder.connect().await.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn payments(store: &PostgresStore) -> Payments {
    Payments::new(Arc::new(store.clone()))
}

/// Why there is no store at this URL; never with the password.
pub(crate) async fn refusal(url: &str) -> String {
    shown(PostgresStore::connect(url).await)
}

pub(crate) fn shown(connected: Result<PostgresStore, ConfigError>) -> String {
    let error = connected.expect_err("there is something wrong");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("secret") && !text.contains(Postgres::PASSWORD), "{text}");
    error.to_string()
}

/// Why a step was not taken.
pub(crate) fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Unavailable(why)) => why.to_string(),
        other => panic!("wanted a store that is not available, got {other:?}"),
    }
}

/// Waits until the store answers.
pub(crate) async fn recovered(store: &PostgresStore, limit: Duration) {
    let answers = async {
        while store.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(limit, answers).await.expect("the store comes back by itself");
}

/// Sends a signal to all processes of a server.
pub(crate) fn signal(server: &Postgres, signal: &str) {
    let parent = server.process_id().expect("it runs");
    let children =
        fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("it has children");
    let ids = children.split_whitespace().map(str::to_owned).chain([parent.to_string()]);
    let sent = Command::new("kill").arg(signal).args(ids).status().expect("kill is there");
    assert!(sent.success());
}

/// What is logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("x402")
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        writeln!(self.0, "{field}: {value:?}").unwrap();
    }
}
