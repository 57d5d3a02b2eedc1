//! Where an order comes from: what is known when a payment is claimed, and only a record keeps.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    hex,
    quote::{BindingLevel, Quote},
    time::UnixSeconds,
};

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
    /// Who found the signature good.
    pub verified_by: Verifier,
}

impl Provenance {
    /// What every order has; the rest is set where there is one.
    #[must_use]
    pub const fn new(
        method: Arc<str>,
        path: Arc<str>,
        authorization_hash: [u8; 32],
        valid_after: UnixSeconds,
        verified_by: Verifier,
    ) -> Self {
        Self {
            method,
            path,
            query_digest: None,
            body_digest: None,
            quote: None,
            binding: BindingLevel::Terms,
            authorization_hash,
            valid_after,
            verified_by,
        }
    }
}

/// Who found a signature good.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verifier {
    /// This server itself.
    Local,
    /// The facilitator: nobody here could tell.
    Facilitator,
}

/// What an order remembers of a quote: everything but its seal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QuoteMark {
    /// The quote's name.
    #[serde(with = "hex")]
    pub id: [u8; 16],
    /// Its random part.
    #[serde(with = "hex")]
    pub nonce: [u8; 16],
    /// Digest of origin, route, method, path and query that it was made for.
    #[serde(with = "hex")]
    pub resource: [u8; 32],
    /// Digest of the quote with the terms it was echoed with.
    #[serde(with = "hex")]
    pub digest: [u8; 32],
    /// When it was made.
    pub issued_at: UnixSeconds,
    /// Until when it held.
    pub expires_at: UnixSeconds,
}

impl From<&Quote> for QuoteMark {
    fn from(quote: &Quote) -> Self {
        Self {
            id: quote.id,
            nonce: quote.nonce,
            resource: quote.resource,
            digest: quote.digest,
            issued_at: quote.issued_at,
            expires_at: quote.expires_at,
        }
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use super::*;
    use crate::testing::store_contract::Payments;

    fn provenance() -> Provenance {
        let payments = Payments::new(Arc::new(crate::order::MemoryStore::new()));
        Arc::unwrap_or_clone(payments.traced(0).provenance.unwrap())
    }

    #[test]
    fn it_is_read_as_it_was_written_with_digests_as_text() {
        let whole = provenance();
        let bare = Provenance { query_digest: None, body_digest: None, quote: None, ..whole.clone() };
        for provenance in [whole, bare] {
            let document = serde_json::to_value(&provenance).unwrap();
            assert_eq!(serde_json::from_value::<Provenance>(document.clone()).unwrap(), provenance);
            let digest = |field: &str| document.get(field).map(|text| text.as_str().unwrap().len());
            assert_eq!(digest("authorizationHash"), Some(64));
            assert_eq!(digest("queryDigest"), provenance.query_digest.map(|_| 64));
            assert_eq!(digest("bodyDigest"), provenance.body_digest.map(|_| 64));
            assert_eq!(document.get("quote").is_some(), provenance.quote.is_some());
        }
    }

    #[test]
    fn a_digest_of_another_length_is_refused() {
        let mut document = serde_json::to_value(provenance()).unwrap();
        for (field, text) in [("queryDigest", "00"), ("authorizationHash", ""), ("bodyDigest", "zz")] {
            let before = std::mem::replace(&mut document[field], text.into());
            let refused = serde_json::from_value::<Provenance>(document.clone()).unwrap_err().to_string();
            assert_eq!(refused, "wanted 64 hexadecimal digits", "{field}");
            document[field] = before;
        }
    }
}
