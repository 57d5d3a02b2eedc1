//! Orders: one claim, lifecycle and record per payment.
//!
//! An [`Order`] exists from the moment a payment is claimed. [`OrderStore`] keeps orders for every instance that
//! shares traffic; it is atomic and fenced, and stays dumb on purpose: what an event does to an order is decided by
//! [`OrderState::next`], whether a presentation may take an order by [`opening`], and what an order that it may not
//! take means by [`judge`]. All are pure, so each is tested once as a table instead of once per back end.

mod due;
mod forward;
mod holding;
mod identity;
mod judge;
mod kept_payment;
mod lifecycle;
#[cfg(feature = "memory")]
mod memory;
mod opening;
mod page;
pub mod proof;
mod provenance;
mod response;
mod status;
mod store;
mod token;
mod transition;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

pub(crate) use self::identity::first_half;
#[cfg(feature = "memory")]
pub use self::memory::{MemoryStore, MemoryStoreBuilder};
pub use self::{
    due::{OWED_AFTER, Worker},
    identity::{InvalidOrderId, OrderId, OwnerToken, PaymentId, RequestFingerprint},
    judge::{Presentation, Verdict, judge},
    kept_payment::KeptPayment,
    lifecycle::{DeliveryState, Event, IllegalEdge, MAX_ATTEMPTS, MAX_PAID_RUNS, OrderState, PaymentState},
    opening::{OpenRequest, Opening, frees_identifier, opening},
    page::{Cursor, Filter, Page},
    provenance::{Provenance, QuoteMark, Verifier},
    response::{ResponseMark, StoredResponse},
    status::{Attention, OrderStatus, STUCK_AFTER},
    store::{Deferred, Lease, Opened, OrderStore, StoreError},
    token::{OrderToken, OrderTokens},
    transition::Transition,
};
use crate::{
    facilitator::Settlement,
    hex,
    price::{AtomicAmount, PriceOption},
    scheme::PaymentKey,
    time::UnixSeconds,
};

/// One payment: its identity, what it buys, and how far it has come.
///
/// As a document (serde) it has no signature, no body and no query string in it; stores keep it in that form.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Order {
    /// The order's public name.
    pub id: OrderId,
    /// The payment's identity.
    pub key: PaymentKey,
    /// The payer's own name for it, unique per payer.
    pub payment_id: Option<PaymentId>,
    /// The request it was first presented for.
    pub fingerprint: RequestFingerprint,
    /// [Mark](crate::scheme::Authorization::mark) of the signed message and signature that were verified.
    #[serde(with = "hex")]
    pub digest: [u8; 16],
    /// The authorization's nonce.
    #[serde(with = "hex")]
    pub nonce: [u8; 32],
    /// The second from which on the authorization cannot be settled.
    pub valid_before: UnixSeconds,
    /// What is bought, frozen.
    pub terms: Arc<Terms>,
    /// Who pays, in the network's canonical text form.
    pub payer: Arc<str>,
    /// Where it comes from, in stores that keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Arc<Provenance>>,
    /// How far it has come.
    pub state: OrderState,
    /// How much of what was authorized is charged, where that is known only after the handler ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<AtomicAmount>,
    /// The settlement, once there is one.
    pub settlement: Option<Arc<Settlement>>,
    /// The transaction of an attempt that failed or has no outcome yet.
    pub transaction: Option<Arc<str>>,
    /// Why it was rejected or failed, as a reason code.
    pub reason: Option<Arc<str>>,
    /// Whether the authorization can never be settled any more.
    pub dead: bool,
    /// Whether a response was kept for it. It may have been forgotten since.
    pub response_kept: bool,
    /// What is known of that response, in stores that keep records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseMark>,
    /// Whether an operator was told that it needs attention, as it is now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub noticed: bool,
    /// Until when its present holder may work on it; `None` when nobody holds it.
    pub leased_until: Option<UnixSeconds>,
    /// Grows with every claim and take-over; a holder with a lower one was overtaken.
    pub fence: u64,
    /// When it was claimed.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// Until when it must be remembered.
    pub keep_until: UnixSeconds,
}

impl Order {
    /// The order that a request opens at `now`, held by its lease.
    #[must_use]
    pub fn opened(request: &OpenRequest, fence: u64, now: UnixSeconds) -> Self {
        Self {
            id: request.id,
            key: request.key,
            payment_id: request.payment_id.clone(),
            fingerprint: request.fingerprint,
            digest: request.digest,
            nonce: request.nonce,
            valid_before: request.valid_before,
            terms: Arc::clone(&request.terms),
            payer: Arc::clone(&request.payer),
            provenance: request.provenance.clone(),
            state: OrderState::default(),
            charge: None,
            settlement: None,
            transaction: None,
            reason: None,
            dead: false,
            response_kept: false,
            response: None,
            noticed: false,
            leased_until: Some(now.after(request.lease)),
            fence,
            created_at: now,
            updated_at: now,
            keep_until: request.keep_until,
        }
    }

    /// Hands the order, as its last holder left it, to the lease of `request`. Pure: the store calls it inside its
    /// atomic step where [`opening`] says [`TakeOver`](Opening::TakeOver).
    pub fn take_over(&mut self, request: &OpenRequest, now: UnixSeconds) {
        self.charge_what_was_stated();
        self.state = self.state.abandoned();
        self.fence = self.fence.saturating_add(1);
        self.leased_until = Some(now.after(request.lease));
        self.updated_at = now;
        self.keep_until = self.keep_until.max(request.keep_until);
        self.noticed = false;
        self.keep_if_unclear(now);
    }

    /// Applies an event that its lease's holder reports. Pure: the store calls it inside its compare-and-set.
    ///
    /// # Errors
    /// [`IllegalEdge`] when the event cannot happen in this state; the order is unchanged.
    pub fn apply(&mut self, event: &Event, now: UnixSeconds) -> Result<(), IllegalEdge> {
        self.state = self.state.next(event)?;
        self.updated_at = now;
        match event {
            Event::VerifyRejected { reason } => {
                self.reason = Some(Arc::clone(reason));
                // Free claims are soon forgotten: payments that cannot be paid must not fill the store.
                self.keep_until = self.keep_until.min(now.after(REJECTED));
            }
            // A kept response that is run for again has been forgotten.
            Event::HandlerStarted => (self.response_kept, self.response) = (false, None),
            Event::HandlerFailed | Event::GivenUp if self.state.payment == PaymentState::Failed => {
                self.reason = Some(Arc::from(judge::HANDLER_ERROR));
            }
            // Begun again after an unclear outcome it comes without one; what was kept before stays.
            Event::SettleStarted { response: Some(response) }
            | Event::SettleDeferred { response: Some(response), .. }
            | Event::ResponseReady { response } => {
                self.response_kept = true;
                // Digested only where it is recorded, as its provenance is.
                self.response = self.provenance.is_some().then(|| ResponseMark::of(response));
            }
            Event::Charged { amount } => self.charge = Some(*amount),
            Event::SettleOk { settlement } => {
                self.settlement = Some(Arc::clone(settlement));
                self.noticed = false;
                self.keep_until = self.keep_until.max(now.after(ENTITLEMENT));
            }
            Event::SettleUnclear { transaction: sent @ Some(_) } => self.transaction.clone_from(sent),
            Event::SettleFailed { reason, dead, transaction } => {
                self.reason = Some(Arc::clone(reason));
                self.dead = *dead;
                if transaction.is_some() {
                    self.transaction.clone_from(transaction);
                }
                // It may have paid: its payer is not asked to pay again for as long as one who has paid.
                if self.was_used_before() {
                    self.keep_until = self.keep_until.max(now.after(ENTITLEMENT));
                }
            }
            Event::Noticed => self.noticed = true,
            _ => {}
        }
        let delivered = matches!(event, Event::Delivered | Event::Undelivered | Event::BrokenOff);
        let half_done = delivered && self.owes_settlement();
        // The other half of a deferred order was done before.
        let whole = self.state.deferred && self.status() == OrderStatus::Completed;
        if (event.releases() && !half_done) || whole {
            self.leased_until = None;
        }
        if matches!(
            event,
            Event::SettleUnclear { .. }
                | Event::SettleDeferred { .. }
                | Event::Metered { .. }
                | Event::Released
        ) {
            self.keep_if_unclear(now);
        }
        Ok(())
    }

    /// Whether its response may be out and its money has yet to move: what was kept to settle it is still needed.
    #[must_use]
    pub const fn owes_settlement(&self) -> bool {
        self.state.deferred && matches!(self.state.payment, PaymentState::Settling | PaymentState::Unresolved)
    }

    /// What is to move, or has moved: the charge, or else all that was authorized. Of a response that is still being charged,
    /// what was recorded so far.
    #[must_use]
    pub fn amount(&self) -> AtomicAmount {
        let unsaid = if self.state.metered { AtomicAmount::ZERO } else { self.terms.option.amount };
        self.charge.unwrap_or(unsaid)
    }

    /// Whoever vanished while it stated a charge is taken at its last recorded word: nothing where there is none.
    fn charge_what_was_stated(&mut self) {
        if self.state.metered {
            self.charge = Some(self.amount());
        }
    }

    /// What may have been paid is remembered as long as what was: once it is forgotten its payer is asked to pay again.
    fn keep_if_unclear(&mut self, now: UnixSeconds) {
        if matches!(self.state.payment, PaymentState::Settling | PaymentState::Unresolved) {
            self.keep_until = self.keep_until.max(now.after(ENTITLEMENT));
        }
    }

    /// Whether somebody holds the order at `now`.
    #[must_use]
    pub fn is_leased(&self, now: UnixSeconds) -> bool {
        self.leased_until.is_some_and(|until| now < until)
    }

    /// Whether the money has moved.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state.payment == PaymentState::Settled
    }
}

/// What is bought, frozen when the payment is claimed. Shared by all orders of one price.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Terms {
    /// The pattern of the route: the bounded name used in logs and metrics.
    pub route: Arc<str>,
    /// The way of paying that was chosen.
    pub option: PriceOption,
}

impl Terms {
    /// Terms.
    #[must_use]
    pub const fn new(route: Arc<str>, option: PriceOption) -> Self {
        Self { route, option }
    }
}

/// How long an order that is paid, or may be, is remembered, delivered or not.
pub const ENTITLEMENT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a rejected order is remembered, for those who wait for it.
pub const REJECTED: Duration = Duration::from_secs(60);
