//! Many settlements at once through one gas account, timed.

use std::{
    collections::HashSet,
    fmt::Write as _,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;
use x402_evm::EvmFacilitator;

use crate::world::{World, quantity, settle};

/// What so many settlements at once took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Race {
    pub(crate) payments: usize,
    /// Mined from the gas account, each with the nonce after the one before.
    pub(crate) transactions: u64,
    gas: u64,
    took: Duration,
}

impl Race {
    pub(crate) async fn run(world: &World, facilitator: &EvmFacilitator, payments: usize) -> Self {
        let signed: Vec<_> = (0..payments).map(|_| world.payment(10)).collect();
        let account = facilitator.gas_account().to_string();
        let sent = || {
            let count = world.chain.rpc("eth_getTransactionCount", json!([account, "latest"])).unwrap();
            quantity(&count)
        };
        let before = sent();
        let start = Instant::now();
        let mut settling = JoinSet::new();
        for payment in signed {
            let facilitator = facilitator.clone();
            settling.spawn(async move { settle(&facilitator, &payment).await.transaction });
        }
        let settled = settling.join_all().await;
        let took = start.elapsed();
        let hashes: HashSet<_> = settled.iter().collect();
        let gas = hashes.iter().map(|hash| {
            quantity(&world.chain.rpc("eth_getTransactionReceipt", json!([hash])).unwrap()["gasUsed"])
        });
        Self { payments: settled.len(), transactions: sent() - before, gas: gas.sum(), took }
    }

    pub(crate) fn gas_per_payment(&self) -> u64 {
        self.gas / self.payments as u64
    }

    pub(crate) fn table(races: &[(&str, &Self)]) -> String {
        let mut table = format!(
            "{:<12} {:>9} {:>13} {:>16} {:>9} {:>20}",
            "", "payments", "transactions", "gas per payment", "took", "payments per second"
        );
        for (name, race) in races {
            let per_second = race.payments as u128 * 1000 / race.took.as_millis().max(1);
            let took = format!("{:.2?}", race.took);
            let (gas, Self { payments, transactions, .. }) = (race.gas_per_payment(), race);
            write!(
                table,
                "\n{name:<12} {payments:>9} {transactions:>13} {gas:>16} {took:>9} {per_second:>20}"
            )
            .unwrap();
        }
        table
    }
}
