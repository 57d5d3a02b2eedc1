//! One facilitator that verifies, and another that settles.

use std::sync::Arc;

use super::{
    BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError, Witness, supported::lists,
};
use crate::{error::ConfigError, price::PriceOption, scheme::Scheme, wire::facilitator::SupportedResponse};

/// Verifies with one facilitator and settles with another: checked on a node of our own, settled by a service that pays
/// the gas.
///
/// The schemes and the witness are those of the one that verifies. What is supported, kinds of payments as well as extensions, is
/// what both support, with the data that the one that settles wants in the terms.
///
/// ```
/// use x402_core::{facilitator::Split, testing::FakeFacilitator};
///
/// let (node, service) = (FakeFacilitator::new().with_witness(), FakeFacilitator::new());
/// let facilitator = Split::new(node, service);
/// ```
#[derive(Clone, Debug)]
pub struct Split<V, S> {
    verify: V,
    settle: S,
}

impl<V: Facilitator, S: Facilitator> Split<V, S> {
    /// Asks `verify` whether a payment is good, and `settle` to move the money.
    #[must_use]
    pub const fn new(verify: V, settle: S) -> Self {
        Self { verify, settle }
    }
}

impl<V: Facilitator, S: Facilitator> Facilitator for Split<V, S> {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        self.verify.verify(payment)
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        self.settle.settle(payment)
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        Box::pin(async move {
            let verified = self.verify.supported().await?;
            let mut settled = self.settle.supported().await?;
            settled.kinds.retain(|kind| lists(&verified, kind));
            settled.extensions.retain(|key| verified.extensions.contains(key));
            Ok(settled)
        })
    }

    fn preflight<'a>(&'a self, options: &'a [PriceOption]) -> BoxFuture<'a, Result<(), ConfigError>> {
        Box::pin(async move {
            self.verify.preflight(options).await?;
            self.settle.preflight(options).await
        })
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        self.verify.schemes()
    }

    fn proves_settlement(&self) -> bool {
        self.settle.proves_settlement()
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.verify.witness()
    }
}
