//! What is known of a network at present: what its gas account can still pay for, and whether its node answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;
use x402_core::price::{AtomicAmount, NetworkId};
use x402_evm::{EvmFacilitator, GasLevel};

use super::telemetry;

/// What a network's gas account can still pay for. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct GasGauge(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    gas: AtomicU8,
    silent: AtomicBool,
}

/// How much gas there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gas {
    /// Enough.
    Enough,
    /// Less than the operator wants to hear of.
    Low,
    /// Not enough for one settlement.
    Empty,
}

impl GasGauge {
    /// What is left.
    #[must_use]
    pub fn gas(&self) -> Gas {
        match self.0.gas.load(Ordering::Relaxed) {
            0 => Gas::Enough,
            1 => Gas::Low,
            _ => Gas::Empty,
        }
    }

    /// Whether the node answered when it was asked last.
    #[must_use]
    pub fn node_answers(&self) -> bool {
        !self.0.silent.load(Ordering::Relaxed)
    }

    /// Shows this from now on.
    pub fn show(&self, gas: Gas) {
        self.0.gas.store(gas as u8, Ordering::Relaxed);
    }

    fn silent(&self, silent: bool) -> bool {
        self.0.silent.swap(silent, Ordering::Relaxed)
    }
}

impl Gas {
    /// What a level means to an operator who wants to hear of less than `low`.
    #[must_use]
    pub fn of(level: &GasLevel, low: AtomicAmount) -> Self {
        Self::left(level.balance, level.settlement, low)
    }

    fn left(balance: AtomicAmount, settlement: AtomicAmount, low: AtomicAmount) -> Self {
        if balance < settlement || balance == 0.into() {
            Self::Empty
        } else if balance < low {
            Self::Low
        } else {
            Self::Enough
        }
    }

    /// As it is written in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enough => "enough",
            Self::Low => "low",
            Self::Empty => "empty",
        }
    }
}

/// Whose gas is watched, and how closely.
#[derive(Clone, Debug)]
pub struct GasWatch {
    /// The network.
    pub network: NetworkId,
    /// Whose gas it is.
    pub facilitator: EvmFacilitator,
    /// Below which balance the operator wants to hear of it, in the smallest unit.
    pub low: AtomicAmount,
    /// How often the balance is read.
    pub every: Duration,
}

impl GasWatch {
    /// Reads the balance again and again. Never returns: spawn it.
    pub async fn run(self, gauge: GasGauge) {
        loop {
            self.look(&gauge).await;
            sleep(self.every).await;
        }
    }

    /// Reads it once. A node that does not answer leaves what is known of the gas.
    pub(super) async fn look(&self, gauge: &GasGauge) {
        let network = &self.network;
        match self.facilitator.gas().await {
            Ok(level) => {
                if gauge.silent(false) {
                    tracing::info!(%network, "node answers again");
                }
                telemetry::gas(network, &level);
                let gas = Gas::of(&level, self.low);
                if gauge.gas() != gas {
                    gauge.show(gas);
                    self.tell(gas, level.balance);
                }
            }
            Err(error) => {
                if !gauge.silent(true) {
                    tracing::error!(%network, %error, "node does not answer");
                }
            }
        }
    }

    fn tell(&self, gas: Gas, balance: AtomicAmount) {
        let (network, account) = (&self.network, self.facilitator.gas_account());
        let balance = balance.to_decimal(COIN_DECIMALS);
        match gas {
            Gas::Enough => tracing::info!(%network, %account, balance, "gas account was refilled"),
            Gas::Low => tracing::warn!(%network, %account, balance, "gas account is low; send it coins"),
            Gas::Empty => {
                tracing::error!(%network, %account, balance, "gas account is empty; the network is not served");
            }
        }
    }
}

/// EVM chains count their coin in units of 10⁻¹⁸.
pub(super) const COIN_DECIMALS: u8 = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_empty_before_it_holds_nothing() {
        for (balance, settlement, low, gas) in [
            (100, 10, 50, Gas::Enough),
            (50, 10, 50, Gas::Enough),
            (49, 10, 50, Gas::Low),
            (10, 10, 50, Gas::Low),
            (9, 10, 50, Gas::Empty),
            (9, 10, 0, Gas::Empty),
            (0, 0, 0, Gas::Empty),
            (1, 0, 0, Gas::Enough),
        ] {
            let left = Gas::left(balance.into(), settlement.into(), low.into());
            assert_eq!(left, gas, "{balance} of {settlement}, low {low}");
        }
    }

    #[test]
    fn what_is_shown_is_shown_to_all() {
        let gauge = GasGauge::default();
        let other = gauge.clone();
        assert_eq!(other.gas(), Gas::Enough);
        for gas in [Gas::Low, Gas::Empty, Gas::Enough] {
            gauge.show(gas);
            assert_eq!(other.gas(), gas);
        }
    }
}
