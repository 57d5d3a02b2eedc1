//! Looking through the orders.

use std::{collections::BTreeMap, sync::Arc};

use super::inner::{Inner, lock};
use crate::{
    order::{Cursor, Filter, Page, StoreError},
    scheme::EvmAddress,
    time::UnixSeconds,
};

impl Inner {
    /// Goes through the shards one after the other and keeps as many orders as the page has. Only for those an order is
    /// made in full.
    pub(super) fn page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Page, StoreError> {
        let mut newest = BTreeMap::new();
        let nobody = Arc::from("");
        // A sketch has no payer; the order that is made from a likely one has.
        let likely = Filter { payer: None, ..filter.clone() };
        let payer = filter.payer.as_ref().map(|payer| payer.to_lowercase().parse::<EvmAddress>().ok());
        for shard in &self.shards {
            for record in lock(shard)?.records(now) {
                if payer.is_some_and(|payer| !record.may_be_of(payer)) {
                    continue;
                }
                let sketch = record.sketch(Arc::clone(&nobody));
                let cursor = Cursor::at(&sketch);
                let full = newest.len() > limit;
                if after.is_some_and(|after| after <= cursor)
                    || (full && newest.first_key_value().is_some_and(|(oldest, _)| cursor < *oldest))
                    || !likely.admits(&sketch, now)
                {
                    continue;
                }
                let order = record.order();
                if filter.admits(&order, now) {
                    newest.insert(cursor, order);
                    if full {
                        newest.pop_first();
                    }
                }
            }
        }
        // One more was kept, to tell whether there are more.
        let more = newest.len() > limit;
        let orders: Vec<_> = newest.into_values().rev().take(limit).collect();
        let next = orders.last().filter(|_| more).map(Cursor::at);
        Ok(Page { orders, next })
    }
}
