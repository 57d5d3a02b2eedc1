//! The checks of [`PricesBuilder::build`](super::PricesBuilder::build).

use std::sync::Arc;

use super::{
    FixedPrice, NetworkId, PaymentIdentifier, Price, PriceError, PriceOption, PriceRule, Rule, RuleInfo,
    RulePrice, Token, TransferMethod, address, known_network,
    pattern::Segment,
    pricer::Paid,
    resolve::{Accounts, check_timeout},
    rule::{Asked, Part, Way},
    table::{MAX_HEADER, template},
    tokens::is_named,
};
use crate::{
    SettleTiming,
    challenge::ChallengeTemplate,
    error::ConfigError,
    quote::RouteDigest,
    wire::{facilitator::SupportedResponse, v2},
};

/// Checks recipients and tokens.
pub(super) fn accounts(
    recipients: Vec<(String, String)>,
    tokens: Vec<(String, Token)>,
) -> Result<Accounts, ConfigError> {
    let mut accounts = Accounts::default();
    for (network, token) in tokens {
        let at = format!("token `{}` of `{network}`", token.symbol);
        let network = NetworkId::new(&network).map_err(|error| config(&at, error.into()))?;
        check_token(&network, &token).map_err(|error| config(&at, error))?;
        let known = accounts.tokens.iter().any(|(other, known)| {
            *other == network && (known.symbol == token.symbol || is_named(known, &token.address, true))
        });
        if known {
            return Err(ConfigError::new(at, "it is added twice"));
        }
        accounts.tokens.push((network, token));
    }
    for (network, address) in recipients {
        let at = format!("pay_to `{network}`");
        let network = NetworkId::new(&network).map_err(|error| config(&at, error.into()))?;
        let known =
            known_network(&network).is_some() || accounts.tokens.iter().any(|(known, _)| *known == network);
        let checked = match () {
            () if !network.is_evm() => Err(PriceError::UnsupportedNetwork(network.clone())),
            () if !known => Err(PriceError::UnknownNetwork(network.clone())),
            () => address::check_recipient(&address).map_err(PriceError::from),
        };
        checked.map_err(|error| config(&at, error))?;
        if accounts.recipients.iter().any(|(other, _)| *other == network) {
            return Err(ConfigError::new(at, "the network has two recipients; keep one"));
        }
        accounts.recipients.push((network, address.into()));
    }
    Ok(accounts)
}

/// Checks one route that costs something; `identifier` is the table's, for a rule that has none of its own.
pub(super) fn rule(
    origin: &str,
    accounts: &Accounts,
    identifier: PaymentIdentifier,
    label: &Arc<str>,
    segments: Box<[Segment]>,
    rule: PriceRule,
) -> Result<Rule, ConfigError> {
    let at = format!("route `{label}`");
    let wrong = |problem: &str| Err(ConfigError::new(&at, problem));
    let max_timeout_seconds = rule.max_timeout.as_secs();
    let payment_identifier = rule.payment_identifier.unwrap_or(identifier);
    let resource = v2::ResourceInfo {
        url: origin.to_owned(),
        description: rule.description,
        mime_type: rule.mime_type,
        ..Default::default()
    };
    if resource.description.as_ref().is_some_and(|text| text.chars().count() > 500) {
        return wrong("its description is longer than 500 characters");
    }
    let is_plain = |text: &String| text.len() <= 255 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if resource.mime_type.as_ref().is_some_and(|mime_type| !is_plain(mime_type)) {
        return wrong("its media type is not plain text such as `application/json`");
    }
    check_timeout(max_timeout_seconds).map_err(|error| config(&at, error))?;
    let mut settle = rule.settle;
    let price = match <[Asked; 1]>::try_from(rule.price.parts) {
        Ok([Asked { part: Part::Dynamic(pricer), way: Way::Plain }]) => RulePrice::Dynamic(pricer),
        Ok([Asked { part: Part::Dynamic(pricer), way }]) => {
            RulePrice::Dynamic(Arc::new(Paid { pricer, way }))
        }
        other => {
            let price = Price { parts: other.map_or_else(|parts| parts, Vec::from) };
            let options =
                accounts.resolve(&price, max_timeout_seconds).map_err(|error| config(&at, error))?;
            if rule.after_input && options.iter().any(PriceOption::is_upto) {
                settle = settle.or(Some(SettleTiming::AfterHandler));
            }
            let supported = accounts.supported.as_deref();
            let challenge = template(&resource, rule.binding, payment_identifier, &options, supported);
            fixed(&at, options, challenge)?
        }
    };
    Ok(Rule {
        pattern: label.clone(),
        price,
        resource,
        settle: settle.or(rule.after_input.then_some(SettleTiming::BeforeHandler)),
        binding: rule.binding,
        private_cache: rule.private_cache,
        payment_identifier,
        body_limit: rule.body_limit,
        after_input: rule.after_input,
        max_timeout_seconds,
        digest: RouteDigest::new(origin, label),
        segments,
        supported: accounts.supported.clone(),
    })
}

/// The same route once the facilitator said what it supports and what it wants in the terms.
pub(super) fn settled(rule: &Rule, accounts: &Accounts) -> Result<Rule, ConfigError> {
    let mut rule = Rule { supported: accounts.supported.clone(), ..rule.clone() };
    if let RulePrice::Fixed(price) = &rule.price {
        let at = format!("route `{}`", rule.pattern);
        let options = price.options.iter().cloned().map(|option| accounts.settled(option));
        let options: Vec<_> = options.collect::<Result<_, _>>().map_err(|error| {
            let lists = accounts.supported.as_deref().map(SupportedResponse::summary).unwrap_or_default();
            let problem =
                format!("{error}: it lists {lists}; use one that does, or take this way to pay out");
            ConfigError::new(&at, problem).with_source(error)
        })?;
        let challenge = rule.challenge(&options);
        rule.price = fixed(&at, options, challenge)?;
    }
    Ok(rule)
}

fn fixed(
    at: &str,
    options: Vec<PriceOption>,
    challenge: ChallengeTemplate,
) -> Result<RulePrice, ConfigError> {
    if challenge.header_len(0) > MAX_HEADER {
        let problem = "its 402 does not fit the 8 KiB that proxies let pass; offer fewer ways to pay";
        return Err(ConfigError::new(at, problem));
    }
    Ok(RulePrice::Fixed(FixedPrice { options: options.into(), challenge }))
}

impl RuleInfo {
    pub(super) fn new(
        pattern: Arc<str>,
        methods: Vec<Arc<str>>,
        rule: Option<&Arc<Rule>>,
        accounts: &Accounts,
    ) -> Self {
        let price = match rule.map(|rule| &rule.price) {
            None => "free".to_owned(),
            Some(RulePrice::Dynamic(_)) => "dynamic".to_owned(),
            Some(RulePrice::Fixed(price)) => {
                let options: Vec<String> = price.options.iter().map(|option| accounts.show(option)).collect();
                options.join(" or ")
            }
        };
        Self { pattern, methods, price }
    }
}

fn check_token(network: &NetworkId, token: &Token) -> Result<(), PriceError> {
    if !network.is_evm() {
        return Err(PriceError::UnsupportedNetwork(network.clone()));
    }
    address::check_recipient(&token.address)?;
    match token.transfer_method {
        TransferMethod::Eip3009 if token.name.is_none() || token.version.is_none() => {
            Err(PriceError::NoSigningDomain(token.symbol.clone()))
        }
        TransferMethod::Eip3009 | TransferMethod::Permit2 => Ok(()),
        TransferMethod::Native => Err(PriceError::TransferMethod(token.symbol.clone())),
    }
}

fn config(at: &str, error: PriceError) -> ConfigError {
    ConfigError::new(at, error.to_string()).with_source(error)
}
