//! Amounts in atomic units.
use ruint::aliases::U256;
use std::fmt;
/// A token amount in its smallest unit: `10_000` is 0.01 USDC.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AtomicAmount(U256);
impl AtomicAmount {
    /// From the 256-bit integer.
    #[must_use]
    pub const fn new(units: U256) -> Self {
        Self(units)
    }
    /// As the 256-bit integer.
    #[must_use]
    pub const fn get(self) -> U256 {
        self.0
    }
}
impl fmt::Display for AtomicAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl std::str::FromStr for AtomicAmount {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        s.parse().map(Self).map_err(|_| ())
    }
}
