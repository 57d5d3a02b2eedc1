//! Evidence from a chain.

use std::sync::Arc;

use super::{BoxFuture, Payment, Settlement, VerifyError};
use crate::{
    error::RejectReason,
    order::Order,
    price::{AtomicAmount, PriceOption},
    scheme::PaymentKey,
    time::UnixSeconds,
};

/// Reads from a chain what became of an authorization. Sends nothing.
pub trait Witness: Send + Sync {
    /// Looks for the transfer, and whether its authorization can still be used.
    ///
    /// # Errors
    /// [`VerifyError::Unavailable`] when the chain does not answer. Never an answer about the payment.
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>>;
}

/// A transfer that was authorized: what it takes to look for it, without the signature.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transfer {
    /// The payment's identity.
    pub key: PaymentKey,
    /// Network, token and recipient, and the most that may move.
    pub option: PriceOption,
    /// What was to move.
    pub amount: AtomicAmount,
    /// Who pays, in the network's canonical text form.
    pub payer: Arc<str>,
    /// The authorization's nonce.
    pub nonce: [u8; 32],
    /// The second from which on the authorization cannot be settled.
    pub valid_before: UnixSeconds,
}

impl From<&Payment> for Transfer {
    fn from(payment: &Payment) -> Self {
        let authorization = &payment.authorization;
        Self {
            key: authorization.key,
            option: payment.option.clone(),
            amount: payment.amount(),
            payer: authorization.payer.as_str().into(),
            nonce: authorization.nonce,
            valid_before: authorization.valid_before,
        }
    }
}

impl From<&Order> for Transfer {
    fn from(order: &Order) -> Self {
        Self {
            key: order.key,
            option: order.terms.option.clone(),
            amount: order.amount(),
            payer: Arc::clone(&order.payer),
            nonce: order.nonce,
            valid_before: order.valid_before,
        }
    }
}

/// What a chain tells of an authorization.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// It paid us: this transfer, to the configured confirmation.
    Settled(Settlement),
    /// It can never pay us any more: expired, cancelled, or spent elsewhere, beyond doubt.
    Dead(RejectReason),
    /// It has not paid us yet and still may.
    StillPossible,
}
