//! The second step: reads a payment, holds it against our terms, and lets it claim its order.

use std::sync::{Arc, Weak};

use super::{
    Attempt, Engine, PaymentFacts, Ticket,
    asking::{Question, Stopped},
    claim::Claim,
    deferral::time_to_serve,
    exposure::{Exposed, Exposure},
    origin::Origin,
    replies,
};
use crate::{
    Reply, SettleTiming,
    error::{Conflict, Malformed, ReasonNames, RejectReason, Unavailable},
    facilitator::{Payment, VerifyError},
    order::{Order, OrderId, PaymentState, Verifier},
    price::{AtomicAmount, PriceOption, RulePrice},
    quote::QuoteCheck,
    scheme::{Authorization, Proof},
    telemetry,
    terms::{self, Comparison},
    wire::{PaymentPayload, Presented},
};

/// What becomes of a request whose payment was looked at.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, and a box would cost an allocation")]
pub enum Admission {
    /// It is answered as it is.
    Reply(Reply),
    /// It may run its handler.
    Enter(Ticket),
}

/// How much is known of a presentation when it claims its order.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It may open a new order; the stateful checks are still to be made.
    Good,
    /// The same, and the facilitator has found it good already.
    Verified(Arc<Exposed>),
    /// It may only go on with an order that exists and must be finished; a new one is refused for this reason.
    OnlyToFinish(RejectReason),
}

/// Why a payment does not go on from its verification.
pub(super) enum Unverified {
    Refused(VerifyError),
    Stopped(Stopped),
}

impl Engine {
    /// Looks at a request's payment, and takes it as far as the handler.
    ///
    /// # Cancellation
    /// Dropped before its payment claims an order, nothing has happened. Dropped later, the work goes on by itself as
    /// far as the handler and is given up there: nothing is charged, or what was settled is owed to its payer.
    pub async fn admit(&self, attempt: Attempt) -> Admission {
        match self.examine(attempt).await {
            Ok(claim) => self.claim_detached(claim).await,
            Err(reply) => Admission::Reply(*reply),
        }
    }

    async fn examine(&self, mut attempt: Attempt) -> Result<Claim, Box<Reply>> {
        let Some(presented) = attempt.payment.take() else {
            telemetry::challenged();
            return Err(Box::new(self.challenge(&attempt, None, None).await));
        };
        let version = presented.payment.version();
        let quote = self.open_quote(&attempt, &presented);
        // What was sealed is not computed again: its price is the one that was quoted.
        let own = match (&attempt.rule.price, &quote) {
            (RulePrice::Dynamic(_), QuoteCheck::Valid(_)) => Arc::default(),
            _ => self.own_options(&attempt).await.map_err(|error| Box::new(replies::unavailable(error)))?,
        };
        let minimum = attempt.rule.binding;
        let comparison = terms::compare(&presented.payment, &quote, &own, minimum, |name| self.scheme(name));
        let Comparison { mut option, authorization, binding, verdict } = match comparison {
            Ok(comparison) => comparison,
            Err(reason) => return Err(self.refuse(&attempt, &reason, None).await),
        };
        attempt.names = ReasonNames::of(&authorization, &option);
        // A seal covers what changes the money; the rest of what the facilitator wants to read is added again.
        option = self.prices.completed(option);
        let payer = authorization.payer.clone();
        self.check_named(&attempt, &authorization).await?;
        let mut standing = Standing::Good;
        if let Err(reason) = verdict {
            // Terms change; an order does not. Whoever holds the bytes that were verified may finish it.
            match self.known(&authorization).await?.filter(must_finish) {
                Some(order) => option = order.terms.option.clone(),
                None => return Err(self.refuse(&attempt, &reason, Some(&payer)).await),
            }
            standing = Standing::OnlyToFinish(reason);
        }
        let payment = Self::payment(&attempt, *presented, option, authorization);
        let (mut settle_first, mut verifier) = (false, Verifier::Facilitator);
        if let Standing::Good = standing {
            match self.prove(&attempt, &payment).await? {
                Ok((proven, proof)) => {
                    (standing, settle_first) = (proven, proof == Proof::Contract);
                    if proof == Proof::Signed {
                        verifier = Verifier::Local;
                    }
                }
                Err(VerifyError::Rejected(RejectReason::NonceAlreadyUsed)) => {
                    return Err(Box::new(replies::conflict(Conflict::AlreadyUsed, None, version)));
                }
                Err(VerifyError::Rejected(reason)) => {
                    return Err(self.refuse(&attempt, &reason, Some(&payer)).await);
                }
                Err(error @ (VerifyError::Overcommitted | VerifyError::Unavailable(_))) => {
                    tracing::error!(%error, "payment not verified");
                    return Err(Box::new(replies::unavailable(Unavailable::Facilitator)));
                }
            }
        }
        if let Err(reason) = self.check_window(&attempt, &payment) {
            // Time limits are for new orders; one that exists is finished.
            if self.find(&payment.authorization).await?.filter(must_finish).is_none() {
                return Err(self.refuse(&attempt, &reason, Some(&payer)).await);
            }
            standing = Standing::OnlyToFinish(reason);
        }
        Ok(Claim {
            payment: Arc::new(payment),
            attempt,
            standing,
            settle_first,
            origin: Origin { quote: quote.into_good(), binding, verifier },
            client: Weak::new(),
        })
    }

    /// 402 with a fresh challenge: the payer may act on the reason, and sign anew.
    pub(super) async fn refuse(
        &self,
        attempt: &Attempt,
        reason: &RejectReason,
        payer: Option<&str>,
    ) -> Box<Reply> {
        metrics::counter!(telemetry::REFUSALS, "reason" => telemetry::reason_label(reason)).increment(1);
        tracing::debug!(route = %attempt.rule.pattern, %reason, "payment refused");
        Box::new(self.challenge(attempt, Some(reason), payer).await)
    }

    fn open_quote(&self, attempt: &Attempt, presented: &Presented) -> QuoteCheck {
        let PaymentPayload::V2(payment) = &presented.payment else { return QuoteCheck::Absent };
        let scope = attempt.rule.scope(&attempt.method, &attempt.path, attempt.query.as_deref());
        let (now, skew) = (self.shared.clock.now(), self.shared.settings.clock_skew);
        self.shared.sealer.open(&scope, &payment.accepted, now, skew)
    }

    /// Whether a new payment lasts long enough, and no longer than it is remembered. Where its response may leave unsettled,
    /// the payer's choice of its end is not to decide what is paid for.
    fn check_window(&self, attempt: &Attempt, payment: &Payment) -> Result<(), RejectReason> {
        let mut window = self.shared.settings.window;
        if payment.option.is_upto() || self.timing(&attempt.rule) == SettleTiming::Deferred {
            window.least = window.least.max(time_to_serve(&payment.option));
        }
        window.check(&payment.authorization, self.shared.clock.now())
    }

    /// A new payment needs a name where the route demands one; what was begun is finished without it.
    async fn check_named(&self, attempt: &Attempt, authorization: &Authorization) -> Result<(), Box<Reply>> {
        let named = attempt.payment_id.is_some() || !attempt.rule.payment_identifier.is_required();
        if named || self.known(authorization).await?.is_some_and(|order| must_finish(&order)) {
            return Ok(());
        }
        Err(Box::new(replies::malformed(Malformed::PaymentIdentifierRequired)))
    }

    fn payment(
        attempt: &Attempt,
        presented: Presented,
        option: PriceOption,
        authorization: Authorization,
    ) -> Payment {
        Payment::new(presented, option, attempt.rule.resource_info(&attempt.path), authorization)
    }

    /// Proves the signature: locally, by bytes that were proved before, or by asking the facilitator before anything is
    /// stored. The outer error is the store's, or a hook's.
    async fn prove(
        &self,
        attempt: &Attempt,
        payment: &Payment,
    ) -> Result<Result<(Standing, Proof), VerifyError>, Box<Reply>> {
        let Some(scheme) = self.scheme(&payment.option.scheme) else {
            return Ok(Err(VerifyError::Rejected(RejectReason::UnsupportedScheme)));
        };
        let proof = match scheme.prove(&payment.authorization, &payment.option) {
            Err(reason) => return Ok(Err(VerifyError::Rejected(reason))),
            Ok(proof) => proof,
        };
        if proof == Proof::Signed || self.known(&payment.authorization).await?.is_some() {
            return Ok(Ok((Standing::Good, proof)));
        }
        // The window is looked at first where a stranger could make us ask for nothing.
        if let Err(reason) = self.check_window(attempt, payment) {
            return Ok(Err(VerifyError::Rejected(reason)));
        }
        let verified = match self.verify(attempt, payment, None).await {
            Err(Unverified::Stopped(stopped)) => return Err(Box::new(stopped.reply)),
            Err(Unverified::Refused(error)) => Err(error),
            Ok(exposed) => Ok(Arc::new(exposed)),
        };
        match verified {
            // It may be refused because another presentation of it was charged meanwhile.
            Err(VerifyError::Rejected(_)) if self.known(&payment.authorization).await?.is_some() => {
                Ok(Ok((Standing::Good, proof)))
            }
            verified => Ok(verified.map(|exposed| (Standing::Verified(exposed), proof))),
        }
    }

    /// Asks the facilitator, and measures it; hooks have a say before and after.
    pub(super) async fn verify(
        &self,
        attempt: &Attempt,
        payment: &Payment,
        order: Option<OrderId>,
    ) -> Result<Exposed, Unverified> {
        let facts = || PaymentFacts::presented(attempt, payment, order);
        self.ask(Question::BeforeVerify, facts).await.map_err(Unverified::Stopped)?;
        // Counted before the balance is read, so that of two at once one sees the other; not before its signature is
        // proved, or strangers could use up a payer's places.
        let counted = order.map(|_| self.expose(payment)).transpose()?;
        self.ask_facilitator(payment, counted.as_ref().map_or(AtomicAmount::ZERO, Exposed::committed))
            .await?;
        self.ask(Question::AfterVerify, facts).await.map_err(Unverified::Stopped)?;
        counted.map_or_else(|| self.expose(payment), Ok)
    }

    async fn ask_facilitator(&self, payment: &Payment, committed: AtomicAmount) -> Result<(), Unverified> {
        let beside_others;
        let payment = if committed.is_zero() {
            payment
        } else {
            beside_others = Payment { committed, ..payment.clone() };
            &beside_others
        };
        let begun = std::time::Instant::now();
        let verified = self.shared.facilitator.verify(payment).await;
        metrics::histogram!(telemetry::VERIFY_SECONDS).record(begun.elapsed());
        verified.map_err(|error| match error {
            VerifyError::Overcommitted => Unverified::Stopped(at_capacity(payment, "balance")),
            error => Unverified::Refused(error),
        })
    }

    fn expose(&self, payment: &Payment) -> Result<Exposed, Unverified> {
        let shared = &self.shared;
        let payer = &payment.authorization.payer;
        let failed_lately = shared.deferrals.failed_lately(payer, shared.clock.now());
        Exposure::take(&shared.exposure, payment, failed_lately)
            .ok_or_else(|| Unverified::Stopped(at_capacity(payment, "count")))
    }

    /// The order of an authorization, if these very bytes were verified before.
    async fn known(&self, authorization: &Authorization) -> Result<Option<Order>, Box<Reply>> {
        let order = self.find(authorization).await?;
        Ok(order.filter(|order| order.digest == authorization.mark()))
    }

    async fn find(&self, authorization: &Authorization) -> Result<Option<Order>, Box<Reply>> {
        let now = self.shared.clock.now();
        self.shared.store.find(&authorization.key, now).await.map_err(|error| {
            tracing::error!(%error, "order not looked up");
            Box::new(replies::unavailable(Unavailable::Store))
        })
    }
}

/// 503: its payer has enough under way.
fn at_capacity(payment: &Payment, bound: &'static str) -> Stopped {
    metrics::counter!(telemetry::OVER_EXPOSED, "bound" => bound).increment(1);
    tracing::debug!(bound, payer = %payment.authorization.payer, "payer has too much under way");
    let why = Unavailable::AtCapacity;
    Stopped { code: why.code(), reply: replies::unavailable(why) }
}

/// An order that somebody is working on, or that money was or may have been moved for.
fn must_finish(order: &Order) -> bool {
    match order.state.payment {
        PaymentState::Verifying | PaymentState::Verified => order.leased_until.is_some(),
        PaymentState::Rejected | PaymentState::Expired => false,
        PaymentState::Settling | PaymentState::Unresolved | PaymentState::Settled | PaymentState::Failed => {
            true
        }
    }
}
