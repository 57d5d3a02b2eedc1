//! The price table: built once, checked completely.

use std::{fmt, sync::Arc};

use super::{
    Lookup, NetworkId, PaymentIdentifier, Price, PriceError, PriceOption, PriceRule, Rule, RulePrice, Token,
    build, origin,
    pattern::Pattern,
    resolve::Accounts,
    routes::{Routes, Table},
};
use crate::{error::ConfigError, wire::facilitator::SupportedResponse};

/// What every route costs, and who is paid. Cheap to clone.
///
/// See the [module docs](crate::price) for an example.
#[derive(Clone)]
pub struct Prices(Arc<Inner>);

pub(super) struct Inner {
    pub(super) origin: String,
    pub(super) accounts: Arc<Accounts>,
    pub(super) identifier: PaymentIdentifier,
    pub(super) routes: Routes,
    pub(super) rules: Vec<RuleInfo>,
    pub(super) priced: Vec<Arc<Rule>>,
}

impl Prices {
    /// Starts a table for the public origin of this service, such as `https://api.example.com`. It is never taken
    /// from the `Host` header.
    #[expect(clippy::new_ret_no_self, reason = "a table exists only once it is checked")]
    pub fn new(origin: impl Into<String>) -> PricesBuilder {
        PricesBuilder {
            origin: origin.into(),
            recipients: Vec::new(),
            tokens: Vec::new(),
            routes: Vec::new(),
            identifier: PaymentIdentifier::default(),
            unmatched: UnmatchedRoute::default(),
        }
    }

    /// A table with this origin, recipients and tokens in which every path and method costs `rule`, for a price put
    /// on one route of a router. Its label is `*`.
    ///
    /// # Errors
    /// [`ConfigError`] as in [`build`](PricesBuilder::build).
    pub fn only(&self, rule: impl Into<PriceRule>) -> Result<Self, ConfigError> {
        let (origin, accounts, identifier) =
            (self.0.origin.clone(), self.0.accounts.clone(), self.0.identifier);
        let label: Arc<str> = "*".into();
        let rule = Arc::new(build::rule(&origin, &accounts, identifier, &label, [].into(), rule.into())?);
        let info = RuleInfo::new(label, Vec::new(), Some(&rule), &accounts);
        Ok(Self(Arc::new(Inner {
            origin,
            accounts,
            identifier,
            routes: Routes::Every(rule.clone()),
            rules: vec![info],
            priced: vec![rule],
        })))
    }

    /// The same table for a facilitator that supports this: every way to pay has the data that the facilitator wants in
    /// it, and what it does not settle is not offered. Prices computed per request are held against it when they
    /// are computed.
    ///
    /// # Errors
    /// [`ConfigError`] naming a route that the facilitator cannot settle.
    pub fn settled_by(&self, supported: SupportedResponse) -> Result<Self, ConfigError> {
        let accounts = Accounts { supported: Some(Arc::new(supported)), ..Accounts::clone(&self.0.accounts) };
        let changed = self.0.priced.iter().map(|rule| Ok(Arc::new(build::settled(rule, &accounts)?)));
        let changed: Vec<_> = changed.collect::<Result<_, ConfigError>>()?;
        let new = |old: &Arc<Rule>| {
            let at = self.0.priced.iter().position(|rule| Arc::ptr_eq(rule, old));
            changed[at.expect("every rule of the routes is listed")].clone()
        };
        Ok(Self(Arc::new(Inner {
            origin: self.0.origin.clone(),
            accounts: Arc::new(accounts),
            identifier: self.0.identifier,
            routes: self.0.routes.with_rules(&new),
            rules: self.0.rules.clone(),
            priced: changed,
        })))
    }

    /// A way to pay that was sealed into a quote, with the data that the facilitator wants in it.
    pub(crate) fn completed(&self, option: PriceOption) -> PriceOption {
        self.0.accounts.settled(option.clone()).unwrap_or(option)
    }

    /// What the table says about a request. Allocates nothing where an ordinary path is free or priced.
    #[must_use]
    pub fn lookup(&self, method: &str, path: &str) -> Lookup<'_> {
        self.0.routes.lookup(method, path)
    }

    /// The ways to pay a price that was computed for a request to this rule.
    ///
    /// # Errors
    /// [`PriceError`] as in [`build`](PricesBuilder::build).
    pub fn resolve(&self, price: &Price, rule: &Rule) -> Result<Vec<PriceOption>, PriceError> {
        self.0.accounts.resolve(price, rule.max_timeout_seconds)
    }

    /// The places of the option's token, if it is the one that prices in dollars are asked in.
    pub(crate) fn dollar_places(&self, option: &PriceOption) -> Option<u8> {
        self.0.accounts.dollar_places(option)
    }

    /// The public origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// Every pattern in the order written, for reports at start-up.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.0.rules.iter()
    }

    /// Every way to pay of every fixed price, for checks at start-up. Ways that several routes share come up for
    /// each.
    pub fn options(&self) -> impl Iterator<Item = &PriceOption> {
        self.0.priced.iter().flat_map(|rule| match &rule.price {
            RulePrice::Fixed(price) => &*price.options,
            RulePrice::Dynamic(_) => &[],
        })
    }

    /// How many seconds payers are given, by route and way to pay.
    pub(crate) fn timeouts(&self) -> impl Iterator<Item = (&str, u64)> {
        let rules = self.0.priced.iter().map(|rule| (&*rule.pattern, rule.max_timeout_seconds));
        let options = self.0.priced.iter().flat_map(|rule| {
            match &rule.price {
                RulePrice::Fixed(price) => price.options.iter(),
                RulePrice::Dynamic(_) => [].iter(),
            }
            .map(|option| (&*rule.pattern, option.max_timeout_seconds))
        });
        rules.chain(options)
    }

    /// Whether some route [binds](PriceRule::bind_body) the bodies of its requests.
    #[must_use]
    pub fn binds_bodies(&self) -> bool {
        self.0.priced.iter().any(|rule| rule.body_limit.is_some())
    }

    /// When priced routes are settled, where they say so themselves, by route.
    pub(crate) fn timings(&self) -> impl Iterator<Item = (&str, Option<crate::SettleTiming>)> {
        self.0.priced.iter().map(|rule| (&*rule.pattern, rule.settle))
    }

    /// Routes whose price, or a part of it, is a ceiling, and when they are settled.
    pub(crate) fn ceilings(&self) -> impl Iterator<Item = (&str, Option<crate::SettleTiming>)> {
        let has_ceiling = |rule: &&Arc<Rule>| match &rule.price {
            RulePrice::Fixed(price) => price.options.iter().any(PriceOption::is_upto),
            RulePrice::Dynamic(_) => false,
        };
        self.0.priced.iter().filter(has_ceiling).map(|rule| (&*rule.pattern, rule.settle))
    }

    /// Every network with a recipient; prices computed per request may be asked on any of them.
    pub fn networks(&self) -> impl Iterator<Item = &NetworkId> {
        self.0.accounts.recipients.iter().map(|(network, _)| network)
    }
}

impl fmt::Debug for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prices").field("origin", &self.0.origin).field("rules", &self.0.rules).finish()
    }
}

/// A table being written. Mistakes are kept until [`build`](Self::build) finds them.
#[derive(Clone, Debug)]
#[must_use = "a table is checked and made by `build`"]
pub struct PricesBuilder {
    origin: String,
    recipients: Vec<(String, String)>,
    tokens: Vec<(String, Token)>,
    routes: Vec<(String, Option<PriceRule>)>,
    identifier: PaymentIdentifier,
    unmatched: UnmatchedRoute,
}

impl PricesBuilder {
    /// Who is paid on this network (`eip155:8453`). The order of networks is that of the ways to pay.
    pub fn pay_to(mut self, network: impl Into<String>, address: impl Into<String>) -> Self {
        self.recipients.push((network.into(), address.into()));
        self
    }

    /// Adds a token to this network, or corrects a known one with the same address.
    pub fn token(mut self, network: impl Into<String>, token: Token) -> Self {
        self.tokens.push((network.into(), token));
        self
    }

    /// Charges for a [pattern](crate::price#patterns): a price such as `"$0.01"`, a [`Price`] or a [`PriceRule`].
    pub fn charge(mut self, pattern: impl Into<String>, rule: impl Into<PriceRule>) -> Self {
        self.routes.push((pattern.into(), Some(rule.into())));
        self
    }

    /// Lets a [pattern](crate::price#patterns) pass, within a wider one that costs something.
    pub fn free(mut self, pattern: impl Into<String>) -> Self {
        self.routes.push((pattern.into(), None));
        self
    }

    /// Whether payers may, or must, name their payments, on every route that does not say otherwise. Default: the
    /// extension is not offered.
    pub fn payment_identifier(mut self, identifier: PaymentIdentifier) -> Self {
        self.identifier = identifier;
        self
    }

    /// What becomes of requests that no pattern fits.
    pub fn unmatched(mut self, unmatched: UnmatchedRoute) -> Self {
        self.unmatched = unmatched;
        self
    }

    /// Checks everything and makes the table.
    ///
    /// # Errors
    /// [`ConfigError`] for the first mistake: in the origin, the recipients, the tokens, a pattern or a price. It
    /// names the part and says what to do.
    pub fn build(self) -> Result<Prices, ConfigError> {
        let origin = origin::check(&self.origin).map_err(|problem| ConfigError::new("origin", problem))?;
        let accounts = Arc::new(build::accounts(self.recipients, self.tokens)?);
        if self.routes.is_empty() {
            return Err(ConfigError::new("prices", "the table is empty; add routes with `charge`"));
        }
        let mut table = Table::new(self.unmatched);
        let (mut rules, mut priced) = (Vec::new(), Vec::new());
        for (text, price_rule) in self.routes {
            let at = format!("route `{text}`");
            let pattern = Pattern::parse(&text).map_err(|problem| ConfigError::new(&at, problem))?;
            let rule = match price_rule {
                Some(price_rule) => {
                    let segments = pattern.segments.clone();
                    Some(Arc::new(build::rule(
                        &origin,
                        &accounts,
                        self.identifier,
                        &pattern.label,
                        segments,
                        price_rule,
                    )?))
                }
                None => None,
            };
            table.insert(&pattern, rule.as_ref()).map_err(|other| {
                ConfigError::new(&at, format!("`{other}` says the same; keep one of them"))
            })?;
            let (label, methods) = (pattern.label.clone(), pattern.methods.clone());
            rules.push(RuleInfo::new(label, methods, rule.as_ref(), &accounts));
            priced.extend(rule.map(|rule| (pattern, rule)));
        }
        table.cover(&priced).map_err(|(this, other)| {
            let problem =
                format!("some routers drop the last slash and read `{other}`; give both the same price");
            ConfigError::new(format!("route `{this}`"), problem)
        })?;
        let priced = priced.into_iter().map(|(_, rule)| rule).collect();
        Ok(Prices(Arc::new(Inner {
            origin,
            accounts,
            identifier: self.identifier,
            routes: Routes::Table(Box::new(table)),
            rules,
            priced,
        })))
    }
}

/// What becomes of requests that no pattern fits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum UnmatchedRoute {
    /// They pass, unpaid.
    #[default]
    PassThrough,
    /// They are refused.
    Reject,
}

/// One pattern of a table, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RuleInfo {
    /// The pattern as it was written.
    pub pattern: Arc<str>,
    /// The methods it names; none where every method costs the same.
    pub methods: Vec<Arc<str>>,
    /// What it costs, such as `0.01 USDC on eip155:8453`, `dynamic` or `free`.
    pub price: String,
}

#[cfg(test)]
mod tests;
