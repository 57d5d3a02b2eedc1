//! Opening the file: whether it is ours, can be written, and is still there.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf, absolute},
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};
use x402_core::error::ConfigError;

use super::{
    failure::{advice, unavailable},
    schema::{self, LATEST, Version},
};

/// The file as it was opened.
#[derive(Clone, Debug)]
pub(super) struct StoreFile {
    pub(super) path: PathBuf,
    identity: Identity,
}

impl StoreFile {
    /// Opens the file for writing and for reading, and makes its tables where it has none.
    pub(super) fn open(
        path: &Path,
        max_bytes: Option<u64>,
        patience: Duration,
    ) -> Result<(Self, Connection, Connection), ConfigError> {
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(wrong(path, "a path is wanted; orders in memory are kept by the memory store"));
        }
        let path = absolute(path).map_err(|error| wrong(path, "no such path").with_source(error))?;
        create(&path)?;
        let mut writer = connect(&path, patience)?;
        prepare(&path, &mut writer, max_bytes, patience)?;
        let reader = connect(&path, patience)?;
        tell(&reader, &path, "query_only", true)?;
        let identity = identity(&path).map_err(|error| wrong(&path, "it is gone").with_source(error))?;
        Ok((Self { path, identity }, writer, reader))
    }

    /// Whether the file that is open is still the one under its name. What is written to one that was removed is lost
    /// with the process.
    pub(super) fn is_in_place(&self) -> Result<(), x402_core::order::StoreError> {
        match identity(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            _ => Err(unavailable(format!(
                "{}: the file was removed or replaced while it was open; put it back, or restart with another one",
                self.path.display()
            ))),
        }
    }
}

/// Makes an empty file that only its owner can read: payers' names are in it, and signatures for a while.
fn create(path: &Path) -> Result<(), ConfigError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if path.is_dir() {
                Err(wrong(path, "it is a folder; name a file"))
            } else {
                Ok(())
            }
        }
        Err(error) => {
            let problem = match error.kind() {
                io::ErrorKind::NotFound => "its folder does not exist; make it first",
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "it cannot be made; let the user of this process write its folder"
                }
                io::ErrorKind::StorageFull => "there is no room for it; make room on the disk",
                _ => "it cannot be made",
            };
            Err(wrong(path, problem).with_source(error))
        }
    }
}

fn connect(path: &Path, patience: Duration) -> Result<Connection, ConfigError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(path, error))?;
    connection.busy_timeout(patience / 2).map_err(|error| failed(path, error))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Looks first: a file that is not ours, or too new, stays as it is.
fn prepare(
    path: &Path,
    connection: &mut Connection,
    max_bytes: Option<u64>,
    patience: Duration,
) -> Result<(), ConfigError> {
    let failed = |error| failed(path, error);
    if connection.is_readonly(MAIN_DB).map_err(failed)? {
        return Err(wrong(path, READ_ONLY));
    }
    match schema::version(connection).map_err(failed)? {
        Version::Foreign => {
            return Err(wrong(path, "it is a database of another program; name another file"));
        }
        Version::Ours(version) if version > LATEST => {
            let problem = format!(
                "it was written by a newer version of this program (its schema is {version}, the newest known here is \
                 {LATEST}) and was left as it is; update this program, or name another file"
            );
            return Err(wrong(path, &problem));
        }
        Version::Ours(_) | Version::Empty => {}
    }
    write_ahead(path, connection, patience)?;
    // An intent is on the disk before money moves, should the power fail the moment after.
    tell(connection, path, "synchronous", "FULL")?;
    tell(connection, path, "fullfsync", true)?;
    tell(connection, path, "checkpoint_fullfsync", true)?;
    tell(connection, path, "foreign_keys", true)?;
    // Signatures that are no longer needed are overwritten where that costs nothing.
    tell(connection, path, "secure_delete", "FAST")?;
    tell(connection, path, "temp_store", "MEMORY")?;
    tell(connection, path, "wal_autocheckpoint", LOG_PAGES)?;
    tell(connection, path, "journal_size_limit", LOG_BYTES)?;
    schema::migrate(connection).map_err(failed)?;
    if let Some(bytes) = max_bytes {
        let page: u64 = connection
            .pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))
            .map_err(failed)?
            .into();
        let pages = i64::try_from((bytes / page).max(1)).unwrap_or(i64::MAX);
        tell(connection, path, "max_page_count", pages)?;
    }
    Ok(())
}

/// Switches to the write-ahead log. SQLite does not wait here for another process that does the same.
fn write_ahead(path: &Path, connection: &Connection, patience: Duration) -> Result<(), ConfigError> {
    let until = Instant::now() + patience;
    loop {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(wrong(path, "its file system keeps no write-ahead log; name a local file")),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until =>
            {
                sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(failed(path, error)),
        }
    }
}

fn tell(
    connection: &Connection,
    path: &Path,
    pragma: &str,
    value: impl rusqlite::ToSql,
) -> Result<(), ConfigError> {
    // Some answer with what they are set to.
    let heard = connection.pragma_update_and_check(None, pragma, value, |_| Ok(()));
    match heard {
        Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}

fn failed(path: &Path, error: rusqlite::Error) -> ConfigError {
    wrong(path, advice(&error)).with_source(error)
}

pub(super) fn wrong(path: &Path, problem: &str) -> ConfigError {
    ConfigError::new(format!("sqlite store {}", path.display()), problem)
}

#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|of| (of.dev(), of.ino()))
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(drop)
}

const READ_ONLY: &str = "it may only be read; let the user of this process write the file and its folder";
/// More than there are texts.
const STATEMENTS: usize = 64;
/// After how much the log is brought into the file: a page that changes often is then written there once.
const LOG_PAGES: i64 = 4096;
/// To what the log shrinks again after it had to grow.
const LOG_BYTES: i64 = 64 * 1024 * 1024;
