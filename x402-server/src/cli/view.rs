//! An order as operators see it in JSON.

use serde::Serialize;
use x402_core::{
    order::{Attention, DeliveryState, Order, OrderId, OrderStatus, PaymentId, PaymentState, Transition},
    price::{AtomicAmount, NetworkId},
    scheme::PaymentKey,
    time::UnixSeconds,
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderView<'a> {
    order_id: OrderId,
    payment_key: PaymentKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<&'a PaymentId>,
    status: OrderStatus,
    payment: PaymentState,
    delivery: DeliveryState,
    attention: Vec<Attention>,
    route: &'a str,
    network: &'a NetworkId,
    asset: &'a str,
    amount: AtomicAmount,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<AtomicAmount>,
    pay_to: &'a str,
    payer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    attempts: u8,
    created_at: UnixSeconds,
    updated_at: UnixSeconds,
    expires_at: UnixSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    leased_until: Option<UnixSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<Transition>>,
}

impl<'a> OrderView<'a> {
    pub(super) fn of(order: &'a Order, now: UnixSeconds) -> Self {
        let option = &order.terms.option;
        Self {
            order_id: order.id,
            payment_key: order.key,
            payment_id: order.payment_id.as_ref(),
            status: order.status(),
            payment: order.state.payment,
            delivery: order.state.delivery,
            attention: order.attention(now).collect(),
            route: &order.terms.route,
            network: &option.network,
            asset: &option.asset,
            amount: option.amount,
            charge: order.charge,
            pay_to: &option.pay_to,
            payer: &order.payer,
            transaction: transaction(order),
            reason: order.reason.as_deref(),
            attempts: order.state.attempts,
            created_at: order.created_at,
            updated_at: order.updated_at,
            expires_at: order.valid_before,
            leased_until: order.leased_until,
            history: None,
        }
    }

    pub(super) fn with_history(self, history: Vec<Transition>) -> Self {
        Self { history: Some(history), ..self }
    }
}

/// That of its settlement, or of an attempt without an outcome.
pub(super) fn transaction(order: &Order) -> Option<&str> {
    let settled = order.settlement.as_ref().map(|settlement| settlement.transaction.as_str());
    settled.or(order.transaction.as_deref())
}
