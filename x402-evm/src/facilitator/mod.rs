//! Verifying and settling on a node of one's own.

mod facts;
mod flight;
mod gas;
mod prepare;
mod settle;
mod sponsored;
mod together;
mod verify;

use std::{fmt, sync::Arc, time::Duration};

use serde_json::json;
use x402_core::{
    error::ConfigError,
    facilitator::{BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError, Witness},
    price::{AtomicAmount, NetworkId, PriceOption},
    scheme::Scheme,
    time::{Clock, SystemClock},
    wire::{
        X402Version,
        extension::EIP2612_GAS_SPONSORING,
        facilitator::{SupportedKind, SupportedResponse},
    },
};

pub use self::gas::GasLevel;
pub(crate) use self::prepare::Signed;
use self::{facts::Facts, flight::Flights, together::Batches};
use crate::{
    contract_wallet::ContractAccounts,
    error::{ChainError, Refusal},
    exact::ExactEvm,
    gas_key::GasKey,
    prover::Prover,
    rpc::Rpc,
    submit::{Batching, Journal, MemoryJournal, Patience, Sender},
    upto::UptoEvm,
    witness::EvmWitness,
};

/// Verifies and settles `exact` and `upto` payments on one chain, through a node and an account that pays the gas.
///
/// `upto`, and `exact` through Permit2, need Permit2 and its x402 proxies on the chain; where they are not, `upto` is not
/// [supported](Facilitator::supported).
///
/// ```no_run
/// use x402_evm::{EvmFacilitator, GasKey};
///
/// let facilitator = EvmFacilitator::new("https://node.example/key", GasKey::from_env("GAS_KEY")?)?.confirmations(2);
/// # Ok::<(), x402_core::error::ConfigError>(())
/// ```
///
/// # Settling
/// A settlement is believed when the receipt shows the token's own `Transfer` from payer to recipient over the
/// amount, in the transaction that used the authorization. An `upto` payment of which nothing was used is settled without
/// a transaction, and of one that was used only the part [to be charged](Payment::amount) is moved. A settlement runs in a task of its own: a caller that gives up
/// changes nothing. Settling the same payment again waits for what is under way, or reports what happened.
///
/// Runs on tokio. Clones share everything but their options.
#[derive(Clone)]
pub struct EvmFacilitator(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    rpc: Rpc,
    sender: Arc<Sender>,
    facts: Arc<Facts>,
    flights: Arc<Flights>,
    batches: Arc<Batches>,
    prover: Prover,
    options: Options,
}

#[derive(Clone)]
struct Options {
    confirmations: u64,
    receipt_timeout: Duration,
    stuck_after: Duration,
    max_fee_per_gas: Option<u128>,
    contract_accounts: ContractAccounts,
    lookback: Option<Duration>,
    journal: Arc<dyn Journal>,
    batching: Option<Batching>,
    clock: Arc<dyn Clock>,
}

impl EvmFacilitator {
    /// A facilitator at a node (`https`, or `http` on this machine), paying gas with `gas_key`. Asks nothing yet:
    /// the engine's start-up check ([`preflight`](Facilitator::preflight)) does.
    ///
    /// # Errors
    /// [`ConfigError`] that never quotes the URL, since access keys are part of it.
    pub fn new(rpc_url: &str, gas_key: GasKey) -> Result<Self, ConfigError> {
        let rpc = Rpc::new(rpc_url)?;
        Ok(Self(Arc::new(Inner {
            sender: Arc::new(Sender::new(rpc.clone(), gas_key)),
            rpc,
            facts: Arc::default(),
            flights: Arc::default(),
            batches: Arc::default(),
            prover: Prover::default(),
            options: Options {
                confirmations: 1,
                receipt_timeout: Duration::from_secs(30),
                stuck_after: Duration::from_secs(15),
                max_fee_per_gas: None,
                contract_accounts: ContractAccounts::refused(),
                lookback: None,
                journal: Arc::new(MemoryJournal::default()),
                batching: None,
                clock: Arc::new(SystemClock),
            },
        })))
    }

    /// Blocks a transfer must have behind it, its own counted, before it counts as settled. Default 1.
    #[must_use]
    pub fn confirmations(self, blocks: u64) -> Self {
        self.with(|inner| inner.options.confirmations = blocks)
    }

    /// How long a caller waits for a transaction that was sent; then the outcome is unresolved. Default 30 s.
    #[must_use]
    pub fn receipt_timeout(self, time: Duration) -> Self {
        self.with(|inner| inner.options.receipt_timeout = time)
    }

    /// How long a transaction may wait before it is sent again with a higher fee. Default 15 s.
    #[must_use]
    pub fn stuck_after(self, time: Duration) -> Self {
        self.with(|inner| inner.options.stuck_after = time)
    }

    /// The most to pay per gas, in wei. Above it nothing is sent. No limit by default.
    #[must_use]
    pub fn max_fee_per_gas(self, wei: u128) -> Self {
        self.with(|inner| inner.options.max_fee_per_gas = Some(wei))
    }

    /// Which contract accounts may pay. None by default.
    #[must_use]
    pub fn contract_accounts(self, accounts: ContractAccounts) -> Self {
        self.with(|inner| {
            inner.prover.contract_accounts = accounts.are_allowed();
            inner.options.contract_accounts = accounts;
        })
    }

    /// How long before an authorization's end its use is searched for, as in [`EvmWitness::lookback`]: more than the
    /// engine's longest authorization where that was raised. Default 70 minutes.
    #[must_use]
    pub fn lookback(self, time: Duration) -> Self {
        self.with(|inner| inner.options.lookback = Some(time))
    }

    /// Where transactions are written down before they are sent. In memory by default;
    /// [`FileJournal`](crate::FileJournal) survives a restart.
    #[must_use]
    pub fn journal(self, journal: impl Journal + 'static) -> Self {
        self.with(|inner| inner.options.journal = Arc::new(journal))
    }

    /// Has settlements that come at about the same time share a transaction, through Multicall3, which must be on the
    /// chain. Off by default.
    ///
    /// Each keeps an outcome of its own: one that fails, fails alone, and one that a failed transaction left as it was
    /// is sent again by itself. Only EIP-3009 payments from plain accounts, in tokens of the
    /// [table](x402_core::price::known_network), are put together; others go alone, as does one that nobody joins. A
    /// settlement is sent later by up to the window, and cheaper: what a transaction costs beside its transfer is paid once.
    ///
    /// A payer whose plain account becomes a contract between the last look and the block can burn the gas of its whole
    /// batch. The others are then settled alone; what that may cost grows with [`most`](Batching::most).
    ///
    /// ```no_run
    /// use x402_evm::{Batching, EvmFacilitator, GasKey};
    ///
    /// let facilitator = EvmFacilitator::new("https://node.example/key", GasKey::from_env("GAS_KEY")?)?
    ///     .batch(Batching { most: 20, ..Batching::default() });
    /// # Ok::<(), x402_core::error::ConfigError>(())
    /// ```
    #[must_use]
    pub fn batch(self, batching: Batching) -> Self {
        self.with(|inner| inner.options.batching = Some(batching))
    }

    /// What time it is, for tests.
    #[must_use]
    pub fn clock(self, clock: impl Clock + 'static) -> Self {
        self.with(|inner| inner.options.clock = Arc::new(clock))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        change(inner);
        // Who shares a transaction shares its options.
        inner.batches = Arc::default();
        self
    }
}

impl Facilitator for EvmFacilitator {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(async move {
            let balance = AtomicAmount::new(self.0.verify(payment).await?);
            match payment.amount().checked_add(payment.committed) {
                Some(under_way) if under_way <= balance => Ok(()),
                _ => Err(VerifyError::Overcommitted),
            }
        })
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(async move {
            // Who joins a settlement is told of its success: so the terms of each caller are compared.
            self.0.prepare(payment).map_err(Refusal::from)?;
            let inner = Arc::clone(&self.0);
            let authorization = &payment.authorization;
            let presented = (authorization.key, authorization.digest, payment.amount());
            let payment = payment.clone();
            let flight =
                self.0.flights.join(presented, |stage| async move { inner.settle(&payment, &stage).await });
            flight.outcome(self.0.options.receipt_timeout).await
        })
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        Box::pin(async move {
            let chain_id = self.0.rpc.chain_id().await?;
            let network = NetworkId::new(&format!("eip155:{chain_id}"))
                .map_err(|_| ChainError::Local("the node's chain has no network id"))?;
            let kind = |version, scheme: &str, name: &str| SupportedKind {
                x402_version: version,
                scheme: scheme.to_owned(),
                network: name.to_owned(),
                extra: None,
            };
            let mut kinds = vec![kind(X402Version::V2, "exact", network.as_str())];
            let mut extensions = Vec::new();
            let account = self.gas_account().to_string();
            if self.0.facts.has_permit2(&self.0.rpc).await? {
                let extra = json!({ "facilitatorAddress": account }).as_object().cloned();
                kinds.push(SupportedKind { extra, ..kind(X402Version::V2, "upto", network.as_str()) });
                extensions.push(EIP2612_GAS_SPONSORING.to_owned());
            }
            kinds.extend(network.v1_name().map(|name| kind(X402Version::V1, "exact", name)));
            let signers = [(network.to_string(), vec![account])].into();
            Ok(SupportedResponse { kinds, extensions, signers })
        })
    }

    fn preflight<'a>(&'a self, options: &'a [PriceOption]) -> BoxFuture<'a, Result<(), ConfigError>> {
        Box::pin(self.0.preflight(options))
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        let prover = || self.0.prover.clone();
        vec![Arc::new(ExactEvm::from(prover())), Arc::new(UptoEvm::from(prover()))]
    }

    fn proves_settlement(&self) -> bool {
        true
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        Some(Arc::new(self.0.witness()))
    }
}

impl Inner {
    fn witness(&self) -> EvmWitness {
        let witness = EvmWitness::over(self.rpc.clone(), self.options.confirmations);
        match self.options.lookback {
            Some(time) => witness.lookback(time),
            None => witness,
        }
    }

    fn patience(&self) -> Patience {
        Patience { confirmations: self.options.confirmations, stuck_after: self.options.stuck_after }
    }
}

impl fmt::Debug for EvmFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmFacilitator")
            .field("gas_account", &self.0.sender.key().address())
            .field("confirmations", &self.0.options.confirmations)
            .finish_non_exhaustive()
    }
}
