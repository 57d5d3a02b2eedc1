//! What crosses the network: the specification's messages as plain structs, and nothing else.
//!
//! [`v1`] and [`v2`] are the two dialects, [`facilitator`] the bodies of the facilitator's interface,
//! [`header`] the names, limits and text form of the headers, [`extension`] the extensions map.
//!
//! Members come out in the specification's order. Unknown members are tolerated in and optional ones may
//! be `null`; amounts are decimal strings, and a bare number in their place is refused. What a client sent
//! is passed on as the text it came in ([`Presented::json`]), not as it was understood.

pub mod extension;
pub mod facilitator;
pub mod header;
mod payment;
mod scan;
mod shape;
pub mod v1;
pub mod v2;
mod version;

pub use self::{
    header::{Presented, decode_payment},
    payment::{PaymentPayload, PaymentRequirements},
    version::{V1, V2, X402Version},
};
