//! What all stories here have in common.

use std::{
    env,
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use devservices::{Postgres, Redis};
use tempfile::TempDir;
use x402_tests::Framework;

/// Two servers, through different adapters.
pub(crate) const TWO: [Framework; 2] = [Framework::Axum, Framework::Actix];
/// Four, through all of them.
pub(crate) const FOUR: [Framework; 4] =
    [Framework::Axum, Framework::Tower, Framework::Actix, Framework::Axum];

/// One store of each kind that instances may share.
#[derive(Debug)]
pub(crate) struct Stores {
    redis: Redis,
    folder: TempDir,
}

impl Stores {
    /// Starts what has to be started.
    pub(crate) fn start() -> Self {
        let redis = Redis::start().expect("Redis starts");
        Self { redis, folder: tempfile::tempdir().expect("the temporary folder is writable") }
    }

    /// Their names and URLs.
    pub(crate) fn urls(&self) -> [(&'static str, String); 3] {
        let postgres = Postgres::shared().and_then(Postgres::database).expect("PostgreSQL starts");
        let file = self.folder.path().join("orders.db");
        [
            ("redis", self.redis.url()),
            ("postgres", postgres),
            ("sqlite", format!("sqlite:{}", file.display())),
        ]
    }
}

/// How often something is repeated, unless `ROUNDS` says otherwise.
pub(crate) fn rounds(default: usize) -> usize {
    env::var("ROUNDS").map_or(default, |rounds| rounds.parse().expect("ROUNDS is a number"))
}

/// While this is held nobody else loads the machine, so that times mean something.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // Whoever failed while it had the machine has nothing to do with the next one.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes past the test runner, which keeps what passing tests print to itself.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes()); // nobody reads it at worst
}
