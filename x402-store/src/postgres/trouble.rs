//! What went wrong between us and the server, in words that say what to do about it.
//!
//! Texts are made from the server's error codes: its messages may be in any language, and their details show values.

use std::{error::Error as _, fmt, io};

use tokio_postgres::{Error, error::SqlState};
use x402_core::order::StoreError;

/// Why the server did not do what it was asked.
#[derive(Debug)]
pub(super) struct Trouble {
    text: String,
    /// What the server was told is either done or not done, and nobody knows which.
    pub(super) is_lost: bool,
    /// It did nothing, and asked for each part alone it may do some of them.
    pub(super) is_of_one: bool,
    /// The name of the rule that was broken.
    pub(super) rule: Option<String>,
}

impl Trouble {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_lost: false, is_of_one: false, rule: None }
    }

    pub(super) fn silence() -> Self {
        Self::new("does not answer in time: it is overloaded, cannot be reached, or is no PostgreSQL")
    }

    /// Before the server said anything that made sense.
    pub(super) fn before_greeting(self) -> Self {
        if self.is_lost { Self::new(STRANGER) } else { self }
    }

    fn lost(text: &str) -> Self {
        Self { is_lost: true, ..Self::new(text) }
    }

    fn of_code(code: &SqlState, message: &str) -> Self {
        let text = match code {
            &SqlState::INVALID_PASSWORD => "refuses user or password: correct them in the URL",
            &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "does not let this user in from here (its pg_hba.conf decides; it may ask for sslmode=verify-full)"
            }
            &SqlState::INVALID_CATALOG_NAME => "has no database of this name: create it, or correct the URL",
            &SqlState::TOO_MANY_CONNECTIONS => {
                "has no connection left: raise its max_connections, or let fewer writers share it"
            }
            &SqlState::INSUFFICIENT_PRIVILEGE => {
                return Self::new(format!(
                    "does not allow the role what a store needs ({message}): grant it"
                ));
            }
            &SqlState::READ_ONLY_SQL_TRANSACTION => READ_ONLY,
            &SqlState::DISK_FULL => "has no room left on its disk",
            &SqlState::QUERY_CANCELED => "took too long and gave up",
            &SqlState::LOCK_NOT_AVAILABLE => "has the order locked by somebody else, for too long",
            &SqlState::CANNOT_CONNECT_NOW => "is starting up or shutting down",
            &SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN | &SqlState::IDLE_SESSION_TIMEOUT => {
                return Self::lost("closed the connection");
            }
            &SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN | &SqlState::INVALID_SCHEMA_NAME => {
                "has not the store's tables (any more): start again to create them"
            }
            _ => return Self::new(format!("refused a statement ({}): {message}", code.code())),
        };
        Self::new(text)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            let code = refusal.code();
            let is_of_one = OF_ONE.iter().any(|class| code.code().starts_with(class))
                || code == &SqlState::LOCK_NOT_AVAILABLE;
            let rule = refusal.constraint().map(str::to_owned);
            return Self { is_of_one, rule, ..Self::of_code(code, refusal.message()) };
        }
        if error.is_closed() {
            return Self::lost("closed the connection");
        }
        let text = error.to_string();
        let cause = error.source();
        if text.contains("TLS") {
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            return Self::new(format!("cannot be talked to in private ({text}{cause}). {ADVICE}"));
        }
        match cause.and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
                Self::new("refuses connections: start it, or correct host and port in the URL")
            }
            Some(io::ErrorKind::TimedOut) if text.contains("connecting") => Self::silence(),
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Self::new(STRANGER),
            Some(_) if text.contains("communicating") => Self::lost("closed the connection"),
            _ if text.contains("unexpected message") || text.contains("parsing") => Self::new(STRANGER),
            _ => {
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                Self::new(format!("cannot be used ({text}{cause})"))
            }
        }
    }
}

impl From<&Trouble> for StoreError {
    fn from(trouble: &Trouble) -> Self {
        Self::Unavailable(format!("PostgreSQL {trouble}").into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub(super) const READ_ONLY: &str =
    "takes no writes: it is a replica, or set to be read only; name its primary in the URL";
const STRANGER: &str = "does not speak PostgreSQL's protocol: is something else listening there?";
const ADVICE: &str =
    "sslmode=disable does without TLS; sslrootcert=FILE names who signed the server's certificate";
/// Classes of errors that the content of one step can cause: bad data, broken rules, deadlocks, triggers.
const OF_ONE: [&str; 4] = ["22", "23", "40", "P0"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_told_what_to_do() {
        for (code, text) in [
            (SqlState::INVALID_PASSWORD, "correct them"),
            (SqlState::INVALID_CATALOG_NAME, "create it"),
            (SqlState::TOO_MANY_CONNECTIONS, "max_connections"),
            (SqlState::INSUFFICIENT_PRIVILEGE, "grant"),
            (SqlState::READ_ONLY_SQL_TRANSACTION, "primary"),
            (SqlState::SYNTAX_ERROR, "42601"),
        ] {
            let trouble = Trouble::of_code(&code, "message");
            assert!(trouble.to_string().contains(text), "{trouble}");
        }
    }
}
