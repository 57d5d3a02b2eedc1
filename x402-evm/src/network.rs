//! Signing domains: which token, on which chain, under which name and version.

use std::sync::{Arc, PoisonError, RwLock};

use x402_core::{error::RejectReason, price::PriceOption, scheme::EvmAddress};

use crate::typed_data::{self, Hash};

/// The signing domain of an option's token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Domain<'a> {
    /// The token's name in its domain; not its symbol, and it differs by chain.
    pub name: &'a str,
    /// The version in the token's domain.
    pub version: &'a str,
    /// The chain.
    pub chain_id: u64,
    /// The token.
    pub token: EvmAddress,
}

impl<'a> Domain<'a> {
    /// The domain of a server's own option: never that of a payment's echo.
    ///
    /// # Errors
    /// [`RejectReason::UnsupportedScheme`] for a network or asset that is not EVM, and the protocol's code for a
    /// missing name or version.
    pub fn of(option: &'a PriceOption) -> Result<Self, RejectReason> {
        let chain_id = option.network.chain_id().ok_or(RejectReason::UnsupportedScheme)?;
        let token = option.asset.parse().map_err(|_| RejectReason::UnsupportedScheme)?;
        let member =
            |name| option.extra.get(name).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
        let missing = RejectReason::Other("invalid_exact_evm_missing_eip712_domain".into());
        match (member("name"), member("version")) {
            (Some(name), Some(version)) => Ok(Self { name, version, chain_id, token }),
            _ => Err(missing),
        }
    }

    /// The domain's separator.
    #[must_use]
    pub fn separator(&self) -> [u8; 32] {
        typed_data::domain_separator(self.name, self.version, self.chain_id, self.token)
    }
}

/// Separators that were computed before. A server has a handful of tokens; beyond the limit they are computed anew.
#[derive(Debug, Default)]
pub(crate) struct Separators(RwLock<Vec<Known>>);

#[derive(Debug)]
struct Known {
    chain_id: u64,
    token: EvmAddress,
    name: Arc<str>,
    version: Arc<str>,
    separator: Hash,
}

impl Separators {
    pub(crate) fn get(&self, domain: &Domain<'_>) -> Hash {
        if let Some(known) =
            self.0.read().unwrap_or_else(PoisonError::into_inner).iter().find(|k| k.is(domain))
        {
            return known.separator;
        }
        let separator = domain.separator();
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() < LIMIT && !all.iter().any(|known| known.is(domain)) {
            all.push(Known {
                chain_id: domain.chain_id,
                token: domain.token,
                name: domain.name.into(),
                version: domain.version.into(),
                separator,
            });
        }
        separator
    }
}

impl Known {
    fn is(&self, domain: &Domain<'_>) -> bool {
        self.chain_id == domain.chain_id
            && self.token == domain.token
            && *self.name == *domain.name
            && *self.version == *domain.version
    }
}

/// Few enough that a linear search costs less than one hash.
const LIMIT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_domain_changes_its_separator() {
        let separators = Separators::default();
        let base = Domain { name: "USDC", version: "2", chain_id: 84_532, token: EvmAddress::new([1; 20]) };
        let others = [
            Domain { name: "USD Coin", ..base },
            Domain { version: "1", ..base },
            Domain { chain_id: 8453, ..base },
            Domain { token: EvmAddress::new([2; 20]), ..base },
        ];
        for _ in 0..2 {
            assert_eq!(separators.get(&base), base.separator());
            for other in &others {
                assert_eq!(separators.get(other), other.separator());
                assert_ne!(separators.get(other), separators.get(&base));
            }
        }
    }

    #[test]
    fn remembered_separators_are_bounded() {
        let separators = Separators::default();
        let token = EvmAddress::new([1; 20]);
        for chain_id in 0..100 {
            let domain = Domain { name: "USDC", version: "2", chain_id, token };
            assert_eq!(separators.get(&domain), domain.separator());
        }
        assert_eq!(separators.0.read().unwrap().len(), LIMIT);
    }
}
