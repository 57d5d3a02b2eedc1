//! Databases, and stores in them.

use devservices::Postgres;
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
    PostgresStore::connect(database()).await.expect("the server is there")
}
