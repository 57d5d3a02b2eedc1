//! The protocol's version numbers, as types that parse nothing else.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A version of the protocol, and so a dialect.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum X402Version {
    /// `X-PAYMENT`, network names, terms in the body.
    V1,
    /// `PAYMENT-SIGNATURE`, CAIP-2 networks, terms in a header.
    V2,
}

impl X402Version {
    /// The version of a number on the wire.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

impl Serialize for X402Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.number())
    }
}

impl<'de> Deserialize<'de> for X402Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Self::from_number(number)
            .ok_or_else(|| D::Error::custom(format_args!("x402Version is {number}, wanted 1 or 2")))
    }
}

/// The number 1, and only that.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct V1;

/// The number 2, and only that.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct V2;

macro_rules! constant_version {
    ($name:ident, $version:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $version.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if X402Version::deserialize(deserializer)? == $version {
                    Ok(Self)
                } else {
                    Err(D::Error::custom(concat!("x402Version is not that of ", stringify!($name))))
                }
            }
        }
    };
}

constant_version!(V1, X402Version::V1);
constant_version!(V2, X402Version::V2);
