//! From a file to a service: asks the nodes whether what the file says is so.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use x402_core::{error::ConfigError, facilitator::Facilitator as _};
use x402_evm::{EvmFacilitator, FileJournal};

use super::{FacilitatorConfig, network::NetworkConfig};
use crate::facilitator::{FacilitatorService, GasGauge, GasWatch, ServedNetwork};

/// A service as its file wants it, with its gas accounts.
#[derive(Debug)]
#[must_use = "nobody is served until its router is"]
pub struct Opened {
    service: FacilitatorService,
    watches: Vec<(GasWatch, GasGauge)>,
}

impl FacilitatorConfig {
    /// Asks every node whether it is on its network and whether the gas account holds coins there.
    ///
    /// # Errors
    /// [`ConfigError`] with line and key, and what to do. Addresses of nodes are never quoted.
    pub async fn open(&self) -> Result<Opened, ConfigError> {
        let mut builder = FacilitatorService::builder().callers(self.callers.clone());
        if let Some(most) = self.most {
            builder = builder.max_in_flight(most);
        }
        let mut watches = Vec::new();
        for network in &self.networks {
            let facilitator = network.open().await?;
            let gauge = GasGauge::default();
            let watch = GasWatch {
                network: network.id.clone(),
                facilitator: facilitator.clone(),
                low: network.low_gas,
                every: self.gas_check,
            };
            watch.look(&gauge).await;
            let account = facilitator.gas_account();
            let batch = network.batch.as_ref().map(|(batching, _)| batching);
            let batch = batch.map(|batching| format!("{} within {:?}", batching.most, batching.window));
            let gas = gauge.gas().as_str();
            tracing::info!(network = %network.id, %account, gas, batch, "network is served");
            if network.journal.is_none() {
                tracing::warn!(network = %network.id, "no journal: what a restart finds not mined is sent again");
            }
            builder =
                builder.network(ServedNetwork::new(network.id.clone(), facilitator).gauge(gauge.clone()));
            watches.push((watch, gauge));
        }
        Ok(Opened { service: builder.build()?, watches })
    }
}

impl NetworkConfig {
    async fn open(&self) -> Result<EvmFacilitator, ConfigError> {
        let at_node = |problem: String| ConfigError::new(&self.rpc_at, problem);
        let mut facilitator = EvmFacilitator::new(&self.rpc_url, self.gas_key.clone())
            .map_err(|error| error.moved_to(&self.rpc_at))?
            .confirmations(self.confirmations)
            .receipt_timeout(self.answer)
            .contract_accounts(self.accounts.clone());
        if let Some(wei) = self.max_fee {
            facilitator = facilitator.max_fee_per_gas(wei);
        }
        if let Some((path, at)) = &self.journal {
            let journal = FileJournal::open(path);
            facilitator = facilitator.journal(journal.map_err(|error| error.moved_to(at))?);
        }
        if let Some((batching, _)) = &self.batch {
            facilitator = facilitator.batch(*batching);
        }
        let found = facilitator.chain_id().await.map_err(|error| {
            at_node(format!("{error}; check the address, and that the node runs")).with_source(error)
        })?;
        if found != self.chain_id {
            return Err(at_node(format!("the node is on eip155:{found}; name one that is on {}", self.id)));
        }
        facilitator.preflight(&[]).await.map_err(|error| match &self.batch {
            Some((_, at)) if error.at() == "batch" => error.moved_to(at),
            _ => {
                let at = format!("{}, {} on {}", self.gas_at, error.at(), self.id);
                error.moved_to(at)
            }
        })?;
        Ok(facilitator)
    }
}

impl Opened {
    /// The service.
    #[must_use]
    pub const fn service(&self) -> &FacilitatorService {
        &self.service
    }

    /// Watches the gas accounts from now on, in tasks of their own.
    pub fn watch_gas(&self) {
        for (watch, gauge) in &self.watches {
            tokio::spawn(watch.clone().run(gauge.clone()));
        }
    }

    /// Takes no more work and waits for what is under way, those settlements included whose callers were told that they
    /// are pending. Tells how many are left.
    pub async fn drain(&self, within: Duration) -> usize {
        let until = Instant::now() + within;
        let answered = self.service.drain(within).await;
        loop {
            let left: usize = self.watches.iter().map(|(watch, _)| watch.facilitator.under_way()).sum();
            if left == 0 || Instant::now() >= until {
                return left.max(usize::from(!answered));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(50);
