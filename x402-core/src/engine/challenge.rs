//! Asking for payment: the engine's side of the 402.

use std::sync::Arc;

use super::{Attempt, Engine};
use crate::{
    Reply,
    challenge::{ChallengeRequest, ChallengeTemplate},
    entropy,
    error::{RejectReason, Unavailable},
    head::RequestHead,
    price::{PriceOption, Rule, RulePrice},
    quote::QuoteScope,
};

impl Engine {
    /// The 402 of a fixed price, without a payment to refuse. The hot path: it allocates the reply and nothing else.
    pub(super) fn challenge_unpaid(
        &self,
        rule: &Rule,
        template: &ChallengeTemplate,
        head: &(impl RequestHead + ?Sized),
    ) -> Reply {
        self.render(template, rule, head.method(), head.path(), head.query(), None, None)
    }

    /// The 402 for a request whose payment was refused, or whose price is computed.
    pub(super) fn challenge(
        &self,
        attempt: &Attempt,
        options: &[PriceOption],
        reason: Option<&RejectReason>,
        payer: Option<&str>,
    ) -> Reply {
        let rule = &attempt.rule;
        let (method, path, query) = (attempt.method.as_str(), attempt.path.as_str(), attempt.query.as_deref());
        match &rule.price {
            RulePrice::Fixed(fixed) => self.render(&fixed.challenge, rule, method, path, query, reason, payer),
            RulePrice::Dynamic(_) => {
                let template = ChallengeTemplate::for_rule(self.prices.origin(), rule, options);
                self.render(&template, rule, method, path, query, reason, payer)
            }
        }
    }

    /// What this request costs now, as far as its own rule tells.
    pub(super) async fn own_options(&self, attempt: &mut Attempt) -> Result<Arc<[PriceOption]>, Unavailable> {
        match &attempt.rule.price {
            RulePrice::Fixed(fixed) => Ok(Arc::clone(&fixed.options)),
            RulePrice::Dynamic(pricer) => {
                let facts = attempt.facts.take().unwrap_or_default();
                let price = pricer.price(facts).await.and_then(|price| self.prices.resolve(&price, &attempt.rule));
                price.map(Arc::from).map_err(|error| {
                    tracing::error!(route = %attempt.rule.pattern, %error, "price not computed");
                    Unavailable::Price
                })
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a request, borrowed one by one")]
    fn render(
        &self,
        template: &ChallengeTemplate,
        rule: &Rule,
        method: &str,
        path: &str,
        query: Option<&str>,
        reason: Option<&RejectReason>,
        payer: Option<&str>,
    ) -> Reply {
        template.render(&ChallengeRequest {
            status: 402,
            reason,
            payer,
            scope: QuoteScope { origin: self.prices.origin(), route: &rule.pattern, method, path, query },
            sealer: &self.shared.sealer,
            lifetime: self.shared.settings.quote_lifetime,
            now: self.shared.clock.now(),
            entropy: entropy::bytes(),
        })
    }
}
