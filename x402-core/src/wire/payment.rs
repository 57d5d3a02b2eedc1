//! Payments and terms in either dialect.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{X402Version, scan, shape::Object, v1, v2};
use crate::error::Malformed;

/// The payment a client presented, in the dialect it chose.
#[expect(clippy::large_enum_variant, reason = "the large one is the common one")]
#[derive(Clone, Debug)]
pub enum PaymentPayload {
    /// `X-PAYMENT` of version 1.
    V1(v1::PaymentPayload),
    /// `PAYMENT-SIGNATURE` of version 2.
    V2(v2::PaymentPayload),
}

impl PaymentPayload {
    /// Reads a payment from JSON within the limits of a payment header.
    ///
    /// # Errors
    /// [`Malformed`]: a limit, the version or the shape.
    pub fn from_json(json: &RawValue) -> Result<Self, Malformed> {
        let json = json.get();
        let payment = match scan::check(json)? {
            Some("1") => serde_json::from_str(json).map(|Object(payment)| Self::V1(payment)),
            Some("2") => serde_json::from_str(json).map(|Object(payment)| Self::V2(payment)),
            _ if !json.starts_with('{') => return Err(Malformed::NotAPayment),
            _ => return Err(Malformed::UnknownVersion),
        };
        payment.map_err(|_| Malformed::NotAPayment)
    }

    /// The dialect to answer in.
    #[must_use]
    pub const fn version(&self) -> X402Version {
        match self {
            Self::V1(_) => X402Version::V1,
            Self::V2(_) => X402Version::V2,
        }
    }

    /// The part that only the payment's scheme can read.
    #[must_use]
    pub const fn scheme_payload(&self) -> &serde_json::Value {
        match self {
            Self::V1(payment) => &payment.payload,
            Self::V2(payment) => &payment.payload,
        }
    }
}

/// One way to pay, in either dialect.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PaymentRequirements {
    /// An entry of a version 1 challenge.
    V1(v1::PaymentRequirements),
    /// An entry of a version 2 challenge.
    V2(v2::PaymentRequirements),
}

impl PaymentRequirements {
    /// Reads requirements of a known dialect. Nothing in them tells which one it is.
    ///
    /// # Errors
    /// The JSON is not an object of that shape.
    pub fn from_json(version: X402Version, json: &RawValue) -> serde_json::Result<Self> {
        match version {
            X402Version::V1 => serde_json::from_str(json.get()).map(|Object(terms)| Self::V1(terms)),
            X402Version::V2 => serde_json::from_str(json.get()).map(|Object(terms)| Self::V2(terms)),
        }
    }

    /// The dialect they are written in.
    #[must_use]
    pub const fn version(&self) -> X402Version {
        match self {
            Self::V1(_) => X402Version::V1,
            Self::V2(_) => X402Version::V2,
        }
    }
}
