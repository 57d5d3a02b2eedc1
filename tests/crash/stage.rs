//! What all stories here have in common.

use std::{
    io::{self, Write as _},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use devservices::{Postgres, Redis};
use tempfile::TempDir;
use x402_core::{error::BoxError, order::OrderStore};
use x402_store::StoreUrl;
use x402_tests::{Request, Response};

/// A kind of store that survives its users.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    Redis,
}

/// A store of its own, empty at first.
#[derive(Debug)]
pub(crate) struct Place {
    url: String,
    _keeps: Keeps,
}

#[derive(Debug)]
enum Keeps {
    Folder(#[allow(dead_code, reason = "gone when dropped")] TempDir),
    Server(#[allow(dead_code, reason = "ends when dropped")] Box<Redis>),
    Nothing,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Redis];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }

    pub(crate) fn place(self) -> Place {
        match self {
            Self::Sqlite => {
                let folder = tempfile::tempdir().expect("the temporary folder is writable");
                let url = format!("sqlite:{}", folder.path().join("orders.db").display());
                Place { url, _keeps: Keeps::Folder(folder) }
            }
            Self::Postgres => {
                let url = Postgres::shared().and_then(Postgres::database).expect("PostgreSQL starts");
                Place { url, _keeps: Keeps::Nothing }
            }
            Self::Redis => {
                // What it said yes to is on disk.
                let redis = Redis::options().append_fsync("always").start().expect("Redis starts");
                Place { url: redis.url(), _keeps: Keeps::Server(Box::new(redis)) }
            }
        }
    }
}

impl Place {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The store, beside the servers that use it.
    pub(crate) async fn open(&self) -> Result<Arc<dyn OrderStore>, BoxError> {
        Ok(self.url.parse::<StoreUrl>()?.connect_existing().await?)
    }
}

/// What a patient client does with a response: `None` when it is told to come back, after it has waited as long as it was told.
///
/// # Panics
/// When it is asked to pay again, or told no.
#[track_caller]
pub(crate) fn patiently(response: Response) -> Option<Response> {
    if response.status == 200 {
        return Some(response);
    }
    assert!(matches!(response.status, 409 | 503), "{} {}", response.status, response.text());
    assert_eq!(response.header("payment-required"), None, "they would pay twice");
    assert_eq!(response.header("delivery-token"), None);
    let wait = response.header("retry-after").and_then(|seconds| seconds.parse().ok());
    let wait = wait.unwrap_or_else(|| panic!("for ever {}: {}", response.status, response.text()));
    thread::sleep(Duration::from_secs(wait));
    None
}

/// Presents a payment to a server until it is served.
///
/// # Panics
/// When it is not within a minute.
#[track_caller]
pub(crate) fn insist(server: std::net::SocketAddr, request: &Request) -> Response {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if let Some(served) = patiently(request.send(server).expect("the server answers")) {
            return served;
        }
    }
    panic!("not served within a minute");
}

/// Asks again and again, for as long as a recovery may take.
///
/// # Panics
/// When it took longer, with what was seen last.
#[track_caller]
pub(crate) fn recovers<T: std::fmt::Debug>(what: &str, mut look: impl FnMut() -> Result<(), T>) {
    let until = Instant::now() + RECOVERY + Duration::from_secs(5);
    while let Err(seen) = look() {
        assert!(Instant::now() < until, "not in time: {what}; {seen:?}");
        thread::sleep(Duration::from_millis(250));
    }
}

/// Writes past the test runner, which keeps what passing tests print to itself.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes()); // nobody reads it at worst
}

/// The longest that whoever was interrupted waits, from the restart to the answer.
pub(crate) const RECOVERY: Duration = Duration::from_secs(30);
