//! What came instead of an answer that can be used.

use std::{error::Error, fmt, time::Duration};

/// Why a call brought no answer that can be used. Never holds what was sent or received.
#[derive(Debug)]
pub(super) enum Fault {
    /// No connection: name, network, TLS. Nothing was sent.
    Unreachable(reqwest::Error),
    /// Not asked: it did not answer for some time, and is not tried again before this long.
    LeftAlone(Duration),
    /// Not asked: the credentials for it could not be made.
    NoCredentials(&'static str),
    /// No complete answer in time.
    TimedOut(Duration),
    /// The connection broke between request and end of answer.
    Broken(reqwest::Error),
    /// The answer is longer than the limit.
    TooLong,
    /// Sent elsewhere. Payments do not follow.
    Redirected(u16),
    /// Another status than success, and no result with it.
    Status(u16),
    /// Success, and no result of the protocol's shape with it.
    NotAResult,
    /// A result that cannot be about this payment: the named member differs.
    OtherPayment(&'static str),
    /// A settlement without a transaction.
    NoTransaction,
    /// A reason that says nothing about the payment: its own trouble, or an outcome it does not know.
    Trouble(String),
    /// A reason that blames the terms this server asks.
    Misconfigured(String),
}

impl Fault {
    /// Whether the facilitator cannot have received the request.
    pub(super) const fn nothing_was_sent(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::LeftAlone(_) | Self::NoCredentials(_))
    }

    /// Whether waiting does not help: the operator must look.
    pub(super) const fn needs_the_operator(&self) -> bool {
        matches!(
            self,
            Self::Redirected(_)
                | Self::OtherPayment(_)
                | Self::NoTransaction
                | Self::Misconfigured(_)
                | Self::NoCredentials(_)
        )
    }

    /// Whether it says that the facilitator does not work, whatever it is asked.
    pub(super) const fn is_outage(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500 || *status == TOO_MANY,
            Self::Unreachable(_) | Self::TimedOut(_) | Self::Broken(_) | Self::TooLong | Self::NotAResult => {
                true
            }
            _ => false,
        }
    }

    /// Whether the facilitator has no part in it: it was not asked.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self, Self::LeftAlone(_) | Self::NoCredentials(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "cannot be reached: {}", root(error)),
            Self::LeftAlone(pause) => {
                write!(f, "did not answer, and is not asked again for {} s", pause.as_secs() + 1)
            }
            Self::NoCredentials(problem) => write!(f, "was not asked, for want of credentials: {problem}"),
            Self::TimedOut(limit) => write!(f, "gave no answer within {limit:?}"),
            Self::Broken(error) => write!(f, "broke off the connection: {}", root(error)),
            Self::TooLong => f.write_str("gave an answer longer than the limit"),
            Self::Redirected(status) => {
                write!(f, "redirects ({status}); configure the address it is served at")
            }
            Self::Status(status) => write!(f, "answered {status} without a result"),
            Self::NotAResult => f.write_str("gave an answer that is not a result of the protocol"),
            Self::OtherPayment(member) => {
                write!(f, "gave an answer with another {member} than the payment's")
            }
            Self::NoTransaction => f.write_str("reports a settlement without a transaction"),
            Self::Trouble(reason) => write!(f, "could not tell: {reason}"),
            Self::Misconfigured(reason) => write!(f, "refuses the terms of this server: {reason}"),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable(error) | Self::Broken(error) => Some(error),
            _ => None,
        }
    }
}

/// A fault, and whose it is.
#[derive(Debug)]
pub(super) struct FaultAt {
    pub(super) origin: String,
    pub(super) fault: Fault,
}

impl fmt::Display for FaultAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "facilitator at {} {}", self.origin, self.fault)
    }
}

impl Error for FaultAt {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

/// The innermost cause is the one that tells something (`connection refused`).
fn root(error: &reqwest::Error) -> &dyn Error {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

/// The status of one that is asked too much.
pub(super) const TOO_MANY: u16 = 429;
