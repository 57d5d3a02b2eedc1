//! What can go wrong, one type per party to blame.
//!
//! | who | type | status |
//! |---|---|---|
//! | payer: the payment is missing, wrong or refused | [`RejectReason`] | 402 |
//! | client: bytes we cannot or will not read | [`Malformed`] | 400 |
//! | client: a body that cannot be bound to its payment | [`BodyError`] | 400, 408, 413 |
//! | client: the payment is busy, used, or bound to another request | [`Conflict`] | 409 |
//! | us, or what we depend on | [`Unavailable`] | 503 |
//! | the operator | [`ConfigError`] | none: only when something is built |

mod body;
mod config;
mod conflict;
mod malformed;
mod names;
mod reject;
mod unavailable;

pub(crate) use self::names::ReasonNames;
pub use self::{
    body::BodyError, config::ConfigError, conflict::Conflict, malformed::Malformed, reject::RejectReason,
    unavailable::Unavailable,
};

/// Any error, for sources that are only ever shown.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
