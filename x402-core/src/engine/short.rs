//! The short form: an engine from a price table and the environment.

use super::Engine;
use crate::{error::ConfigError, facilitator::HttpFacilitator, price::Prices};

impl Engine {
    /// An engine with orders in memory and a remote facilitator: the one at `X402_FACILITATOR_URL`, or the public one
    /// for test networks. Adapters offer it as `Paywall::new(prices)`.
    ///
    /// # Errors
    /// [`ConfigError`] when the URL is not one, or when the public facilitator does not serve the table's networks.
    pub fn from_env(prices: Prices) -> Result<Self, ConfigError> {
        let facilitator = HttpFacilitator::from_env()?;
        let options: Vec<_> = prices.options().cloned().collect();
        facilitator.serves_by_name(&options)?;
        Self::builder(prices).facilitator(facilitator).build()
    }
}
