//! What happened to an order, one line a change.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DeliveryState, Event, Order, PaymentState};
use crate::time::UnixSeconds;

/// One change of an order. Append-only: written with the change it tells of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Transition {
    /// When.
    pub at: UnixSeconds,
    /// What happened, as [`Event::name`] says; besides `opened`, `taken_over` and `taken_by_worker`.
    pub event: Arc<str>,
    /// The money, from then on.
    pub payment: PaymentState,
    /// The response, from then on.
    pub delivery: DeliveryState,
    /// Under which fence.
    pub fence: u64,
}

impl Transition {
    /// The change that led to `order`.
    #[must_use]
    pub fn to(order: &Order, event: &'static str, now: UnixSeconds) -> Self {
        let state = order.state;
        Self {
            at: now,
            event: event.into(),
            payment: state.payment,
            delivery: state.delivery,
            fence: order.fence,
        }
    }
}

impl Event {
    /// The event's name in records.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::VerifyOk => "verified",
            Self::VerifyRejected { .. } => "rejected",
            Self::HandlerStarted => "handler_started",
            Self::HandlerFailed => "handler_failed",
            Self::GivenUp => "given_up",
            Self::SettleStarted { .. } => "settle_started",
            Self::SettleDeferred { .. } => "settle_deferred",
            Self::SettleOk { .. } => "settled",
            Self::SettleFailed { .. } => "settle_failed",
            Self::SettleUnclear { .. } => "settle_unclear",
            Self::ResponseReady { .. } => "response_ready",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Expired => "expired",
            Self::Noticed => "noticed",
            Self::Released => "released",
        }
    }
}
