//! Orders in a file: the contract, what is refused at start, what may fail later, and several processes.

mod at_start;
mod disk;
mod faults;
mod processes;
mod record;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use rusqlite::Connection;
use x402_core::{
    order::{OrderStore, StoreError},
    testing::store_contract::Payments,
};
use x402_store::SqliteStore;

x402_core::store_contract!(contract, SqliteStore::open(new_file()).unwrap());
x402_core::permanent_store_contract!(record_contract, SqliteStore::open(new_file()).unwrap());

/// A name for a file on the disk of the build, where nothing is yet.
fn new_file() -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlite");
        // Of the run before.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    });
    static NEXT: AtomicU32 = AtomicU32::new(0);
    FOLDER.join(format!("{}.db", NEXT.fetch_add(1, Ordering::Relaxed)))
}

fn open(file: &Path) -> (SqliteStore, Payments) {
    let store = SqliteStore::open(file).unwrap();
    (store.clone(), Payments::new(Arc::new(store)))
}

/// Another program that has the file open.
fn other(file: &Path) -> Connection {
    Connection::open(file).unwrap()
}

/// Why a step was not taken.
fn why<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Unavailable(why)) => why.to_string(),
        other => panic!("wanted a store that is not available, got {other:?}"),
    }
}

#[tokio::test]
async fn orders_are_there_after_a_restart() {
    let file = new_file();
    let (store, payments) = open(&file);
    let request = payments.request(0);
    payments.settle(&request, None).await;
    let before = format!("{:?}", payments.find(&request).await);
    drop((store, payments));
    assert!(!file.with_extension("db-wal").exists(), "the log is in the file when the last handle is gone");

    let store = SqliteStore::open(&file).unwrap();
    let after = store.find(&request.key, request.keep_until).await.unwrap();
    assert_eq!(format!("{:?}", after.unwrap()), before);
    assert_eq!(store.history(&request.key).await.unwrap().len(), 5);
}
