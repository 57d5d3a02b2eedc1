//! Looking through orders: an index narrows down, the filter decides.

use rusqlite::{Connection, params_from_iter, types::Value};
use x402_core::{
    order::{Attention, Cursor, Filter, OrderStatus, Page},
    time::UnixSeconds,
};

use super::{columns::seconds, failure::Failure, read};

pub(super) fn page(
    connection: &Connection,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
    now: UnixSeconds,
) -> Result<Page, Failure> {
    let mut orders = Vec::new();
    let mut cursor = after;
    for _ in 0..LOOKS {
        let (text, values) = query(filter, cursor);
        let rows = read::rows(connection, &text, params_from_iter(values))?;
        let is_last = rows.len() < ROWS_PER_LOOK;
        for row in rows {
            cursor = Some(Cursor::at(&row.order));
            if filter.admits(&row.order, now) {
                if orders.len() == limit {
                    let next = orders.last().map(Cursor::at);
                    return Ok(Page { orders, next });
                }
                orders.push(row.order);
            }
        }
        if is_last {
            return Ok(Page { orders, next: None });
        }
    }
    // So many that others get a turn first.
    Ok(Page { orders, next: cursor })
}

fn query(filter: &Filter, after: Option<Cursor>) -> (String, Vec<Value>) {
    let mut text = String::from("SELECT document, owner, version FROM orders WHERE TRUE");
    let mut values = Vec::new();
    let mut also = |condition: &str, value: Value| {
        values.push(value);
        text.push_str(" AND ");
        text.push_str(&condition.replace('?', &format!("?{}", values.len())));
    };
    if let Some(id) = filter.id {
        also("id = ?", Value::Blob(id.as_bytes().to_vec()));
    }
    match filter.status.or_else(|| filter.attention.and_then(status_of)) {
        // Nearly all are: an index would be as large as what it leads to.
        Some(OrderStatus::Completed) => also("status = ?", word(OrderStatus::Completed)),
        Some(status) => also("status = ? AND status <> 'completed'", word(status)),
        None => {}
    }
    if let Some(payer) = &filter.payer {
        also("payer = ? COLLATE NOCASE", Value::Text(payer.to_string()));
    }
    if let Some(route) = &filter.route {
        also("route = ?", Value::Text(route.to_string()));
    }
    if let Some(from) = filter.from {
        also("created_at >= ?", Value::Integer(seconds(from)));
    }
    if let Some(until) = filter.until {
        also("created_at < ?", Value::Integer(seconds(until)));
    }
    if let Some(cursor) = after {
        also("created_at <= ?", Value::Integer(seconds(cursor.created_at)));
        values.push(Value::Blob(cursor.key.as_bytes().to_vec()));
        let at = values.len();
        text.push_str(&format!(" AND (created_at, key) < (?{}, ?{at})", at - 1));
    }
    text.push_str(&format!(" ORDER BY created_at DESC, key DESC LIMIT {ROWS_PER_LOOK}"));
    (text, values)
}

/// The only status in which an order needs it, where there is one.
const fn status_of(attention: Attention) -> Option<OrderStatus> {
    match attention {
        Attention::SettlementUnknown | Attention::Stuck | Attention::PaidUndelivered => {
            Some(OrderStatus::Pending)
        }
        Attention::DeliveredUnsettled => Some(OrderStatus::Failed),
        _ => None,
    }
}

fn word(status: OrderStatus) -> Value {
    Value::Text(status.as_str().to_owned())
}

const ROWS_PER_LOOK: usize = 256;
const LOOKS: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use x402_core::{
        order::{DeliveryState as D, MemoryStore, Order, PaymentState as P},
        scheme::PaymentKey,
        testing::store_contract::Payments,
    };

    use super::*;
    use crate::sqlite::schema::migrate;

    /// Whatever is asked for, SQLite neither sorts nor reads more than the part it is asked for.
    #[test]
    fn every_look_goes_along_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let payer = Some("0xabc".into());
        let at = UnixSeconds::new(7);
        let cursor = Cursor { created_at: at, key: PaymentKey::from_bytes([7; 32]) };
        let with_status = |status| Filter { status: Some(status), ..Filter::default() };
        for (filter, index) in [
            (Filter::default(), "orders_by_time"),
            (Filter { from: Some(at), until: Some(at), ..Filter::default() }, "orders_by_time"),
            (Filter { route: Some("GET /".into()), ..Filter::default() }, "orders_by_time"),
            (with_status(OrderStatus::Completed), "orders_by_time"),
            (with_status(OrderStatus::Pending), "orders_unfinished"),
            (Filter { attention: Some(Attention::Stuck), ..Filter::default() }, "orders_unfinished"),
            (Filter { payer: payer.clone(), ..Filter::default() }, "orders_by_payer"),
            (Filter { payer, ..with_status(OrderStatus::Completed) }, "orders_by_payer"),
        ] {
            for after in [None, Some(cursor)] {
                let (text, values) = query(&filter, after);
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
                let plan = statement
                    .query_map(params_from_iter(values), |row| row.get::<_, String>(3))
                    .unwrap()
                    .collect::<Result<Vec<_>, _>>()
                    .unwrap()
                    .join("; ");
                assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
                assert!(after.is_none() || plan.starts_with("SEARCH"), "{filter:?}: {plan}");
            }
        }
    }

    #[test]
    fn attention_is_looked_for_where_it_can_be() {
        let payments = [
            P::Verifying,
            P::Verified,
            P::Settling,
            P::Unresolved,
            P::Settled,
            P::Rejected,
            P::Failed,
            P::Expired,
        ];
        let request = Payments::new(Arc::new(MemoryStore::new())).request(0);
        for payment in payments {
            for delivery in [D::Withheld, D::Executing, D::Ready, D::Delivered, D::Errored] {
                for deferred in [false, true] {
                    let mut order = Order::opened(&request, 1, UnixSeconds::new(0));
                    (order.state.payment, order.state.delivery) = (payment, delivery);
                    order.state.deferred = deferred;
                    for attention in order.attention(UnixSeconds::MAX) {
                        let looked_for = status_of(attention);
                        assert!(
                            looked_for.is_none_or(|status| status == order.status()),
                            "{attention}: {order:?}"
                        );
                    }
                }
            }
        }
    }
}
