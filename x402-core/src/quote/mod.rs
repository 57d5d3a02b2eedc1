//! Quotes: terms with a nonce and an expiry, sealed so that the server need not remember them.
//!
//! Every way to pay in a 402 carries one object, `extra.quote`. Stock clients of version 2 echo it with the terms
//! they accept; [`QuoteSealer::open`] then tells whether these are terms this server offered, for this very
//! request, not too long ago. Nothing is stored for a quote.
//!
//! | member | what it is |
//! |---|---|
//! | `id` | names the quote, in all its ways to pay |
//! | `nonce` | 128 random bits |
//! | `issuedAt`, `expiresAt` | seconds since 1970 |
//! | `resource` | digest of origin, route, method, path and query |
//! | `key` | names the key of the seal, so that keys can be changed |
//! | `seal` | HMAC-SHA256 over all of these and the terms |
//!
//! # What a payment is tied to
//!
//! A signed authorization says how much goes from whom to whom, not what for. [`BindingLevel`] names how
//! tightly a route wants the payment tied to the request. Only [`BindingLevel::SignedQuote`] keeps somebody who
//! intercepts a payment that was not presented yet from spending it on another route of the same price.

mod binding;
mod digest;
mod key;
mod sealer;

pub(crate) use self::{
    binding::declaration,
    digest::{Fields, RouteDigest, option_digest},
    sealer::{QUOTE_TEXT, SEAL_TEXT, derived, text},
};
pub use self::{
    binding::{BindingLevel, QUOTE_BINDING, binding_level, quote_binding_nonce},
    digest::{QuoteScope, quote_digest},
    key::QuoteKey,
    sealer::{Quote, QuoteCheck, QuoteLifetime, QuoteSealer, SKEW},
};

/// The member of a requirement's `extra` that holds the quote.
pub const MEMBER: &str = "quote";

/// The members of `extra` that a seal covers.
pub(crate) const SEALED_EXTRA: [&str; 5] =
    ["name", "version", "assetTransferMethod", "paymentFlow", FACILITATOR];
/// Who alone may settle, where what was used is charged.
pub(crate) const FACILITATOR: &str = "facilitatorAddress";

#[cfg(test)]
mod tests;
