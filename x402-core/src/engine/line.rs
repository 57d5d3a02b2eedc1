//! Copies of a payment that this process has at the same time: one after the other asks the store, and who has the turn
//! waits for the order, so that a thousand copies cost the store no more than a few.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout_at},
};

use crate::scheme::PaymentKey;

/// A line per payment that somebody asks for.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<HashMap<PaymentKey, Line>>>);

/// When the store last failed whoever had the turn.
type Line = Arc<tokio::sync::Mutex<Option<Instant>>>;

/// The right to ask the store for a payment, until it is dropped.
pub(super) struct Turn {
    // First, so that it is given up before the place is.
    failed: OwnedMutexGuard<Option<Instant>>,
    _place: Place,
}

/// Why somebody in line does not get its turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NoTurn {
    /// It has waited for as long as it may.
    TooLate,
    /// The store failed somebody before it meanwhile: it would only wait for the same.
    StoreFailed,
}

struct Place {
    lines: Lines,
    key: PaymentKey,
    line: Line,
}

impl Lines {
    /// Waits in the payment's line, first come first served.
    pub(super) async fn turn(&self, key: PaymentKey, deadline: Instant) -> Result<Turn, NoTurn> {
        let came = Instant::now();
        let line = Arc::clone(self.all().entry(key).or_default());
        let place = Place { lines: self.clone(), key, line };
        let turn = timeout_at(deadline, Arc::clone(&place.line).lock_owned()).await;
        let failed = turn.map_err(|_| NoTurn::TooLate)?;
        if failed.is_some_and(|at| at >= came) {
            return Err(NoTurn::StoreFailed);
        }
        Ok(Turn { failed, _place: place })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<PaymentKey, Line>> {
        self.0.lock().expect("no holder panics")
    }
}

impl Turn {
    /// Tells those in line that the store failed.
    pub(super) fn store_failed(&mut self) {
        *self.failed = Some(Instant::now());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.lines.all();
        // The table's and ours: nobody else is in line.
        if Arc::strong_count(&self.line) == 2 {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEY: PaymentKey = PaymentKey::from_bytes([1; 32]);
    const OTHER: PaymentKey = PaymentKey::from_bytes([2; 32]);

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn one_after_the_other_has_the_turn_and_other_payments_do_not_wait() {
        let lines = Lines::default();
        let first = lines.turn(KEY, soon()).await.ok().unwrap();
        drop(lines.turn(OTHER, soon()).await.ok().unwrap());
        let second = tokio::spawn({
            let lines = lines.clone();
            async move { lines.turn(KEY, soon()).await.map(drop) }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.unwrap(), Ok(()));
        assert!(lines.all().is_empty(), "nobody is left, and nothing is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_leaves_the_line() {
        let lines = Lines::default();
        let first = lines.turn(KEY, soon()).await.ok().unwrap();
        assert_eq!(lines.turn(KEY, soon()).await.map(drop), Err(NoTurn::TooLate));
        assert_eq!(lines.turn(KEY, Instant::now()).await.map(drop), Err(NoTurn::TooLate));
        drop(first);
        assert_eq!(lines.turn(KEY, Instant::now()).await.map(drop), Ok(()), "a free turn is never late");
        assert!(lines.all().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_while_the_store_failed_fails_with_it() {
        let lines = Lines::default();
        let mut first = lines.turn(KEY, soon()).await.ok().unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let lines = lines.clone();
                tokio::spawn(async move { lines.turn(KEY, soon()).await.map(drop) })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        first.store_failed();
        drop(first);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Err(NoTurn::StoreFailed));
        }
        assert_eq!(lines.turn(KEY, soon()).await.map(drop), Ok(()), "who comes later asks again");
    }
}
