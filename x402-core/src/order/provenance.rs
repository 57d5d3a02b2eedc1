//! Where an order comes from: what is known when a payment is claimed, and only a record keeps.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{hex, quote::BindingLevel, time::UnixSeconds};

/// The request, the quote and the authorization that an order was opened with. Digests instead of contents: no query
/// string, no body, no signature.
///
/// Permanent stores keep it for the proof record; the memory store does not.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Provenance {
    /// The request's method.
    pub method: Arc<str>,
    /// The request's path, without its query.
    pub path: Arc<str>,
    /// SHA-256 of the query, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex::optional")]
    pub query_digest: Option<[u8; 32]>,
    /// SHA-256 of the request's body, where the route binds it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex::optional")]
    pub body_digest: Option<[u8; 32]>,
    /// The quote that was echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<QuoteMark>,
    /// How tightly the payment is tied to the request.
    pub binding: BindingLevel,
    /// Hash over the signed values and the signature.
    #[serde(with = "hex")]
    pub authorization_hash: [u8; 32],
    /// The first second after which the authorization could be settled.
    pub valid_after: UnixSeconds,
    /// Who found the signature good: `local` or `facilitator`.
    pub verified_by: Arc<str>,
}

/// What an order remembers of a quote.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QuoteMark {
    /// The quote's name.
    #[serde(with = "hex")]
    pub id: [u8; 16],
    /// Digest of the quote with the terms it was echoed with.
    #[serde(with = "hex")]
    pub digest: [u8; 32],
    /// When it was made.
    pub issued_at: UnixSeconds,
    /// Until when it held.
    pub expires_at: UnixSeconds,
}
