//! What the holder of an order may still do: the pure half of [`OrderStore::advance`](super::OrderStore::advance) and
//! [`OrderStore::renew`](super::OrderStore::renew).
//!
//! A process can stand still for longer than its lease and come back. Whether it may go on:
//!
//! | its lease | report what happened | begin something | renew |
//! |---|---|---|---|
//! | runs | yes | yes | yes |
//! | lapsed, nobody took over | yes | [`Lapsed`](StoreError::Lapsed) | yes |
//! | released, or taken over | [`Overtaken`](StoreError::Overtaken) | `Overtaken` | `Overtaken` |
//!
//! What happened is recorded whenever the fence allows: money that moved has moved. What would begin (a run of the
//! handler, a settlement: [`Event::begins`]) needs a lease that runs, or somebody could take the order over the moment
//! after and begin the same. A lapsed holder renews first; renewal is atomic, so it then holds the order again or
//! learns that it was overtaken.
//! One that was held up on its way to the store and comes after a later one does not shorten the lease.

use std::time::Duration;

use super::{Event, Order, StoreError};
use crate::time::UnixSeconds;

impl Order {
    /// Whether the holder with this fence may report `event` at `now`. Every store asks inside its compare-and-set.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] or [`StoreError::Lapsed`].
    pub fn admits(&self, fence: u64, event: &Event, now: UnixSeconds) -> Result<(), StoreError> {
        self.held_under(fence)?;
        if event.begins() && !self.is_leased(now) { Err(StoreError::Lapsed) } else { Ok(()) }
    }

    /// Lets the holder with this fence work on until `now + by`, whether or not its lease has lapsed. Every store asks
    /// inside its compare-and-set.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`].
    pub fn renew(&mut self, fence: u64, by: Duration, now: UnixSeconds) -> Result<(), StoreError> {
        self.held_under(fence)?;
        self.leased_until = self.leased_until.max(Some(now.after(by)));
        Ok(())
    }

    const fn held_under(&self, fence: u64) -> Result<(), StoreError> {
        if self.fence == fence && self.leased_until.is_some() { Ok(()) } else { Err(StoreError::Overtaken) }
    }
}
