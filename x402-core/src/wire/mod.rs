//! What crosses the network: the specification's messages as plain structs, and nothing else.
//!
//! [`v1`] and [`v2`] are the two dialects, [`facilitator`] the bodies of the facilitator's interface,
//! [`header`] the names, limits and text form of the headers, [`extension`] the extensions map.

pub mod extension;
pub mod facilitator;
pub mod header;
pub mod v1;
pub mod v2;
mod version;

pub use self::{
    header::{Presented, decode_payment},
    version::{V1, V2, X402Version},
};

/// The payment a client presented, in the dialect it chose.
#[derive(Clone, Debug)]
pub enum PaymentPayload {
    /// `X-PAYMENT` of version 1.
    V1(v1::PaymentPayload),
    /// `PAYMENT-SIGNATURE` of version 2.
    V2(v2::PaymentPayload),
}

impl PaymentPayload {
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
