//! The last step: what the handler did decides what happens to the money.

use std::sync::Arc;

use bytes::Bytes;
use tracing::{Instrument, Span};

use super::{
    DeliveryGuard, Engine, Outcome, PaidContext, Release,
    claim::{Claim, store_failed},
    hold::{Hold, IfDropped},
    replies::{self, VARY},
};
use crate::{
    Reply,
    charge::Charge,
    error::Unavailable,
    facilitator::Payment,
    order::{Event, KeptPayment, Order, StoredResponse},
    telemetry,
};

/// The right to run the handler once.
///
/// Dropped without [`finish`](Self::finish), nothing is charged; where the payment was settled before the handler, its
/// payer may have the handler run again.
#[must_use = "dropping a ticket gives its claim back and charges nobody"]
#[derive(Debug)]
pub struct Ticket {
    engine: Engine,
    claim: Box<Claim>,
    hold: Hold,
    order: Box<Order>,
    context: PaidContext,
    charge: Charge,
    span: Span,
}

impl Ticket {
    pub(super) fn new(engine: Engine, claim: Claim, hold: Hold, order: Box<Order>) -> Self {
        let context = PaidContext::of(&order);
        let option = &order.terms.option;
        let places = engine.prices.dollar_places(option);
        let charge = match &order.settlement {
            Some(settlement) => Charge::repeated(option, places, settlement.amount),
            None => Charge::new(option, places),
        };
        Self { engine, claim: Box::new(claim), hold, order, context, charge, span: Span::current() }
    }

    /// What handlers and inner layers find in the request's extensions.
    #[must_use]
    pub const fn context(&self) -> &PaidContext {
        &self.context
    }

    /// How handlers say what was used, where that is charged; it goes into the request's extensions, too.
    #[must_use]
    pub const fn charge(&self) -> &Charge {
        &self.charge
    }

    /// The span of this payment, to run the handler in.
    #[must_use]
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Up to how many bytes a response body of known size is to be collected before [`finish`](Self::finish). A longer
    /// one, or one of unknown size, is never waited for.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.engine.shared.settings.response_limit
    }

    /// Whether [`Outcome::headers`] are wanted of responses that are not collected, too.
    #[must_use]
    pub fn reads_headers(&self) -> bool {
        self.engine.shared.success.reads_headers()
    }

    /// Ends the payment with what the handler did: settles it if it is to be paid for.
    ///
    /// # Errors
    /// The [`Reply`] to send instead of the handler's response, which must not leave: the settlement failed, or its
    /// outcome is unknown.
    ///
    /// # Cancellation
    /// Dropped after the first poll, the work goes on by itself: a settlement once begun is finished, and the response
    /// is owed to its payer.
    pub async fn finish(self, outcome: Outcome) -> Result<Release, Reply> {
        let span = self.span.clone();
        let mut release = detached(self.conclude(outcome), &span).await?;
        // The last look before the first byte: who stood still until now may have been overtaken, and its response be run
        // for once more.
        while !release.delivery.is_sure() {
            let confirmed = async {
                let sure = release.delivery.make_sure().await;
                sure.map(|()| release).map_err(|error| store_failed(&error))
            };
            release = detached(confirmed, &span).await?;
        }
        release.delivery.leaves();
        Ok(release)
    }

    async fn conclude(self, outcome: Outcome) -> Result<Release, Box<Reply>> {
        let Self { engine, claim, mut hold, mut order, charge, span, .. } = self;
        let network = order.terms.option.network.to_string();
        let ended = |how: &'static str| {
            span.record("outcome", how);
            metrics::counter!(telemetry::PAYMENTS, "outcome" => how, "network" => network.clone())
                .increment(1);
        };
        let success = engine.shared.success.is_success(&outcome);
        if success != Ok(true) {
            let paid = order.is_settled();
            ended(if paid { "paid_handler_failed" } else { "handler_failed" });
            let recorded = hold.advance(Event::HandlerFailed).await;
            if let Err(error) = recorded {
                tracing::warn!(%error, "failure of a handler not recorded");
            }
            if success.is_err() {
                tracing::error!("nobody knows whether this response is to be paid for, so it does not leave");
                return Err(Box::new(replies::unavailable(Unavailable::Hook)));
            }
            return Ok(released(&claim, &order, DeliveryGuard::nothing_owed()));
        }
        if !order.is_settled()
            && let Err(stopped) = engine.may_settle(&claim, &order, &mut hold).await
        {
            ended("stopped");
            return Err(stopped);
        }
        let complete = outcome.is_complete();
        let response = kept_response(&engine, &claim, outcome).map(Arc::new);
        // Another run could use more than was charged for this one.
        let if_cut = if order.terms.option.is_upto() && response.is_none() {
            IfDropped::BrokenOff
        } else {
            IfDropped::Undelivered
        };
        let mut payment = Arc::clone(&claim.payment);
        if !order.is_settled() && charge.is_open() {
            if !complete {
                let place = engine.place_for_stream(&claim, &mut hold).await?;
                *order = engine.meter(&claim, &order, &charge, &mut hold).await?;
                drop(place);
                ended("metered");
                return Ok(released(&claim, &order, settle_at_its_end(engine, payment, charge, hold)));
            }
            charge.complete();
            let amount = charge.close();
            hold.advance(Event::Charged { amount }).await.map_err(|error| store_failed(&error))?;
            payment = Arc::new(Payment::clone(&payment).charging(amount));
        }
        if order.is_settled() {
            match response {
                Some(response) => {
                    let ready = Event::ResponseReady { response };
                    *order = hold.advance(ready).await.map_err(|error| store_failed(&error))?;
                }
                // Whatever the clock says: a store that forgot the order since will not know who runs it next.
                None => hold.confirm().await.map_err(|error| store_failed(&error))?,
            }
        } else if let Some(place) = engine.defer(&claim).await {
            let deferred =
                Event::SettleDeferred { response, payment: Arc::new(kept_payment(&claim.payment)) };
            *order = hold.advance(deferred).await.map_err(|error| store_failed(&error))?;
            drop(place);
            // Whoever takes it over settles it, and runs it again for its payer.
            hold.make_sure().await.map_err(|error| store_failed(&error))?;
            ended("deferred");
            return Ok(released(&claim, &order, settle_later(engine, payment, hold, if_cut)));
        } else {
            // Durable before money can move.
            let started = Event::SettleStarted { response };
            hold.advance(started).await.map_err(|error| store_failed(&error))?;
            *order = engine.settle_held(&claim, &payment, &mut hold).await?;
        }
        ended("settled");
        Ok(released(&claim, &order, DeliveryGuard::owed_until_it_leaves(hold, if_cut)))
    }
}

/// Does a step in a task of its own, which goes on if the connection is lost.
async fn detached(
    work: impl Future<Output = Result<Release, Box<Reply>>> + Send + 'static,
    span: &Span,
) -> Result<Release, Reply> {
    match tokio::spawn(work.instrument(span.clone())).await {
        Ok(done) => done.map_err(|reply| *reply),
        Err(error) => {
            tracing::error!(%error, "payment task failed");
            Err(replies::unavailable(Unavailable::SettlementUnresolved))
        }
    }
}

/// Settles the order in a task of its own; the guard is for its response.
fn settle_later(engine: Engine, payment: Arc<Payment>, hold: Hold, if_cut: IfDropped) -> DeliveryGuard {
    let (money, response) = hold.split();
    let work = async move { engine.settle_deferred(&payment, money).await };
    tokio::spawn(work.in_current_span());
    DeliveryGuard::owed_until_it_leaves(response, if_cut)
}

/// Settles the order in a task of its own once its response is over; the guard is for its response.
fn settle_at_its_end(engine: Engine, payment: Arc<Payment>, charge: Charge, hold: Hold) -> DeliveryGuard {
    let (money, mut response) = hold.split();
    response.if_dropped(IfDropped::BrokenOff);
    let told = charge.clone();
    let work = async move { engine.settle_metered(&payment, &charge, money).await };
    tokio::spawn(work.in_current_span());
    DeliveryGuard::metered(response, told)
}

/// What it takes to settle a payment after its response.
pub(super) fn kept_payment(payment: &Payment) -> KeptPayment {
    KeptPayment::new(payment.presented.json.get().into(), payment.resource.clone())
}

/// The response to keep for retries: complete, and for a request that a retry can be recognised by.
fn kept_response(engine: &Engine, claim: &Claim, outcome: Outcome) -> Option<StoredResponse> {
    let limit = engine.shared.settings.response_limit;
    let body = outcome.body.filter(|body| claim.attempt.replayable && body.len() <= limit)?;
    let mut headers = outcome.headers;
    headers.retain(|(name, _)| !OURS_TO_SET.contains(&name.as_ref()));
    for (name, value) in cache_headers(claim) {
        headers.push((name.into(), value));
    }
    Some(StoredResponse::new(outcome.status, headers, body))
}

fn released(claim: &Claim, order: &Order, delivery: DeliveryGuard) -> Release {
    let mut release = Release { set: Vec::with_capacity(2), append: vec![("vary", VARY)], delivery };
    if let Some(settlement) = &order.settlement {
        let version = claim.payment.version();
        release.set.push((
            replies::receipt_header(version),
            crate::wire::header::encode(&settlement.receipt(version)),
        ));
    }
    if order.state.may_deliver() {
        release.set.push(("cache-control", cache_control(claim)));
    }
    release
}

fn cache_headers(claim: &Claim) -> [(&'static str, Bytes); 2] {
    [("cache-control", cache_control(claim)), ("vary", VARY)]
}

fn cache_control(claim: &Claim) -> Bytes {
    if claim.attempt.rule.private_cache {
        Bytes::from_static(b"private")
    } else {
        Bytes::from_static(b"private, no-store")
    }
}

/// Headers of a response that the engine decides, or that belong to one connection.
const OURS_TO_SET: [&str; 7] = [
    "cache-control",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "payment-response",
    "x-payment-response",
    "idempotent-replayed",
];
