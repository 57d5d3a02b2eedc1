//! A row as one string: what scripts compare in front, in fixed places, then the document.

use x402_core::order::{OwnerToken, StoreError};

use crate::{
    codec::{order_from_json, order_to_json},
    rows::Row,
};

pub(super) fn to_text(row: &Row) -> String {
    let Row { order, owner, version } = row;
    let document = order_to_json(order);
    format!("{}{}{}{owner}{document}", digits(*version), digits(order.fence), order.id)
}

pub(super) fn from_text(text: &str) -> Result<Row, StoreError> {
    let field = |from: usize, to: usize| text.get(from..to).ok_or_else(damaged);
    let version = field(0, 20)?.parse().map_err(|_| damaged())?;
    let owner = token(field(72, 104)?).ok_or_else(damaged)?;
    let order = order_from_json(text.get(104..).ok_or_else(damaged)?)?;
    Ok(Row { order, owner, version })
}

/// A number as scripts compare them: as text.
pub(super) fn digits(number: u64) -> String {
    format!("{number:020}")
}

fn token(hex: &str) -> Option<OwnerToken> {
    u128::from_str_radix(hex, 16).ok().map(|number| OwnerToken::new(number.to_be_bytes()))
}

fn damaged() -> StoreError {
    StoreError::Unavailable(
        "a row of the order store in Redis is damaged: does something else use its prefix?".into(),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use x402_core::{
        order::{MemoryStore, Order},
        testing::store_contract::Payments,
    };

    use super::*;

    #[test]
    fn a_row_comes_back_as_it_was_written_and_a_damaged_one_does_not() {
        let payments = Payments::new(Arc::new(MemoryStore::new()));
        let request = payments.request(0);
        let row = Row { order: Order::opened(&request, 7, payments.now), owner: request.owner, version: 12 };
        let text = to_text(&row);
        assert_eq!(text[..40], *"0000000000000000001200000000000000000007");
        assert_eq!(text[40..72], row.order.id.to_string());
        let back = from_text(&text).unwrap();
        assert_eq!(format!("{back:?}"), format!("{row:?}"));
        for cut in [0, 19, 40, 80, 104, 200] {
            assert!(from_text(&text[..cut]).is_err(), "{cut}");
        }
    }
}
