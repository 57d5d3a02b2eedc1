//! Amounts in atomic units, read and written without rounding.

use std::{fmt, str::FromStr};

use ruint::aliases::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A token amount in its smallest unit: `10_000` is 0.01 USDC.
///
/// Arithmetic is checked: overflow is a decision of the caller, so there is no `Add`.
///
/// ```
/// use x402_core::price::AtomicAmount;
///
/// let price = AtomicAmount::from_decimal("0.01", 6)?;
/// assert_eq!(price, AtomicAmount::from(10_000));
/// assert_eq!(price.to_string(), "10000");
/// assert_eq!(price.to_decimal(6), "0.01");
/// # Ok::<(), x402_core::price::AmountError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AtomicAmount(U256);

impl AtomicAmount {
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);
    /// The largest amount a token can express.
    pub const MAX: Self = Self(U256::MAX);

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

    /// Reads a decimal such as `"0.01"` as units of a token with `decimals` places, exactly.
    ///
    /// # Errors
    /// [`AmountError`] for anything but `digits` or `digits.digits`, for superfluous leading zeros, for more
    /// places than the token has, and beyond 2²⁵⁶ − 1.
    pub fn from_decimal(text: &str, decimals: u8) -> Result<Self, AmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(AmountError::NotDecimal),
            Some(parts) => parts,
            None => (text, ""),
        };
        check_digits(whole)?;
        if fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
            return Err(AmountError::NotDecimal);
        }
        if fraction.len() > usize::from(decimals) {
            return Err(AmountError::TooManyPlaces { decimals });
        }
        let scale = usize::from(decimals) - fraction.len();
        let zeros = std::iter::repeat_n(b'0', scale);
        // A long run of zeros behind a zero is still zero, however many places the token claims.
        from_digits(whole.bytes().chain(fraction.bytes()).chain(zeros))
    }

    /// Writes the amount as a decimal of a token with `decimals` places, without trailing zeros.
    #[must_use]
    pub fn to_decimal(self, decimals: u8) -> String {
        let places = usize::from(decimals);
        let digits = format!("{:0>width$}", self.0.to_string(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }

    /// Whether this is nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum, unless it overflows.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, unless `other` is larger.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The amount `times` over, unless it overflows.
    #[must_use]
    pub fn checked_mul(self, times: u64) -> Option<Self> {
        self.0.checked_mul(U256::from(times)).map(Self)
    }
}

impl From<u64> for AtomicAmount {
    fn from(units: u64) -> Self {
        Self(U256::from(units))
    }
}

/// The form on the wire: decimal digits without superfluous leading zeros, and nothing else.
impl FromStr for AtomicAmount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        check_digits(text)?;
        from_digits(text.bytes())
    }
}

impl fmt::Display for AtomicAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for AtomicAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From a string; a bare number is refused, since numbers lose digits on their way through JSON.
impl<'de> Deserialize<'de> for AtomicAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = AtomicAmount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string of decimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AtomicAmount, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AmountError {
    /// There is nothing.
    Empty,
    /// It is not plain digits, with at most one dot between digits where a decimal is read.
    NotDecimal,
    /// It starts with a zero that means nothing.
    LeadingZero,
    /// It is finer than the token's smallest unit.
    TooManyPlaces {
        /// The places the token has.
        decimals: u8,
    },
    /// It is more than 2²⁵⁶ − 1.
    TooLarge,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("amount is empty"),
            Self::NotDecimal => f.write_str("amount is not plain decimal digits such as `0.01`"),
            Self::LeadingZero => f.write_str("amount starts with a superfluous zero"),
            Self::TooManyPlaces { decimals } => {
                write!(f, "amount has more than {decimals} decimal places")
            }
            Self::TooLarge => f.write_str("amount is larger than 256 bits"),
        }
    }
}

impl std::error::Error for AmountError {}

fn check_digits(text: &str) -> Result<(), AmountError> {
    match text.as_bytes() {
        [] => Err(AmountError::Empty),
        digits if digits.iter().any(|byte| !byte.is_ascii_digit()) => Err(AmountError::NotDecimal),
        [b'0', _, ..] => Err(AmountError::LeadingZero),
        _ => Ok(()),
    }
}

/// Folds checked digits, 19 at a time since that many fit 64 bits.
fn from_digits(digits: impl Iterator<Item = u8>) -> Result<AtomicAmount, AmountError> {
    let (mut total, mut chunk, mut scale) = (U256::ZERO, 0_u64, 1_u64);
    let fold = |total: U256, chunk: u64, scale: u64| {
        if total.is_zero() {
            return Ok(U256::from(chunk));
        }
        let scaled = total.checked_mul(U256::from(scale)).ok_or(AmountError::TooLarge)?;
        scaled.checked_add(U256::from(chunk)).ok_or(AmountError::TooLarge)
    };
    for digit in digits {
        chunk = chunk * 10 + u64::from(digit - b'0');
        scale *= 10;
        if scale == CHUNK {
            total = fold(total, chunk, scale)?;
            (chunk, scale) = (0, 1);
        }
    }
    Ok(AtomicAmount(fold(total, chunk, scale)?))
}

const CHUNK: u64 = 10_u64.pow(19);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_become_units_exactly() {
        for (text, decimals, units) in [
            ("0.01", 6, 10_000_u64),
            ("0.000001", 6, 1),
            ("1", 6, 1_000_000),
            ("1.50", 2, 150),
            ("0", 6, 0),
            ("0.0", 1, 0),
            ("12", 0, 12),
            ("18.446744073709551615", 18, u64::MAX),
        ] {
            assert_eq!(AtomicAmount::from_decimal(text, decimals), Ok(units.into()), "{text}");
        }
    }

    #[test]
    fn odd_spellings_of_a_decimal_are_refused() {
        for text in [
            "", ".", "1.", ".5", "-1", "+1", " 1", "1 ", "1e4", "1_000", "1,5", "0x10", "01", "00.1",
            "1.2.3", "１", "1.５", "NaN", "1.-5",
        ] {
            assert!(AtomicAmount::from_decimal(text, 6).is_err(), "{text:?}");
        }
        assert_eq!(
            AtomicAmount::from_decimal("0.0000001", 6),
            Err(AmountError::TooManyPlaces { decimals: 6 })
        );
        assert_eq!(
            AtomicAmount::from_decimal("0.0100000", 6),
            Err(AmountError::TooManyPlaces { decimals: 6 })
        );
    }

    #[test]
    fn the_wire_form_stops_at_256_bits() {
        let max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let over = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        assert_eq!(max.parse(), Ok(AtomicAmount::MAX));
        assert_eq!(over.parse::<AtomicAmount>(), Err(AmountError::TooLarge));
        assert_eq!("1".repeat(200).parse::<AtomicAmount>(), Err(AmountError::TooLarge));
        assert_eq!(AtomicAmount::from_decimal("1", 255), Err(AmountError::TooLarge));
    }

    #[test]
    fn json_numbers_are_refused() {
        assert!(serde_json::from_str::<AtomicAmount>("10000").is_err());
        assert!(serde_json::from_str::<AtomicAmount>("null").is_err());
        let amount: AtomicAmount = serde_json::from_str("\"10000\"").unwrap();
        assert_eq!(serde_json::to_string(&amount).unwrap(), "\"10000\"");
    }

    #[test]
    fn amounts_are_shown_as_short_as_they_are() {
        for (units, decimals, text) in
            [(10_000, 6, "0.01"), (1_000_000, 6, "1"), (0, 6, "0"), (5, 0, "5"), (1_230_000, 6, "1.23")]
        {
            assert_eq!(AtomicAmount::from(units).to_decimal(decimals), text);
        }
    }

    #[test]
    fn overflow_is_reported() {
        assert_eq!(AtomicAmount::MAX.checked_add(1.into()), None);
        assert_eq!(AtomicAmount::ZERO.checked_sub(1.into()), None);
        assert_eq!(AtomicAmount::MAX.checked_mul(2), None);
        assert_eq!(AtomicAmount::from(7).checked_mul(3), Some(21.into()));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(limbs: [u64; 4]) {
            let amount = AtomicAmount::new(U256::from_limbs(limbs));
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            prop_assert_eq!(AtomicAmount::from_decimal(&amount.to_decimal(18), 18), Ok(amount));
        }

        #[test]
        fn only_the_printed_form_parses(text in "[-+ 0-9a-fxe._٣]{0,24}") {
            if let Ok(amount) = text.parse::<AtomicAmount>() {
                prop_assert_eq!(amount.to_string(), text);
            }
        }
    }
}
