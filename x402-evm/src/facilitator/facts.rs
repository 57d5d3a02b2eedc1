//! What does not change from payment to payment: the tokens' code and signing domains.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::U256;
use tokio::time::Instant;
use x402_core::{
    error::{ConfigError, RejectReason},
    price::{self, PriceOption, TransferMethod},
    scheme::{EvmAddress, PERMIT2, UPTO_PERMIT2_PROXY},
};

use super::{
    Inner,
    prepare::{Prepared, Signed},
};
use crate::{
    error::{ChainError, Refusal},
    network::Domain,
    rpc::{
        Rpc,
        abi::{self, MULTICALL3},
        permit2::proxy,
    },
    typed_data::Hash,
};

/// Facts that were found good, and are looked at again after a while: tokens can be upgraded.
#[derive(Debug, Default)]
pub(super) struct Facts {
    tokens: Mutex<Vec<(EvmAddress, Hash, Instant)>>,
}

impl Facts {
    /// Checks that the domain is that of a token on the node's chain.
    pub(super) async fn check(&self, rpc: &Rpc, domain: &Domain<'_>) -> Result<(), ChainError> {
        rpc.is_on(domain.chain_id).await?;
        let separator = domain.separator();
        if self.is_known(domain.token, &separator) {
            return Ok(());
        }
        let fits = fits(rpc, domain, &separator).await;
        match &fits {
            Ok(()) => self.keep(domain.token, separator),
            Err(ChainError::Misconfigured { code, detail }) => {
                tracing::error!(token = %domain.token, code, detail, "token does not fit the price table");
            }
            Err(_) => {}
        }
        fits
    }

    /// Checks that the token, Permit2 and a proxy of it are on the node's chain.
    async fn check_permit2(
        &self,
        rpc: &Rpc,
        chain_id: u64,
        (token, proxy): (EvmAddress, EvmAddress),
    ) -> Result<(), ChainError> {
        rpc.is_on(chain_id).await?;
        let (token_there, permit2_there, proxy_there) = tokio::try_join!(
            self.has_code(rpc, token),
            self.has_code(rpc, PERMIT2),
            self.has_code(rpc, proxy)
        )?;
        if !token_there {
            let detail = format!("{token} has no code on chain {chain_id}; check the asset's address");
            return Err(ChainError::misconfigured("asset_not_deployed_contract", detail));
        }
        let missing = if permit2_there { proxy } else { PERMIT2 };
        if !(permit2_there && proxy_there) {
            tracing::error!(contract = %missing, "Permit2 or its proxy is not on the chain");
            let detail =
                format!("{missing} has no code on chain {chain_id}; do not ask for Permit2 or upto there");
            return Err(ChainError::misconfigured("permit2_proxy_not_deployed", detail));
        }
        Ok(())
    }

    /// Whether Permit2 and the proxy of `upto` are there.
    pub(super) async fn has_permit2(&self, rpc: &Rpc) -> Result<bool, ChainError> {
        let there = tokio::try_join!(self.has_code(rpc, PERMIT2), self.has_code(rpc, UPTO_PERMIT2_PROXY))?;
        Ok(there == (true, true))
    }

    /// Code that is there is remembered; code that is not is looked for again.
    pub(super) async fn has_code(&self, rpc: &Rpc, contract: EvmAddress) -> Result<bool, ChainError> {
        if self.is_known(contract, &ANY_CODE) {
            return Ok(true);
        }
        let there = rpc.has_code(contract).await?;
        if there {
            self.keep(contract, ANY_CODE);
        }
        Ok(there)
    }

    fn is_known(&self, token: EvmAddress, separator: &Hash) -> bool {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().any(|(t, s, at)| *t == token && s == separator && at.elapsed() < FRESH)
    }

    fn keep(&self, token: EvmAddress, separator: Hash) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|(t, s, at)| at.elapsed() < FRESH && (*t, *s) != (token, separator));
        if tokens.len() < LIMIT {
            tokens.push((token, separator, Instant::now()));
        }
    }
}

/// A token without `DOMAIN_SEPARATOR` is compared by name and version, as far as it tells them.
async fn fits(rpc: &Rpc, domain: &Domain<'_>, separator: &Hash) -> Result<(), ChainError> {
    let token = domain.token;
    let (code, theirs) = tokio::try_join!(rpc.has_code(token), rpc.domain_separator(token))?;
    if !code {
        let detail = format!("{token} has no code on chain {}; check the asset's address", domain.chain_id);
        return Err(ChainError::misconfigured("asset_not_deployed_contract", detail));
    }
    if theirs.as_ref() == Some(separator) {
        return Ok(());
    }
    let (name, version) = tokio::try_join!(rpc.text(token, abi::NAME), rpc.text(token, abi::VERSION))?;
    let differs = |what: &str, ours: &str, theirs: &str| {
        format!("the {what} in the signing domain of {token} is {theirs:?}, the price says {ours:?}")
    };
    if let Some(theirs) = name.filter(|theirs| theirs != domain.name) {
        let detail = differs("name", domain.name, &theirs);
        return Err(ChainError::misconfigured("invalid_exact_evm_token_name_mismatch", detail));
    }
    if let Some(theirs) = version.filter(|theirs| theirs != domain.version) {
        let detail = differs("version", domain.version, &theirs);
        return Err(ChainError::misconfigured("invalid_exact_evm_token_version_mismatch", detail));
    }
    match theirs {
        None => Ok(()),
        Some(_) => Err(ChainError::misconfigured(
            "invalid_exact_evm_missing_eip712_domain",
            format!("{token} signs in a domain of another form; offer another token"),
        )),
    }
}

impl Inner {
    /// The start-up check: everything that can be wrong with options, before the first payer finds out.
    pub(super) async fn preflight(&self, options: &[PriceOption]) -> Result<(), ConfigError> {
        for option in options {
            let at = || format!("price of {} on {}", option.asset, option.network);
            let token = self.check_option(option).await.map_err(|problem| match problem {
                Problem::Price(problem) => ConfigError::new(at(), problem),
                Problem::Chain(error) => at_start(at(), error),
            })?;
            let wanted = price::token(&option.network, &option.asset).map(|token| token.decimals);
            let found = self.rpc.decimals(token).await.map_err(|error| at_start(at(), error))?;
            if let (Some(wanted), Some(found)) = (wanted, found)
                && wanted != found
            {
                let problem = format!("the token has {found} decimals, the price table says {wanted}");
                return Err(ConfigError::new(at(), problem));
            }
        }
        self.preflight_batches().await?;
        let account = self.sender.key().address();
        let at = || format!("gas account {account}");
        let coins = self.rpc.coin_balance(account).await.map_err(|error| at_start(at(), error))?;
        if coins == U256::ZERO {
            return Err(ConfigError::new(at(), "holds no coins to pay gas with; send it some"));
        }
        Ok(())
    }

    async fn preflight_batches(&self) -> Result<(), ConfigError> {
        let Some(batching) = self.options.batching else { return Ok(()) };
        batching.check()?;
        let at = || "batch".to_owned();
        if self.facts.has_code(&self.rpc, MULTICALL3).await.map_err(|error| at_start(at(), error))? {
            return Ok(());
        }
        let chain_id = self.rpc.chain_id().await.map_err(|error| at_start(at(), error))?;
        let problem = format!(
            "needs Multicall3, and {MULTICALL3} has no code on chain {chain_id}; settle one by one there"
        );
        Err(ConfigError::new(at(), problem))
    }

    /// Checks what one option needs of the chain and of this facilitator; gives its token.
    async fn check_option(&self, option: &PriceOption) -> Result<EvmAddress, Problem> {
        if option.transfer_method() == TransferMethod::Eip3009 {
            let domain = Domain::of(option).map_err(|reason| advice(&reason))?;
            self.facts.check(&self.rpc, &domain).await?;
            return Ok(domain.token);
        }
        let not_evm = || advice(&RejectReason::UnsupportedScheme);
        let chain_id = option.network.chain_id().ok_or_else(not_evm)?;
        let token = option.asset.parse().map_err(|_| not_evm())?;
        self.facts.check_permit2(&self.rpc, chain_id, (token, proxy(option.is_upto()))).await?;
        // Payers need the domain only to sign an approval; a wrong one makes those worthless.
        if let Ok(domain) = Domain::of(option) {
            self.facts.check(&self.rpc, &domain).await?;
        }
        let account = self.sender.key().address();
        match option.facilitator_address() {
            _ if !option.is_upto() => {}
            Some(facilitator) if facilitator.parse() == Ok(account) => {}
            Some(facilitator) => {
                return Err(Problem::Price(format!(
                    "names the facilitator {facilitator}, and only {account} settles here; name that one"
                )));
            }
            None => {
                return Err(Problem::Price(format!(
                    "names no facilitator, so that nobody can pay it; name {account} with `.upto(..)`, or have the \
                     engine ask for it at start"
                )));
            }
        }
        Ok(token)
    }

    /// The same check for one payment.
    pub(super) async fn check_facts(&self, prepared: &Prepared<'_>) -> Result<(), Refusal> {
        match &prepared.signed {
            Signed::Eip3009 { domain, .. } => self.facts.check(&self.rpc, domain).await?,
            Signed::Permit2 { message, .. } => {
                let contracts = (prepared.token, message.spender);
                self.facts.check_permit2(&self.rpc, prepared.chain_id, contracts).await?;
            }
        }
        Ok(())
    }
}

/// What is wrong with an option: it says so itself, or the chain does.
enum Problem {
    Price(String),
    Chain(ChainError),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Price(problem)
    }
}

impl From<ChainError> for Problem {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

/// What a fault of the chain means at start: one that has nothing to do with `at` is the node's.
fn at_start(at: String, error: ChainError) -> ConfigError {
    let config = match &error {
        ChainError::Unreachable | ChainError::Lost(_) => {
            ConfigError::new("rpc_url", format!("{error}; check the address, and that the node runs"))
        }
        _ => ConfigError::new(at, error.to_string()),
    };
    config.with_source(error)
}

fn advice(reason: &RejectReason) -> String {
    match reason {
        RejectReason::UnsupportedScheme => {
            "is not on an EVM chain; use another facilitator for it".to_owned()
        }
        _ => "has no signing domain; give the token its name and version".to_owned(),
    }
}

/// Stands for a signing domain where only a contract's being there was looked at.
const ANY_CODE: Hash = [0; 32];
const FRESH: Duration = Duration::from_secs(15 * 60);
const LIMIT: usize = 256;
