//! Letting go of an order on which nothing was begun.

use x402_core::{
    order::{Event, Opened, Order, OrderStore, PaymentState, StoreError},
    time::UnixSeconds,
};

use crate::taken;

/// Cancels an order: takes it as a retry would, and releases its claim. `Err` holds the order as it stands.
pub(super) async fn cancel(
    store: &dyn OrderStore,
    order: Order,
    now: UnixSeconds,
) -> Result<Result<Order, Order>, StoreError> {
    if !nothing_begun(&order) || order.is_leased(now) {
        return Ok(Err(order));
    }
    let (lease, order) = match store.open(&taken::request(&order), now).await? {
        Opened::New(lease, order) | Opened::Resumed(lease, order) => (lease, order),
        Opened::Held(order) => return Ok(Err(order)),
    };
    if nothing_begun(&order) {
        let cancelled = Event::VerifyRejected { reason: CANCELLED.into() };
        return store.advance(&lease, &cancelled, now).await.map(Ok);
    }
    // It went on between the look and the claim.
    store.advance(&lease, &Event::Released, now).await.map(Err)
}

fn nothing_begun(order: &Order) -> bool {
    matches!(order.state.payment, PaymentState::Verifying | PaymentState::Verified)
}

const CANCELLED: &str = "cancelled";
