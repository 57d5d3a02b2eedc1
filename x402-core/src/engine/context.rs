//! What handlers learn of the payment.

use std::sync::Arc;

use crate::{
    facilitator::Settlement,
    order::{Order, OrderId},
    price::{AtomicAmount, NetworkId},
    scheme::PaymentKey,
};

/// The payment behind a request, found in its extensions by handlers and inner layers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PaidContext {
    /// The order's public name.
    pub order_id: OrderId,
    /// The payment's identity, equal for every presentation of it.
    pub payment_key: PaymentKey,
    /// Who pays, in the network's canonical text form.
    pub payer: Arc<str>,
    /// Where.
    pub network: NetworkId,
    /// In which token.
    pub asset: Arc<str>,
    /// How much, in atomic units; the most that may be [charged](crate::charge), where the handler says how much.
    pub amount: AtomicAmount,
    /// The settlement, where it came before the handler.
    pub settlement: Option<Arc<Settlement>>,
}

impl PaidContext {
    pub(super) fn of(order: &Order) -> Self {
        let option = &order.terms.option;
        Self {
            order_id: order.id,
            payment_key: order.key,
            payer: Arc::clone(&order.payer),
            network: option.network.clone(),
            asset: Arc::clone(&option.asset),
            amount: option.amount,
            settlement: order.settlement.clone(),
        }
    }
}
