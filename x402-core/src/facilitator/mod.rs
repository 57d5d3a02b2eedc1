//! Who verifies and settles, and who can tell afterwards what became of a payment.
//!
//! [`Facilitator`] is the stateful half of a scheme: a remote service, or our own node. [`Witness`] reads from a
//! chain what became of an authorization, which a remote service alone cannot tell.

mod error;
#[cfg(feature = "http-facilitator")]
mod http;
mod payment;
mod settlement;
mod witness;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

#[cfg(feature = "http-facilitator")]
pub use self::http::{FACILITATOR_URL, HttpFacilitator, PUBLIC_TEST_FACILITATOR};
pub use self::{
    error::{SettleError, VerifyError},
    payment::Payment,
    settlement::Settlement,
    witness::{Evidence, Transfer, Witness},
};
use crate::{
    error::ConfigError,
    price::PriceOption,
    scheme::Scheme,
    wire::{X402Version, facilitator::SupportedKind},
};

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
    /// [`VerifyError::Rejected`] when it could not; [`VerifyError::Unavailable`] when nobody could tell.
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

    /// What this facilitator can settle.
    ///
    /// # Errors
    /// [`VerifyError::Unavailable`] when it does not answer.
    fn supported(&self) -> BoxFuture<'_, Result<Vec<SupportedKind>, VerifyError>>;

    /// Checks at start that every option could be settled: networks, tokens, signing domains.
    ///
    /// # Errors
    /// [`ConfigError`] naming the option and what to do.
    fn preflight<'a>(&'a self, options: &'a [PriceOption]) -> BoxFuture<'a, Result<(), ConfigError>> {
        Box::pin(async move { supports(self.supported().await, options) })
    }

    /// The stateless half, where this facilitator has one stronger than reading the structure.
    fn scheme(&self) -> Option<Arc<dyn Scheme>> {
        None
    }

    /// Whether a settlement it reports was read from the chain itself, as a witness would. Default: no. Then the engine
    /// asks its witness, where it has one, before it believes a report.
    fn proves_settlement(&self) -> bool {
        false
    }

    /// The witness, where this facilitator has a chain of its own.
    fn witness(&self) -> Option<Arc<dyn Witness>> {
        None
    }
}

fn supports(
    supported: Result<Vec<SupportedKind>, VerifyError>,
    options: &[PriceOption],
) -> Result<(), ConfigError> {
    let kinds = supported.map_err(|error| {
        ConfigError::new("facilitator", format!("cannot be asked what it supports: {error}"))
            .with_source(error)
    })?;
    let missing = options.iter().find(|option| !kinds.iter().any(|kind| covers(kind, option)));
    missing.map_or(Ok(()), |option| {
        Err(ConfigError::new(
            "facilitator",
            format!(
                "cannot settle {} on {}; use one that lists it in /supported",
                option.scheme, option.network
            ),
        ))
    })
}

/// Version 2 kinds name the network, or its whole family as `eip155:*`.
fn covers(kind: &SupportedKind, option: &PriceOption) -> bool {
    let network = option.network.as_str();
    let family = || kind.network.strip_suffix('*').is_some_and(|prefix| network.starts_with(prefix));
    kind.x402_version == X402Version::V2
        && kind.scheme == *option.scheme
        && (kind.network == network || family())
}

/// How long the engine waits for an unknown outcome before it answers 503.
pub(crate) const RESOLVE_WITHIN: Duration = Duration::from_secs(30);
