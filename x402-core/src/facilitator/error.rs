//! Why a payment was not verified or not settled.

use std::{error::Error, fmt};

use crate::error::{BoxError, RejectReason};

/// Why a payment was not found good.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyError {
    /// It cannot be settled.
    Rejected(RejectReason),
    /// Its payer's balance, or what it allowed to be moved of that, covers it, and not [what else it has under way](super::Payment::committed) besides.
    Overcommitted,
    /// Nobody could tell.
    Unavailable(BoxError),
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(reason) => write!(f, "payment rejected: {reason}"),
            Self::Overcommitted => f.write_str("payer has more payments under way than it has money for"),
            Self::Unavailable(source) => source.fmt(f),
        }
    }
}

impl Error for VerifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(reason) => Some(reason),
            Self::Overcommitted => None,
            Self::Unavailable(source) => Some(source.as_ref()),
        }
    }
}

/// What is known of the money when a settlement did not succeed.
#[derive(Debug)]
#[non_exhaustive]
pub enum SettleError {
    /// It did not move, and this attempt will not move it.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// The transaction that failed, if one was sent.
        transaction: Option<String>,
    },
    /// It may have moved: the request was sent and no clear answer came.
    Unresolved {
        /// The transaction, if it is known.
        transaction: Option<String>,
        /// What happened instead of an answer.
        source: BoxError,
    },
    /// Nothing was sent: the other end cannot be reached or refuses work.
    Unavailable(BoxError),
}

impl fmt::Display for SettleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { reason, .. } => write!(f, "settlement rejected: {reason}"),
            Self::Unresolved { source, .. } => write!(f, "settlement of unknown outcome: {source}"),
            Self::Unavailable(source) => source.fmt(f),
        }
    }
}

impl Error for SettleError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected { reason, .. } => Some(reason),
            Self::Unresolved { source, .. } | Self::Unavailable(source) => Some(source.as_ref()),
        }
    }
}
