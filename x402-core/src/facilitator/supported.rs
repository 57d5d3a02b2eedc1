//! What a facilitator supports, held against ways to pay. Pure.

use serde_json::{Map, Value};

use super::VerifyError;
use crate::{
    error::ConfigError,
    price::{NetworkId, PriceOption},
    quote,
    wire::{
        X402Version,
        facilitator::{SupportedKind, SupportedResponse},
    },
};

impl SupportedResponse {
    /// The entry for payments of this dialect and scheme on this network: one that names it, or else one that names
    /// its whole family, such as `eip155:*`.
    #[must_use]
    pub fn kind(&self, version: X402Version, scheme: &str, network: &NetworkId) -> Option<&SupportedKind> {
        let name = match version {
            X402Version::V1 => network.v1_name()?,
            X402Version::V2 => network.as_str(),
        };
        let alike = || self.kinds.iter().filter(|kind| kind.x402_version == version && kind.scheme == scheme);
        let family = |kind: &&SupportedKind| {
            let family = kind.network.strip_suffix(":*");
            family.is_some_and(|family| name.split_once(':').is_some_and(|(own, _)| own == family))
        };
        alike().find(|kind| kind.network == name).or_else(|| alike().find(family))
    }

    /// The way to pay with what this facilitator wants in its `extra`; `None` where it does not settle such payments.
    ///
    /// What the option says itself stays: a facilitator adds data of its own, such as its account, and never changes
    /// a signing domain, a transfer method or a quote.
    pub(crate) fn complete(&self, mut option: PriceOption) -> Option<PriceOption> {
        let kind = self.kind(X402Version::V2, &option.scheme, &option.network)?;
        let own = |name: &str| RESERVED.contains(&name) || option.extra.contains_key(name);
        let added: Vec<_> = kind.extra.iter().flatten().filter(|(name, _)| !own(name)).collect();
        if !added.is_empty() {
            let mut extra = Map::clone(&option.extra);
            extra.extend(added.into_iter().map(|(name, value)| (name.clone(), value.clone())));
            option.extra = extra.into();
        }
        Some(option)
    }

    /// What is listed, for people.
    pub(crate) fn summary(&self) -> String {
        let kinds = self.kinds.iter().filter(|kind| kind.x402_version == X402Version::V2);
        let mut kinds: Vec<_> = kinds.map(|kind| format!("{} on {}", kind.scheme, kind.network)).collect();
        if kinds.is_empty() {
            return "nothing of version 2".to_owned();
        }
        let more = kinds.len().saturating_sub(SHOWN);
        kinds.truncate(SHOWN);
        let shown: String = kinds.join(", ").chars().filter(|shown| !shown.is_control()).collect();
        if more == 0 { shown } else { format!("{shown} and {more} more") }
    }
}

/// Whether what an entry says of its facilitator contradicts the terms of a payment: then they were made for another.
pub(super) fn contradicts(kind: &SupportedKind, extra: &Map<String, Value>) -> bool {
    let told = kind.extra.iter().flatten().filter(|(name, _)| !RESERVED.contains(&name.as_str()));
    told.into_iter().any(|(name, value)| extra.get(name).is_some_and(|ours| !same(ours, value)))
}

/// Accounts may come with another checksum case.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_str(), theirs.as_str()) {
        (Some(ours), Some(theirs)) if ours.starts_with("0x") => ours.eq_ignore_ascii_case(theirs),
        _ => ours == theirs,
    }
}

/// Whether an entry of one is covered by another; a family is where some of it is, and each network is looked at when an
/// option is held against both.
pub(super) fn lists(other: &SupportedResponse, kind: &SupportedKind) -> bool {
    let network = match kind.x402_version {
        X402Version::V1 => NetworkId::from_v1_name(&kind.network),
        X402Version::V2 => kind.network.parse().ok(),
    };
    match network {
        Some(network) => other.kind(kind.x402_version, &kind.scheme, &network).is_some(),
        None => other.kinds.iter().any(|known| {
            let same = known.network == kind.network;
            let within =
                kind.network.strip_suffix('*').is_some_and(|family| known.network.starts_with(family));
            known.x402_version == kind.x402_version && known.scheme == kind.scheme && (same || within)
        }),
    }
}

/// The check of [`preflight`](super::Facilitator::preflight) that asks no chain.
pub(super) fn covers_all(
    supported: Result<SupportedResponse, VerifyError>,
    options: &[PriceOption],
) -> Result<(), ConfigError> {
    let supported = supported.map_err(cannot_be_asked)?;
    let covered =
        |option: &&PriceOption| supported.kind(X402Version::V2, &option.scheme, &option.network).is_some();
    options.iter().find(|option| !covered(option)).map_or(Ok(()), |option| Err(not_listed(option)))
}

pub(super) fn not_listed(option: &PriceOption) -> ConfigError {
    let PriceOption { scheme, network, .. } = option;
    let problem = format!("cannot settle {scheme} on {network}; use one that lists it in /supported");
    ConfigError::new("facilitator", problem)
}

pub(crate) fn cannot_be_asked(error: VerifyError) -> ConfigError {
    ConfigError::new("facilitator", format!("cannot be asked what it supports: {error}")).with_source(error)
}

/// Members that are the server's own, whatever a facilitator lists.
const RESERVED: [&str; 5] = [quote::MEMBER, "name", "version", "assetTransferMethod", "paymentFlow"];
/// How many entries a message names.
const SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn supported(kinds: &Value) -> SupportedResponse {
        serde_json::from_value(json!({ "kinds": kinds })).unwrap()
    }

    fn option(scheme: &str, network: &str) -> PriceOption {
        let asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        let mut option = PriceOption::new(network.parse().unwrap(), asset, 1000, asset);
        option.scheme = scheme.into();
        option.signing_domain("USDC", "2")
    }

    #[test]
    fn a_network_is_named_or_its_whole_family_is() {
        let supported = supported(&json!([
            { "x402Version": 1, "scheme": "exact", "network": "base-sepolia" },
            { "x402Version": 2, "scheme": "exact", "network": "eip155:*", "extra": { "of": "family" } },
            { "x402Version": 2, "scheme": "exact", "network": "eip155:84532", "extra": { "of": "network" } },
            { "x402Version": 2, "scheme": "upto", "network": "eip155:84532" },
            { "x402Version": 2, "scheme": "later", "network": "*" },
            { "x402Version": 2, "scheme": "later", "network": "eip155:8*" },
            { "x402Version": 2, "scheme": "later", "network": "eip155" },
        ]));
        use X402Version::{V1, V2};
        for (version, scheme, network, found) in [
            (V2, "exact", "eip155:84532", Some("eip155:84532")),
            (V2, "exact", "eip155:8453", Some("eip155:*")),
            (V2, "exact", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", None),
            (V2, "upto", "eip155:84532", Some("eip155:84532")),
            (V2, "upto", "eip155:8453", None),
            (V2, "later", "eip155:84532", None),
            (V2, "Exact", "eip155:84532", None),
            (V1, "exact", "eip155:84532", Some("base-sepolia")),
            (V1, "exact", "eip155:8453", None),
            (V1, "upto", "eip155:84532", None),
        ] {
            let kind = supported.kind(version, scheme, &network.parse().unwrap());
            assert_eq!(kind.map(|kind| &*kind.network), found, "{version:?} {scheme} {network}");
        }
    }

    #[test]
    fn a_facilitator_adds_its_own_data_and_changes_none_of_ours() {
        let supported =
            supported(&json!([{ "x402Version": 2, "scheme": "exact", "network": "eip155:84532", "extra": {
            "facilitatorAddress": "0xF0", "name": "Evil", "version": "9", "assetTransferMethod": "permit2",
            "paymentFlow": "x", "quote": { "id": 1 }, "ours": "theirs",
        } }]));
        let mut ours = option("exact", "eip155:84532");
        std::sync::Arc::make_mut(&mut ours.extra).insert("ours".to_owned(), "ours".into());
        let extra = supported.complete(ours).unwrap().extra;
        let wanted = json!({ "name": "USDC", "version": "2", "ours": "ours", "facilitatorAddress": "0xF0" });
        assert_eq!(Value::Object(Map::clone(&extra)), wanted);
        assert!(supported.complete(option("upto", "eip155:84532")).is_none());
    }

    #[test]
    fn terms_made_for_another_facilitator_are_told() {
        let listed = supported(&json!([{ "x402Version": 2, "scheme": "upto", "network": "eip155:*",
            "extra": { "facilitatorAddress": "0xAb", "name": "whatever" } }]));
        for (extra, contradicted) in [
            (json!({}), false),
            (json!({ "name": "USDC" }), false),
            (json!({ "facilitatorAddress": "0xaB" }), false),
            (json!({ "facilitatorAddress": "0xac" }), true),
            (json!({ "facilitatorAddress": 1 }), true),
        ] {
            assert_eq!(contradicts(&listed.kinds[0], extra.as_object().unwrap()), contradicted, "{extra}");
        }
    }

    #[test]
    fn a_long_list_is_cut_short() {
        let kind = json!({ "x402Version": 2, "scheme": "exact", "network": "eip155:1\n" });
        let summary = supported(&json!(vec![kind; 11])).summary();
        assert!(
            summary.starts_with("exact on eip155:1, exact") && summary.ends_with(" and 3 more"),
            "{summary}"
        );
        assert_eq!(supported(&json!([])).summary(), "nothing of version 2");
    }
}
