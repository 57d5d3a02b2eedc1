//! Finding one order.

use x402_core::{
    order::{Filter, Order, OrderId, OrderStore, StoreError},
    time::UnixSeconds,
};

/// The order of this name.
pub(crate) async fn by_id(
    store: &dyn OrderStore,
    id: OrderId,
    now: UnixSeconds,
) -> Result<Option<Order>, StoreError> {
    let filter = Filter { id: Some(id), ..Filter::default() };
    first(store, &filter, now, |_| true).await
}

/// The newest order that the filter and `wanted` let through, however many pages it takes.
pub(crate) async fn first(
    store: &dyn OrderStore,
    filter: &Filter,
    now: UnixSeconds,
    wanted: impl Fn(&Order) -> bool,
) -> Result<Option<Order>, StoreError> {
    let mut after = None;
    loop {
        let page = store.page(filter, after, PAGE, now).await?;
        if let Some(order) = page.orders.into_iter().find(|order| wanted(order)) {
            return Ok(Some(order));
        }
        // A page may be empty and not be the last.
        let Some(next) = page.next else { return Ok(None) };
        after = Some(next);
    }
}

/// Orders asked for at once.
pub(crate) const PAGE: usize = 200;
