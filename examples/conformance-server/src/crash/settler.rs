use std::sync::Arc;

use x402_core::{
    error::ConfigError,
    facilitator::{BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError, Witness},
    price::PriceOption,
    scheme::Scheme,
    wire::facilitator::SupportedResponse,
};

use super::{Crash, Step};

/// A facilitator after whose settlement this process may die.
#[derive(Debug)]
pub(crate) struct CrashingSettler<F> {
    pub(crate) inner: F,
    pub(crate) crash: Crash,
}

impl<F: Facilitator> Facilitator for CrashingSettler<F> {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        self.inner.verify(payment)
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(async move {
            let settlement = self.inner.settle(payment).await?;
            self.crash.reached(Step::Settled);
            Ok(settlement)
        })
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        self.inner.supported()
    }

    fn preflight<'a>(&'a self, options: &'a [PriceOption]) -> BoxFuture<'a, Result<(), ConfigError>> {
        self.inner.preflight(options)
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        self.inner.schemes()
    }

    fn proves_settlement(&self) -> bool {
        self.inner.proves_settlement()
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.inner.witness()
    }
}
