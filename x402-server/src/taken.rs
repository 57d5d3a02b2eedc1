//! Taking over an order that nobody works on.

use std::{sync::Arc, time::Duration};

use x402_core::order::{OpenRequest, Order, OwnerToken};

/// The request that asks for an order as a retry of its payment would: the store hands it over only if nobody holds it
/// and work is left on it.
pub(crate) fn request(order: &Order) -> OpenRequest {
    let mut owner = [0; 16];
    getrandom::fill(&mut owner).expect("the operating system gives randomness");
    OpenRequest {
        id: order.id,
        key: order.key,
        payment_id: order.payment_id.clone(),
        fingerprint: order.fingerprint,
        digest: order.digest,
        nonce: order.nonce,
        valid_before: order.valid_before,
        provenance: order.provenance.clone(),
        terms: Arc::clone(&order.terms),
        payer: Arc::clone(&order.payer),
        owner: OwnerToken::new(owner),
        lease: LEASE,
        keep_until: order.keep_until,
    }
}

/// Longer than anything done with such an order takes.
const LEASE: Duration = Duration::from_secs(30);
