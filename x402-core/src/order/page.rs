//! Looking through orders, page by page.

use std::sync::Arc;

use super::{Attention, Order, OrderId, OrderStatus};
use crate::{scheme::PaymentKey, time::UnixSeconds};

/// Which orders to look for. What is `None` does not matter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// The order of this name.
    pub id: Option<OrderId>,
    /// Orders of this status.
    pub status: Option<OrderStatus>,
    /// Orders that need this attention.
    pub attention: Option<Attention>,
    /// Orders of this route, by its pattern.
    pub route: Option<Arc<str>>,
    /// Orders of this payer, in the network's canonical text form; EVM addresses compare without case.
    pub payer: Option<Arc<str>>,
    /// Orders opened at this second or later.
    pub from: Option<UnixSeconds>,
    /// Orders opened before this second.
    pub until: Option<UnixSeconds>,
}

/// Where a page ended: orders come newest first, those of one second by key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cursor {
    /// When the last order of the page was opened.
    pub created_at: UnixSeconds,
    /// Its payment.
    pub key: PaymentKey,
}

/// Some orders, and where to go on.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The orders, newest first.
    pub orders: Vec<Order>,
    /// Where the next page starts; `None` after the last one. A page may be short, even empty, and not be the last.
    pub next: Option<Cursor>,
}

impl Filter {
    /// Whether the filter lets an order through, at `now`. Pure: stores with an index of their own narrow down, and ask
    /// this last.
    #[must_use]
    pub fn admits(&self, order: &Order, now: UnixSeconds) -> bool {
        self.id.is_none_or(|id| order.id == id)
            && self.status.is_none_or(|status| order.status() == status)
            && self.attention.is_none_or(|attention| order.needs(attention, now))
            && self.route.as_ref().is_none_or(|route| order.terms.route == *route)
            && self.payer.as_ref().is_none_or(|payer| order.payer.eq_ignore_ascii_case(payer))
            && self.from.is_none_or(|from| order.created_at >= from)
            && self.until.is_none_or(|until| order.created_at < until)
    }
}

impl Cursor {
    /// The cursor of a page that ends with this order.
    #[must_use]
    pub const fn at(order: &Order) -> Self {
        Self { created_at: order.created_at, key: order.key }
    }

    /// Whether an order comes after a page that ended here.
    #[must_use]
    pub fn is_before(&self, order: &Order) -> bool {
        Self::at(order) < *self
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::store_contract::Payments;

    fn order() -> (Payments, Order) {
        let payments = Payments::new(Arc::new(crate::order::MemoryStore::new()));
        let order = Order::opened(&payments.request(0), 1, payments.now);
        (payments, order)
    }

    #[test]
    fn a_filter_admits_what_agrees_with_all_of_it() {
        let (payments, order) = order();
        let next = payments.now.after(Duration::from_secs(1));
        let filter = Filter::default;
        let other = OrderId::of(&order.key, [9; 16]);
        let shouted = order.payer.to_uppercase().into();
        for (filter, admitted) in [
            (filter(), true),
            (Filter { id: Some(order.id), ..filter() }, true),
            (Filter { id: Some(other), ..filter() }, false),
            (Filter { status: Some(OrderStatus::Pending), ..filter() }, true),
            (Filter { status: Some(OrderStatus::Failed), ..filter() }, false),
            (Filter { attention: Some(Attention::Stuck), ..filter() }, false),
            (Filter { route: Some("GET /weather/{city}".into()), ..filter() }, true),
            (Filter { route: Some("GET /weather/oslo".into()), ..filter() }, false),
            (Filter { payer: Some(Arc::clone(&order.payer)), ..filter() }, true),
            (Filter { payer: Some(shouted), ..filter() }, true),
            (Filter { payer: Some("0x".into()), ..filter() }, false),
            (Filter { from: Some(payments.now), ..filter() }, true),
            (Filter { from: Some(next), ..filter() }, false),
            (Filter { until: Some(payments.now), ..filter() }, false),
            (Filter { until: Some(next), ..filter() }, true),
            (Filter { from: Some(payments.now), until: Some(next), id: Some(order.id), ..filter() }, true),
            (Filter { id: Some(order.id), status: Some(OrderStatus::Expired), ..filter() }, false),
        ] {
            assert_eq!(filter.admits(&order, payments.now), admitted, "{filter:?}");
        }
    }

    #[test]
    fn later_pages_have_older_orders_and_those_of_one_second_by_key() {
        let (payments, order) = order();
        let cursor = Cursor::at(&order);
        let at = |created_at, key: u8| {
            let key = if key == 0 { order.key } else { PaymentKey::from_bytes([key; 32]) };
            Order { created_at, key, ..order.clone() }
        };
        let (before, after) =
            (payments.now.before(Duration::from_secs(1)), payments.now.after(Duration::from_secs(1)));
        for (other, comes) in [
            (at(payments.now, 0), false),
            (at(payments.now, 255), false),
            (at(after, 1), false),
            (at(before, 255), true),
        ] {
            assert_eq!(cursor.is_before(&other), comes, "{other:?}");
        }
        let lowest = Order { key: PaymentKey::from_bytes([0; 32]), ..order.clone() };
        assert!(cursor.is_before(&lowest));
    }
}
