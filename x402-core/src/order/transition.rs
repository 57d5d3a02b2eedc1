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
            Self::Charged { .. } => "charged",
            Self::SettleStarted { .. } => "settle_started",
            Self::SettleDeferred { .. } => "settle_deferred",
            Self::Metered { .. } => "metered",
            Self::SettleOk { .. } => "settled",
            Self::SettleFailed { .. } => "settle_failed",
            Self::SettleUnclear { .. } => "settle_unclear",
            Self::ResponseReady { .. } => "response_ready",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::BrokenOff => "broken_off",
            Self::Expired => "expired",
            Self::Noticed => "noticed",
            Self::Released => "released",
        }
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use super::*;
    use crate::testing::store_contract::Payments;

    #[test]
    fn every_event_has_a_name_of_its_own() {
        let payments = Payments::new(Arc::new(crate::order::MemoryStore::new()));
        let request = payments.request(0);
        let reason: Arc<str> = "late".into();
        let response = Arc::new(crate::order::StoredResponse::new(200, Vec::new(), "sunny".into()));
        let named = [
            (Event::VerifyOk, "verified"),
            (Event::VerifyRejected { reason: Arc::clone(&reason) }, "rejected"),
            (Event::HandlerStarted, "handler_started"),
            (Event::HandlerFailed, "handler_failed"),
            (Event::GivenUp, "given_up"),
            (Event::Charged { amount: request.terms.option.amount }, "charged"),
            (Event::SettleStarted { response: None }, "settle_started"),
            (payments.deferred(&request, None), "settle_deferred"),
            (payments.metered(&request), "metered"),
            (payments.settled(&request), "settled"),
            (Event::SettleFailed { reason, dead: true, transaction: None }, "settle_failed"),
            (Event::SettleUnclear { transaction: None }, "settle_unclear"),
            (Event::ResponseReady { response }, "response_ready"),
            (Event::Delivered, "delivered"),
            (Event::Undelivered, "undelivered"),
            (Event::BrokenOff, "broken_off"),
            (Event::Expired, "expired"),
            (Event::Noticed, "noticed"),
            (Event::Released, "released"),
        ];
        for (event, name) in &named {
            assert_eq!(event.name(), *name);
            assert_eq!(named.iter().filter(|(_, other)| other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_line_is_a_document_of_five_fields() {
        let payments = Payments::new(Arc::new(crate::order::MemoryStore::new()));
        let mut order = Order::opened(&payments.request(0), 3, payments.now);
        order.apply(&Event::VerifyOk, payments.now).unwrap();
        let line = Transition::to(&order, Event::VerifyOk.name(), payments.now);
        let document = serde_json::to_value(&line).unwrap();
        let wanted = serde_json::json!({
            "at": payments.now, "event": "verified", "payment": "verified", "delivery": "withheld", "fence": 3,
        });
        assert_eq!(document, wanted);
        assert_eq!(serde_json::from_value::<Transition>(document).unwrap(), line);
    }
}
