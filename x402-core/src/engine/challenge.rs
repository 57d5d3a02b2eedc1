//! Asking for payment: the engine's side of the 402.

use std::sync::Arc;

use super::{Attempt, ChallengeFacts, Engine, replies};
use crate::{
    Reply, SettleTiming,
    challenge::{ChallengeRequest, ChallengeTemplate, ErrorCodes},
    entropy,
    error::{RejectReason, Unavailable},
    head::RequestHead,
    price::{PriceOption, Rule, RulePrice},
};

impl Engine {
    /// The 402 of a fixed price, without a payment to refuse. The hot path: it allocates the reply and nothing else.
    pub(super) fn challenge_unpaid(
        &self,
        rule: &Rule,
        template: &ChallengeTemplate,
        head: &(impl RequestHead + ?Sized),
    ) -> Reply {
        let facts = ChallengeFacts::new(&rule.pattern, head.method(), head.path(), None);
        if let Err(stopped) = self.ask_to_challenge(&facts) {
            return stopped.reply;
        }
        self.render(template, rule, UNPAID, head.method(), head.path(), head.query(), None, None)
    }

    /// The 402 for a request whose payment was refused, or whose price is computed; 503 when it cannot be.
    pub(super) async fn challenge(
        &self,
        attempt: &Attempt,
        reason: Option<&RejectReason>,
        payer: Option<&str>,
    ) -> Reply {
        let options = match self.own_options(attempt).await {
            Ok(options) => options,
            Err(error) => return replies::unavailable(error),
        };
        let rule = &attempt.rule;
        let facts = ChallengeFacts::new(&rule.pattern, &attempt.method, &attempt.path, reason);
        if let Err(stopped) = self.ask_to_challenge(&facts) {
            return stopped.reply;
        }
        let status = reason.zip(attempt.version).map_or(UNPAID, |(reason, version)| reason.status(version));
        let error = reason.map(|reason| ErrorCodes { v1: reason.code_v1(), v2: attempt.names.code(reason) });
        let (method, path, query) =
            (attempt.method.as_str(), attempt.path.as_str(), attempt.query.as_deref());
        match &rule.price {
            RulePrice::Fixed(fixed) => {
                self.render(&fixed.challenge, rule, status, method, path, query, error, payer)
            }
            RulePrice::Dynamic(_) => {
                let template = rule.challenge(&options);
                self.render(&template, rule, status, method, path, query, error, payer)
            }
        }
    }

    /// What this request costs now, as its own rule tells; a computed price is asked for once.
    pub(super) async fn own_options(&self, attempt: &Attempt) -> Result<Arc<[PriceOption]>, Unavailable> {
        let pricer = match &attempt.rule.price {
            RulePrice::Fixed(fixed) => return Ok(Arc::clone(&fixed.options)),
            RulePrice::Dynamic(pricer) => pricer,
        };
        let computed = attempt.own.get_or_try_init(|| async {
            let facts = attempt.facts.clone().unwrap_or_default();
            let price =
                pricer.price(facts).await.and_then(|price| Ok(self.prices.resolve(&price, &attempt.rule)?));
            let rule = &attempt.rule;
            let first = self.timing(rule) == SettleTiming::BeforeHandler;
            let price = match price {
                Ok(options) if first && options.iter().any(PriceOption::is_upto) => Err(
                    "it charges for what was used, and its route is settled before its handler, as one that is \
                     paid after its input is; say when it is settled"
                        .into(),
                ),
                price => price,
            };
            price.map(Arc::from).map_err(|error| {
                tracing::error!(route = %attempt.rule.pattern, %error, "price not computed");
                Unavailable::Price
            })
        });
        computed.await.cloned()
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a request, borrowed one by one")]
    fn render(
        &self,
        template: &ChallengeTemplate,
        rule: &Rule,
        status: u16,
        method: &str,
        path: &str,
        query: Option<&str>,
        error: Option<ErrorCodes<'_>>,
        payer: Option<&str>,
    ) -> Reply {
        template.render(&ChallengeRequest {
            status,
            error,
            payer,
            scope: rule.scope(method, path, query),
            sealer: &self.shared.sealer,
            lifetime: self.shared.settings.quote_lifetime.get(),
            now: self.shared.clock.now(),
            entropy: entropy::draw(),
        })
    }
}

/// Payment required.
const UNPAID: u16 = 402;
