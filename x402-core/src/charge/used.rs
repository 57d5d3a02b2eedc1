//! How much was used, in the unit that suits.

use ruint::aliases::U256;

use super::ChargeError;
use crate::price::{AmountError, AtomicAmount};

/// How much of a ceiling was used: in atomic units, in dollars, or as a part of it.
///
/// Texts are read as `"$0.0123"`, `"42.5%"` and `"1234"` (atomic units); a mistake surfaces in
/// [`Charge::set`](super::Charge::set).
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Used(Kind);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Atomic(AtomicAmount),
    Units(String),
    Dollars(String),
    Percent(String),
}

impl Used {
    /// This much of the token.
    pub fn atomic(amount: impl Into<AtomicAmount>) -> Self {
        Self(Kind::Atomic(amount.into()))
    }

    /// This many dollars, such as `"0.0123"`; not finer than the token. For payments in the token that prices in dollars are
    /// asked in.
    pub fn usd(dollars: impl Into<String>) -> Self {
        Self(Kind::Dollars(dollars.into()))
    }

    /// This part of the ceiling, such as `"42.5"` for 42.5 %, rounded down to a whole atomic unit; up to six places.
    pub fn percent(percent: impl Into<String>) -> Self {
        Self(Kind::Percent(percent.into()))
    }

    /// In atomic units; `decimals` are the token's places where dollars are asked in it.
    pub(super) fn of(self, ceiling: AtomicAmount, decimals: Option<u8>) -> Result<AtomicAmount, ChargeError> {
        let used = match self.0 {
            Kind::Atomic(amount) => amount,
            Kind::Units(text) => read(text, 0)?,
            Kind::Dollars(text) => read(text, decimals.ok_or(ChargeError::NotDollars)?)?,
            Kind::Percent(text) => {
                let percent = read(text, PLACES)?;
                if percent > AtomicAmount::new(WHOLE) {
                    return Err(ChargeError::AboveCeiling { ceiling });
                }
                part(ceiling, percent.get())
            }
        };
        if used > ceiling { Err(ChargeError::AboveCeiling { ceiling }) } else { Ok(used) }
    }
}

impl From<AtomicAmount> for Used {
    fn from(amount: AtomicAmount) -> Self {
        Self::atomic(amount)
    }
}

/// In atomic units.
impl From<u64> for Used {
    fn from(units: u64) -> Self {
        Self::atomic(units)
    }
}

/// Reads `"$0.0123"`, `"42.5%"` and `"1234"`. A mistake surfaces when it is charged.
impl From<&str> for Used {
    fn from(text: &str) -> Self {
        if let Some(dollars) = text.strip_prefix('$') {
            Self::usd(dollars)
        } else if let Some(percent) = text.strip_suffix('%') {
            Self::percent(percent)
        } else {
            Self(Kind::Units(text.to_owned()))
        }
    }
}

fn read(text: String, decimals: u8) -> Result<AtomicAmount, ChargeError> {
    let read: Result<_, AmountError> = AtomicAmount::from_decimal(&text, decimals);
    read.map_err(|error| ChargeError::Amount { text, error })
}

/// `percent / WHOLE` of `ceiling`, rounded down, without a product that could overflow.
fn part(ceiling: AtomicAmount, percent: U256) -> AtomicAmount {
    let (whole, rest) = ceiling.get().div_rem(WHOLE);
    AtomicAmount::new(whole * percent + rest * percent / WHOLE)
}

/// Places of a percentage.
const PLACES: u8 = 6;
/// A hundred percent.
const WHOLE: U256 = U256::from_limbs([100_000_000, 0, 0, 0]);
