//! What went wrong, in words that say what to do. Never with what was sent: it may be in a server's answer.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use x402_core::order::StoreError;

/// An answer that is none, and where it came from.
#[derive(Debug)]
pub(super) struct Trouble {
    place: String,
    what: What,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    Unreachable,
    Late,
    Credentials,
    Forbidden,
    ReadOnly,
    Full,
    CannotSave,
    FewReplicas,
    Loading,
    Busy,
    PartlyDown,
    Moving,
    Strange,
    Other,
}

impl Trouble {
    pub(super) fn new(place: &str, error: &RedisError) -> Self {
        Self { place: place.to_owned(), what: What::of(error) }
    }

    /// Whether another node may do better.
    pub(super) const fn is_of_the_network(&self) -> bool {
        matches!(self.what, What::Unreachable | What::Late)
    }

    pub(super) fn is_full(&self) -> bool {
        self.what == What::Full
    }

    pub(super) fn is_forbidden(&self) -> bool {
        self.what == What::Forbidden
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        if trouble.is_full() { Self::Full } else { Self::Unavailable(Box::new(trouble)) }
    }
}

impl What {
    fn of(error: &RedisError) -> Self {
        // Servers before version 7 put a script's error into the text of another one.
        let says = |code: &str| {
            error.code() == Some(code)
                || error.detail().is_some_and(|detail| detail.contains(&format!("-{code} ")))
        };
        let known = [
            ("OOM", Self::Full),
            ("READONLY", Self::ReadOnly),
            ("MISCONF", Self::CannotSave),
            ("NOREPLICAS", Self::FewReplicas),
            ("NOAUTH", Self::Credentials),
            ("WRONGPASS", Self::Credentials),
            ("NOPERM", Self::Forbidden),
            ("LOADING", Self::Loading),
            ("BUSY", Self::Busy),
            ("CLUSTERDOWN", Self::PartlyDown),
            ("MASTERDOWN", Self::PartlyDown),
            ("TRYAGAIN", Self::Moving),
            ("WRONGTYPE", Self::Strange),
        ];
        if let Some((_, what)) = known.into_iter().find(|(code, _)| says(code)) {
            return what;
        }
        if error.detail().is_some_and(|detail| detail.contains("user executing the script can't run")) {
            return Self::Forbidden;
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Credentials,
            ErrorKind::ClusterConnectionNotFound => Self::PartlyDown,
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => Self::PartlyDown,
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported => {
                Self::Strange
            }
            _ if error.is_timeout() => Self::Late,
            ErrorKind::Io => Self::Unreachable,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.what {
            What::Unreachable => {
                "cannot be reached; check that it runs, that this machine may connect to it, and, for `rediss://`, that its \
                 certificate is trusted"
            }
            What::Late => "did not answer in time; check its load and the network",
            What::Credentials => "refuses the user or the password; check them in the store's URL",
            What::Forbidden => {
                "forbids its user a command; grant `+@read +@write +@scripting +@connection +info +time` on the store's keys"
            }
            What::ReadOnly => "is a read-only replica; name the primary, or wait for the failover to end",
            What::Full => "has no memory left; raise `maxmemory`",
            What::CannotSave => "refuses writes because it cannot save to disk; free space, and see its log",
            What::FewReplicas => "refuses writes because too few replicas are connected",
            What::Loading => "is still loading its data; wait until it has",
            What::Busy => "is busy with a script that does not end; see `SCRIPT KILL`",
            What::PartlyDown => "has parts that nobody serves; see `CLUSTER INFO`",
            What::Moving => "has the order's slot being moved to another node; wait until it has arrived",
            What::Strange => {
                "does not answer as an order store in Redis does; check the URL, and that nothing else uses the prefix"
            }
            What::Other => "answers with an error; see its log",
        };
        write!(f, "Redis at {} {text}", self.place)
    }
}

impl std::error::Error for Trouble {}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    #[test]
    fn every_known_error_of_a_server_has_its_words() {
        for (answer, what) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'. script: ab, on @user_script:80.",
                What::Full,
            ),
            (
                "ERR Error running script (call to f_ab): @user_script:80: -OOM command not allowed",
                What::Full,
            ),
            ("READONLY You can't write against a read only replica. script: ab", What::ReadOnly),
            (
                "ERR Error running script (call to f_ab): @user_script:9: -READONLY You can't write",
                What::ReadOnly,
            ),
            ("MISCONF Redis is configured to save RDB snapshots", What::CannotSave),
            ("NOREPLICAS Not enough good replicas to write.", What::FewReplicas),
            ("NOAUTH Authentication required.", What::Credentials),
            ("WRONGPASS invalid username-password pair or user is disabled.", What::Credentials),
            ("NOPERM this user has no permissions to run the 'eval' command", What::Forbidden),
            ("ERR The user executing the script can't run this command or subcommand", What::Forbidden),
            ("LOADING Redis is loading the dataset in memory", What::Loading),
            ("BUSY Redis is busy running a script.", What::Busy),
            ("CLUSTERDOWN The cluster is down", What::PartlyDown),
            ("MASTERDOWN Link with MASTER is down", What::PartlyDown),
            ("TRYAGAIN Multiple keys request during rehashing of slot", What::Moving),
            ("MOVED 123 127.0.0.1:7000", What::PartlyDown),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", What::Strange),
            ("ERR unknown command 'EVALSHA', with args beginning with: 'secret'", What::Other),
        ] {
            let error =
                parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap().extract_error().unwrap_err();
            let trouble = Trouble::new("host:1", &error);
            assert_eq!(trouble.what, what, "{answer}");
            assert!(!trouble.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_full_server_is_full_and_any_other_one_unavailable() {
        let of = |what| StoreError::from(Trouble { place: "host:1".into(), what });
        assert!(matches!(of(What::Full), StoreError::Full));
        assert!(matches!(of(What::Late), StoreError::Unavailable(_)));
    }
}
