//! Pages over all parts: each part gives its newest, and they are merged as far as every part can be seen.

use std::{cmp::Reverse, ops::RangeInclusive};

use redis::{Cmd, cmd};
use x402_core::{
    order::{Cursor, Filter, OrderId, Page, StoreError},
    scheme::PaymentKey,
    time::UnixSeconds,
};

use super::{
    keys::{PARTS, parts_of},
    rows::{RedisRows, payment_key},
};

impl RedisRows {
    /// Looks at a bounded number of orders, so a page may be short, or empty, and not be the last.
    pub(super) async fn find_page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Page, StoreError> {
        if let Some(id) = filter.id {
            return self.find_named(id, filter, after, now).await;
        }
        let mut page = Page::default();
        let Some(seen) = self.newest(filter, after, limit / SPREAD + SPREAD).await? else {
            return Ok(page);
        };
        for chunk in seen.found.chunks(limit.clamp(1, AT_ONCE)) {
            let keys: Vec<PaymentKey> = chunk.iter().map(|place| place.key).collect();
            for (row, place) in self.rows(&keys).await?.into_iter().zip(chunk) {
                if page.orders.len() == limit {
                    return Ok(page);
                }
                page.next = Some(*place);
                // The index may be behind: what was displaced since is newer than its place.
                let order = row.map(|row| row.order).filter(|order| Cursor::at(order) == *place);
                page.orders.extend(order.filter(|order| filter.admits(order, now)));
            }
        }
        page.next = seen.horizon;
        Ok(page)
    }

    async fn find_named(
        &self,
        id: OrderId,
        filter: &Filter,
        after: Option<Cursor>,
        now: UnixSeconds,
    ) -> Result<Page, StoreError> {
        let part = id.shard() % PARTS;
        let key: Option<String> =
            self.link.command(cmd("GET").arg(self.keys.id(part, id))).await.map_err(self.trouble())?;
        let Some(key) = key.and_then(|key| payment_key(&key)) else { return Ok(Page::default()) };
        let order = self.rows(&[key]).await?.pop().flatten().map(|row| row.order);
        let wanted = order
            .filter(|order| filter.admits(order, now) && after.is_none_or(|after| after.is_before(order)));
        Ok(Page { orders: wanted.into_iter().collect(), next: None })
    }

    /// The newest places after a cursor, down to where a part may have some that it did not tell; `None` where nothing
    /// can be.
    async fn newest(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        mut each: usize,
    ) -> Result<Option<Seen>, StoreError> {
        let parts: Vec<u8> = filter.payer.as_deref().map_or(0..PARTS, parts_of).collect();
        loop {
            let range = positions(filter, after);
            if range.is_empty() {
                return Ok(None);
            }
            let commands = parts.iter().map(|part| self.range(*part, &range, each));
            let answers: Vec<Vec<(String, u64)>> =
                self.link.batch(commands.collect()).await.map_err(self.trouble())?;
            let mut seen = Seen::default();
            for told in answers {
                let places = told.iter().filter_map(|(key, position)| place(key, *position));
                seen.add(places.collect(), told.len() == each);
            }
            seen.found.retain(|place| after.is_none_or(|after| *place < after));
            seen.cut();
            // More than one part tells at once may be at the cursor's own position.
            if !seen.found.is_empty() || seen.horizon.is_none() || each > MOST {
                return Ok(Some(seen));
            }
            each *= 4;
        }
    }

    fn range(&self, part: u8, positions: &RangeInclusive<u64>, limit: usize) -> Cmd {
        let mut command = cmd("ZREVRANGEBYSCORE");
        command.arg(self.keys.made(part)).arg(*positions.end()).arg(*positions.start());
        command.arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit);
        command
    }
}

/// Places, newest first.
#[derive(Default)]
struct Seen {
    found: Vec<Cursor>,
    /// From here on parts may have places that they did not tell.
    horizon: Option<Cursor>,
}

impl Seen {
    /// Takes in what a part told, and whether it has more.
    fn add(&mut self, places: Vec<Cursor>, more: bool) {
        if more {
            self.horizon = self.horizon.max(places.iter().min().copied());
        }
        self.found.extend(places);
    }

    fn cut(&mut self) {
        self.found.retain(|place| self.horizon.is_none_or(|horizon| *place >= horizon));
        self.found.sort_unstable_by_key(|place| Reverse(*place));
    }
}

/// An order's score in the index: the second it was made, then the first bits of its key. Redis puts those with the same
/// score in order of their keys, so that all are ordered as cursors are.
pub(super) fn position(made: UnixSeconds, key: &PaymentKey) -> u64 {
    let [a, b, c, ..] = *key.as_bytes();
    made.get().min(LAST) << KEY_BITS | u64::from(a) << 12 | u64::from(b) << 4 | u64::from(c) >> 4
}

fn place(key: &str, position: u64) -> Option<Cursor> {
    Some(Cursor { created_at: UnixSeconds::new(position >> KEY_BITS), key: payment_key(key)? })
}

fn positions(filter: &Filter, after: Option<Cursor>) -> RangeInclusive<u64> {
    let first = |from: UnixSeconds| from.get().min(LAST) << KEY_BITS;
    let end = match filter.until {
        Some(until) => first(until).checked_sub(1),
        None => Some((1 << (33 + KEY_BITS)) - 1),
    };
    let after = after.map_or(u64::MAX, |after| position(after.created_at, &after.key));
    match end {
        Some(end) => filter.from.map_or(0, first)..=end.min(after),
        #[allow(clippy::reversed_empty_ranges, reason = "nothing was made before the epoch")]
        None => 1..=0,
    }
}

/// With the seconds they are exact as scores.
const KEY_BITS: u32 = 20;
const LAST: u64 = (1 << 33) - 1;
/// How far orders are expected to be from evenly spread over parts.
const SPREAD: usize = 8;
/// Rows that are read at once.
const AT_ONCE: usize = 100;
/// Places that a part tells at once at most.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: [u8; 3]) -> PaymentKey {
        let mut bytes = [7; 32];
        bytes[..3].copy_from_slice(&first);
        PaymentKey::from_bytes(bytes)
    }

    fn cursor(second: u64, first: [u8; 3]) -> Cursor {
        Cursor { created_at: UnixSeconds::new(second), key: key(first) }
    }

    #[test]
    fn positions_are_ordered_as_cursors_are_and_exact_as_scores() {
        let places = [
            cursor(0, [0, 0, 0]),
            cursor(0, [0, 0, 16]),
            cursor(0, [255, 255, 255]),
            cursor(1_800_000_000, [3, 4, 5]),
            cursor(1_800_000_000, [3, 5, 5]),
            cursor(1_800_000_001, [0, 0, 0]),
            cursor(LAST, [255, 255, 255]),
        ];
        assert!(places.is_sorted());
        let positions = places.map(|place| position(place.created_at, &place.key));
        assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
        assert!(positions[6] < 1 << 53);
        for (at, position) in places.into_iter().zip(positions) {
            assert_eq!(place(&at.key.to_string(), position), Some(at));
        }
    }

    #[test]
    fn a_filter_and_a_cursor_bound_the_positions() {
        let filter = Filter {
            from: Some(UnixSeconds::new(10)),
            until: Some(UnixSeconds::new(12)),
            ..Filter::default()
        };
        assert_eq!(positions(&filter, None), 10 << KEY_BITS..=(12 << KEY_BITS) - 1);
        let after = cursor(11, [0, 0, 16]);
        assert_eq!(positions(&filter, Some(after)), 10 << KEY_BITS..=(11 << KEY_BITS) + 1);
        let never = Filter { until: Some(UnixSeconds::new(0)), ..Filter::default() };
        assert!(positions(&never, None).is_empty());
    }

    #[test]
    fn nothing_is_told_beyond_what_a_part_did_not_tell() {
        let mut seen = Seen::default();
        seen.add(vec![cursor(9, [0; 3]), cursor(5, [0; 3])], true);
        seen.add(vec![cursor(8, [0; 3]), cursor(2, [0; 3])], false);
        seen.add(vec![cursor(7, [0; 3]), cursor(6, [0; 3])], true);
        seen.cut();
        let seconds: Vec<u64> = seen.found.iter().map(|place| place.created_at.get()).collect();
        assert_eq!(seconds, [9, 8, 7, 6]);
        assert_eq!(seen.horizon, Some(cursor(6, [0; 3])));
    }
}
