//! What is left of a payment for the books: one document per order.
//!
//! [`ProofRecord::of`] is a pure function of an order and its history, which are written in the same step as the
//! changes they tell of; nothing is recorded afterwards. Permanent stores refuse to change a settlement or a
//! transition that was written.
//!
//! As JSON, members of a group that are not known are left out: a store that keeps no history has no times of
//! changes, one that keeps no provenance has no `quote`, `request` and `verification`.
//!
//! | group | members |
//! |---|---|
//! | `recordVersion` | [`RECORD_VERSION`] |
//! | `identity` | `orderId`, `paymentKey`, `paymentId` |
//! | `quote` | `id`, `nonce`, `resource`, `digest`, `issuedAt`, `expiresAt` |
//! | `bindingLevel` | `terms`, `quote` or `signed_quote` |
//! | `request` | `route`, `method`, `path`, `queryDigest`, `bodyDigest` |
//! | `authorization` | `hash`, `nonce`, `payer`, `validAfter`, `validBefore` |
//! | `terms` | `scheme`, `network`, `asset`, `payTo`, `amountQuoted`, `amountSettled`, `maxTimeoutSeconds`, `extra` |
//! | `verification` | `verifiedBy`, `verifiedAt` |
//! | `settlement` | `transaction`, `logIndex`, `block`, `settledAt` |
//! | `delivery` | `state`, `attempts`, `responseStatus`, `responseDigest`, `responseBytes`, `deliveredAt` |
//! | `outcome` | `status`, `payment`, `reason`, `transaction`, `createdAt`, `updatedAt`, `transitions` |
//!
//! Digests are SHA-256, in lower-case hexadecimal: `queryDigest` of the query as it was sent, `bodyDigest` of the
//! request's body, `responseDigest` of the response's. [`ProofRecord::quote_digest`] computes the quote's anew.
//! There is no query, body, header or signature in a record.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    DeliveryState, Order, OrderId, OrderStatus, PaymentId, PaymentState, QuoteMark, Transition, Verifier,
};
use crate::{
    hex,
    price::{AtomicAmount, NetworkId},
    quote::{BindingLevel, Fields, option_digest},
    scheme::PaymentKey,
    time::UnixSeconds,
    wire::v2,
};

/// The record of an order. The module's table, above, names the members of its JSON form.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProofRecord {
    /// Which members there may be, and what they mean.
    pub record_version: u32,
    /// Which order it is of.
    pub identity: Identity,
    /// The quote that was echoed, without its seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<QuoteMark>,
    /// How tightly the payment was tied to the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_level: Option<BindingLevel>,
    /// What was asked for.
    pub request: Request,
    /// What was signed.
    pub authorization: SignedAuthorization,
    /// What was agreed, and what moved.
    pub terms: RecordedTerms,
    /// Who found the signature good, and when the payment was found good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// How the money moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<RecordedSettlement>,
    /// How the response fared.
    pub delivery: Delivery,
    /// What came of it.
    pub outcome: RecordedOutcome,
}

macro_rules! group {
    ($(#[$doc:meta])* $name:ident { $($(#[$member:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct $name { $($(#[$member])* pub $field: $type,)* }
    };
}

group! {
    /// Which order a record is of.
    Identity {
        /// The order's public name.
        order_id: OrderId,
        /// The payment's identity.
        payment_key: PaymentKey,
        /// The payer's own name for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_id: Option<PaymentId>,
    }
}

group! {
    /// What was asked for.
    Request {
        /// The pattern of the route.
        route: Arc<str>,
        /// The method.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<Arc<str>>,
        /// The path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<Arc<str>>,
        /// SHA-256 of the query, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "hex::optional")]
        query_digest: Option<[u8; 32]>,
        /// SHA-256 of the body, where the route binds it.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "hex::optional")]
        body_digest: Option<[u8; 32]>,
    }
}

group! {
    /// What was signed.
    SignedAuthorization {
        /// Hash over the signed values and the signature.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "hex::optional")]
        hash: Option<[u8; 32]>,
        /// The authorization's nonce.
        #[serde(with = "hex")]
        nonce: [u8; 32],
        /// Who pays.
        payer: Arc<str>,
        /// The first second after which it could be settled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_after: Option<UnixSeconds>,
        /// The second from which on it cannot be settled.
        valid_before: UnixSeconds,
    }
}

group! {
    /// What was agreed, and what moved.
    RecordedTerms {
        /// The scheme.
        scheme: Arc<str>,
        /// The network.
        network: NetworkId,
        /// The token's address.
        asset: Arc<str>,
        /// The recipient.
        pay_to: Arc<str>,
        /// What was to move.
        amount_quoted: AtomicAmount,
        /// What moved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount_settled: Option<AtomicAmount>,
        /// How long the authorization was to be valid.
        max_timeout_seconds: u64,
        /// Data of the scheme, as far as quotes cover it.
        extra: Arc<Map<String, Value>>,
    }
}

group! {
    /// Who found the signature good, and when the payment was found good.
    Verification {
        /// Who.
        verified_by: Verifier,
        /// When.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verified_at: Option<UnixSeconds>,
    }
}

group! {
    /// How the money moved.
    RecordedSettlement {
        /// The transaction.
        transaction: String,
        /// Which log of its block tells of the transfer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_index: Option<u64>,
        /// The transaction's block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<u64>,
        /// When it was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled_at: Option<UnixSeconds>,
    }
}

group! {
    /// How the response fared.
    Delivery {
        /// How far it came.
        state: DeliveryState,
        /// How often the handler ran.
        attempts: u8,
        /// Its status, if it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_status: Option<u16>,
        /// SHA-256 of its body, if it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "hex::optional")]
        response_digest: Option<[u8; 32]>,
        /// The length of its body, if it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_bytes: Option<u64>,
        /// When it was handed over in full.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered_at: Option<UnixSeconds>,
    }
}

group! {
    /// What came of an order.
    RecordedOutcome {
        /// In one word.
        status: OrderStatus,
        /// How far the money came.
        payment: PaymentState,
        /// Why it was rejected or failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
        /// The transaction of an attempt that failed or has no outcome.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transaction: Option<Arc<str>>,
        /// When the order was claimed.
        created_at: UnixSeconds,
        /// When it last changed.
        updated_at: UnixSeconds,
        /// Everything that happened, oldest first; empty in a store that keeps no history.
        transitions: Vec<Transition>,
    }
}

impl ProofRecord {
    /// The record of an order with its [history](super::OrderStore::history).
    #[must_use]
    pub fn of(order: &Order, history: Vec<Transition>) -> Self {
        let provenance = order.provenance.as_deref();
        let (option, settlement) = (&order.terms.option, order.settlement.as_deref());
        let first = |name: &str| history.iter().find(|change| &*change.event == name).map(|change| change.at);
        Self {
            record_version: RECORD_VERSION,
            identity: Identity {
                order_id: order.id,
                payment_key: order.key,
                payment_id: order.payment_id.clone(),
            },
            quote: provenance.and_then(|provenance| provenance.quote.clone()),
            binding_level: provenance.map(|provenance| provenance.binding),
            request: Request {
                route: Arc::clone(&order.terms.route),
                method: provenance.map(|provenance| Arc::clone(&provenance.method)),
                path: provenance.map(|provenance| Arc::clone(&provenance.path)),
                query_digest: provenance.and_then(|provenance| provenance.query_digest),
                body_digest: provenance.and_then(|provenance| provenance.body_digest),
            },
            authorization: SignedAuthorization {
                hash: provenance.map(|provenance| provenance.authorization_hash),
                nonce: order.nonce,
                payer: Arc::clone(&order.payer),
                valid_after: provenance.map(|provenance| provenance.valid_after),
                valid_before: order.valid_before,
            },
            terms: RecordedTerms {
                scheme: Arc::clone(&option.scheme),
                network: option.network.clone(),
                asset: Arc::clone(&option.asset),
                pay_to: Arc::clone(&option.pay_to),
                amount_quoted: option.amount,
                amount_settled: settlement.map(|settlement| settlement.amount),
                max_timeout_seconds: option.max_timeout_seconds,
                extra: Arc::clone(&option.extra),
            },
            verification: provenance.map(|provenance| Verification {
                verified_by: provenance.verified_by,
                verified_at: first("verified"),
            }),
            settlement: settlement.map(|settlement| RecordedSettlement {
                transaction: settlement.transaction.clone(),
                log_index: settlement.log_index,
                block: settlement.block,
                settled_at: first("settled"),
            }),
            delivery: Delivery {
                state: order.state.delivery,
                attempts: order.state.attempts,
                response_status: order.response.map(|response| response.status),
                response_digest: order.response.map(|response| response.digest),
                response_bytes: order.response.map(|response| response.bytes),
                delivered_at: first("delivered"),
            },
            outcome: RecordedOutcome {
                status: order.status(),
                payment: order.state.payment,
                reason: order.reason.clone(),
                transaction: order.transaction.clone(),
                created_at: order.created_at,
                updated_at: order.updated_at,
                transitions: history,
            },
        }
    }

    /// The digest that the quote has with the recorded terms, computed anew: equal to the recorded one unless
    /// something was changed. `None` where there was no quote.
    #[must_use]
    pub fn quote_digest(&self) -> Option<[u8; 32]> {
        let (quote, terms) = (self.quote.as_ref()?, &self.terms);
        let fields = Fields {
            id: quote.id,
            nonce: quote.nonce,
            issued_at: quote.issued_at,
            expires_at: quote.expires_at,
            resource: quote.resource,
        };
        let option = option_digest(&v2::PaymentRequirements {
            scheme: terms.scheme.to_string(),
            network: terms.network.to_string(),
            amount: terms.amount_quoted.to_string(),
            asset: terms.asset.to_string(),
            pay_to: terms.pay_to.to_string(),
            max_timeout_seconds: terms.max_timeout_seconds,
            extra: Some(terms.extra.as_ref().clone()),
        });
        Some(fields.digest(&option))
    }
}

/// The version of the records that this version writes.
pub const RECORD_VERSION: u32 = 1;

#[cfg(test)]
mod tests;
