//! Store minus chain, per network and asset.

use std::collections::BTreeMap;

use serde::Serialize;
use x402_core::price::{AtomicAmount, NetworkId, token};

use super::{Checked, Finding};

/// Sums over compared orders.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    by_asset: BTreeMap<(String, String), Total>,
}

/// What the store and the chain say of one asset.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Total {
    /// The network.
    pub network: NetworkId,
    /// The token's address.
    pub asset: String,
    /// Orders that were compared.
    pub orders: u64,
    /// Orders of which the chain was not asked, or did not answer; they are in neither sum.
    pub unanswered: u64,
    /// What the store says was settled.
    pub store: AtomicAmount,
    /// What the chain shows.
    pub chain: AtomicAmount,
}

impl Totals {
    /// Adds a compared order.
    ///
    /// # Panics
    /// When all the money there is does not fit into 256 bits.
    pub fn add(&mut self, checked: &Checked) {
        let option = &checked.order.terms.option;
        // Addresses are the same in every case of their letters.
        let key = (option.network.to_string(), option.asset.to_ascii_lowercase());
        let total = self.by_asset.entry(key).or_insert_with(|| Total {
            network: option.network.clone(),
            asset: option.asset.to_string(),
            orders: 0,
            unanswered: 0,
            store: AtomicAmount::from(0_u64),
            chain: AtomicAmount::from(0_u64),
        });
        total.orders += 1;
        if let Finding::Unanswered { .. } | Finding::Busy = checked.finding {
            total.unanswered += 1;
            return;
        }
        let add = |sum: AtomicAmount, more| sum.checked_add(more).expect("sums of prices fit into 256 bits");
        if let Some(settlement) = &checked.order.settlement {
            total.store = add(total.store, settlement.amount);
        }
        if let Some(paid) = &checked.on_chain {
            total.chain = add(total.chain, paid.amount);
        }
    }

    /// The sums, by network and asset.
    pub fn iter(&self) -> impl Iterator<Item = &Total> {
        self.by_asset.values()
    }
}

impl Total {
    /// Store minus chain, with its sign, in atomic units.
    #[must_use]
    pub fn difference(&self) -> String {
        match self.store.checked_sub(self.chain) {
            Some(more) => more.to_string(),
            None => {
                let less = self.chain.checked_sub(self.store).expect("one of two sums is the larger");
                format!("-{less}")
            }
        }
    }

    /// The token's symbol, or its address if it is not a known one.
    #[must_use]
    pub fn symbol(&self) -> &str {
        token(&self.network, &self.asset).map_or(&self.asset, |token| &token.symbol)
    }
}
