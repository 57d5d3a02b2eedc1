//! Orders in a file.

use std::path::PathBuf;
use x402_store::SqliteStore;

fn file() -> PathBuf {
    tempfile::tempdir().unwrap().keep().join("orders.db")
}

x402_core::store_contract!(contract, SqliteStore::open(file()).unwrap());
x402_core::permanent_store_contract!(record, SqliteStore::open(file()).unwrap());
