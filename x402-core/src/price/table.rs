//! What the table holds of a route once it is built.

use std::{fmt, sync::Arc};

use super::{
    PaymentIdentifier, PriceOption, Pricer, path,
    pattern::Segment,
    resolve::{is_sponsored, settles_v1},
};
use crate::{
    SettleTiming,
    challenge::ChallengeTemplate,
    quote::{BindingLevel, QuoteScope, RouteDigest},
    wire::{facilitator::SupportedResponse, v2},
};

/// A route that costs something.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rule {
    /// The pattern as it was written, or `*`: the label of this route in logs and metrics.
    pub pattern: Arc<str>,
    /// What it costs.
    pub price: RulePrice,
    /// What is sold. The URL is the origin alone; [`resource_info`](Self::resource_info) completes it.
    pub resource: v2::ResourceInfo,
    /// When it is settled, if not when the others are.
    pub settle: Option<SettleTiming>,
    /// The weakest tie between payment and request that is accepted.
    pub binding: BindingLevel,
    /// Whether the payer's own cache may keep what was paid for.
    pub private_cache: bool,
    /// Whether payers may, or must, name their payments.
    pub payment_identifier: PaymentIdentifier,
    /// Up to how many bytes of a request's body are bound to its payment; `None` where bodies are not looked at.
    pub body_limit: Option<usize>,
    /// Whether its handler looks at its input before money is asked for.
    pub after_input: bool,
    /// How long a payer's authorization should be valid.
    pub max_timeout_seconds: u64,
    pub(super) digest: RouteDigest,
    pub(super) segments: Box<[Segment]>,
    pub(super) supported: Option<Arc<SupportedResponse>>,
}

impl Rule {
    /// The request that a quote of this route is for.
    #[must_use]
    pub fn scope<'a>(&self, method: &'a str, path: &'a str, query: Option<&'a str>) -> QuoteScope<'a> {
        QuoteScope { route: self.digest.clone(), method, path, query }
    }

    /// What is sold at this path; the query is never part of it.
    #[must_use]
    pub fn resource_info(&self, path: &str) -> v2::ResourceInfo {
        v2::ResourceInfo { url: crate::challenge::url(&self.resource.url, path), ..self.resource.clone() }
    }

    /// The 402 of this route with these ways to pay, for prices computed per request.
    ///
    /// # Panics
    /// With more than [`ChallengeTemplate::MAX_OPTIONS`] options; [`Prices::resolve`](super::Prices::resolve)
    /// never gives so many.
    #[must_use]
    pub fn challenge(&self, options: &[PriceOption]) -> ChallengeTemplate {
        let supported = self.supported.as_deref();
        template(&self.resource, self.binding, self.payment_identifier, options, supported)
    }

    /// The parameters of the pattern in this path, percent-decoded, in the order of the pattern.
    #[must_use]
    pub fn params(&self, path: &str) -> Vec<(String, String)> {
        let mut params = Vec::new();
        let mut rest = path.strip_prefix('/');
        for segment in &self.segments {
            let (head, tail) = match rest.map(|rest| (rest, rest.split_once('/'))) {
                Some((_, Some((head, tail)))) => (head, Some(tail)),
                Some((rest, None)) => (rest, None),
                None => ("", None),
            };
            match segment {
                Segment::Literal(_) => {}
                Segment::Param(name) => params.push((name.to_string(), path::decode(head).into_owned())),
                Segment::Wildcard(name) => {
                    params.push((name.to_string(), path::decode(rest.unwrap_or_default()).into_owned()));
                }
            }
            rest = tail;
        }
        params
    }
}

/// The 402 with these ways to pay; in version 1 only with those that the facilitator, if it was asked, settles there.
/// Payers are told that they may sign their approval of Permit2, unless the 402 gets too long by it.
pub(super) fn template(
    resource: &v2::ResourceInfo,
    binding: BindingLevel,
    identifier: PaymentIdentifier,
    options: &[PriceOption],
    supported: Option<&SupportedResponse>,
) -> ChallengeTemplate {
    let offered_v1 = |option: &PriceOption| settles_v1(supported, option);
    let offering = |sponsored| {
        ChallengeTemplate::offering(resource, binding, identifier, options, &offered_v1, sponsored)
    };
    if is_sponsored(supported, options) {
        let sponsored = offering(true);
        if sponsored.header_len(0) <= MAX_HEADER {
            return sponsored;
        }
    }
    offering(false)
}

/// What a route costs.
#[derive(Clone)]
#[non_exhaustive]
pub enum RulePrice {
    /// The same for every request.
    Fixed(FixedPrice),
    /// Computed for each request.
    Dynamic(Arc<dyn Pricer>),
}

impl fmt::Debug for RulePrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(price) => f.debug_tuple("Fixed").field(&price.options).finish(),
            Self::Dynamic(_) => f.write_str("Dynamic"),
        }
    }
}

/// A price that is the same for every request, and its 402.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FixedPrice {
    /// The ways to pay, in the server's order.
    pub options: Arc<[PriceOption]>,
    /// The 402, prepared.
    pub challenge: ChallengeTemplate,
}

/// The longest `PAYMENT-REQUIRED`, with a path of nothing. Of the 8 KiB that proxies let pass, what is left for the URL's path and
/// the other headers is 1.5 KiB.
pub(super) const MAX_HEADER: usize = 6656;
