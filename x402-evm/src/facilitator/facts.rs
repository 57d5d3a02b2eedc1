//! What does not change from payment to payment: the tokens' code and signing domains.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::U256;
use tokio::time::Instant;
use x402_core::{
    error::{ConfigError, RejectReason},
    price::{self, PriceOption},
    scheme::EvmAddress,
};

use super::Inner;
use crate::{
    error::{ChainError, Refusal},
    network::Domain,
    rpc::{Rpc, abi},
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
            let domain = Domain::of(option).map_err(|reason| ConfigError::new(at(), advice(&reason)))?;
            let checked = self.facts.check(&self.rpc, &domain).await;
            checked.map_err(|error| at_start(at(), error))?;
            let wanted = price::token(&option.network, &option.asset).map(|token| token.decimals);
            let found = self.rpc.decimals(domain.token).await.map_err(|error| at_start(at(), error))?;
            if let (Some(wanted), Some(found)) = (wanted, found)
                && wanted != found
            {
                let problem = format!("the token has {found} decimals, the price table says {wanted}");
                return Err(ConfigError::new(at(), problem));
            }
        }
        let account = self.sender.key().address();
        let at = || format!("gas account {account}");
        let coins = self.rpc.coin_balance(account).await.map_err(|error| at_start(at(), error))?;
        if coins == U256::ZERO {
            return Err(ConfigError::new(at(), "holds no coins to pay gas with; send it some"));
        }
        Ok(())
    }

    /// The same check for one payment.
    pub(super) async fn check_facts(&self, domain: &Domain<'_>) -> Result<(), Refusal> {
        Ok(self.facts.check(&self.rpc, domain).await?)
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

const FRESH: Duration = Duration::from_secs(15 * 60);
const LIMIT: usize = 256;
