//! Who verifies and settles, and who can tell afterwards what became of a payment.
//!
//! [`Facilitator`] is the stateful half of a scheme: a remote service, or our own node. [`Witness`] reads from a
//! chain what became of an authorization, which a remote service alone cannot tell.

mod asked;
#[cfg(feature = "http-facilitator")]
mod breaker;
mod error;
mod failover;
#[cfg(feature = "http-facilitator")]
mod http;
mod payment;
mod settlement;
mod split;
mod supported;
mod witness;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

pub(crate) use self::supported::cannot_be_asked;
pub use self::{
    asked::{Asked, Unasked},
    error::{SettleError, VerifyError},
    failover::Failover,
    payment::Payment,
    settlement::Settlement,
    split::Split,
    witness::{Evidence, Transfer, Witness},
};
#[cfg(feature = "http-facilitator")]
pub use self::{
    breaker::BreakerLimits,
    http::{
        AuthHeaders, Authenticate, FACILITATOR_URL, FacilitatorCall, FacilitatorEndpoint, HttpFacilitator,
        PUBLIC_TEST_FACILITATOR,
    },
};
use crate::{error::ConfigError, price::PriceOption, scheme::Scheme, wire::facilitator::SupportedResponse};

/// A future that ports return: boxed, since what it awaits takes milliseconds.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Verifies and settles payments, through a remote service or our own node.
///
/// Its answers never replace the engine's own comparison of terms, and where the engine has a [`Witness`] the chain's
/// evidence replaces a report of a settlement. Every call ends in bounded time: the engine does not
/// cut one off, and holds the payment's order for as long as it takes.
pub trait Facilitator: Send + Sync {
    /// Asks whether the payment could be settled now.
    ///
    /// # Errors
    /// [`VerifyError::Rejected`] when it could not; [`VerifyError::Overcommitted`] when it could, and not together with what is
    /// [under way](Payment::committed); [`VerifyError::Unavailable`] when nobody could tell.
    ///
    /// # Cancellation
    /// Dropping the future leaves nothing behind.
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>>;

    /// Moves the money, and returns when it has moved to the configured confirmation. Called again for the same
    /// payment it must not move money twice: the authorization's nonce sees to that.
    ///
    /// # Errors
    /// [`SettleError`]: what is known of the money.
    ///
    /// # Cancellation
    /// Dropped after its first poll the outcome is unknown; the engine never drops it.
    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>>;

    /// What this facilitator can settle, and what it wants in the terms.
    ///
    /// Asked at start and for probes, never for a request.
    ///
    /// # Errors
    /// [`VerifyError::Unavailable`] when it does not answer.
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>>;

    /// Checks at start that every option could be settled: networks, tokens, signing domains.
    ///
    /// # Errors
    /// [`ConfigError`] naming the option and what to do.
    fn preflight<'a>(&'a self, options: &'a [PriceOption]) -> BoxFuture<'a, Result<(), ConfigError>> {
        Box::pin(async move { supported::covers_all(self.supported().await, options) })
    }

    /// Whether a settlement it reports was read from the chain itself, as a witness would. Default: no. Then the engine
    /// asks its witness, where it has one, before it believes a report.
    fn proves_settlement(&self) -> bool {
        false
    }

    /// The stateless halves of the schemes that this facilitator can check without being asked, where they are stronger
    /// than reading the structure. Default: none.
    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        Vec::new()
    }

    /// The witness, where this facilitator has a chain of its own.
    fn witness(&self) -> Option<Arc<dyn Witness>> {
        None
    }
}

/// A shared facilitator is one, too.
impl<T: Facilitator + ?Sized> Facilitator for Arc<T> {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        (**self).verify(payment)
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        (**self).settle(payment)
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        (**self).supported()
    }

    fn preflight<'a>(&'a self, options: &'a [PriceOption]) -> BoxFuture<'a, Result<(), ConfigError>> {
        (**self).preflight(options)
    }

    fn proves_settlement(&self) -> bool {
        (**self).proves_settlement()
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        (**self).schemes()
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        (**self).witness()
    }
}

/// How long the engine waits for an unknown outcome before it answers 503.
pub(crate) const RESOLVE_WITHIN: Duration = Duration::from_secs(30);
