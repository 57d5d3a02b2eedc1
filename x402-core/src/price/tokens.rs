//! Known networks and stablecoins: data, read once from `networks.json`.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

use super::NetworkId;

/// A token that prices can be asked in.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Token {
    /// What it is called, such as `USDC`.
    pub symbol: String,
    /// Its contract.
    pub address: String,
    /// The decimal places of its whole unit.
    pub decimals: u8,
    /// The name in its signing domain, which may differ from the symbol and between chains.
    pub name: Option<String>,
    /// The version in its signing domain.
    pub version: Option<String>,
    /// How it is moved by a signature.
    pub transfer_method: TransferMethod,
    /// Whether a holder's approval of Permit2 can be signed, too (EIP-2612), as far as is known.
    pub eip2612: Option<bool>,
}

impl Token {
    /// A token of one's own, moved by EIP-3009. It also needs a [signing domain](Self::signing_domain).
    #[must_use]
    pub fn new(symbol: impl Into<String>, address: impl Into<String>, decimals: u8) -> Self {
        Self {
            symbol: symbol.into(),
            address: address.into(),
            decimals,
            name: None,
            version: None,
            transfer_method: TransferMethod::Eip3009,
            eip2612: None,
        }
    }

    /// Has it moved by Permit2, as tokens without EIP-3009 must be. Its signing domain is then needed only where holders
    /// sign their approvals of Permit2 (EIP-2612).
    #[must_use]
    pub fn permit2(mut self) -> Self {
        self.transfer_method = TransferMethod::Permit2;
        self
    }

    /// The name and version that its EIP-712 domain separator is made of, exactly as on chain.
    #[must_use]
    pub fn signing_domain(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self.version = Some(version.into());
        self
    }
}

/// How a token is moved by its holder's signature.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(from = "&str")]
#[non_exhaustive]
pub enum TransferMethod {
    /// `transferWithAuthorization` of the token itself.
    Eip3009,
    /// The Permit2 contract.
    Permit2,
    /// The way of a network that is not EVM.
    Native,
}

impl From<&str> for TransferMethod {
    fn from(name: &str) -> Self {
        match name {
            "eip3009" => Self::Eip3009,
            "permit2" => Self::Permit2,
            _ => Self::Native,
        }
    }
}

/// A known network.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Network {
    /// Its CAIP-2 id.
    pub id: NetworkId,
    /// Its name for humans.
    pub name: String,
    /// Whether its money is play money.
    pub testnet: bool,
    /// Its name in protocol version 1.
    pub v1_name: Option<String>,
    /// Whether strict version 1 clients know that name; one unknown name makes them refuse a whole 402.
    pub in_legacy_enum: bool,
    /// Its tokens.
    pub tokens: Vec<Token>,
    default: Option<usize>,
}

impl Network {
    /// The token that a price in dollars is asked in.
    #[must_use]
    pub fn default_asset(&self) -> Option<&Token> {
        self.default.map(|index| &self.tokens[index])
    }
}

/// The network with this id, if it is known.
#[must_use]
pub fn known_network(id: &NetworkId) -> Option<&'static Network> {
    TABLE.by_id.get(id.as_str()).map(|&index| &TABLE.networks[index])
}

/// The token that a price in dollars is asked in on this network.
#[must_use]
pub fn default_asset(id: &NetworkId) -> Option<&'static Token> {
    known_network(id)?.default_asset()
}

/// The token of this network with this symbol or address.
#[must_use]
pub fn token(id: &NetworkId, symbol_or_address: &str) -> Option<&'static Token> {
    known_network(id)?.tokens.iter().find(|token| is_named(token, symbol_or_address, id.is_evm()))
}

/// Whether a text names the token, by its symbol or its address.
pub(super) fn is_named(token: &Token, symbol_or_address: &str, evm: bool) -> bool {
    token.symbol == symbol_or_address
        || token.address == symbol_or_address
        || (evm && token.address.eq_ignore_ascii_case(symbol_or_address))
}

pub(super) fn network_by_v1_name(name: &str) -> Option<&'static Network> {
    TABLE.by_v1_name.get(name).map(|&index| &TABLE.networks[index])
}

struct Table {
    networks: Vec<Network>,
    by_id: HashMap<String, usize>,
    by_v1_name: HashMap<String, usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let document: Document = serde_json::from_str(include_str!("networks.json")).expect("the table is JSON");
    let networks: Vec<Network> = document.networks.into_iter().map(Network::from).collect();
    let by_id = networks.iter().enumerate().map(|(index, network)| (network.id.to_string(), index)).collect();
    let by_v1_name = networks
        .iter()
        .enumerate()
        .filter_map(|(index, network)| Some((network.v1_name.clone()?, index)))
        .collect();
    Table { networks, by_id, by_v1_name }
});

#[derive(Deserialize)]
struct Document {
    networks: Vec<NetworkEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NetworkEntry {
    caip2: String,
    name: String,
    v1_name: Option<String>,
    #[serde(default)]
    v1_in_legacy_enum: bool,
    testnet: bool,
    assets: Vec<AssetEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssetEntry {
    symbol: String,
    address: String,
    decimals: u8,
    eip712: Option<Domain>,
    transfer_method: TransferMethod,
    #[serde(rename = "supportsEip2612")]
    eip2612: Option<bool>,
    default: bool,
}

#[derive(Deserialize)]
struct Domain {
    name: String,
    version: String,
}

impl From<NetworkEntry> for Network {
    fn from(entry: NetworkEntry) -> Self {
        Self {
            // The table's ids parse; asking the v1 names for better texts would ask this very table.
            id: NetworkId::new(&entry.caip2).expect("the table's ids are CAIP-2"),
            name: entry.name,
            testnet: entry.testnet,
            v1_name: entry.v1_name,
            in_legacy_enum: entry.v1_in_legacy_enum,
            default: entry.assets.iter().position(|asset| asset.default),
            tokens: entry.assets.into_iter().map(Token::from).collect(),
        }
    }
}

impl From<AssetEntry> for Token {
    fn from(entry: AssetEntry) -> Self {
        let (name, version) = entry.eip712.map(|domain| (domain.name, domain.version)).unzip();
        Self {
            symbol: entry.symbol,
            address: entry.address,
            decimals: entry.decimals,
            name,
            version,
            transfer_method: entry.transfer_method,
            eip2612: entry.eip2612,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::address;

    fn network(id: &str) -> NetworkId {
        id.parse().unwrap()
    }

    #[test]
    fn dollars_are_asked_in_the_default_token() {
        let base = default_asset(&network("eip155:8453")).unwrap();
        assert_eq!((base.symbol.as_str(), base.decimals), ("USDC", 6));
        assert_eq!((base.name.as_deref(), base.version.as_deref()), (Some("USD Coin"), Some("2")));
        let sepolia = default_asset(&network("eip155:84532")).unwrap();
        assert_eq!(sepolia.name.as_deref(), Some("USDC"));
        assert_eq!(default_asset(&network("eip155:43113")), None);
        assert_eq!(default_asset(&network("eip155:31337")), None);
    }

    #[test]
    fn tokens_are_found_by_symbol_and_by_address_in_any_case() {
        let celo = network("eip155:42220");
        let by_symbol = token(&celo, "USDT").unwrap();
        assert_eq!(token(&celo, &by_symbol.address.to_lowercase()), Some(by_symbol));
        assert_eq!(token(&celo, "usdt"), None);
    }

    #[test]
    fn strict_clients_know_seventeen_names() {
        let strict = TABLE.networks.iter().filter(|network| network.in_legacy_enum).count();
        assert_eq!(strict, 17);
    }

    #[test]
    fn every_evm_address_of_the_table_carries_its_checksum() {
        for network in TABLE.networks.iter().filter(|network| network.id.is_evm()) {
            for token in &network.tokens {
                assert_eq!(address::check(&token.address), Ok(()), "{}", token.address);
                assert!(token.name.is_some() && token.version.is_some(), "{}", token.address);
            }
        }
    }
}
