//! What to pay for gas.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

use crate::{error::ChainError, rpc::Rpc};

/// Fees per gas of an EIP-1559 transaction, in wei.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fees {
    pub(crate) max: u128,
    pub(crate) tip: u128,
}

impl Fees {
    /// Fees of a replacement: nodes want at least a tenth more of both, this is an eighth and one wei more.
    pub(crate) fn raised(self) -> Self {
        let raise = |fee: u128| fee.saturating_add(fee / 8).saturating_add(1);
        Self { max: raise(self.max), tip: raise(self.tip) }
    }

    pub(crate) fn at_least(self, other: Self) -> Self {
        Self { max: self.max.max(other.max), tip: self.tip.max(other.tip) }
    }

    /// Both within the limit; `None` when that leaves less than the base fee, which the estimate doubles.
    fn within(self, limit: u128) -> Option<Self> {
        let base = self.max.saturating_sub(self.tip) / 2;
        (base <= limit).then(|| Self { max: self.max.min(limit), tip: self.tip.min(limit) })
    }
}

/// Estimates of one chain, asked once for everybody who sends at about the same time.
#[derive(Debug, Default)]
pub(crate) struct FeeOracle(Mutex<Option<(Instant, Fees)>>);

impl FeeOracle {
    pub(crate) async fn fees(&self, rpc: &Rpc, limit: Option<u128>) -> Result<Fees, ChainError> {
        let mut last = self.0.lock().await;
        let fees = match *last {
            Some((at, fees)) if at.elapsed() < FRESH => fees,
            _ => {
                let (max, tip) = rpc.fees().await?;
                let tip = tip.max(TIP_FLOOR);
                let fees = Fees { max: max.max(tip), tip };
                *last = Some((Instant::now(), fees));
                fees
            }
        };
        match limit {
            None => Ok(fees),
            Some(limit) => {
                fees.within(limit).ok_or(ChainError::Gas("gas costs more than max_fee_per_gas allows"))
            }
        }
    }
}

const FRESH: Duration = Duration::from_secs(2);
/// Some nodes estimate no tip at all, and then nobody has a reason to include the transaction.
const TIP_FLOOR: u128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_pay_an_eighth_more() {
        for (max, tip) in [(1_000_000_000_u128, 8), (0, 0), (7, 1), (u128::MAX, u128::MAX)] {
            let raised = Fees { max, tip }.raised();
            assert!(raised.max == u128::MAX || raised.max * 10 >= max * 11, "{max}");
            assert!(raised.tip == u128::MAX || raised.tip > tip, "{tip}");
        }
    }

    #[test]
    fn a_limit_below_the_base_fee_refuses() {
        let fees = Fees { max: 2_100, tip: 100 };
        assert_eq!(fees.within(3_000), Some(fees));
        assert_eq!(fees.within(1_500), Some(Fees { max: 1_500, tip: 100 }));
        assert_eq!(fees.within(1_000), Some(Fees { max: 1_000, tip: 100 }));
        assert_eq!(fees.within(999), None);
    }
}
