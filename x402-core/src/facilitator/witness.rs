//! Evidence from a chain.

use super::{BoxFuture, Payment, Settlement, VerifyError};
use crate::error::RejectReason;

/// Reads from a chain what became of an authorization. Sends nothing.
pub trait Witness: Send + Sync {
    /// Looks for the payment's transfer, and whether its authorization can still be used.
    ///
    /// # Errors
    /// [`VerifyError::Unavailable`] when the chain does not answer. Never an answer about the payment.
    fn evidence<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Evidence, VerifyError>>;
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
