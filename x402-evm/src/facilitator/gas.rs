//! What the gas account can still pay for.

use alloy_primitives::U256;
use x402_core::{price::AtomicAmount, scheme::EvmAddress};

use super::EvmFacilitator;
use crate::error::ChainError;

/// What the gas account holds, and what settling costs at present: both in the smallest unit of the chain's coin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GasLevel {
    /// What it holds.
    pub balance: AtomicAmount,
    /// What nodes want to see in the account before they take one settlement. Most cost a fraction of it.
    pub settlement: AtomicAmount,
}

impl EvmFacilitator {
    /// The account that pays the gas: the one that payers of `upto` sign for, as `facilitatorAddress`.
    #[must_use]
    pub fn gas_account(&self) -> EvmAddress {
        self.0.sender.key().address()
    }

    /// What the gas account can still pay for.
    ///
    /// # Errors
    /// [`ChainError`] when the node does not answer.
    pub async fn gas(&self) -> Result<GasLevel, ChainError> {
        let fee = self.0.sender.fee(self.0.options.max_fee_per_gas);
        let (balance, fee) = tokio::try_join!(self.0.rpc.coin_balance(self.gas_account()), fee)?;
        let settlement = AtomicAmount::new(U256::from(fee.saturating_mul(SETTLEMENT_GAS)));
        Ok(GasLevel { balance: AtomicAmount::new(balance), settlement })
    }

    /// The chain that the node is on.
    ///
    /// # Errors
    /// [`ChainError`] when the node does not answer.
    pub async fn chain_id(&self) -> Result<u64, ChainError> {
        self.0.rpc.chain_id().await
    }

    /// How many settlements are under way, those included whose callers were told that they are.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.flights.count()
    }
}

/// More than a settlement for a plain account is given, through Permit2 and with an approval before it, too.
const SETTLEMENT_GAS: u128 = 200_000;
