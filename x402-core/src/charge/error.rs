//! Why an amount cannot be charged.

use std::fmt;

use crate::price::{AmountError, AtomicAmount};

/// Why an amount cannot be charged. What was said before stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ChargeError {
    /// The price is fixed: the payment's scheme moves all that was authorized.
    FixedPrice,
    /// More was used than the payer authorized.
    AboveCeiling {
        /// What was authorized.
        ceiling: AtomicAmount,
    },
    /// The payment is being settled, or is settled.
    TooLate {
        /// What is charged.
        charged: AtomicAmount,
    },
    /// The text is not an amount, or finer than the token.
    Amount {
        /// What was said.
        text: String,
        /// What is wrong with it.
        error: AmountError,
    },
    /// The payment is not in the token that dollars are asked in on its network: say it in atomic units, or as a part.
    NotDollars,
}

impl fmt::Display for ChargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FixedPrice => f.write_str("price is fixed: only the scheme upto charges for what was used"),
            Self::AboveCeiling { ceiling } => {
                write!(f, "charge is above what was authorized, {ceiling} atomic units")
            }
            Self::TooLate { charged } => {
                write!(f, "payment is being settled, and {charged} atomic units are charged")
            }
            Self::Amount { text, error } => write!(f, "charge {text:?}: {error}"),
            Self::NotDollars => f.write_str("payment is not in a token that dollars are asked in"),
        }
    }
}

impl std::error::Error for ChargeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Amount { error, .. } => Some(error),
            _ => None,
        }
    }
}
