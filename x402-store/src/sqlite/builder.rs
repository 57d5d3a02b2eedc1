//! Options of a SQLite store.

use std::{path::Path, time::Duration};

use x402_core::error::ConfigError;

use super::{
    SqliteStore,
    file::{StoreFile, wrong},
    rows::SqliteRows,
    thread::Thread,
    write::Keeping,
};
use crate::steps::Steps;

/// Options of a [`SqliteStore`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open` is called"]
pub struct SqliteStoreBuilder {
    response_lifetime: Duration,
    response_bytes: u64,
    max_bytes: Option<u64>,
    patience: Duration,
    group: usize,
}

impl SqliteStoreBuilder {
    /// How long it keeps a response. Default ten minutes.
    pub const fn response_lifetime(mut self, lifetime: Duration) -> Self {
        self.response_lifetime = lifetime;
        self
    }

    /// How many bytes of responses it keeps; the oldest go first. Default 256 MiB.
    pub const fn response_bytes(mut self, bytes: u64) -> Self {
        self.response_bytes = bytes;
        self
    }

    /// How large the file may grow; at that size it refuses new orders, and what is begun can no longer be recorded
    /// either. By default it may fill the disk. An order takes some 3 KiB.
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// How long a step may take before the store counts as unavailable. Default two seconds; half of it is for
    /// other processes that are writing.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many steps share one write to the disk at most. Default 256; with 1 each has its own.
    pub const fn group(mut self, steps: usize) -> Self {
        self.group = steps;
        self
    }

    /// Opens the file, and makes it if there is none. Takes some milliseconds and blocks meanwhile.
    ///
    /// # Errors
    /// Says what to do about the file: its folder is missing, it may only be read, it is locked, no database, another
    /// program's, or a newer version's. It is left as it was then.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, ConfigError> {
        let (file, writer, reader) = StoreFile::open(path.as_ref(), self.max_bytes, self.patience)?;
        let path = file.path.clone();
        let started = |thread: std::io::Result<Thread>| {
            thread.map_err(|error| wrong(&path, "no thread can be started for it").with_source(error))
        };
        let rows = SqliteRows {
            reader: started(Thread::reader(reader, file.clone()))?,
            writer: started(Thread::writer(writer, file, self.group.max(1)))?,
            keeping: Keeping { lifetime: self.response_lifetime, bytes: self.response_bytes },
        };
        Ok(SqliteStore { steps: Steps::new(rows, self.patience).into(), path: path.into() })
    }
}

impl Default for SqliteStoreBuilder {
    fn default() -> Self {
        Self {
            response_lifetime: Duration::from_secs(10 * 60),
            response_bytes: 256 * 1024 * 1024,
            max_bytes: None,
            patience: Duration::from_secs(2),
            group: 256,
        }
    }
}
