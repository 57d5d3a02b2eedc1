//! From the claim to the handler: runs in a task that the connection does not own.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tracing::{Instrument, field::display};

use super::{
    Admission, Attempt, DeliveryGuard, Engine, PaymentFacts, Ticket,
    admit::{Standing, Unverified},
    asking::Question,
    hold::{Hold, IfDropped},
    line::NoTurn,
    origin::Origin,
    replies,
    settle::Unsettled,
};
use crate::{
    Reply, SettleTiming, entropy,
    error::{Conflict, RejectReason, Unavailable},
    facilitator::{Payment, VerifyError},
    order::{
        DeliveryState, Event, MAX_PAID_RUNS, OpenRequest, Opened, Order, OrderId, OwnerToken, PaymentState,
        Presentation, StoreError, Terms, Verdict, judge,
    },
    price::Rule,
    telemetry,
    wire::X402Version,
};

/// A payment whose signature is known good, asking for its order.
pub(super) struct Claim {
    pub(super) payment: Arc<Payment>,
    pub(super) attempt: Attempt,
    pub(super) standing: Standing,
    /// Whether money must move before the handler runs, whatever the route says.
    pub(super) settle_first: bool,
    /// What its record will say of it.
    pub(super) origin: Origin,
    /// Alive for as long as somebody waits for the answer.
    pub(super) client: Weak<()>,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

impl Claim {
    fn version(&self) -> X402Version {
        self.payment.version()
    }
}

/// What a claim came to.
enum Claimed {
    /// The order is ours and its handler may run.
    Held(Hold, Box<Order>),
    /// The order is settled and has a response: it is owed until somebody takes it.
    Answered(Reply, Hold),
}

impl Engine {
    pub(super) async fn claim_detached(&self, mut claim: Claim) -> Admission {
        let Some(working) = self.shared.work.begin_new() else {
            return Admission::Reply(replies::unavailable(Unavailable::Draining));
        };
        let client = Arc::new(());
        claim.client = Arc::downgrade(&client);
        let span = claim.attempt.span.take();
        let span = span.unwrap_or_else(|| telemetry::payment_span(&claim.attempt.rule.pattern));
        let Payment { option, authorization, .. } = &*claim.payment;
        span.record("network", display(&option.network));
        span.record("amount", display(&option.amount));
        span.record("payer", display(&authorization.payer));
        let engine = self.clone();
        let work = async move {
            let _working = working;
            match engine.claim(&claim).await {
                Ok(Claimed::Held(hold, order)) => {
                    (Admission::Enter(Ticket::new(engine, claim, hold, order)), DeliveryGuard::nothing_owed())
                }
                Ok(Claimed::Answered(reply, hold)) => (Admission::Reply(reply), DeliveryGuard::owed(hold)),
                Err(reply) => (Admission::Reply(*reply), DeliveryGuard::nothing_owed()),
            }
        };
        match tokio::spawn(work.instrument(span)).await {
            Ok((admission, mut delivery)) => {
                // Only who is still here takes a kept response: one that nobody waited for stays owed.
                delivery.delivered();
                admission
            }
            Err(error) => {
                tracing::error!(%error, "payment task failed");
                Admission::Reply(replies::unavailable(Unavailable::Store))
            }
        }
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, Box<Reply>> {
        let (mut hold, mut order) = self.open(claim).await?;
        hold.counted(&self.shared.work);
        if !self.shared.hooks.is_empty() {
            hold.presented_as(PaymentFacts::presented(&claim.attempt, &claim.payment, Some(order.id)));
        }
        tracing::Span::current().record("order", display(order.id));
        if let (Standing::OnlyToFinish(reason), PaymentState::Verifying | PaymentState::Verified) =
            (&claim.standing, order.state.payment)
        {
            // Its holder let go of it between the look and the claim: nothing was charged, and it is too late to begin.
            hold.advance(Event::GivenUp).await.map_err(|error| store_failed(&error))?;
            return Err(self.refuse(&claim.attempt, reason, None).await);
        }
        match order.state.payment {
            PaymentState::Verifying | PaymentState::Verified => {
                order = self.verify_held(claim, order.id, &mut hold).await?
            }
            PaymentState::Unresolved => order = self.resolve_held(claim, &order, &mut hold).await?,
            _ => {}
        }
        if self.settles_first(claim) && !order.is_settled() {
            self.may_settle(claim, &order, &mut hold).await?;
            hold.advance(Event::SettleStarted { response: None })
                .await
                .map_err(|error| store_failed(&error))?;
            order = self.settle_held(claim, &claim.payment, &mut hold).await?;
        }
        if order.is_settled() {
            hold.if_dropped(IfDropped::Undelivered);
            if let Some(reply) = self.kept(claim, &order).await? {
                return Ok(Claimed::Answered(reply, hold));
            }
            if order.state.attempts >= MAX_PAID_RUNS {
                tracing::error!(order = %order.id, "paid, and undelivered after too many runs");
                hold.advance(Event::Released).await.map_err(|error| store_failed(&error))?;
                return Err(Box::new(self.conflict(Conflict::NoAttemptsLeft, &order, claim.version())));
            }
        }
        order = hold.advance(Event::HandlerStarted).await.map_err(|error| store_failed(&error))?;
        Ok(Claimed::Held(hold, Box::new(order)))
    }

    /// Opens the order, waiting a while for another presentation of the same payment to finish with it.
    async fn open(&self, claim: &Claim) -> Result<(Hold, Order), Box<Reply>> {
        let shared = &self.shared;
        let settings = &shared.settings;
        let request = self.open_request(claim);
        let deadline = Instant::now() + settings.wait_in_flight;
        let version = claim.version();
        let mut turn = match shared.lines.turn(request.key, deadline).await {
            Ok(turn) => turn,
            Err(NoTurn::TooLate) => {
                return Err(Box::new(replies::conflict(Conflict::InProgress, None, version)));
            }
            Err(NoTurn::StoreFailed) => return Err(Box::new(replies::unavailable(Unavailable::Store))),
        };
        let mut pause = FIRST_PAUSE;
        loop {
            let now = shared.clock.now();
            let opened = shared.store.open(&request, now).await.map_err(|error| {
                turn.store_failed();
                store_failed(&error)
            });
            let held = match opened? {
                Opened::New(lease, order) | Opened::Resumed(lease, order) => {
                    let hold = Hold::new(
                        Arc::clone(&shared.store),
                        Arc::clone(&shared.clock),
                        lease,
                        settings.lease,
                        &order,
                    );
                    return Ok((hold, order));
                }
                Opened::Held(order) => order,
            };
            let presented = Presentation {
                key: request.key,
                fingerprint: claim.attempt.fingerprint,
                replayable: claim.attempt.replayable,
                now,
            };
            match judge(&held, &presented) {
                Verdict::Wait if Instant::now() < deadline && claim.client.strong_count() > 0 => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Verdict::Wait => {
                    return Err(Box::new(replies::conflict(Conflict::InProgress, None, version)));
                }
                Verdict::Replay => return Err(self.replay(claim, &held).await?),
                Verdict::Conflict(conflict) => return Err(Box::new(self.conflict(conflict, &held, version))),
                Verdict::Failed => {
                    drop(turn);
                    return Err(Box::new(self.failed(claim, &held).await));
                }
                Verdict::Expired => {
                    drop(turn);
                    let reason =
                        RejectReason::Expired { valid_before: claim.payment.authorization.valid_before, now };
                    return Err(self.refuse(&claim.attempt, &reason, None).await);
                }
            }
        }
    }

    fn open_request(&self, claim: &Claim) -> OpenRequest {
        let authorization = &claim.payment.authorization;
        let settings = &self.shared.settings;
        let (id, owner) = halves(entropy::draw());
        OpenRequest {
            id: OrderId::of(&authorization.key, id),
            key: authorization.key,
            payment_id: claim.attempt.payment_id.clone(),
            fingerprint: claim.attempt.fingerprint,
            digest: authorization.mark(),
            nonce: authorization.nonce,
            valid_before: authorization.valid_before,
            provenance: Some(Arc::new(claim.provenance())),
            terms: Arc::new(Terms::new(
                Arc::clone(&claim.attempt.rule.pattern),
                claim.payment.option.clone(),
            )),
            payer: Arc::from(authorization.payer.as_str()),
            owner: OwnerToken::new(owner),
            lease: settings.lease,
            keep_until: authorization
                .valid_before
                .after(settings.clock_skew)
                .after(settings.settlement_window),
        }
    }

    /// The stateful checks, unless they were made before the claim.
    async fn verify_held(&self, claim: &Claim, id: OrderId, hold: &mut Hold) -> Result<Order, Box<Reply>> {
        let verified = match &claim.standing {
            Standing::Verified(exposed) => Ok(Arc::clone(exposed)),
            _ => self.verify(&claim.attempt, &claim.payment, Some(id)).await.map(Arc::new),
        };
        let (code, reply) = match verified {
            Ok(exposed) => {
                hold.exposes(exposed);
                return hold.advance(Event::VerifyOk).await.map_err(|error| store_failed(&error));
            }
            Err(Unverified::Stopped(stopped)) => (stopped.code.to_owned(), stopped.reply),
            Err(Unverified::Refused(VerifyError::Rejected(RejectReason::NonceAlreadyUsed))) => {
                // Used before we began: a store that can forget must not deliver for it again, so no challenge either.
                let reply = replies::conflict(Conflict::AlreadyUsed, None, claim.version());
                (RejectReason::NonceAlreadyUsed.code().to_owned(), reply)
            }
            Err(Unverified::Refused(VerifyError::Rejected(reason))) => {
                let payer = Some(claim.payment.authorization.payer.as_str());
                let reply = self.refuse(&claim.attempt, &reason, payer).await;
                (reason.code().to_owned(), *reply)
            }
            Err(Unverified::Refused(error)) => {
                tracing::error!(%error, "payment not verified");
                ("verifier_unavailable".to_owned(), replies::unavailable(Unavailable::Facilitator))
            }
        };
        hold.advance(Event::VerifyRejected { reason: code.into() })
            .await
            .map_err(|error| store_failed(&error))?;
        Err(Box::new(reply))
    }

    /// Finds out what became of a settlement that was begun before, and finishes it.
    async fn resolve_held(&self, claim: &Claim, order: &Order, hold: &mut Hold) -> Result<Order, Box<Reply>> {
        hold.if_dropped(IfDropped::Release);
        let payment = Payment { charge: order.charge, ..Payment::clone(&claim.payment) };
        match self.resolve(&payment, hold).await {
            Ok(order) => Ok(order),
            Err(unsettled) => Err(Box::new(self.unsettled_reply(claim, hold, unsettled).await)),
        }
    }

    /// Asks hooks before money can move; where one says no the order is given up.
    pub(super) async fn may_settle(
        &self,
        claim: &Claim,
        order: &Order,
        hold: &mut Hold,
    ) -> Result<(), Box<Reply>> {
        let facts = || PaymentFacts::presented(&claim.attempt, &claim.payment, Some(order.id));
        let Err(stopped) = self.ask(Question::BeforeSettle, facts).await else { return Ok(()) };
        hold.advance(Event::GivenUp).await.map_err(|error| store_failed(&error))?;
        Err(Box::new(stopped.reply))
    }

    /// Settles an order whose settlement was just recorded as begun, with the charge that was.
    pub(super) async fn settle_held(
        &self,
        claim: &Claim,
        payment: &Payment,
        hold: &mut Hold,
    ) -> Result<Order, Box<Reply>> {
        hold.if_dropped(IfDropped::Release);
        match self.settle(payment, hold).await {
            Ok(order) => Ok(order),
            Err(unsettled) => Err(Box::new(self.unsettled_reply(claim, hold, unsettled).await)),
        }
    }

    async fn unsettled_reply(&self, claim: &Claim, hold: &mut Hold, unsettled: Unsettled) -> Reply {
        let network = || claim.payment.option.network.to_string();
        tracing::Span::current().record("outcome", "unsettled");
        metrics::counter!(telemetry::PAYMENTS, "outcome" => "unsettled", "network" => network()).increment(1);
        match unsettled {
            Unsettled::Failed(order) => self.failed(claim, &order).await,
            Unsettled::Unknown(why) => {
                if why == Unavailable::SettlementUnresolved {
                    metrics::counter!(telemetry::UNRESOLVED, "network" => network()).increment(1);
                    // The next presentation may have it at once. Should this fail, the drop tries again.
                    let _ = hold.advance(Event::Released).await;
                }
                replies::unavailable(why)
            }
        }
    }

    /// 402 for a settlement that failed; with a challenge only if the old authorization can do no more harm.
    async fn failed(&self, claim: &Claim, order: &Order) -> Reply {
        let (version, option) = (claim.version(), &order.terms.option);
        if order.was_used_before() {
            return self.conflict(Conflict::AlreadyUsed, order, version);
        }
        let reason = RejectReason::from_code(order.reason.as_deref().unwrap_or("unexpected_settle_error"));
        let receipt = crate::facilitator::Settlement::failed_receipt(
            claim.payment.code(&reason),
            order.transaction.as_deref(),
            &option.network,
            &order.payer,
            version,
        );
        if order.dead {
            let reply = self.challenge(&claim.attempt, Some(&reason), Some(&order.payer)).await;
            replies::with_receipt(reply, &receipt, version)
        } else {
            replies::settlement_failed(&reason, &receipt, version)
        }
    }

    /// The kept response of an order that is settled, or whose settlement was deferred, if the request may have it and it is
    /// still there.
    async fn kept(&self, claim: &Claim, order: &Order) -> Result<Option<Reply>, Box<Reply>> {
        if !order.response_kept || !claim.attempt.replayable {
            return Ok(None);
        }
        let response = self.shared.store.response(&order.key).await.map_err(|error| store_failed(&error))?;
        Ok(response.map(|response| {
            count_replay(order);
            tracing::info!(order = %order.id, "kept response sent again");
            replies::replay(&response, order.settlement.as_deref(), claim.version())
        }))
    }

    /// The kept response of an order that somebody else holds, or that was delivered.
    async fn replay(&self, claim: &Claim, order: &Order) -> Result<Box<Reply>, Box<Reply>> {
        let reply = self.kept(claim, order).await?;
        Ok(Box::new(reply.unwrap_or_else(|| {
            let delivered = order.state.delivery == DeliveryState::Delivered;
            let conflict = if delivered { Conflict::AlreadyDelivered } else { Conflict::InProgress };
            self.conflict(conflict, order, claim.version())
        })))
    }

    fn conflict(&self, conflict: Conflict, order: &Order, version: X402Version) -> Reply {
        tracing::info!(order = %order.id, reason = conflict.code(), "payment presented again");
        // Nothing about somebody's order is told to a request that is not the one it was made for.
        let paid = match conflict {
            Conflict::AlreadyDelivered | Conflict::InProgress | Conflict::NoAttemptsLeft => {
                order.settlement.as_deref()
            }
            _ => None,
        };
        if paid.is_some() {
            count_replay(order);
        }
        replies::conflict(conflict, paid, version)
    }

    /// Whether money moves before the handler runs. Not where the handler says how much.
    fn settles_first(&self, claim: &Claim) -> bool {
        let first = claim.settle_first || self.timing(&claim.attempt.rule) == SettleTiming::BeforeHandler;
        first && !claim.payment.option.is_upto()
    }

    pub(super) fn timing(&self, rule: &Rule) -> SettleTiming {
        rule.settle.unwrap_or(self.shared.settings.settle)
    }
}

fn count_replay(order: &Order) {
    let network = order.terms.option.network.to_string();
    metrics::counter!(telemetry::REPLAYS, "network" => network).increment(1);
}

pub(super) fn halves(random: [u8; 32]) -> ([u8; 16], [u8; 16]) {
    let (first, second) = random.split_at(16);
    (first.try_into().expect("16 of 32 bytes"), second.try_into().expect("16 of 32 bytes"))
}

/// 503, and a line for the operator.
pub(super) fn store_failed(error: &StoreError) -> Box<Reply> {
    Box::new(replies::unavailable(store_failed_as(error)))
}

pub(super) fn store_failed_as(error: &StoreError) -> Unavailable {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "order store failed");
    match error {
        StoreError::Full => Unavailable::StoreFull,
        _ => Unavailable::Store,
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
