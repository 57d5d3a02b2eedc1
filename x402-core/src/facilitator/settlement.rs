//! A settlement that happened.

use serde::{Deserialize, Serialize};

use crate::{
    price::{AtomicAmount, NetworkId},
    wire::{X402Version, v2},
};

/// Money that has moved: the receipt's content.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Settlement {
    /// The transaction.
    pub transaction: String,
    /// Where.
    pub network: NetworkId,
    /// Who paid, in the network's canonical text form.
    pub payer: String,
    /// What moved to the recipient.
    pub amount: AtomicAmount,
    /// Which log of its block tells of the transfer, where that is known: with the transaction it names the transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    /// The number of the transaction's block, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
}

impl Settlement {
    /// A settlement.
    #[must_use]
    pub const fn new(transaction: String, network: NetworkId, payer: String, amount: AtomicAmount) -> Self {
        Self { transaction, network, payer, amount, log_index: None, block: None }
    }

    /// What settles a charge of nothing: no transaction is sent, and the authorization is spent here alone.
    #[must_use]
    pub const fn of_nothing(network: NetworkId, payer: String) -> Self {
        Self::new(String::new(), network, payer, AtomicAmount::ZERO)
    }

    /// The receipt sent to the client, in the dialect of its payment.
    #[must_use]
    pub fn receipt(&self, version: X402Version) -> v2::SettlementResponse {
        v2::SettlementResponse {
            success: true,
            error_reason: None,
            error_message: None,
            payer: Some(self.payer.clone()),
            transaction: self.transaction.clone(),
            network: network_name(&self.network, version),
            amount: match version {
                X402Version::V1 => None,
                X402Version::V2 => Some(self.amount.to_string()),
            },
            extensions: None,
            extra: None,
        }
    }

    /// The receipt of a settlement that did not happen.
    #[must_use]
    pub fn failed_receipt(
        reason: &str,
        transaction: Option<&str>,
        network: &NetworkId,
        payer: &str,
        version: X402Version,
    ) -> v2::SettlementResponse {
        v2::SettlementResponse {
            success: false,
            error_reason: Some(reason.to_owned()),
            error_message: None,
            payer: Some(payer.to_owned()),
            transaction: transaction.unwrap_or_default().to_owned(),
            network: network_name(network, version),
            amount: None,
            extensions: None,
            extra: None,
        }
    }
}

fn network_name(network: &NetworkId, version: X402Version) -> String {
    match version {
        X402Version::V1 => network.v1_name().unwrap_or(network.as_str()).to_owned(),
        X402Version::V2 => network.as_str().to_owned(),
    }
}
