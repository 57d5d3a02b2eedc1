//! What the record of a payment will say of the request it came with.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::claim::Claim;
use crate::{
    order::{Provenance, QuoteMark, Verifier},
    quote::{BindingLevel, Quote},
};

/// What is known of a payment besides its terms and its authorization.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) quote: Option<Quote>,
    pub(super) binding: BindingLevel,
    pub(super) verifier: Verifier,
}

impl Claim {
    /// Digests instead of contents: a record has no query, no body and no signature in it.
    pub(super) fn provenance(&self) -> Provenance {
        let (attempt, origin) = (&self.attempt, &self.origin);
        let authorization = &self.payment.authorization;
        let mut provenance = Provenance::new(
            Arc::from(attempt.method.as_str()),
            Arc::from(attempt.path.as_str()),
            authorization.digest,
            authorization.valid_after,
            origin.verifier,
        );
        provenance.query_digest = attempt.query.as_deref().map(|query| Sha256::digest(query).into());
        provenance.body_digest = attempt.body_digest().copied();
        provenance.quote = origin.quote.as_ref().map(QuoteMark::from);
        provenance.binding = origin.binding;
        provenance
    }
}
