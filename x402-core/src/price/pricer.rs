//! Prices that depend on the request.

use std::{fmt, sync::Arc};

use super::{Price, rule::Way};
use crate::{error::BoxError, facilitator::BoxFuture, head::RequestFacts};

/// Computes what a request costs when a fixed price will not do.
///
/// Implemented for async closures that answer a [`Price`], or whatever turns into one, or an error, upon which
/// the client is told 503. The answer is frozen into a quote, so that a payer who echoes the quote is not asked
/// again; for a payer who does not, it is computed anew and must come out the same: let it depend on the
/// request and on slow-moving data only.
pub trait Pricer: Send + Sync {
    /// The price of this request.
    fn price(&self, request: RequestFacts) -> BoxFuture<'_, Result<Price, BoxError>>;
}

impl<F, Fut, P, E> Pricer for F
where
    F: Fn(RequestFacts) -> Fut + Send + Sync,
    Fut: Future<Output = Result<P, E>> + Send + 'static,
    P: Into<Price>,
    E: Into<BoxError>,
{
    fn price(&self, request: RequestFacts) -> BoxFuture<'_, Result<Price, BoxError>> {
        let price = self(request);
        Box::pin(async move { price.await.map(Into::into).map_err(Into::into) })
    }
}

/// A pricer whose prices are paid in another way.
pub(super) struct Paid {
    pub(super) pricer: Arc<dyn Pricer>,
    pub(super) way: Way,
}

impl Pricer for Paid {
    fn price(&self, request: RequestFacts) -> BoxFuture<'_, Result<Price, BoxError>> {
        Box::pin(async move { Ok(self.pricer.price(request).await?.by(self.way)) })
    }
}

impl fmt::Debug for dyn Pricer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pricer")
    }
}
