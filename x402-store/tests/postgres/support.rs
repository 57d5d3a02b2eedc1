//! Servers, databases, and stores in them.

use std::{fs, process::Command, sync::Arc, time::Duration};

use devservices::Postgres;
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
