//! One way to pay, and its two forms on the wire.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AtomicAmount, NetworkId, PriceError, TransferMethod, known_network};
use crate::{
    quote,
    wire::{v1, v2},
};

/// One way to pay: how much of which token, on which network, to whom.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PriceOption {
    /// The scheme: `exact` or `upto`.
    pub scheme: Arc<str>,
    /// The network.
    pub network: NetworkId,
    /// The token's address.
    pub asset: Arc<str>,
    /// How much; in `upto`, the most it may become.
    pub amount: AtomicAmount,
    /// The recipient's address.
    pub pay_to: Arc<str>,
    /// How long the payer's authorization should be valid.
    pub max_timeout_seconds: u64,
    /// Data of the scheme: on EVM the token's signing domain and how it is moved.
    pub extra: Arc<Map<String, Value>>,
}

impl PriceOption {
    /// A way to pay by the scheme `exact`, within 300 seconds. The table adds the signing domain of a token
    /// it knows; for another one set [`extra`](Self::extra).
    #[must_use]
    pub fn new(
        network: NetworkId,
        asset: impl Into<Arc<str>>,
        amount: impl Into<AtomicAmount>,
        pay_to: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            scheme: EXACT.into(),
            network,
            asset: asset.into(),
            amount: amount.into(),
            pay_to: pay_to.into(),
            max_timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
            extra: Arc::default(),
        }
    }

    /// Sets the name and version of the token's EIP-712 domain.
    #[must_use]
    pub fn signing_domain(mut self, name: &str, version: &str) -> Self {
        let extra = Arc::make_mut(&mut self.extra);
        extra.insert("name".to_owned(), name.into());
        extra.insert("version".to_owned(), version.into());
        self
    }

    /// Has the token moved by Permit2 instead of its own EIP-3009. Version 2 only.
    #[must_use]
    pub fn permit2(mut self) -> Self {
        Arc::make_mut(&mut self.extra).insert(METHOD.to_owned(), "permit2".into());
        self
    }

    /// Makes this the scheme `upto`: the payer authorizes the amount as a ceiling, through Permit2, and `facilitator`, the
    /// one account that may settle, takes what was used. Version 2 only.
    #[must_use]
    pub fn upto(self, facilitator: &str) -> Self {
        let mut option = self.ceiling();
        Arc::make_mut(&mut option.extra).insert(quote::FACILITATOR.to_owned(), facilitator.into());
        option
    }

    /// `upto` with a facilitator yet to be named.
    pub(super) fn ceiling(self) -> Self {
        Self { scheme: UPTO.into(), ..self.permit2() }
    }

    /// Whether the amount is a ceiling, and the handler says what was used: the scheme `upto`. See
    /// [`charge`](crate::charge).
    #[must_use]
    pub fn is_upto(&self) -> bool {
        *self.scheme == *UPTO
    }

    /// How the payer's signature moves the token.
    #[must_use]
    pub fn transfer_method(&self) -> TransferMethod {
        method(self.extra.get(METHOD))
    }

    /// The one account that may settle, in `upto`.
    #[must_use]
    pub fn facilitator_address(&self) -> Option<&str> {
        self.extra.get(quote::FACILITATOR)?.as_str()
    }

    /// The entry of a version 2 402, without a quote.
    #[must_use]
    pub fn to_v2(&self) -> v2::PaymentRequirements {
        v2::PaymentRequirements {
            scheme: self.scheme.to_string(),
            network: self.network.to_string(),
            amount: self.amount.to_string(),
            asset: self.asset.to_string(),
            pay_to: self.pay_to.to_string(),
            max_timeout_seconds: self.max_timeout_seconds,
            extra: Some(self.extra.as_ref().clone()),
        }
    }

    /// The entry of a version 1 402, if strict version 1 clients can read it: they refuse a whole 402 for
    /// one network or scheme they do not know.
    #[must_use]
    pub fn to_v1(&self, resource: &v2::ResourceInfo) -> Option<v1::PaymentRequirements> {
        Some(v1::PaymentRequirements {
            scheme: self.scheme.to_string(),
            network: self.legacy_name()?.to_owned(),
            max_amount_required: self.amount.to_string(),
            resource: resource.url.clone(),
            description: resource.description.clone().unwrap_or_default(),
            mime_type: resource.mime_type.clone().unwrap_or_default(),
            output_schema: None,
            pay_to: self.pay_to.to_string(),
            max_timeout_seconds: self.max_timeout_seconds,
            asset: self.asset.to_string(),
            extra: Some(self.extra.as_ref().clone()),
        })
    }

    /// The terms that a payer echoed, for use once they proved to be [sealed](crate::quote) by this server.
    ///
    /// Only what a seal covers is taken: of `extra` that is the signing domain, the transfer method and
    /// the payment flow; the quote and whatever the client added stay behind.
    ///
    /// # Errors
    /// [`PriceError`] when the network or the amount is not in its canonical form.
    pub fn from_v2(accepted: &v2::PaymentRequirements) -> Result<Self, PriceError> {
        let amount = accepted
            .amount
            .parse()
            .map_err(|error| PriceError::Amount { text: accepted.amount.clone(), error })?;
        let extra = accepted.extra.iter().flatten();
        let sealed = extra.filter(|(name, _)| quote::SEALED_EXTRA.contains(&name.as_str()));
        Ok(Self {
            scheme: accepted.scheme.as_str().into(),
            network: NetworkId::new(&accepted.network)?,
            asset: accepted.asset.as_str().into(),
            amount,
            pay_to: accepted.pay_to.as_str().into(),
            max_timeout_seconds: accepted.max_timeout_seconds,
            extra: Arc::new(sealed.map(|(name, value)| (name.clone(), value.clone())).collect()),
        })
    }

    /// Whether the terms that a payer echoed are these: every core field is equal, and every member of our
    /// `extra` came back unchanged. Members that the client added are allowed. EVM addresses compare without
    /// case, all else byte for byte.
    #[must_use]
    pub fn same_terms(&self, accepted: &v2::PaymentRequirements) -> bool {
        let same_address = |ours: &str, theirs: &str| {
            if self.network.is_evm() { ours.eq_ignore_ascii_case(theirs) } else { ours == theirs }
        };
        let echoed = |name: &str| accepted.extra.as_ref().and_then(|extra| extra.get(name));
        *self.scheme == *accepted.scheme
            && self.network.as_str() == accepted.network
            && accepted.amount.parse() == Ok(self.amount)
            && same_address(&self.asset, &accepted.asset)
            && same_address(&self.pay_to, &accepted.pay_to)
            && self.max_timeout_seconds == accepted.max_timeout_seconds
            && self.transfer_method() == method(echoed(METHOD))
            && self.extra.iter().all(|(name, value)| echoed(name) == Some(value))
    }

    /// Whether version 1 has words for it.
    pub(crate) fn is_for_v1(&self) -> bool {
        *self.scheme == *EXACT && self.transfer_method() == TransferMethod::Eip3009
    }

    /// The network's name for strict version 1 clients, if this option can be offered to them.
    pub(crate) fn legacy_name(&self) -> Option<&'static str> {
        let network = known_network(&self.network)?;
        let offered = self.is_for_v1() && network.in_legacy_enum && self.amount < MAX_LEGACY_AMOUNT.into();
        network.v1_name.as_deref().filter(|_| offered)
    }
}

/// How a token is moved where this is the member of `extra` that says so.
fn method(member: Option<&Value>) -> TransferMethod {
    match member {
        None => TransferMethod::Eip3009,
        Some(name) => name.as_str().map_or(TransferMethod::Native, TransferMethod::from),
    }
}

pub(crate) const EXACT: &str = "exact";
pub(crate) const UPTO: &str = "upto";
const METHOD: &str = "assetTransferMethod";
pub(crate) const DEFAULT_TIMEOUT_SECONDS: u64 = 300;
/// Strict version 1 parsers take 18 digits.
const MAX_LEGACY_AMOUNT: u64 = 1_000_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn option() -> PriceOption {
        PriceOption::new(
            "eip155:84532".parse().unwrap(),
            "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            10_000,
            "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
        )
        .signing_domain("USDC", "2")
    }

    #[test]
    fn an_echo_is_recognised() {
        let mut echo = option().to_v2();
        assert!(option().same_terms(&echo));
        echo.asset = echo.asset.to_lowercase();
        echo.pay_to = echo.pay_to.to_lowercase();
        echo.extra.as_mut().unwrap().insert("quote".to_owned(), "added".into());
        assert!(option().same_terms(&echo), "case of addresses and members of the client do not matter");
    }

    #[test]
    fn every_changed_field_makes_other_terms() {
        type Change = fn(&mut v2::PaymentRequirements);
        let changes: [Change; 13] = [
            |echo| echo.scheme = "upto".to_owned(),
            |echo| echo.scheme = "Exact".to_owned(),
            |echo| echo.network = "eip155:8453".to_owned(),
            |echo| echo.network = "base-sepolia".to_owned(),
            |echo| echo.network = "eip155:084532".to_owned(),
            |echo| echo.amount = "9999".to_owned(),
            |echo| echo.amount = "010000".to_owned(),
            |echo| echo.asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7f".to_owned(),
            |echo| echo.pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287D".to_owned(),
            |echo| echo.max_timeout_seconds = 301,
            |echo| echo.extra = None,
            |echo| drop(echo.extra.as_mut().unwrap().insert("name".to_owned(), "USD Coin".into())),
            |echo| drop(echo.extra.as_mut().unwrap().remove("version")),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut echo = option().to_v2();
            change(&mut echo);
            assert!(!option().same_terms(&echo), "change {index}");
        }
    }

    #[test]
    fn ways_to_move_one_token_are_told_apart() {
        let (eip3009, permit2, upto) = (option(), option().permit2(), option().upto("0x1"));
        for (ours, method) in [
            (&eip3009, TransferMethod::Eip3009),
            (&permit2, TransferMethod::Permit2),
            (&upto, TransferMethod::Permit2),
        ] {
            assert_eq!(ours.transfer_method(), method);
            for theirs in [&eip3009, &permit2, &upto] {
                assert_eq!(ours.same_terms(&theirs.to_v2()), ours == theirs);
            }
        }
        assert_eq!((upto.is_upto(), upto.facilitator_address()), (true, Some("0x1")));
        assert_eq!(PriceOption::from_v2(&upto.to_v2()).unwrap(), upto, "all of it is sealed");
        let mut explicit = eip3009.to_v2();
        explicit.extra.as_mut().unwrap().insert(METHOD.to_owned(), "eip3009".into());
        assert!(eip3009.same_terms(&explicit), "said or not, it is the same");
        explicit.extra.as_mut().unwrap().insert(METHOD.to_owned(), 7.into());
        assert!(!eip3009.same_terms(&explicit));
    }

    #[test]
    fn sealed_terms_leave_behind_what_no_seal_covers() {
        let mut echo = option().to_v2();
        let extra = echo.extra.as_mut().unwrap();
        extra.insert("quote".to_owned(), Value::Null);
        extra.insert("feePayer".to_owned(), "somebody".into());
        assert_eq!(PriceOption::from_v2(&echo).unwrap(), option());
        echo.amount = "1e4".to_owned();
        assert!(PriceOption::from_v2(&echo).is_err());
    }

    #[test]
    fn only_what_old_clients_read_is_offered_to_them() {
        let resource = v2::ResourceInfo { url: "https://a.example/x".to_owned(), ..Default::default() };
        let entry = option().to_v1(&resource).unwrap();
        assert_eq!((entry.network.as_str(), entry.description.as_str()), ("base-sepolia", ""));
        assert_eq!(entry.output_schema, None);
        let refused: [fn(&mut PriceOption); 4] = [
            |option| option.network = "eip155:1".parse().unwrap(),
            |option| option.scheme = "upto".into(),
            |option| *option = option.clone().permit2(),
            |option| option.amount = MAX_LEGACY_AMOUNT.into(),
        ];
        for change in refused {
            let mut option = option();
            change(&mut option);
            assert!(option.to_v1(&resource).is_none());
        }
    }
}
