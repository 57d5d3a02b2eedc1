//! From what the user wrote to ways to pay.

use std::sync::Arc;

use super::{
    AtomicAmount, NetworkId, Price, PriceError, PriceOption, Token, TransferMethod, address, known_network,
    option::{EXACT, UPTO},
    rule::{Asked, Part, Way},
    tokens::is_named,
};
use crate::{
    challenge::ChallengeTemplate,
    quote,
    wire::{X402Version, extension::EIP2612_GAS_SPONSORING, facilitator::SupportedResponse},
};

/// Who is paid, and in which tokens besides the known ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    pub(super) recipients: Vec<(NetworkId, Arc<str>)>,
    pub(super) tokens: Vec<(NetworkId, Token)>,
    /// What the facilitator said at start, if it was asked: nothing else is offered from then on.
    pub(super) supported: Option<Arc<SupportedResponse>>,
}

impl Accounts {
    /// The ways to pay a fixed price, in its order. `timeout` is what a payer is given, in seconds.
    pub(super) fn resolve(&self, price: &Price, timeout: u64) -> Result<Vec<PriceOption>, PriceError> {
        check_timeout(timeout)?;
        let mut options = Vec::new();
        for Asked { part, way } in &price.parts {
            let first = options.len();
            match part {
                Part::Dollars(text) => {
                    if self.recipients.is_empty() {
                        return Err(PriceError::NoRecipients);
                    }
                    for (network, _) in &self.recipients {
                        let token = self.default_asset(network)?;
                        options.push(self.option(network, token, decimal(text, token)?, timeout)?);
                    }
                }
                Part::Atomic { network, amount } => {
                    let network = network.as_ref().map_err(Clone::clone)?;
                    options.push(self.option(network, self.default_asset(network)?, *amount, timeout)?);
                }
                Part::Token { network, token, amount } => {
                    let network = network.as_ref().map_err(Clone::clone)?;
                    let token = self.named(network, token)?;
                    options.push(self.option(network, token, decimal(amount, token)?, timeout)?);
                }
                Part::Option(option) => options.push(option.clone()),
                Part::Mistake(mistake) => return Err(mistake.clone()),
                Part::Dynamic(_) => return Err(PriceError::NestedDynamic),
            }
            for option in &mut options[first..] {
                let asked = option.clone();
                *option = self.complete(match way {
                    Way::Plain => asked,
                    Way::Permit2 => asked.permit2(),
                    Way::UpTo => asked.ceiling(),
                })?;
            }
        }
        check_list(&options)?;
        options.into_iter().map(|option| self.settled(option)).collect()
    }

    /// A way to pay with what the facilitator wants in it.
    pub(super) fn settled(&self, option: PriceOption) -> Result<PriceOption, PriceError> {
        let Some(supported) = &self.supported else { return Ok(option) };
        let (scheme, network) = (option.scheme.to_string(), option.network.clone());
        let option = supported.complete(option).ok_or(PriceError::NobodySettles { scheme, network })?;
        if option.is_upto() {
            let no_facilitator = || PriceError::NoFacilitatorAddress(option.network.clone());
            address::check_recipient(option.facilitator_address().ok_or_else(no_facilitator)?)?;
        }
        Ok(option)
    }

    /// A way to pay, for people.
    pub(super) fn show(&self, option: &PriceOption) -> String {
        let PriceOption { network, asset, amount, .. } = option;
        let most = if option.is_upto() { "up to " } else { "" };
        match self.tokens(network).find(|token| is_named(token, asset, true)) {
            Some(token) => {
                format!("{most}{} {} on {network}", amount.to_decimal(token.decimals), token.symbol)
            }
            None => format!("{most}{amount} units of {asset} on {network}"),
        }
    }

    /// The places of the option's token, if it is the one that prices in dollars are asked in.
    pub(super) fn dollar_places(&self, option: &PriceOption) -> Option<u8> {
        let token = self.default_asset(&option.network).ok()?;
        is_named(token, &option.asset, true).then_some(token.decimals)
    }

    fn option(
        &self,
        network: &NetworkId,
        token: &Token,
        amount: AtomicAmount,
        timeout: u64,
    ) -> Result<PriceOption, PriceError> {
        let recipient = self.recipients.iter().find(|(known, _)| known == network);
        let (_, pay_to) = recipient.ok_or_else(|| PriceError::NoRecipient(network.clone()))?;
        let mut option = PriceOption::new(network.clone(), token.address.as_str(), amount, pay_to.clone());
        option.max_timeout_seconds = timeout;
        Ok(option)
    }

    /// Checks a way to pay, and adds what is known of its token: how it is moved, and its signing domain.
    fn complete(&self, mut option: PriceOption) -> Result<PriceOption, PriceError> {
        if !option.network.is_evm() {
            return Err(PriceError::UnsupportedNetwork(option.network));
        }
        if *option.scheme != *EXACT && *option.scheme != *UPTO {
            return Err(PriceError::Scheme(option.scheme.to_string()));
        }
        if option.amount.is_zero() {
            return Err(PriceError::Zero);
        }
        check_timeout(option.max_timeout_seconds)?;
        address::check(&option.asset)?;
        address::check_recipient(&option.pay_to)?;
        if let Some(facilitator) = option.facilitator_address() {
            address::check_recipient(facilitator)?;
        }
        if option.pay_to.eq_ignore_ascii_case(&option.asset) {
            return Err(PriceError::PaysTheToken(option.pay_to.to_string()));
        }
        let token = self.tokens(&option.network).find(|token| is_named(token, &option.asset, true)).cloned();
        let known = token.as_ref().map(|token| token.transfer_method);
        if known == Some(TransferMethod::Permit2) && option.transfer_method() == TransferMethod::Eip3009 {
            option = option.permit2();
        }
        let domain_needed = match option.transfer_method() {
            TransferMethod::Eip3009 if !option.is_upto() => true,
            TransferMethod::Permit2 => false,
            _ => return Err(PriceError::TransferMethod(option.asset.to_string())),
        };
        let has = |name| option.extra.get(name).is_some_and(serde_json::Value::is_string);
        if !has("name") || !has("version") {
            // Through Permit2 the domain only tells payers that they may sign their approval.
            let token = token.filter(|token| domain_needed || token.eip2612 != Some(false));
            match token.and_then(|token| token.name.zip(token.version)) {
                Some((name, version)) => option = option.signing_domain(&name, &version),
                None if domain_needed => return Err(PriceError::NoSigningDomain(option.asset.to_string())),
                None => {}
            }
        }
        if option.extra.contains_key(quote::MEMBER) {
            Arc::make_mut(&mut option.extra).remove(quote::MEMBER);
        }
        Ok(option)
    }

    /// The user's own tokens first: they may correct the table.
    fn tokens<'a>(&'a self, network: &'a NetworkId) -> impl Iterator<Item = &'a Token> + Clone {
        let own = self.tokens.iter().filter(move |(known, _)| known == network).map(|(_, token)| token);
        own.chain(known_network(network).into_iter().flat_map(|network| &network.tokens))
    }

    fn named<'a>(&'a self, network: &'a NetworkId, name: &str) -> Result<&'a Token, PriceError> {
        let mut tokens = self.checked_tokens(network)?;
        let unknown = || PriceError::UnknownToken { network: network.clone(), token: name.to_owned() };
        tokens.find(|token| is_named(token, name, true)).ok_or_else(unknown)
    }

    fn default_asset<'a>(&'a self, network: &'a NetworkId) -> Result<&'a Token, PriceError> {
        let mut tokens = self.checked_tokens(network)?;
        let own = |token: &&Token| self.tokens.iter().any(|(_, known)| std::ptr::eq(known, *token));
        let token = match known_network(network).and_then(|network| network.default_asset()) {
            Some(default) => tokens.find(|token| is_named(token, &default.address, true)),
            None => tokens.find(own),
        };
        token.ok_or_else(|| PriceError::NoDefaultAsset(network.clone()))
    }

    fn checked_tokens<'a>(
        &'a self,
        network: &'a NetworkId,
    ) -> Result<impl Iterator<Item = &'a Token> + Clone, PriceError> {
        if !network.is_evm() {
            return Err(PriceError::UnsupportedNetwork(network.clone()));
        }
        let mut tokens = self.tokens(network).peekable();
        if tokens.peek().is_none() && known_network(network).is_none() {
            return Err(PriceError::UnknownNetwork(network.clone()));
        }
        Ok(tokens)
    }
}

/// Whether a payment of version 1 for this option could be settled.
pub(super) fn settles_v1(supported: Option<&SupportedResponse>, option: &PriceOption) -> bool {
    supported
        .is_none_or(|supported| supported.kind(X402Version::V1, &option.scheme, &option.network).is_some())
}

/// Whether payers may sign their approval of Permit2 for one of these: the facilitator, if it was asked, brings such approvals to
/// the chain, and the terms tell what the token wants signed.
pub(super) fn is_sponsored(supported: Option<&SupportedResponse>, options: &[PriceOption]) -> bool {
    let can_be_signed = |option: &PriceOption| {
        let has = |name| option.extra.get(name).is_some_and(serde_json::Value::is_string);
        option.transfer_method() == TransferMethod::Permit2 && has("name") && has("version")
    };
    supported.is_some_and(|supported| supported.extensions.iter().any(|key| key == EIP2612_GAS_SPONSORING))
        && options.iter().any(can_be_signed)
}

/// Whether a payer can be given this long: settled in time, and remembered until it cannot be settled any more.
pub(super) fn check_timeout(seconds: u64) -> Result<(), PriceError> {
    if (10..=3600).contains(&seconds) { Ok(()) } else { Err(PriceError::Timeout(seconds)) }
}

fn check_list(options: &[PriceOption]) -> Result<(), PriceError> {
    if options.is_empty() {
        return Err(PriceError::Empty);
    }
    if options.len() > ChallengeTemplate::MAX_OPTIONS {
        return Err(PriceError::TooMany(options.len()));
    }
    for (index, option) in options.iter().enumerate() {
        let same = |other: &PriceOption| {
            other.network == option.network
                && other.asset.eq_ignore_ascii_case(&option.asset)
                && other.scheme == option.scheme
                && other.transfer_method() == option.transfer_method()
        };
        if options[..index].iter().any(same) {
            return Err(PriceError::Duplicate(option.network.clone()));
        }
    }
    Ok(())
}

fn decimal(text: &str, token: &Token) -> Result<AtomicAmount, PriceError> {
    AtomicAmount::from_decimal(text, token.decimals)
        .map_err(|error| PriceError::Amount { text: text.to_owned(), error })
}
